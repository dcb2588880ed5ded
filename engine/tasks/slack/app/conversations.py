"""`io.kestra.plugin.slack.app.conversations`: channels and direct conversations."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.slack.app.answers import ChannelMessage, Conversation, Topic
from engine.tasks.slack.app.web_api import SlackTask, Stored, as_timestamp

KINDS = ("public_channel", "private_channel", "mpim", "im")
NAME = "Lower case letters, digits, hyphens and underscores; at most 80."


class ChannelTask(SlackTask):
    """What every task has that is about one channel."""

    channel: Property[Text] = Field(description="The channel's id (C0123456789).")


class Create(SlackTask):
    """Make a channel."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: room
type: io.kestra.plugin.slack.app.conversations.Create
token: "{{ secret('SLACK_BOT_TOKEN') }}"
name: "incident-{{ inputs.number }}"
isPrivate: false
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Create"]
    name: Property[Text] = Field(description=NAME)
    is_private: Property[bool] = Field(default=False, description="A private channel instead of a public one.")
    team_id: Property[OptionalText] = Field(default=None, description="The workspace, for a token of an organization.")

    async def run(self, context: RunContext) -> Conversation:
        given = {"name": self.name, "is_private": self.is_private, "team_id": self.team_id}
        return await self.read(context, Conversation.of, "conversations.create", given, "channel")


class Archive(ChannelTask):
    """Archive a channel; fine when it is archived already."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: close
type: io.kestra.plugin.slack.app.conversations.Archive
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: "{{ outputs.room.id }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Archive"]

    async def run(self, context: RunContext) -> None:
        await self.call(context, "conversations.archive", {"channel": self.channel}, fine=("already_archived",))


class Unarchive(ChannelTask):
    """Bring an archived channel back; fine when it is not archived."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: again
type: io.kestra.plugin.slack.app.conversations.Unarchive
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Unarchive"]

    async def run(self, context: RunContext) -> None:
        await self.call(context, "conversations.unarchive", {"channel": self.channel}, fine=("not_archived",))


class Close(ChannelTask):
    """Close a direct conversation."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: close
type: io.kestra.plugin.slack.app.conversations.Close
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: D0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Close"]

    async def run(self, context: RunContext) -> None:
        await self.call(context, "conversations.close", {"channel": self.channel})


class Open(SlackTask):
    """Open a direct conversation with somebody, or with several."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: talk
type: io.kestra.plugin.slack.app.conversations.Open
token: "{{ secret('SLACK_BOT_TOKEN') }}"
users: [U0123456789]
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Open"]
    users: Property[TextList | None] = Field(default=None, description="Ids of the people.")
    channel: Property[OptionalText] = Field(default=None, description="The id of one that was open before.")
    return_im: Property[bool] = Field(default=False, description="Let Slack say all about the conversation.")

    async def run(self, context: RunContext) -> Conversation:
        if bool(self.users) == bool(self.channel):
            raise TaskFailed("Slack wants either people or a conversation.", fix="Give `users` or `channel`.")
        given = {
            "users": ",".join(self.users) if self.users else None,
            "channel": self.channel or None,
            "return_im": self.return_im,
        }
        return await self.read(context, Conversation.of, "conversations.open", given, "channel")


class Info(ChannelTask):
    """Read about a channel."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: about
type: io.kestra.plugin.slack.app.conversations.Info
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Info"]
    include_locale: Property[bool] = Field(default=False, description="Ask for the locale too.")

    async def run(self, context: RunContext) -> Conversation:
        given = {"channel": self.channel, "include_locale": self.include_locale}
        return await self.read(context, Conversation.of, "conversations.info", given, "channel")


class List(SlackTask):
    """Read the channels of the workspace into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: channels
type: io.kestra.plugin.slack.app.conversations.List
token: "{{ secret('SLACK_BOT_TOKEN') }}"
types: [public_channel, private_channel]
excludeArchived: true
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.List"]
    types: Property[TextList] = Field(
        default_factory=lambda: ["public_channel"], description=f"What to list: {', '.join(KINDS)}."
    )
    exclude_archived: Property[bool] = Field(default=False, description="Leave archived channels out.")
    team_id: Property[OptionalText] = Field(default=None, description="The workspace, for a token of an organization.")

    async def run(self, context: RunContext) -> Stored:
        given = {"types": kinds(self.types), "exclude_archived": self.exclude_archived, "team_id": self.team_id}
        return await self.stored(context, "conversations.list", given, "channels", Conversation.row)


class Members(ChannelTask):
    """Read the ids of a channel's members into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: members
type: io.kestra.plugin.slack.app.conversations.Members
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Members"]

    async def run(self, context: RunContext) -> Stored:
        given = {"channel": self.channel}
        return await self.stored(context, "conversations.members", given, "members", lambda id_, _: {"memberId": id_})


class History(ChannelTask):
    """Read the messages of a channel into a file of rows, newest first."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: today
