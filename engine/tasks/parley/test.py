"""parley.test: stand-ins for tasks while a flow is tested."""

from typing import Any, Literal

from pydantic import Field

from engine.core.state import State
from engine.plugin import Result, RunContext, RunnableTask, TaskFailed


class Fixture(RunnableTask):
    """Stands in for a task in `parley test`: gives the outputs and the state that the test says, and does nothing."""

    type: Literal["parley.test.Fixture"]
    outputs: dict[str, Any] = Field(default={}, description="What later tasks find under `outputs.<task id>`.")
    state: Literal["SUCCESS", "WARNING", "FAILED"] = "SUCCESS"

    examples = (
        """
id: ask_ai
type: parley.test.Fixture
outputs:
  predictions: ['{"go_sailing": true}']
""",
    )

    async def run(self, context: RunContext) -> Result:
        """Give what was written, as it was written: it is never rendered."""
        if self.state == "FAILED":
            raise TaskFailed("The test lets this task fail.", outputs=self.outputs)
        return Result(self.outputs, State(self.state))
