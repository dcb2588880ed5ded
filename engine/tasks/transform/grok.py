"""`io.kestra.plugin.transform.grok`: fields out of lines of text, by patterns."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.json_text import any_json
from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.fetched_rows import filed
from engine.tasks.given_rows import text_of
from engine.tasks.grok_patterns import PATTERNS, Grok
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.threads import in_own_thread
from engine.tasks.working_files import inside

MAX_FILE = 1_000_000  # bytes of a file of patterns


class GrokTask(RunnableTask):
    """The patterns, and what is kept of what they find."""

    pattern: Property[OptionalText] = None
    patterns: Property[TextList] = Field(default_factory=list)
    patterns_dir: Property[TextList] = Field(default_factory=list)
    pattern_definitions: Property[JsonMap | None] = None
    named_captures_only: Property[bool] = True
    break_on_first_match: Property[bool] = True
    keep_empty_captures: Property[bool] = False

    def groks(self, context: RunContext) -> list[Grok]:
        """The patterns, ready to search; TaskFailed."""
        known = dict(PATTERNS)
        here = context.working_dir
        for folder in self.patterns_dir:
            for file in sorted(path for path in inside(here, folder).rglob("*") if path.is_file()):
                known |= _defined(inside(here, file.relative_to(here).as_posix()))
        known |= {name: str(text) for name, text in (self.pattern_definitions or {}).items()}
        given = [self.pattern] if self.pattern else self.patterns
        if not given:
            raise TaskFailed("`pattern` or `patterns` is missing.", fix='Write it as `pattern: "%{IP:client} …"`.')
        return [Grok(one, known, named_only=self.named_captures_only) for one in given]

    def fields(self, groks: list[Grok], text: str) -> dict[str, Any]:
        """What the patterns find in a text."""
        found: dict[str, Any] = {}
        for grok in groks:
            captured = grok.captures(text)
            if captured is None:
                continue
            found |= {name: value for name, value in captured.items() if self.keep_empty_captures or value != ""}
            if self.break_on_first_match:
                break
        return found


def _defined(file: Path) -> dict[str, str]:
    if file.stat().st_size > MAX_FILE:
        raise TaskFailed(
            f"{file.name} is too large for a file of patterns.", fix="It holds a name and a pattern a line."
        )
    lines = [line.split(maxsplit=1) for line in file.read_text("utf-8", "replace").splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2 and not line[0].startswith("#")}


class Value(Outputs):
    """The fields."""

    value: dict[str, Any]


class TransformValue(GrokTask):
    """Take fields out of a text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: line
type: io.kestra.plugin.transform.grok.TransformValue
pattern: "%{TIMESTAMP_ISO8601:logdate} %{LOGLEVEL:loglevel} %{GREEDYDATA:message}"
from: "{{ trigger.value }}"
""",
    )
    type: Literal["io.kestra.plugin.transform.grok.TransformValue"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Value:
        return Value(value=await in_own_thread(lambda: self.fields(self.groks(context), self.from_)))


class Items(Outputs):
    """The new file, and how many rows it has."""

    uri: StoredUri
    processedItemsTotal: int  # noqa: N815 - appears as written


class TransformItems(GrokTask):
    """Take fields out of each row of a file; rows that no pattern fits are left out."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: lines
type: io.kestra.plugin.transform.grok.TransformItems
patterns:
  - "%{COMBINEDAPACHELOG}"
  - "%{SYSLOGLINE}"
from: "{{ outputs.logs.uri }}"
""",
    )
    type: Literal["io.kestra.plugin.transform.grok.TransformItems"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Items:
        path = context.files.path(self.from_)

        def work() -> list[dict[str, Any]]:
            groks = self.groks(context)
            rows = _rows(path.read_text("utf-8", "replace"))
            return [found for row in rows if (found := self.fields(groks, text_of(row)))]

        rows = await in_own_thread(work)
        uri = await filed(context, rows, "items.jsonl")
        return Items(uri=uri, processedItemsTotal=len(rows))


def _rows(text: str) -> list[Any]:
    """The values of a file of rows, or the lines of a plain one, such as a log."""
    try:
        found = any_json(text)
    except ValueError:
        return [_row(line) for line in text.splitlines() if line.strip()]
    return found if isinstance(found, list) else [found]


def _row(line: str) -> Any:
    try:
        return any_json(line)
    except ValueError:
        return line
