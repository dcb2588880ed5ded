"""`io.kestra.plugin.twilio.notify.sms`: text messages to phones."""

import json
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.twilio.notify import TwilioTask

BASE_URL = "https://api.twilio.com"


class Sent(Outputs):
    """Twilio's name for the message, and how far it is."""

    sid: str
    status: str | None = None


class Send(TwilioTask):
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
    from_: Property[OptionalText] = Field(default=None, alias="from", description="The number it comes from.")
    messaging_service_sid: Property[OptionalText] = Field(
        default=None, description="A messaging service (MG…) that chooses the number, instead of `from`."
    )
    to: Property[Text] = Field(description="The number it goes to, as +15555550100.")
    body: Property[Text] = Field(description="The text.")

    async def run(self, context: RunContext) -> Sent:
        if bool(self.from_) == bool(self.messaging_service_sid):
            raise TaskFailed("Twilio wants one sender.", fix="Give either `from` or `messagingServiceSid`.")
        base = context.settings.provider("twilio").base_url or BASE_URL
        url = f"{base.rstrip('/')}/2010-04-01/Accounts/{quote(self.account_sid, safe='')}/Messages.json"
        fields = {
            "to": self.to,
            "body": self.body,
            "from": self.from_ or None,
            "messagingServiceSid": self.messaging_service_sid or None,
        }
        said = json.loads(await self.post(context, url, fields))
        return Sent(sid=str(said["sid"]), status=said.get("status"))
