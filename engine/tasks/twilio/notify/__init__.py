"""`io.kestra.plugin.twilio.notify`: notifications by Twilio."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import JsonText, Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.chat_messages import payload_object
from engine.tasks.execution_text import summary_of
from engine.tasks.http_options import MessageOptions
from engine.tasks.outbound import Answer
from engine.tasks.property_types import JsonMap, OptionalText, Text
from engine.tasks.rest_service import call, held, mapped, parsed

BASE_URL = "https://api.twilio.com"


class TwilioTask(RunnableTask):
    """What every task of Twilio has."""

    account_sid: Property[Text] = Field(alias="accountSID", description="The account (AC…).")
    auth_token: Property[Text] = Field(description="Its token.")
    options: Property[MessageOptions | None] = None

    async def post(self, context: RunContext, url: str, fields: Mapping[str, Any]) -> Answer:
        """What Twilio answers to a form; TaskFailed when it refuses."""
        import httpx

        context.mask(self.auth_token)
        pair = httpx.BasicAuth(self.account_sid, self.auth_token)
        request = httpx.Request("POST", "https://twilio.invalid")
        headers = {"Authorization": next(pair.auth_flow(request)).headers["Authorization"]}
        form = {_named(key): _field(value) for key, value in fields.items() if value is not None}
        return await call(context, "Twilio", "POST", url, options=self.options, headers=headers, data=form)


class Sent(Outputs):
    """Twilio's name for the message, and how far it is."""

    sid: str
    status: str | None = None


class MessageTask(TwilioTask):
    """Whose phone it goes to, and by whom."""

    from_: Property[OptionalText] = Field(default=None, alias="from", description="The number it comes from.")
    messaging_service_sid: Property[OptionalText] = Field(
        default=None, description="A messaging service (MG…) that chooses the number, instead of `from`."
    )
    to: Property[Text] = Field(description="The number it goes to, as +15555550100.")
    body: Property[OptionalText] = Field(default=None, description="The text.")

    async def message(self, context: RunContext, **more: Any) -> Sent:
        """Hand a message over; TaskFailed when Twilio refuses it."""
        if bool(self.from_) == bool(self.messaging_service_sid):
            raise TaskFailed("Twilio wants one sender.", fix="Give either `from` or `messagingServiceSid`.")
        base = context.settings.provider("twilio").base_url or BASE_URL
        url = f"{base.rstrip('/')}/2010-04-01/Accounts/{quote(self.account_sid, safe='')}/Messages.json"
        fields = {
            "to": self.to,
            "body": self.body or None,
            "from": self.from_ or None,
            "messagingServiceSid": self.messaging_service_sid or None,
            **more,
        }
        said = mapped(parsed(await self.post(context, url, fields), "Twilio"), "Twilio")
        return Sent(sid=str(held(said, "Twilio", "sid")), status=said.get("status"))


class TwilioAlert(TwilioTask):
    """Send a notification by a service of Twilio Notify."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.twilio.notify.TwilioAlert
url: "{{ secret('TWILIO_NOTIFICATION_URL') }}"
accountSID: "{{ secret('TWILIO_ACCOUNT_SID') }}"
authToken: "{{ secret('TWILIO_AUTH_TOKEN') }}"
payload: |
  {"identity": "0000001", "body": "{{ flow.id }} failed"}
""",
    )
    type: Literal["io.kestra.plugin.twilio.notify.TwilioAlert"]
    url: Property[Text] = Field(description="The service's address, which ends in /Notifications.")
    payload: JsonText[Text] = Field(description="The notification's fields.")

    async def run(self, context: RunContext) -> None:
        await self.post(context, self.url, payload_object(self.payload, "Twilio"))


class TwilioExecution(TwilioTask):
    """Send a notification about an execution by a service of Twilio Notify."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: page
type: io.kestra.plugin.twilio.notify.TwilioExecution
url: "{{ secret('TWILIO_NOTIFICATION_URL') }}"
accountSID: "{{ secret('TWILIO_ACCOUNT_SID') }}"
authToken: "{{ secret('TWILIO_AUTH_TOKEN') }}"
identity: "0000001"
executionId: "{{ trigger.executionId }}"
""",
    )
    type: Literal["io.kestra.plugin.twilio.notify.TwilioExecution"]
    url: Property[Text] = Field(description="The service's address, which ends in /Notifications.")
    payload: JsonText[OptionalText] = Field(default=None, description="The notification's fields, instead of all else.")
    body: Property[OptionalText] = Field(default=None, description="The text, instead of the summary.")
    identity: Property[OptionalText] = Field(default=None, description="Whose devices get it.")
    tag: Property[OptionalText] = Field(default=None, description="Whose devices get it, by their tag.")
    execution_id: Property[OptionalText] = Field(default=None, description="Which execution; this one unless given.")
    custom_fields: Property[JsonMap | None] = Field(default=None, description="More lines: names and values.")
    custom_message: Property[OptionalText] = Field(default=None, description="The first line.")
    template_render_map: Any = None

    async def run(self, context: RunContext) -> None:
        if self.payload and self.payload.strip():
            await self.post(context, self.url, payload_object(self.payload, "Twilio"))
            return
        body = self.body
        if not body:
            body = await summary_of(context, self.execution_id, self.custom_message, self.custom_fields)
        await self.post(context, self.url, {"body": body, "identity": self.identity, "tag": self.tag})


def _named(key: str) -> str:
    """A field as Twilio knows it: `toBinding` is `ToBinding`."""
    return key[:1].upper() + key[1:]


def _field(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value  # the same field several times
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
