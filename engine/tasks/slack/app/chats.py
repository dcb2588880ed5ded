"""`io.kestra.plugin.slack.app.chats`: messages through Slack's Web API."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from engine.plugin import ChatPost, JsonText, Outputs, Property, RunContext, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.slack.app.web_api import SlackTask
from engine.tasks.slack.notifications import message_body

EPOCH_SECONDS = 10  # digits of a date written as a number


class Posted(Outputs):
    """Slack's name for the message; a thread or a change names it."""

    timestamp: str


class MessageTask(SlackTask):
    """What every task that writes a message has."""

    channel: Property[OptionalText] = None
    payload: JsonText[OptionalText] = None
    message_text: Property[OptionalText] = None
    timestamp: Property[OptionalText] = None
    username: Property[OptionalText] = None
    icon_url: Property[OptionalText] = None
    icon_emoji: Property[OptionalText] = None

    def body(self, context: RunContext, thread_key: str = "thread_ts") -> dict[str, Any]:
        """The message in Slack's JSON; what the payload says wins."""
        given = {
            "channel": self.channel,
            thread_key: self.timestamp,
            "username": self.username,
            "icon_url": self.icon_url,
            "icon_emoji": self.icon_emoji,
        }
        said = message_body(self.payload, self.message_text)
        if isinstance(said.get("text"), str):
            said["text"] = public_links(said["text"], context.settings.public_url)
        body = {**{key: value for key, value in given.items() if value}, **said}
        if not body.get("channel"):
            raise TaskFailed("No channel is named.", fix="Give `channel`.")
        return body


class Post(MessageTask):
    """Post a message: with `token` as that app, without it as the bot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: post
type: io.kestra.plugin.slack.app.chats.Post
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: "#releases"
messageText: "{{ inputs.version }} is out."
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.Post"]

    async def run(self, context: RunContext) -> Posted:
        body = self.body(context)
        if not self.token and context.chat is not None:
            post = ChatPost(
                platform="slack",
                channel=str(body["channel"]),
                text=str(body.get("text", "")),
                body=body,
                thread=body.get("thread_ts"),
                username=body.get("username"),
                nonce=context.task_run_id,
            )
            return Posted(timestamp=await context.chat.post(post))
        return Posted(timestamp=str((await self.call(context, "chat.postMessage", body))["ts"]))


class PostEphemeral(MessageTask):
    """Post a message that one person sees."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: whisper
type: io.kestra.plugin.slack.app.chats.PostEphemeral
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
user: U0123456789
messageText: Only you see this.
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.PostEphemeral"]
    user: Property[Text]

    async def run(self, context: RunContext) -> Posted:
        said = await self.call(context, "chat.postEphemeral", {**self.body(context), "user": self.user})
        return Posted(timestamp=str(said["message_ts"]))


class Update(MessageTask):
    """Change a message that was posted before."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: update
type: io.kestra.plugin.slack.app.chats.Update
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
messageText: Done.
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.Update"]

    async def run(self, context: RunContext) -> Posted:
        return Posted(timestamp=str((await self.call(context, "chat.update", self.body(context, "ts")))["ts"]))


class Schedule(MessageTask):
    """Let Slack post a message later."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: later
type: io.kestra.plugin.slack.app.chats.Schedule
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
messageText: Stand-up in five minutes.
postAt: "2026-12-01T08:55:00Z"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.Schedule"]
    post_at: Property[Text]

    async def run(self, context: RunContext) -> dict[str, Any]:
        if self.post_at.isdigit() and len(self.post_at) == EPOCH_SECONDS:
            at = int(self.post_at)
        else:
            try:
                at = int(datetime.fromisoformat(self.post_at).timestamp())
            except ValueError as error:
                raise TaskFailed(
                    f"`postAt` {self.post_at!r} is not a date.", fix="Write 2026-12-01T08:55:00Z."
                ) from error
        said = await self.call(context, "chat.scheduleMessage", {**self.body(context), "post_at": at})
        return {"scheduledMessageId": said["scheduled_message_id"]}


class Delete(SlackTask):
    """Delete a message that was posted before."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: delete
type: io.kestra.plugin.slack.app.chats.Delete
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.Delete"]
    channel: Property[Text]
    timestamp: Property[Text]

    async def run(self, context: RunContext) -> Posted:
        said = await self.call(context, "chat.delete", {"channel": self.channel, "ts": self.timestamp})
        return Posted(timestamp=str(said["ts"]))
