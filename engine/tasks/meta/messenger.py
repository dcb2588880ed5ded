"""`io.kestra.plugin.meta.messenger`: messages by a page on Facebook."""

from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.chat_messages import chunks
from engine.tasks.execution_text import TextTask
from engine.tasks.http_options import DEFAULT
from engine.tasks.outbound import deliver
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.rest_service import refuse_climbing

GRAPH = "https://graph.facebook.com/v23.0"
MAX_TEXT = 2000


class MessengerExecution(TextTask):
    """Send a text, or a summary of an execution, to people on Messenger."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.meta.messenger.MessengerExecution
pageId: "1234567890"
accessToken: "{{ secret('MESSENGER_TOKEN') }}"
recipientIds: ["{{ secret('MESSENGER_PSID') }}"]
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.meta.messenger.MessengerExecution"]
    page_id: Property[Text] = Field(description="The page that sends.")
    access_token: Property[Text] = Field(description="The page's token.")
    recipient_ids: Property[TextList] = Field(description="Ids of the people, as the page knows them.")
    messaging_type: Property[Literal["RESPONSE", "UPDATE", "MESSAGE_TAG"]] = Field(
        default="UPDATE", description="What Messenger should take it for."
    )
    url: Property[OptionalText] = Field(default=None, description="Another address than that of Facebook's Graph API.")

    async def run(self, context: RunContext) -> None:
        if not self.recipient_ids:
            raise TaskFailed("`recipientIds` is empty.", fix="Name at least one person.")
        pieces = chunks(await self.said(context), MAX_TEXT)
        context.mask(self.access_token)
        url = self.url or f"{GRAPH}/{quote(self.page_id, safe='')}/messages"
        refuse_climbing(url)
        headers = {"Authorization": f"Bearer {self.access_token}"}
        for recipient in self.recipient_ids:
            for piece in pieces:
                about_it = {"recipient": {"id": recipient}, "messaging_type": self.messaging_type}
                body = {**about_it, "message": {"text": piece}}
                options = self.options or DEFAULT
                await deliver(context, url, service="Messenger", options=options, headers=headers, json=body)
