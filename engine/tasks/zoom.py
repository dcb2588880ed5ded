"""`io.kestra.plugin.zoom`: messages in Zoom Team Chat."""

from base64 import b64encode
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.property_types import OptionalText, Text

API, OAUTH = "https://api.zoom.us/v2", "https://zoom.us"


class Sent(Outputs):
    """The message."""

    messageId: str | None = None  # noqa: N815 - appears as written


class SendMessage(RunnableTask):
    """Send a message to a channel, or to one person."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.zoom.SendMessage
accountId: "{{ secret('ZOOM_ACCOUNT_ID') }}"
clientId: "{{ secret('ZOOM_CLIENT_ID') }}"
clientSecret: "{{ secret('ZOOM_CLIENT_SECRET') }}"
userId: "{{ secret('ZOOM_USER_ID') }}"
channel: "{{ secret('ZOOM_CHANNEL_ID') }}"
message: "{{ flow.id }} is done."
""",
    )
    type: Literal["io.kestra.plugin.zoom.SendMessage"]
    account_id: Property[Text]
    client_id: Property[Text]
    client_secret: Property[Text]
    base_url: Property[OptionalText] = Field(default=None, description=f"`{API}`, unless the settings say otherwise.")
    user_id: Property[Text]
    channel: Property[OptionalText] = Field(default=None, description="The channel's id.")
    to_contact: Property[OptionalText] = Field(default=None, description="The person's address of mail.")
    message: Property[Text]

    async def run(self, context: RunContext) -> Sent:
        channel, person = (self.channel or "").strip(), (self.to_contact or "").strip()
        if bool(channel) == bool(person):
            raise TaskFailed("Either `channel` or `toContact` says where.", fix="Give one of the two.")
        token = await self._token(context)
        base = (self.base_url or "").strip() or context.settings.provider("zoom").base_url or API
        url = f"{base.rstrip('/')}/chat/users/{quote(self.user_id, safe='')}/messages"
        body = {"message": self.message, **({"to_channel": channel} if channel else {"to_contact": person})}
        headers = {"Authorization": f"Bearer {token}"}
        told = await rest_service.document(context, "Zoom", "POST", url, headers=headers, json=body)
        identity = told.get("id") if isinstance(told, dict) else None
        if not identity:
            context.log("Zoom took the message, and did not say its id.", "WARN")
        return Sent(messageId=identity)

    async def _token(self, context: RunContext) -> str:
        context.mask(self.client_secret)
        base = (context.settings.provider("zoom_oauth").base_url or OAUTH).rstrip("/")
        form = {"grant_type": "account_credentials", "account_id": self.account_id}
        who = (self.client_id, self.client_secret)
        told = await rest_service.document(
            context, "Zoom", "POST", f"{base}/oauth/token", headers={"Authorization": _basic(*who)}, data=form
        )
        if not isinstance(told, dict) or not (token := told.get("access_token")):
            raise TaskFailed("Zoom gave no token.", fix="Check `accountId`, `clientId` and `clientSecret`.")
        context.mask(str(token))
        return str(token)


def _basic(user: str, password: str) -> str:
    """The header that says who asks."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
