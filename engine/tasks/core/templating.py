"""`io.kestra.plugin.core.templating`: a task whose text is put together while the flow runs."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError

from engine.core.property import Guard, has_template
from engine.core.sentences import sentence
from engine.core.task import Typed
from engine.core.yaml_text import plain, read
from engine.errors import FlowInvalid
from engine.plugin import LateProperty, Outputs, Result, RunContext, RunnableTask, TaskFailed
from engine.tasks import catalogue

TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
MARK = "\ue000{}\ue001"  # of a private area: no text of a person holds it
MARKED = re.compile("\ue000(\\d+)\ue001")
# What stands for a whole value, as YAML of its own: `{{ labels | yaml | indent(4) }}`.
AS_YAML = re.compile(r"\{\{-?\s*(?P<value>[\w.\[\]'\"-]+)\s*\|\s*yaml\b[^|}]*(?:\|\s*n?indent\b[^|}]*)?\}\}")


class TemplatedTask(RunnableTask):
    """Run the task that a text describes; property names, values and its `type` may be {{ templates }}."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dynamic
type: io.kestra.plugin.core.templating.TemplatedTask
spec: |
  type: io.kestra.plugin.core.http.{{ inputs.kind }}
  uri: {{ inputs.address }}
""",
    )
    type: Literal["io.kestra.plugin.core.templating.TemplatedTask", "io.kestra.core.tasks.templating.TemplatedTask"]
    spec: LateProperty[str] = Field(
        description="YAML of one task. Its templates are evaluated once, where they stand, never what they gave; a map "
        "or a list goes into it by `yaml`: `labels: {{ labels | yaml | indent(4) }}`."
    )

    async def run(self, context: RunContext) -> Outputs | Mapping[str, Any] | Result | None:
        declared = await self._declared(context)
        registry = catalogue()
        kind: type[Typed] = registry.resolve(declared)
        if issubclass(kind, TemplatedTask):
            raise TaskFailed(
                "The templated task cannot be of type 'io.kestra.plugin.core.templating.TemplatedTask'",
                fix="Name the task itself.",
            )
        if not issubclass(kind, RunnableTask):
            raise TaskFailed("The templated task must be a runnable task", fix="Put flowable tasks into the flow.")
        given = {"id": self.id, **declared, "type": kind.type_names()[0]}
        try:
            task = kind.model_validate(given, context={"registry": registry, "source": True}, by_name=False)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise TaskFailed(f"`spec`: `{where}` {sentence(first)}.".replace("..", ".")) from error
        return await (await rendered(task, context)).run(context)

    async def _declared(self, context: RunContext) -> dict[str, Any]:
        """The task as declared: templates stand in its values, but not in names of properties nor in its type."""
        templates: list[str] = []

        def hidden(found: re.Match[str]) -> str:
            templates.append(found[0])
            return MARK.format(len(templates) - 1)

        try:
            document = plain(read(TEMPLATE.sub(hidden, self.spec)))
        except FlowInvalid as error:
            raise TaskFailed(
                f"`spec` is no YAML: {error.message}",
                fix="Templates may stand in names and values; loops around several lines may not.",
            ) from error
        if not isinstance(document, dict):
            raise TaskFailed("`spec` is no mapping with a `type`.", fix="Write the properties of one task.")
        declared: dict[str, Any] = await _restored(document, templates, context)
        for name in ("type", *(["id"] if "id" in declared else [])):
            declared[name] = str(await context.render(declared.get(name, "")))
        return declared


async def rendered(task: RunnableTask, context: RunContext) -> RunnableTask:
    """A task with its properties rendered for this run, each once and by its own guard."""
    loop = asyncio.get_running_loop()

    def render(value: Any, guard: Guard) -> Any:
        return asyncio.run_coroutine_threadsafe(context.render(value, guard=guard), loop).result()

    return await asyncio.to_thread(task.rendered, render)


async def _restored(value: Any, templates: list[str], context: RunContext) -> Any:
    def restored(text: str) -> str:
        return MARKED.sub(lambda found: templates[int(found[1])], text)

    if isinstance(value, str):
        text = restored(value)
        given = AS_YAML.fullmatch(text)
        return text if given is None else _as_written(await context.evaluate("{{ " + given["value"] + " }}"))
    if isinstance(value, list):
        return [await _restored(item, templates, context) for item in value]
    if isinstance(value, dict):
        return {
            str(await context.render(restored(str(key)))): await _restored(item, templates, context)
            for key, item in value.items()
        }
    return value


def _as_written(value: Any) -> Any:
    """A value whose texts are not evaluated when the properties of the task are."""
    if isinstance(value, Mapping):
        return {_as_written(str(key)): _as_written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_written(item) for item in value]
    if not (has_template(value) or (isinstance(value, str) and "{#" in value)):
        return value
    if "endraw" in value:
        raise TaskFailed("`spec` is given a value that holds `endraw`.", fix="Hand it on as text, without `yaml`.")
    return "{% raw %}" + value + "{% endraw %}"
