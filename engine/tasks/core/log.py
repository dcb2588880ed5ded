"""`io.kestra.plugin.core.log`: lines in the execution's log."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Level, Property, RunContext, RunnableTask
from engine.tasks.property_types import Text


class Log(RunnableTask):
    """Write one or several lines to the execution's log."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hello
type: io.kestra.plugin.core.log.Log
message: "Hello, {{ inputs.name }}"
level: INFO
""",
    )
    type: Literal["io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log"]
    message: Property[Text | list[Text]] = Field(description="A line, or a list of them.")
    level: Property[Level] = "INFO"

    async def run(self, context: RunContext) -> None:
        for line in [self.message] if isinstance(self.message, str) else self.message:
            context.log(line, self.level)
