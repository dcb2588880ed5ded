"""`io.kestra.plugin.opsgenie`: alerts for whoever is on call."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import JsonMap, OptionalText, TextList
from engine.tasks.webhook_task import PayloadTask, SummaryTask, WebhookTask, rows

MAX_MESSAGE = 130


class OpsgenieTask(WebhookTask):
    """What both tasks have."""

    service: ClassVar[str] = "Opsgenie"
    authorization_token: Property[OptionalText] = None

    def headers(self, context: RunContext) -> dict[str, str]:
        token = (self.authorization_token or "").strip()
        if not token:
            return {}
        context.mask(token)
        return {"Authorization": token if " " in token else f"GenieKey {token}"}


class OpsgenieAlert(OpsgenieTask, PayloadTask):
    """Create an alert in Opsgenie."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.opsgenie.OpsgenieAlert
url: https://api.opsgenie.com/v2/alerts
authorizationToken: "{{ secret('OPSGENIE_KEY') }}"
payload: |
  {"message": "Import failed", "tags": ["import"], "priority": "P1"}
""",
    )
    type: Literal["io.kestra.plugin.opsgenie.OpsgenieAlert"]


class OpsgenieExecution(OpsgenieTask, SummaryTask):
    """Create an alert about an execution in Opsgenie."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.opsgenie.OpsgenieExecution
url: https://api.opsgenie.com/v2/alerts
authorizationToken: "{{ secret('OPSGENIE_KEY') }}"
responders:
  4513b7ea-3b91-438f-b7e4-e3e54af9147c: team
priority: P2
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.opsgenie.OpsgenieExecution"]
    message: Property[OptionalText] = None
    alias: Property[OptionalText] = None
    responders: Property[JsonMap | None] = None
    visible_to: Property[JsonMap | None] = None
    tags: Property[TextList | None] = None
    priority: Property[OptionalText] = None

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        title = self.message or about.headline
        named = {
            "message": title[:MAX_MESSAGE],
            "description": summary_text(about, self.custom_message, {}),
            "alias": self.alias,
            "details": rows(about, self.custom_fields),
            "responders": _people(self.responders),
            "visibleTo": _people(self.visible_to),
            "tags": self.tags,
            "priority": self.priority,
        }
        return {key: value for key, value in named.items() if value}


def _people(given: dict[str, Any] | None) -> list[dict[str, str]]:
    return [{"id": name, "type": str(kind)} for name, kind in (given or {}).items()]
