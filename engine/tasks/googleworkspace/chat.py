"""`io.kestra.plugin.googleworkspace.chat`: messages through webhooks of Google Chat."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.property_types import OptionalText
from engine.tasks.webhook_task import PayloadTask, SummaryTask


class GoogleChatIncomingWebhook(PayloadTask):
    """Post a message through a webhook of Google Chat."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.googleworkspace.chat.GoogleChatIncomingWebhook
url: "{{ secret('GOOGLE_CHAT_WEBHOOK') }}"
payload: |
  {"text": "{{ outputs.summary.value }}"}
""",
    )
    service: ClassVar[str] = "Google Chat"
    type: Literal[
        "io.kestra.plugin.googleworkspace.chat.GoogleChatIncomingWebhook",
        "io.kestra.plugin.notifications.google.GoogleChatIncomingWebhook",
    ]


class GoogleChatExecution(SummaryTask):
    """Post a summary of an execution through a webhook of Google Chat."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.googleworkspace.chat.GoogleChatExecution
url: "{{ secret('GOOGLE_CHAT_WEBHOOK') }}"
executionId: "{{ trigger.executionId }}"
""",
    )
    service: ClassVar[str] = "Google Chat"
    type: Literal[
        "io.kestra.plugin.googleworkspace.chat.GoogleChatExecution",
        "io.kestra.plugin.notifications.google.GoogleChatExecution",
    ]
    text: Property[OptionalText] = Field(default=None, description="The text, instead of the summary.")

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        """The flow's own text, or the summary."""
        return {"text": self.text} if self.text else super().summary(about)
