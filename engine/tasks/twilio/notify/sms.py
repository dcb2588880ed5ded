"""`io.kestra.plugin.twilio.notify.sms`: text messages to phones."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext
from engine.tasks.property_types import Text
from engine.tasks.twilio.notify import MessageTask, Sent


class Send(MessageTask):
    """Send a text message to a phone."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.twilio.notify.sms.Send
accountSID: "{{ secret('TWILIO_ACCOUNT_SID') }}"
authToken: "{{ secret('TWILIO_AUTH_TOKEN') }}"
from: "{{ secret('TWILIO_FROM_NUMBER') }}"
to: "+15555550100"
body: "{{ flow.id }} failed"
""",
    )
    type: Literal["io.kestra.plugin.twilio.notify.sms.Send"]
    body: Property[Text] = Field(description="The text.")

    async def run(self, context: RunContext) -> Sent:
        return await self.message(context)
