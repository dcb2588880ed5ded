"""`io.kestra.plugin.zenduty`: incidents for whoever is on call."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.webhook_task import PayloadTask, SummaryTask, rows


class ZendutyAlert(PayloadTask):
    """Send an event to Zenduty."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.zenduty.ZendutyAlert
url: "https://www.zenduty.com/api/events/{{ secret('ZENDUTY_KEY') }}/"
payload: |
  {"alert_type": "error", "message": "Import failed", "summary": "{{ flow.id }}", "entity_id": "{{ execution.id }}"}
""",
    )
    service: ClassVar[str] = "Zenduty"
    type: Literal["io.kestra.plugin.zenduty.ZendutyAlert"]


class ZendutyExecution(SummaryTask):
    """Send an event about an execution to Zenduty."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.zenduty.ZendutyExecution
url: "https://www.zenduty.com/api/events/{{ secret('ZENDUTY_KEY') }}/"
executionId: "{{ trigger.executionId }}"
alertType: CRITICAL
""",
    )
    service: ClassVar[str] = "Zenduty"
    type: Literal["io.kestra.plugin.zenduty.ZendutyExecution"]
    message: Property[OptionalText] = None
    text: Property[OptionalText] = Field(default=None, alias="summary")
    alert_type: Property[Text] = "error"
    entity_id: Property[OptionalText] = None
    urls: Property[TextList | None] = None

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        links = [*(self.urls or []), *([about.link] if about.link else [])]
        return {
            "alert_type": self.alert_type.lower(),
            "message": self.message or about.headline,
            "summary": self.text or summary_text(about, self.custom_message, {}),
            "entity_id": self.entity_id or about.id,
            "payload": rows(about, self.custom_fields),
            "urls": [{"link_url": link, "link_text": "Link"} for link in links],
        }
