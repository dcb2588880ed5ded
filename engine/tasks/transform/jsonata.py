"""`io.kestra.plugin.transform.jsonata`: JSON changed by an expression in JSONata."""

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.json_text import any_json
from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.fetched_rows import filed
from engine.tasks.property_types import OptionalInteger, Text
from engine.tasks.rows import documents_of
from engine.tasks.threads import in_own_thread

SECONDS = 60  # for one value
DEPTH = 200


class JsonataTask(RunnableTask):
    """An expression in JSONata."""

    from_: Property[Text] = Field(alias="from")
    expression: Property[Text]
    max_depth: Property[OptionalInteger] = None

    def evaluated(self, values: list[Any]) -> list[Any]:
        """What the expression makes of each value, in a thread; TaskFailed."""
        jsonata = extra("jsonata", "jsonata")
        limit = round((self.timeout.total_seconds() if self.timeout else SECONDS) * 1000)
        try:
            expression = jsonata.Jsonata(self.expression)
            found = []
            for value in values:
                frame = expression.create_frame()
                frame.set_runtime_bounds(limit, self.max_depth or DEPTH)
                found.append(json.loads(json.dumps(expression.evaluate(value, frame), default=str)))
        except (jsonata.JException, RecursionError) as error:
            raise TaskFailed(f"`expression` failed: {error}", fix="See https://docs.jsonata.org.") from error
        return found


class Value(Outputs):
    """The new value."""

    value: Any


class TransformValue(JsonataTask):
    """Change a JSON document."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: order
type: io.kestra.plugin.transform.jsonata.TransformValue
from: "{{ outputs.fetch.body }}"
expression: |
  {
    "customer": first_name & ' ' & last_name,
    "total": $sum(items.(quantity * price))
  }
""",
    )
    type: Literal["io.kestra.plugin.transform.jsonata.TransformValue"]

    async def run(self, context: RunContext) -> Value:
        try:
            given = any_json(self.from_)
        except ValueError as error:
            raise TaskFailed(
                f"`from` is no JSON: {error}.", fix="Give JSON text, such as a response's body."
            ) from error
        (value,) = await in_own_thread(lambda: self.evaluated([given]))
        return Value(value=value)


class Items(Outputs):
    """The new file, and how many rows it has."""

    uri: StoredUri
    processedItemsTotal: int  # noqa: N815 - appears as written


class TransformItems(JsonataTask):
    """Change a file row by row."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: names
type: io.kestra.plugin.transform.jsonata.TransformItems
from: "{{ outputs.products.uri }}"
expression: products.(title & ' by ' & brand)
""",
    )
    type: Literal["io.kestra.plugin.transform.jsonata.TransformItems"]
    explode_array: Property[bool] = True

    async def run(self, context: RunContext) -> Items:
        path = context.files.path(self.from_)
        found = await in_own_thread(lambda: self.evaluated(documents_of(path)))
        rows: list[Any] = []
        for one in found:
            rows += one if self.explode_array and isinstance(one, list) else [one]
        uri = await filed(context, rows, "items.jsonl")
        return Items(uri=uri, processedItemsTotal=len(rows))
