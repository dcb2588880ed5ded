"""`io.kestra.plugin.twilio.notify.mms`: messages with pictures to phones."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.property_types import Text, TextList
from engine.tasks.twilio.notify import MessageTask, Sent

MOST = 10  # of one message


class Send(MessageTask):
    """Send a message with pictures, or other media, to a phone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: show
type: io.kestra.plugin.twilio.notify.mms.Send
accountSID: "{{ secret('TWILIO_ACCOUNT_SID') }}"
authToken: "{{ secret('TWILIO_AUTH_TOKEN') }}"
from: "{{ secret('TWILIO_FROM_NUMBER') }}"
to: "+15555550100"
body: "The sales of today"
mediaUrls:
  - https://example.com/sales.png
""",
    )
    type: Literal["io.kestra.plugin.twilio.notify.mms.Send"]
    body: Property[Text] = Field(description="The text.")
    media_urls: Property[TextList] = Field(description="Where the pictures are: 1 to 10 addresses Twilio can reach.")

    async def run(self, context: RunContext) -> Sent:
        if not self.media_urls:
            raise TaskFailed("There is no picture to send.", fix="Give `mediaUrls`, or use `notify.sms.Send`.")
        if len(self.media_urls) > MOST:
            raise TaskFailed(
                f"There are {len(self.media_urls)} of `mediaUrls`; Twilio takes {MOST}.", fix="Give fewer."
            )
        return await self.message(context, mediaUrl=self.media_urls)
