"""`io.kestra.plugin.pagerduty`: events for whoever is on call."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.webhook_task import PayloadTask, SummaryTask, rows

EVENTS = "https://events.pagerduty.com/v2/enqueue"
MAX_SUMMARY = 1024


class PagerDutyAlert(PayloadTask):
    """Send an event to PagerDuty."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.pagerduty.PagerDutyAlert
url: https://events.pagerduty.com/v2/enqueue
payload: |
  {
    "routing_key": "{{ secret('PAGERDUTY_KEY') }}",
    "event_action": "trigger",
    "payload": {"summary": "Import failed", "source": "{{ flow.id }}", "severity": "error"}
  }
""",
    )
    service: ClassVar[str] = "PagerDuty"
    type: Literal["io.kestra.plugin.pagerduty.PagerDutyAlert"]
    url: Property[Text] = EVENTS


class PagerDutyExecution(SummaryTask):
    """Send an event about an execution to PagerDuty."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.pagerduty.PagerDutyExecution
url: https://events.pagerduty.com/v2/enqueue
routingKey: "{{ secret('PAGERDUTY_KEY') }}"
eventAction: trigger
executionId: "{{ trigger.executionId }}"
""",
    )
    service: ClassVar[str] = "PagerDuty"
    type: Literal["io.kestra.plugin.pagerduty.PagerDutyExecution"]
    url: Property[Text] = EVENTS
    routing_key: Property[OptionalText] = None
    deduplication_key: Property[OptionalText] = None
    event_action: Property[Text] = Field(default="trigger", description="trigger, acknowledge or resolve.")
    payload_summary: Property[OptionalText] = None
    severity: Property[OptionalText] = Field(
        default=None, description="critical, error, warning or info; unless given error of an execution that failed."
    )

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        said = self.payload_summary or summary_text(about, self.custom_message, {})
        event: dict[str, Any] = {
            "event_action": self.event_action.lower(),
            "dedup_key": self.deduplication_key or about.id,
            "payload": {
                "summary": said[:MAX_SUMMARY],
                "source": f"{about.namespace}.{about.flow_id}",
                "severity": (self.severity or ("error" if about.failed_task else "info")).lower(),
                "custom_details": rows(about, self.custom_fields),
            },
        }
        if self.routing_key:
            event["routing_key"] = self.routing_key
        if about.link:
            event["links"] = [{"href": about.link, "text": "Execution"}]
        return event
