"""`io.kestra.plugin.twilio.notify.rcs`: rich messages to phones."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalText
from engine.tasks.twilio.notify import MessageTask, Sent


class SendMessage(MessageTask):
    """Send a rich message (RCS) to a phone; to one that knows none Twilio sends a text message."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.twilio.notify.rcs.SendMessage
accountSID: "{{ secret('TWILIO_ACCOUNT_SID') }}"
authToken: "{{ secret('TWILIO_AUTH_TOKEN') }}"
messagingServiceSid: "{{ secret('TWILIO_MESSAGING_SERVICE_SID') }}"
to: "+15555550100"
body: "{{ flow.id }} failed"
""",
    )
    type: Literal["io.kestra.plugin.twilio.notify.rcs.SendMessage", "io.kestra.plugin.twilio.rcs.SendMessage"]
    content_sid: Property[OptionalText] = Field(
        default=None, description="A content template (HX…) of Twilio, instead of `body` or with it."
    )

    async def run(self, context: RunContext) -> Sent:
        if not (self.body or self.content_sid):
            raise TaskFailed("The message is empty.", fix="Give `body` or `contentSid`.")
        return await self.message(context, contentSid=self.content_sid or None)
