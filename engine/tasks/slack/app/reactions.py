"""`io.kestra.plugin.slack.app.reactions`: emoji on messages."""

from typing import ClassVar, Literal

from engine.plugin import Property, RunContext
from engine.tasks.property_types import Text
from engine.tasks.slack.app.web_api import SlackTask


class ReactionTask(SlackTask):
    """What both tasks have."""

    channel: Property[Text]
    timestamp: Property[Text]
    name: Property[Text]

    async def react(self, context: RunContext, method: str) -> None:
        """Call the method with the emoji's plain name."""
        body = {"channel": self.channel, "timestamp": self.timestamp, "name": self.name.strip(":")}
        await self.call(context, method, body)


class Add(ReactionTask):
    """Put an emoji on a message."""

    examples: ClassVar[tuple[str, ...]] = (
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
        await self.react(context, "reactions.add")


class Remove(ReactionTask):
    """Take an emoji off a message."""

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
        await self.react(context, "reactions.remove")
