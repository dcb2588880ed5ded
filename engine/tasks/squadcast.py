"""`io.kestra.plugin.squadcast`: incidents for whoever is on call."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.webhook_task import PayloadTask, SummaryTask, rows


class SquadcastIncomingWebhook(PayloadTask):
    """Send an event to Squadcast."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.squadcast.SquadcastIncomingWebhook
url: "{{ secret('SQUADCAST_WEBHOOK') }}"
payload: |
  {"message": "Import failed", "description": "{{ flow.id }}", "status": "trigger", "event_id": "{{ execution.id }}"}
""",
    )
    service: ClassVar[str] = "Squadcast"
    type: Literal["io.kestra.plugin.squadcast.SquadcastIncomingWebhook"]


class SquadcastExecution(SummaryTask):
    """Send an event about an execution to Squadcast."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.squadcast.SquadcastExecution
url: "{{ secret('SQUADCAST_WEBHOOK') }}"
executionId: "{{ trigger.executionId }}"
priority: P1
""",
    )
    service: ClassVar[str] = "Squadcast"
    type: Literal["io.kestra.plugin.squadcast.SquadcastExecution"]
    message: Property[OptionalText] = None
    priority: Property[OptionalText] = None
    event_id: Property[OptionalText] = None
    status: Property[Text] = "trigger"
    tags: Property[JsonMap | None] = None

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        named = {
            "message": self.message or about.headline,
            "description": summary_text(about, self.custom_message, rows(about, self.custom_fields)),
            "status": self.status,
            "event_id": self.event_id or about.id,
            "priority": self.priority,
            "tags": {str(name): str(value) for name, value in (self.tags or {}).items()},
        }
        return {key: value for key, value in named.items() if value}
