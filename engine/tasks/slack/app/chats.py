"""`io.kestra.plugin.slack.app.chats`: messages through Slack's Web API."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from engine.plugin import ChatPost, JsonText, Outputs, Property, RunContext, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.slack.app.web_api import SlackTask, as_timestamp, name_in
from engine.tasks.slack.notifications import message_body

MAX_PIECE = 12_000  # characters of a message that is written piece by piece, at once


class Posted(Outputs):
    """Slack's name for the message; a thread or a change names it."""

    timestamp: str


class Streamed(Outputs):
    """Slack's name for a message that is still being written, and the channel's id."""

    timestamp: str
    channel: str


class Scheduled(Outputs):
    """Slack's name for a message that waits, and when it is posted (seconds since 1970)."""

    messageId: str  # noqa: N815 - appears as written
    postAt: int  # noqa: N815


class MessageTask(SlackTask):
    """What every task that writes a message has."""

    channel: Property[OptionalText] = Field(default=None, description="The channel's id or name.")
    payload: JsonText[OptionalText] = Field(default=None, description="The message in Slack's own JSON.")
    message_text: Property[OptionalText] = Field(default=None, description="The message as Markdown.")
    timestamp: Property[OptionalText] = Field(default=None, description="Of a message: an answer in its thread.")
    username: Property[OptionalText] = Field(default=None, description="A name to write under.")
    icon_url: Property[OptionalText] = Field(default=None, description="The address of a picture beside it.")
    icon_emoji: Property[OptionalText] = Field(default=None, description="An emoji beside it, instead of `iconUrl`.")

    def body(self, context: RunContext, thread_key: str = "thread_ts") -> dict[str, Any]:
        """The message in Slack's JSON; what the payload says wins."""
        given = {
            "channel": self.channel,
            thread_key: as_timestamp(self.timestamp),
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
        return Posted(timestamp=await self.named(context, "chat.postMessage", body, "ts"))


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
    user: Property[OptionalText] = Field(default=None, description="Whose it is; may stand in the payload instead.")

    async def run(self, context: RunContext) -> Posted:
        body = self.body(context)
        if self.user:
            body["user"] = self.user
        if not body.get("user"):
            raise TaskFailed("Nobody is named who sees the message.", fix="Give `user`.")
        return Posted(timestamp=await self.named(context, "chat.postEphemeral", body, "message_ts"))


class Update(MessageTask):
    """Change a message that was posted before: with `token` one of that app, without it one of the bot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: update
type: io.kestra.plugin.slack.app.chats.Update
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
messageText: Done.
""",
        """
id: update
type: io.kestra.plugin.slack.app.chats.Update
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.post.timestamp }}"
payload: |
  {"text": "{{ inputs.version }} is out."}
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.Update"]

    async def run(self, context: RunContext) -> Posted:
        body = self.body(context, "ts")
        if named := as_timestamp(self.timestamp):
            body["ts"] = named  # a payload that was copied from another message has the other's
        if not body.get("ts"):
            raise TaskFailed("No message is named.", fix="Give `timestamp`: what the task that posted it gave.")
        return Posted(timestamp=await self.named(context, "chat.update", body, "ts"))


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
    post_at: Property[Text] = Field(description="When: a date, or seconds since 1970.")

    async def run(self, context: RunContext) -> Scheduled:
        at = int(float(as_timestamp(self.post_at, "postAt") or 0))
        said = await self.call(context, "chat.scheduleMessage", {**self.body(context), "post_at": at})
        id_ = name_in(said, "scheduled_message_id", "chat.scheduleMessage")
        told = str(said.get("post_at", ""))
        return Scheduled(messageId=id_, postAt=int(told) if told.isdecimal() else at)


class DeleteScheduled(SlackTask):
    """Take back a message that Slack was to post later."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: never
type: io.kestra.plugin.slack.app.chats.DeleteScheduled
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
scheduledMessageId: "{{ outputs.later.messageId }}"
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.DeleteScheduled"]
    channel: Property[Text] = Field(description="The id of the channel it was to go to.")
    scheduled_message_id: Property[Text] = Field(description="What the task that scheduled it gave.")

    async def run(self, context: RunContext) -> None:
        given = {"channel": self.channel, "scheduled_message_id": self.scheduled_message_id}
        await self.call(context, "chat.deleteScheduledMessage", given)


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
    channel: Property[Text] = Field(description="The channel's id.")
    timestamp: Property[Text] = Field(description="Of the message; what the task that posted it gave.")

    async def run(self, context: RunContext) -> Posted:
        given = {"channel": self.channel, "ts": as_timestamp(self.timestamp)}
        return Posted(timestamp=await self.named(context, "chat.delete", given, "ts"))


class StartStream(SlackTask):
    """Begin a message that is written piece by piece."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: begin
type: io.kestra.plugin.slack.app.chats.StartStream
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: C0123456789
timestamp: "{{ outputs.question.timestamp }}"
markdownText: Looking into it.
recipientUserId: U0123456789
recipientTeamId: T0123456789
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.StartStream"]
    channel: Property[Text] = Field(description="The channel's id.")
    markdown_text: Property[OptionalText] = Field(default=None, description="The first piece, as Markdown.")
    timestamp: Property[OptionalText] = Field(
        default=None,
        validation_alias=AliasChoices("timestamp", "threadTs"),
        description="Of a message: an answer in its thread.",
    )
    recipient_user_id: Property[OptionalText] = Field(default=None, description="Whom it answers, in a channel.")
    recipient_team_id: Property[OptionalText] = Field(default=None, description="Their workspace, in a channel.")

    async def run(self, context: RunContext) -> Streamed:
        first, *more = pieces(self.markdown_text)
        given = {
            "channel": self.channel,
            "markdown_text": first,
            "thread_ts": as_timestamp(self.timestamp),
            "recipient_user_id": self.recipient_user_id,
            "recipient_team_id": self.recipient_team_id,
        }
        said = await self.call(context, "chat.startStream", given)
        begun = streamed({**said, "ts": name_in(said, "ts", "chat.startStream")}, given)
        for piece in more:
            where = {"channel": begun.channel, "ts": begun.timestamp}
            await self.call(context, "chat.appendStream", {**where, "markdown_text": piece})
        return begun


class StreamTask(SlackTask):
    """What tasks have that go on with a message that is being written."""

    channel: Property[Text] = Field(description="The channel's id, as the task that began it gave it.")
    timestamp: Property[Text] = Field(description="Of the message, as the task that began it gave it.")

    async def append(self, context: RunContext, piece: str | None) -> Streamed:
        """Write a piece that is short enough."""
        given = {"channel": self.channel, "ts": as_timestamp(self.timestamp), "markdown_text": piece}
        return streamed(await self.call(context, "chat.appendStream", given), given)


class AppendStream(StreamTask):
    """Write the next piece of a message."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: more
type: io.kestra.plugin.slack.app.chats.AppendStream
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: "{{ outputs.begin.channel }}"
timestamp: "{{ outputs.begin.timestamp }}"
markdownText: " Found it."
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.AppendStream"]
    markdown_text: Property[Text] = Field(description="The next piece, as Markdown.")

    async def run(self, context: RunContext) -> Streamed:
        *before, last = pieces(self.markdown_text)
        for piece in before:
            await self.append(context, piece)
        return await self.append(context, last)


class StopStream(StreamTask):
    """Finish a message that is written piece by piece."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: done
type: io.kestra.plugin.slack.app.chats.StopStream
token: "{{ secret('SLACK_BOT_TOKEN') }}"
channel: "{{ outputs.begin.channel }}"
timestamp: "{{ outputs.begin.timestamp }}"
blocks: |
  [{"type": "section", "text": {"type": "mrkdwn", "text": "*{{ inputs.version }}* is out."}}]
""",
    )
    type: Literal["io.kestra.plugin.slack.app.chats.StopStream"]
    markdown_text: Property[OptionalText] = Field(default=None, description="The last piece, as Markdown.")
    blocks: JsonText[OptionalText] = Field(default=None, description="Blocks below the text, as JSON.")
    metadata: JsonText[OptionalText] = Field(default=None, description="The message's metadata, as JSON.")

    async def run(self, context: RunContext) -> Streamed:
        *before, last = pieces(self.markdown_text)
        for piece in before:
            await self.append(context, piece)
        given = {
            "channel": self.channel,
            "ts": as_timestamp(self.timestamp),
            "markdown_text": last,
            "blocks": self.blocks,
            "metadata": self.metadata,
        }
        return streamed(await self.call(context, "chat.stopStream", given), given)


def pieces(text: str | None) -> list[str | None]:
    """A text in parts that Slack takes at once, which are the same text when read on; at least one."""
    return [text[at : at + MAX_PIECE] for at in range(0, len(text), MAX_PIECE)] if text else [text]


def streamed(said: Mapping[str, Any], given: Mapping[str, Any]) -> Streamed:
    """Where a message that is being written stands; what Slack leaves out is as it was given."""
    timestamp, channel = said.get("ts") or given.get("ts"), said.get("channel") or given["channel"]
    return Streamed(timestamp=str(timestamp), channel=str(channel))