type: io.kestra.plugin.slack.app.conversations.History
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
oldest: "{{ now() | dateAdd(-1, 'DAYS') }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.History"]
    oldest: Property[OptionalText] = Field(default=None, description="The first moment: a date, or a timestamp.")
    latest: Property[OptionalText] = Field(default=None, description="The last moment: a date, or a timestamp.")
    inclusive: Property[bool] = Field(default=False, description="With the messages of these very moments.")
    limit: Property[OptionalInteger] = Field(default=None, description="Messages a page; all pages are read.")

    async def run(self, context: RunContext) -> Stored:
        given = {
            "channel": self.channel,
            "oldest": as_timestamp(self.oldest, "oldest"),
            "latest": as_timestamp(self.latest, "latest"),
            "inclusive": self.inclusive,
            **({"limit": self.limit} if self.limit else {}),
        }
        return await self.stored(context, "conversations.history", given, "messages", ChannelMessage.row)


class Invite(ChannelTask):
    """Bring people into a channel; fine when the only one is there already."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: bring
type: io.kestra.plugin.slack.app.conversations.Invite
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: "{{ outputs.room.id }}"
users: [U0123456789, U0987654321]
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Invite"]
    users: Property[TextList] = Field(description="Ids of the people.")

    async def run(self, context: RunContext) -> Conversation:
        given = {"channel": self.channel, "users": ",".join(self.users)}
        fine = ("already_in_channel",) if len(self.users) == 1 else ()
        said = await self.call(context, "conversations.invite", given, fine=fine)
        if not said.get("ok"):
            return await self.read(context, Conversation.of, "conversations.info", {"channel": self.channel}, "channel")
        return Conversation.of(said.get("channel"), "conversations.invite")


class Kick(ChannelTask):
    """Take somebody out of a channel; fine when they are not in it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: out
type: io.kestra.plugin.slack.app.conversations.Kick
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
user: U0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Kick"]
    user: Property[Text] = Field(description="Somebody's id (U0123456789).")

    async def run(self, context: RunContext) -> None:
        given = {"channel": self.channel, "user": self.user}
        await self.call(context, "conversations.kick", given, fine=("not_in_channel",))


class Join(ChannelTask):
    """Join a public channel, as the token's own user."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: join
type: io.kestra.plugin.slack.app.conversations.Join
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Join"]

    async def run(self, context: RunContext) -> Conversation:
        return await self.read(context, Conversation.of, "conversations.join", {"channel": self.channel}, "channel")


class Leave(ChannelTask):
    """Leave a channel, as the token's own user; fine when it is not in it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: leave
type: io.kestra.plugin.slack.app.conversations.Leave
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Leave"]

    async def run(self, context: RunContext) -> None:
        await self.call(context, "conversations.leave", {"channel": self.channel}, fine=("not_in_channel",))


class Rename(ChannelTask):
    """Give a channel another name."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rename
type: io.kestra.plugin.slack.app.conversations.Rename
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
name: "done-{{ inputs.number }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.Rename"]
    name: Property[Text] = Field(description=NAME)

    async def run(self, context: RunContext) -> Conversation:
        given = {"channel": self.channel, "name": self.name}
        return await self.read(context, Conversation.of, "conversations.rename", given, "channel")


class SetTopic(ChannelTask):
    """Set the topic of a channel."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: topic
type: io.kestra.plugin.slack.app.conversations.SetTopic
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
topic: "On call: {{ outputs.who.realName }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.SetTopic"]
    topic: Property[Text] = Field(description="At most 250 characters.")

    async def run(self, context: RunContext) -> Topic:
        said = await self.call(context, "conversations.setTopic", {"channel": self.channel, "topic": self.topic})
        return topic_in(said, "topic", self.topic)


class SetPurpose(ChannelTask):
    """Set the purpose of a channel."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: purpose
type: io.kestra.plugin.slack.app.conversations.SetPurpose
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
purpose: Everything about the release.
""",
    )
    type: Literal["io.kestra.plugin.slack.app.conversations.SetPurpose"]
    purpose: Property[Text] = Field(description="At most 250 characters.")

    async def run(self, context: RunContext) -> Topic:
        said = await self.call(context, "conversations.setPurpose", {"channel": self.channel, "purpose": self.purpose})
        return topic_in(said, "purpose", self.purpose)


def topic_in(said: Mapping[str, Any], key: str, given: str) -> Topic:
    """A channel's topic or purpose as Slack answers it; as it was given where Slack leaves it out."""
    channel = said.get("channel")
    found = channel.get(key) if isinstance(channel, Mapping) else None
    return Topic.of(found or {"value": given}, f"conversations.set{key.capitalize()}")


def kinds(names: list[str]) -> str:
    """Kinds of channels as Slack takes them, written like that or in capitals; TaskFailed."""
    found = [name.strip().lower() for text in names for name in text.split(",")]
    unknown = [name for name in found if name not in KINDS]
    if unknown:
        raise TaskFailed(f"`types` has {unknown[0]!r}.", fix=f"Use {', '.join(KINDS)}.")
    return ",".join(found)
