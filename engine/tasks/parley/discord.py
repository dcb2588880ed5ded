"""`parley.discord`: messages through the bot's own connection to Discord."""

from typing import ClassVar, Literal

from engine.plugin import JsonText, Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import Image, Message, chunks, find_images, payload_object, post_through_bot
from engine.tasks.discord import MAX_CONTENT, fitting
from engine.tasks.property_types import OptionalText, Text, TextList


class Posted(Outputs):
    """Discord's id of the message (of the last one, when a long text became several)."""

    messageId: str  # noqa: N815 - appears as written


class Post(RunnableTask):
    """Post a text, Discord's own JSON or files in a channel, as the bot."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: parley.discord.Post
channel: "123456789012345678"
content: "**{{ inputs.version }}** is out."
files: ["{{ outputs.chart.uri }}"]
""",
    )
    type: Literal["parley.discord.Post"]
    channel: Property[Text]
    content: Property[OptionalText] = None
    payload: JsonText[OptionalText] = None
    files: Property[TextList | None] = None

    async def run(self, context: RunContext) -> Posted:
        body = payload_object(self.payload, "Discord") if self.payload and self.payload.strip() else {}
        text = public_links(self.content or str(body.get("content", "")), context.settings.public_url)
        named, images = find_images(context, text)
        attached = [Image(uri, path := context.files.path(uri), path.name) for uri in self.files or []]
        if not named and not attached and not body:
            raise TaskFailed("There is nothing to post.", fix="Give `content`, `payload` or `files`.")
        *pieces, last = chunks(named, MAX_CONTENT)
        for part, piece in enumerate(pieces, 1):
            await post_through_bot(
                context, "discord", self.channel, Message("discord", {"content": piece}, piece, part=part)
            )
        final = {**fitting(body), "content": last}
        message = Message("discord", final, last, (*images, *attached))
        return Posted(messageId=await post_through_bot(context, "discord", self.channel, message))
