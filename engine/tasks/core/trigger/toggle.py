"""Toggle: a task that switches a trigger on or off."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.errors import NotFound
from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.core.execution import records_of
from engine.tasks.property_types import OptionalText, Text


class Toggle(RunnableTask):
    """Switch a trigger of this flow, or of another, on or off; what its flow says stays as it is."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pause_reports
type: io.kestra.plugin.core.trigger.Toggle
trigger: every_morning
enabled: false
""",
    )
    type: Literal["io.kestra.plugin.core.trigger.Toggle", "io.kestra.core.tasks.trigger.Toggle"]
    trigger: Property[Text]
    enabled: Property[bool] = False
    namespace: Property[OptionalText] = Field(default=None, description="Of the flow; this one's, if left out.")
    flow_id: Property[OptionalText] = Field(default=None, description="This flow, if left out.")

    async def run(self, context: RunContext) -> None:
        whose = (self.namespace or context.namespace, self.flow_id or context.flow_id)
        await switched(context, *whose, self.trigger, enabled=self.enabled)


async def switched(context: RunContext, namespace: str, flow_id: str, trigger: str, *, enabled: bool) -> None:
    """Switch a trigger on or off; TaskFailed when there is none."""
    try:
        await records_of(context).toggle(namespace, flow_id, trigger, enabled=enabled)
    except NotFound as error:
        raise TaskFailed(error.message, fix=error.fix or "Check `namespace`, `flowId` and `trigger`.") from error
