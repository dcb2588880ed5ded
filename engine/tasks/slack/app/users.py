"""`io.kestra.plugin.slack.app.users`: the people of a workspace."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Instead, Property, RunContext
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.slack.app.answers import Conversation, Presence, Profile, User
from engine.tasks.slack.app.conversations import kinds
from engine.tasks.slack.app.web_api import SlackTask, Stored

USER = "Somebody's id (U0123456789)."


class Info(SlackTask):
    """Read about somebody by their id."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: who
type: io.kestra.plugin.slack.app.users.Info
token: "{{ secret('SLACK_BOT_TOKEN') }}"
user: U0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.users.Info"]
    user: Property[Text] = Field(description=USER)
    include_locale: Property[bool] = Field(default=False, description="Read `locale` too.")

    async def run(self, context: RunContext) -> User:
        given = {"user": self.user, "include_locale": self.include_locale}
        return await self.read(context, User.of, "users.info", given, "user")


class LookupByEmail(SlackTask):
    """Find somebody by their address."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: who
type: io.kestra.plugin.slack.app.users.LookupByEmail
token: "{{ secret('SLACK_BOT_TOKEN') }}"
email: "{{ inputs.owner }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.users.LookupByEmail"]
    email: Property[Text] = Field(description="As it stands in the workspace.")

    async def run(self, context: RunContext) -> User:
        return await self.read(context, User.of, "users.lookupByEmail", {"email": self.email}, "user")


class List(SlackTask):
    """Read everybody of the workspace into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: everybody
type: io.kestra.plugin.slack.app.users.List
token: "{{ secret('SLACK_BOT_TOKEN') }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.users.List"]
    include_locale: Property[bool] = Field(default=False, description="Read `locale` too.")
    limit: Annotated[Any, Instead("")] = None
    include_presence: Annotated[Any, Instead("")] = None

    async def run(self, context: RunContext) -> Stored:
        given = {"include_locale": self.include_locale}
        return await self.stored(context, "users.list", given, "members", User.row)


class GetPresence(SlackTask):
    """See whether somebody is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: there
type: io.kestra.plugin.slack.app.users.GetPresence
token: "{{ secret('SLACK_BOT_TOKEN') }}"
user: U0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.users.GetPresence"]
    user: Property[Text] = Field(description=USER)

    async def run(self, context: RunContext) -> Presence:
        return await self.read(context, Presence.of, "users.getPresence", {"user": self.user})


class ProfileGet(SlackTask):
    """Read somebody's profile; of the token's own user when nobody is named."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: profile
type: io.kestra.plugin.slack.app.users.ProfileGet
token: "{{ secret('SLACK_BOT_TOKEN') }}"
user: U0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.users.ProfileGet"]
    user: Property[OptionalText] = Field(default=None, description=USER)
    include_labels: Property[bool] = Field(default=False, description="Let Slack name the fields of its own.")

    async def run(self, context: RunContext) -> Profile:
        given = {"user": self.user, "include_labels": self.include_labels}
        return await self.read(context, Profile.of, "users.profile.get", given, "profile")


class Conversations(SlackTask):
    """Read the channels somebody is in into a file of rows; the token's own user when nobody is named."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: channels
type: io.kestra.plugin.slack.app.users.Conversations
token: "{{ secret('SLACK_BOT_TOKEN') }}"
user: U0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.users.Conversations"]
    user: Property[OptionalText] = Field(default=None, description=USER)
    exclude_archived: Property[bool] = Field(default=False, description="Leave archived channels out.")
    types: Property[TextList] = Field(
        default_factory=lambda: ["public_channel"],
        description="What to list: public_channel, private_channel, mpim, im.",
    )

    async def run(self, context: RunContext) -> Stored:
        given = {"user": self.user, "exclude_archived": self.exclude_archived, "types": kinds(self.types)}
        return await self.stored(context, "users.conversations", given, "channels", Conversation.row)
