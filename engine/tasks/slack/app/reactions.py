"""`io.kestra.plugin.slack.app.reactions`: emoji on messages."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.fetched_rows import filed
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.slack.app.answers import Reaction, Said
from engine.tasks.slack.app.web_api import SlackTask, as_timestamp


class ReactionTask(SlackTask):
    """What both tasks have that change a reaction."""

    channel: Property[Text] = Field(description="The channel's id.")
    timestamp: Property[Text] = Field(description="Of the message; what the task that posted it gave.")
    name: Property[Text] = Field(description="Of the emoji, with or without its colons.")

    async def react(self, context: RunContext, method: str, fine: str) -> None:
        """Call the method with the emoji's plain name."""
        timestamp = as_timestamp(self.timestamp)
        given = {"channel": self.channel, "timestamp": timestamp, "name": self.name.strip(":")}
        await self.call(context, method, given, fine=(fine,))


class Add(ReactionTask):
    """Put an emoji on a message; fine when it is there already."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: seen
type: io.kestra.plugin.slack.app.reactions.Add
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
name: eyes
""",
        """
id: seen
type: io.kestra.plugin.slack.app.reactions.Add
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
name: eyes
""",
    )
    type: Literal["io.kestra.plugin.slack.app.reactions.Add"]

    async def run(self, context: RunContext) -> None:
        await self.react(context, "reactions.add", "already_reacted")


class Remove(ReactionTask):
    """Take an emoji off a message; fine when it is not there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: unseen
type: io.kestra.plugin.slack.app.reactions.Remove
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
name: eyes
""",
    )
    type: Literal["io.kestra.plugin.slack.app.reactions.Remove"]

    async def run(self, context: RunContext) -> None:
        await self.react(context, "reactions.remove", "no_reaction")


class Reacted(Said):
    """What people may react to."""

    reactions: list[Any] | None = None


class Reactions(Outputs):
    """A file with a row an emoji."""

    uri: StoredUri


class Get(SlackTask):
    """Read the emoji on a message or a file, and whose they are, into a file of rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: votes
type: io.kestra.plugin.slack.app.reactions.Get
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.reactions.Get"]
    channel: Property[OptionalText] = Field(default=None, description="The channel's id.")
    timestamp: Property[OptionalText] = Field(default=None, description="Of the message.")
    file: Property[OptionalText] = Field(default=None, description="The file's id, when it is about a file.")
    file_comment: Property[OptionalText] = Field(default=None, description="The id of a comment on a file.")

    async def run(self, context: RunContext) -> Reactions:
        timestamp = as_timestamp(self.timestamp)
        if not (self.file or self.file_comment or (self.channel and timestamp)):
            raise TaskFailed("No message is named.", fix="Give `channel` and `timestamp`, or `file`.")
        about = {
            "channel": self.channel,
            "timestamp": timestamp,
            "file": self.file,
            "file_comment": self.file_comment,
            "full": True,
        }
        said = await self.call(context, "reactions.get", about)
        item = said.get("message") or said.get("comment") or said.get("file")
        found = [Reaction.row(one, "reactions.get") for one in Reacted.of(item or {}, "reactions.get").reactions or []]
        context.metric("records", len(found))
        return Reactions(uri=await filed(context, found, "reactions.jsonl"))
