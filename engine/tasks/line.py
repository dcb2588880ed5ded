"""`io.kestra.plugin.line`: messages by a bot of LINE."""

from typing import ClassVar, Literal

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.chat_messages import chunks
from engine.tasks.execution_text import TextTask
from engine.tasks.http_options import DEFAULT
from engine.tasks.outbound import deliver
from engine.tasks.property_types import Text, TextList

LINE = "https://api.line.me"
PUSH = "/v2/bot/message/push"
BROADCAST = "/v2/bot/message/broadcast"
MAX_TEXT = 5000
MAX_MESSAGES = 5  # LINE takes no more at once


class LineExecution(TextTask):
    """Send a text, or a summary of an execution, to people on LINE.

    Without `recipientIds` it goes to all who follow the account, and `url` is the root of the API, as in
    plugin-line. With them each is sent his own, and `url` is the whole address, as in plugin-notifications. A list
    that turns out empty fails: meant for nobody is not meant for all.
    """

    examples: ClassVar[tuple[str, ...]] = (
        """
id: alert
type: io.kestra.plugin.line.LineExecution
channelAccessToken: "{{ secret('LINE_TOKEN') }}"
recipientIds: ["{{ secret('LINE_USER') }}"]
executionId: "{{ trigger.executionId }}"
""",
        """
id: tell_followers
type: io.kestra.plugin.line.LineExecution
channelAccessToken: "{{ secret('LINE_TOKEN') }}"
textBody: The shop opens at noon today.
""",
    )
    type: Literal["io.kestra.plugin.line.LineExecution"]
    url: Property[Text] = LINE
    channel_access_token: Property[Text]
    recipient_ids: Property[TextList | None] = None

    async def run(self, context: RunContext) -> None:
        if self.recipient_ids is not None and not self.recipient_ids:
            raise TaskFailed(
                "`recipientIds` is empty.", fix="Name at least one person or group, or leave it out to tell all."
            )
        context.mask(self.channel_access_token)
        headers = {"Authorization": f"Bearer {self.channel_access_token}"}
        pieces = chunks(await self.said(context), MAX_TEXT)
        for to in self._addressed():
            for first in range(0, len(pieces), MAX_MESSAGES):
                said = [{"type": "text", "text": piece} for piece in pieces[first : first + MAX_MESSAGES]]
                options = self.options or DEFAULT
                body = {**to, "messages": said}
                await deliver(context, self._address(), service="LINE", options=options, headers=headers, json=body)

    def _addressed(self) -> list[dict[str, str]]:
        return [{}] if self.recipient_ids is None else [{"to": each} for each in self.recipient_ids]

    def _address(self) -> str:
        if self.recipient_ids is None:
            return self.url.rstrip("/").removesuffix(BROADCAST) + BROADCAST
        return LINE + PUSH if self.url == LINE else self.url
