"""`io.kestra.plugin.microsoft365.teams`: messages through webhooks of Microsoft Teams."""

from typing import Any, ClassVar, Literal

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts, as_texts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.webhook_task import PayloadTask, SummaryTask


class TeamsIncomingWebhook(PayloadTask):
    """Post a message through a webhook of Teams."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.microsoft365.teams.TeamsIncomingWebhook
url: "{{ secret('TEAMS_WEBHOOK') }}"
payload: |
  {"@type": "MessageCard", "text": "{{ outputs.summary.value }}"}
""",
    )
    service: ClassVar[str] = "Teams"
    type: Literal[
        "io.kestra.plugin.microsoft365.teams.TeamsIncomingWebhook",
        "io.kestra.plugin.notifications.teams.TeamsIncomingWebhook",
    ]


class TeamsExecution(SummaryTask):
    """Post a summary of an execution through a webhook of Teams."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.microsoft365.teams.TeamsExecution
url: "{{ secret('TEAMS_WEBHOOK') }}"
executionId: "{{ trigger.executionId }}"
activityTitle: A flow ended
""",
    )
    service: ClassVar[str] = "Teams"
    type: Literal[
        "io.kestra.plugin.microsoft365.teams.TeamsExecution", "io.kestra.plugin.notifications.teams.TeamsExecution"
    ]
    theme_color: Property[Text] = "0076D7"
    activity_title: Property[OptionalText] = None
    activity_subtitle: Property[OptionalText] = None

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        rows = {"Namespace": about.namespace, "Flow ID": about.flow_id, "Execution ID": about.id, "State": about.state}
        rows |= as_texts(self.custom_fields)
        section = {
            "activityTitle": self.activity_title or about.headline,
            "activitySubtitle": self.activity_subtitle or about.outcome,
            "facts": [{"name": name, "value": value} for name, value in rows.items()],
            **({"text": self.custom_message} if self.custom_message else {}),
        }
        card: dict[str, Any] = {
            "@type": "MessageCard",
            "@context": "http://schema.org/extensions",
            "themeColor": self.theme_color,
            "summary": summary_text(about, None, {}).splitlines()[0],
            "sections": [section],
        }
        if about.link:
            target = {"os": "default", "uri": about.link}
            card["potentialAction"] = [{"@type": "OpenUri", "name": "Open", "targets": [target]}]
        return card
