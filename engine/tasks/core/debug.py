"""`io.kestra.plugin.core.debug`: hand a value on, or write it to the log."""

import time
from typing import ClassVar, Literal

from engine.plugin import Level, Outputs, Property, RunContext, RunnableTask
from engine.tasks.property_types import OptionalText, Text


class Returned(Outputs):
    """The text that `format` rendered to."""

    value: str | None


class Return(RunnableTask):
    """Render a text and hand it on as `outputs.<id>.value`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: greeting
type: io.kestra.plugin.core.debug.Return
format: "Good morning, {{ inputs.name }}"
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.debug.Return", "io.kestra.core.tasks.debugs.Return"]
    format: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Returned:
        started = time.perf_counter()
        context.metric("length", len(self.format or ""), format=self.format or "")
        context.metric("duration", time.perf_counter() - started, "timer", format=self.format or "")
        return Returned(value=self.format)


class Echo(RunnableTask):
    """Write a text to the log (the older name of Log)."""

    instead: ClassVar[str] = "io.kestra.plugin.core.log.Log"
    instead_how: ClassVar[str] = "with `message` for `format`"
    examples: ClassVar[tuple[str, ...]] = (
        """
id: hello
type: io.kestra.plugin.core.debug.Echo
format: "Hello, {{ flow.id }}"
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.debug.Echo", "io.kestra.core.tasks.debugs.Echo"]
    format: Property[Text]
    level: Property[Level] = "INFO"

    async def run(self, context: RunContext) -> None:
        context.log(self.format, self.level)
