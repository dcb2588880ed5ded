"""`parley.slack`: messages through the bot's own connection to Slack."""

from typing import Any, ClassVar, Literal

from engine.plugin import ChatPost, JsonText, Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import find_images
from engine.tasks.property_types import OptionalText, Text, TextList
from engine.tasks.slack.notifications import message_body


class Posted(Outputs):
    """Slack's name for the message."""

    timestamp: str


class Post(RunnableTask):
    """Post a text in Markdown, Slack's own JSON or files in a channel, as the bot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: parley.slack.Post
channel: "#releases"
text: "**{{ inputs.version }}** is out."
""",
    )
    type: Literal["parley.slack.Post"]
    channel: Property[Text]
    text: Property[OptionalText] = None
    payload: JsonText[OptionalText] = None
    files: Property[TextList | None] = None
    thread: Property[OptionalText] = None
    username: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Posted:
        if context.chat is None:
            raise TaskFailed("The bot is not connected to Slack.", fix="Start Parley with a Slack token.")
        has_text = bool((self.payload or "").strip() or (self.text or "").strip())
        if not has_text and not self.files:
            raise TaskFailed("There is nothing to post.", fix="Give `text`, `payload` or `files`.")
        body: dict[str, Any] = message_body(self.payload, self.text) if has_text else {}
        named, images = find_images(context, public_links(str(body.get("text", "")), context.settings.public_url))
        body |= {"text": named} if "text" in body else {}
        post = ChatPost(
            platform="slack",
            channel=self.channel,
            text=named,
            body=body or None,
            thread=self.thread,
            files=[*(image.uri for image in images), *(self.files or [])],
            username=self.username,
            nonce=context.task_run_id,
        )
        return Posted(timestamp=await context.chat.post(post))
