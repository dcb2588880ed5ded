"""`io.kestra.plugin.meta.whatsapp`: messages through a webhook of WhatsApp."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property
from engine.tasks.execution_facts import ExecutionFacts
from engine.tasks.execution_text import summary_text
from engine.tasks.property_types import OptionalText, TextList
from engine.tasks.webhook_task import PayloadTask, SummaryTask


class WhatsAppIncomingWebhook(PayloadTask):
    """Post a message through a webhook of WhatsApp."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.meta.whatsapp.WhatsAppIncomingWebhook
url: "{{ secret('WHATSAPP_WEBHOOK') }}"
payload: |
  {"messages": [{"from": "15555550100", "type": "text", "text": {"body": "{{ inputs.version }} is out."}}]}
""",
    )
    service: ClassVar[str] = "WhatsApp"
    type: Literal["io.kestra.plugin.meta.whatsapp.WhatsAppIncomingWebhook"]


class WhatsAppExecution(SummaryTask):
    """Post a summary of an execution through a webhook of WhatsApp."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.meta.whatsapp.WhatsAppExecution
url: "{{ secret('WHATSAPP_WEBHOOK') }}"
profileName: Flows
whatsAppIds: ["15555550123"]
from: "15555550100"
executionId: "{{ trigger.executionId }}"
""",
    )
    service: ClassVar[str] = "WhatsApp"
    type: Literal["io.kestra.plugin.meta.whatsapp.WhatsAppExecution"]
    profile_name: Property[OptionalText] = Field(default=None, description="The sender's name.")
    whats_app_ids: Property[TextList | None] = Field(default=None, description="Ids of those who get it.")
    from_: Property[OptionalText] = Field(default=None, alias="from", description="The sender's id, a phone number.")
    message_id: Property[OptionalText] = Field(default=None, description="The message's id.")
    text_body: Property[OptionalText] = Field(default=None, description="The text, instead of the summary.")
    recipient_id: Property[OptionalText] = Field(default=None, description="Whose message it answers.")

    def summary(self, about: ExecutionFacts) -> dict[str, Any]:
        """Contacts and one text message."""
        text = self.text_body or summary_text(about, self.custom_message, self.custom_fields or {})
        message = {"type": "text", "text": {"body": text}}
        message |= {name: value for name, value in (("from", self.from_), ("id", self.message_id)) if value}
        body: dict[str, Any] = {"messages": [message]}
        if self.profile_name and self.whats_app_ids:
            profile = {"name": self.profile_name}
            body["contacts"] = [{"profile": profile, "wa_id": id_} for id_ in self.whats_app_ids]
        return body | ({"recipient_id": self.recipient_id} if self.recipient_id else {})
