"""`io.kestra.plugin.discord`: messages through Discord's webhooks."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import JsonText, Part, Property, RunContext, RunnableTask
from engine.tasks.aliases import public_links
from engine.tasks.chat_messages import Image, Message, chunks, find_images, payload_object, post, shortened
from engine.tasks.execution_facts import ExecutionFacts, as_texts, facts
from engine.tasks.http_options import DEFAULT, HttpOptions, MessageOptions
from engine.tasks.property_types import JsonMap, OptionalText, Text, document_from_text

MAX_CONTENT = 2000
MAX_MESSAGES = 5  # a longer text is cut after so many
MAX_EMBEDS = 10
EMBED_LIMITS = {"title": 256, "description": 4096}


class DiscordIncomingWebhook(RunnableTask):
    """Post a message through a webhook of Discord."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.discord.DiscordIncomingWebhook
url: "{{ secret('DISCORD_WEBHOOK') }}"
payload: |
  {"content": "{{ outputs.summary.value }}"}
""",
    )
    type: Literal[
        "io.kestra.plugin.discord.DiscordIncomingWebhook",
        "io.kestra.plugin.notifications.discord.DiscordIncomingWebhook",
    ]
    url: Property[Text]
    payload: JsonText[Text]
    options: Property[MessageOptions | None] = None

    async def run(self, context: RunContext) -> None:
        await post_body(context, self.url, payload_object(self.payload, "Discord"), self.options or DEFAULT)


class Embed(Part):
    """A box below the message."""

    title: OptionalText = None
    website_url: OptionalText = None
    description: OptionalText = None
    thumbnail: OptionalText = None
    author_name: OptionalText = None
    color: tuple[int, int, int] | None = Field(default=None, description="Red, green and blue, 0 to 255 each.")
    footer: OptionalText = None

    def body(self, avatar: str | None = None) -> dict[str, Any]:
        """The box in Discord's JSON; whoever it is by has the picture and the page of the message."""
        red, green, blue = self.color or (0, 0, 0)
        author = {"name": self.author_name, "url": self.website_url, "icon_url": avatar}
        parts = {
            "title": self.title,
            "description": self.description,
            "url": self.website_url,
            "thumbnail": {"url": self.thumbnail} if self.thumbnail else None,
            "author": {key: value for key, value in author.items() if value} if self.author_name else None,
            "color": red << 16 | green << 8 | blue if self.color else None,
            "footer": {"text": self.footer} if self.footer else None,
        }
        return {key: value for key, value in parts.items() if value is not None}


class DiscordExecution(RunnableTask):
    """Post a text and a summary of an execution through a webhook of Discord."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tell
type: io.kestra.plugin.discord.DiscordExecution
url: "{{ secret('DISCORD_WEBHOOK') }}"
content: "The picture is ready: {{ outputs.picture.images[0] }}"
embedList:
  - title: Approval
    color: [88, 101, 242]
""",
    )
    type: Literal[
        "io.kestra.plugin.discord.DiscordExecution",
        "io.kestra.plugin.notifications.discord.DiscordExecution",
    ]
    url: Property[Text]
    payload: JsonText[OptionalText] = Field(default=None, description="The message, instead of all else.")
    content: Property[OptionalText] = None
    username: Property[OptionalText] = None
    avatar_url: Property[OptionalText] = None
    embed_list: Property[Annotated[list[Embed], BeforeValidator(document_from_text)] | None] = None
    execution_id: Property[OptionalText] = None
    custom_fields: Property[JsonMap | None] = None
    custom_message: Property[OptionalText] = None
    template_render_map: Any = None
    options: Property[MessageOptions | None] = None

    async def run(self, context: RunContext) -> None:
        if self.payload and self.payload.strip():
            body = payload_object(self.payload, "Discord")
            await post_body(context, self.url, body, self.options or DEFAULT)
            return
        about = facts(await context.execution_map(self.execution_id))
        embeds = [embed.body(self.avatar_url) for embed in self.embed_list or []]
        body = execution_body(about, self.content, embeds, self.custom_message, self.custom_fields or {})
        names = {"username": self.username, "avatar_url": self.avatar_url}
        body |= {key: value for key, value in names.items() if value}
        await post_body(context, self.url, body, self.options or DEFAULT)


def execution_body(
    about: ExecutionFacts,
    content: str | None,
    embeds: list[dict[str, Any]],
    message: str | None = None,
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A message about an execution; the summary goes over the first of the flow's own boxes."""
    lines = [
        *([message] if message else []),
        f"Namespace: {about.namespace}",
        f"Flow ID: {about.flow_id}",
        f"Execution ID: {about.id}",
        f"Execution Status: {about.state} ",
        *(f"{key}: {value}" for key, value in as_texts(fields).items()),
        f"Final task ID: {about.last_task} ",
    ]
    if about.link:
        lines += ["", f"[Link to the Execution page]({about.link})"]
    summary = {"description": "\n".join(lines), "footer": {"text": about.outcome}}
    first, *others = embeds or [{}]
    body: dict[str, Any] = {"embeds": [{**first, **summary}, *others], "tts": False}
    return {**body, "content": content} if content else body


async def post_body(context: RunContext, url: str, body: dict[str, Any], options: HttpOptions) -> None:
    """Post Discord's own JSON: pictures attached, and what is too long split or cut, with a line in the log."""
    images: tuple[Image, ...] = ()
    pieces = [""]
    if isinstance(content := body.get("content"), str):
        named, images = find_images(context, public_links(content, context.settings.public_url))
        pieces = chunks(named, MAX_CONTENT)
        if len(pieces) > 1:
            context.log(
                f"The message has {len(named)} characters and becomes {min(len(pieces), MAX_MESSAGES)}.", "WARN"
            )
        if len(pieces) > MAX_MESSAGES:
            pieces = [*pieces[: MAX_MESSAGES - 1], shortened(pieces[MAX_MESSAGES - 1], MAX_CONTENT - 20) + "\n… (cut)"]
    first = {key: value for key, value in body.items() if key in ("username", "avatar_url", "tts")}
    for part, piece in enumerate(pieces[:-1], 1):
        await post(context, url, Message("discord", {**first, "content": piece}, piece, part=part), options)
    last = {**fitting(body), **({"content": pieces[-1]} if pieces[-1] else {})}
    text = pieces[-1] or _embed_text(last)
    await post(context, url, Message("discord", last, text, images), options)


def fitting(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body whose boxes keep Discord's limits."""
    embeds = body.get("embeds")
    if not isinstance(embeds, list):
        return dict(body)
    cut = [
        {
            key: shortened(v, EMBED_LIMITS[key]) if key in EMBED_LIMITS and isinstance(v, str) else v
            for key, v in e.items()
        }
        for e in embeds[:MAX_EMBEDS]
        if isinstance(e, Mapping)
    ]
    return {**body, "embeds": cut}


def _embed_text(body: Mapping[str, Any]) -> str:
    embeds = body.get("embeds") or []
    return "\n".join(str(embed.get("description") or embed.get("title") or "") for embed in embeds)
