"""`io.kestra.plugin.microsoft365.teams.adaptivecards`: Adaptive Cards through Microsoft Graph."""

import json
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from engine.plugin import JsonText, Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.entra import Asks, token_of_person
from engine.tasks.property_types import OptionalText, Text

GRAPH = "https://graph.microsoft.com"
SCOPE = f"{GRAPH}/.default"
CARD = "application/vnd.microsoft.card.adaptive"


class Sent(Outputs):
    """Microsoft's name for the message, and when it was made."""

    messageId: str  # noqa: N815 - appears as written
    createdDateTime: str | None = None  # noqa: N815


class SentToUser(Outputs):
    """Microsoft's names for the conversation and the message in it."""

    chatId: str  # noqa: N815 - appears as written
    messageId: str  # noqa: N815


class CardTask(Asks, RunnableTask):
    """Who posts, and the card. Graph lets people post (`username`, `password`); an application alone mostly not."""

    tenant_id: Property[Text]
    client_id: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    card: JsonText[Text]

    def message(self, context: RunContext) -> dict[str, Any]:
        """The message in Graph's JSON; TaskFailed when the card is no JSON."""
        try:
            json.loads(self.card)
        except ValueError as error:
            raise TaskFailed(f"`card` is no JSON: {error}.", fix="Check the text that its expressions make.") from error
        key = context.task_run_id
        return {
            "body": {"contentType": "html", "content": f'<attachment id="{key}"></attachment>'},
            "attachments": [{"id": key, "contentType": CARD, "content": self.card}],
        }

    async def post(self, context: RunContext, token: str, path: str, body: Any) -> dict[str, Any]:
        """What Graph made; TaskFailed when it refuses."""
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{graph(context)}/v1.0/{path}"
        return await rest_service.mapping(context, "Microsoft Graph", "POST", url, headers=headers, json=body)

    async def graph_token(self, context: RunContext) -> str:
        """A token of the person, else of the application, else of the machine."""
        if self.username and self.password:
            person = (self.username, self.password)
            return await token_of_person(context, self.tenant_id, self.client_id, *person, SCOPE)
        return await self.token(context, SCOPE)


class Send(CardTask):
    """Post an Adaptive Card in a channel of Teams."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: card
type: io.kestra.plugin.microsoft365.teams.adaptivecards.Send
tenantId: "{{ secret('AZURE_TENANT_ID') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
username: "{{ secret('AZURE_USERNAME') }}"
password: "{{ secret('AZURE_PASSWORD') }}"
teamId: "{{ secret('TEAMS_TEAM_ID') }}"
channelId: "{{ secret('TEAMS_CHANNEL_ID') }}"
card: |
  {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "{{ flow.id }} is done."}]}
""",
    )
    type: Literal["io.kestra.plugin.microsoft365.teams.adaptivecards.Send"]
    team_id: Property[Text]
    channel_id: Property[Text]

    async def run(self, context: RunContext) -> Sent:
        message = self.message(context)
        path = f"teams/{quote(self.team_id, safe='')}/channels/{quote(self.channel_id, safe='')}/messages"
        made = await self.post(context, await self.graph_token(context), path, message)
        name = str(rest_service.held(made, "Microsoft Graph", "id"))
        return Sent(messageId=name, createdDateTime=made.get("createdDateTime"))


class SendToUser(CardTask):
    """Post an Adaptive Card to one person in Teams."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: card
type: io.kestra.plugin.microsoft365.teams.adaptivecards.SendToUser
tenantId: "{{ secret('AZURE_TENANT_ID') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
username: "{{ secret('AZURE_USERNAME') }}"
password: "{{ secret('AZURE_PASSWORD') }}"
userEmail: oncall@example.com
card: |
  {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "{{ flow.id }} waits for you."}]}
""",
    )
    type: Literal["io.kestra.plugin.microsoft365.teams.adaptivecards.SendToUser"]
    user_id: Property[OptionalText] = None
    user_email: Property[OptionalText] = None

    async def run(self, context: RunContext) -> SentToUser:
        if bool(self.user_id) == bool(self.user_email):
            raise TaskFailed("It is not said whom the card is for.", fix="Give either `userId` or `userEmail`.")
        message, token = self.message(context), await self.graph_token(context)
        both = [
            member(one) for one in (self.username if self.password else None, self.user_id or self.user_email) if one
        ]
        chat = await self.post(context, token, "chats", {"chatType": "oneOnOne", "members": both})
        key = str(rest_service.held(chat, "Microsoft Graph", "id"))
        made = await self.post(context, token, f"chats/{quote(key, safe='')}/messages", message)
        return SentToUser(chatId=key, messageId=str(rest_service.held(made, "Microsoft Graph", "id")))


def member(person: str) -> dict[str, Any]:
    """Somebody in a chat, by id or address; all are to be named, also who asks (learn.microsoft.com, `chat-post`)."""
    quoted = person.replace("'", "''")
    who = {"@odata.type": "#microsoft.graph.aadUserConversationMember", "roles": ["owner"]}
    return {**who, "user@odata.bind": f"{GRAPH}/v1.0/users('{quoted}')"}


def graph(context: RunContext) -> str:
    """Where Microsoft Graph is."""
    return (context.settings.provider("microsoft_graph").base_url or GRAPH).rstrip("/")
