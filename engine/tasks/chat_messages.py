"""Messages to chat services: which JSON to send, and how it gets there (a webhook, or the bot's own connection)."""

import asyncio
import json
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.core.json_text import any_json, where
from engine.errors import NotFound, Refused
from engine.plugin import ChatPost, RunContext, TaskFailed
from engine.tasks import aliases
from engine.tasks.http_options import DEFAULT, HttpOptions
from engine.tasks.outbound import deliver
from engine.tasks.working_files import STORED_URI

Platform = Literal["slack", "discord"]
MAX_FILES = 10  # Discord takes no more with one message
MAX_FILE = 8 * 1024 * 1024  # what every Discord server accepts
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp"})
SERVICES = {"slack": "Slack", "discord": "Discord"}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in internal storage that a message mentions."""

    uri: str
    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """What to post: the service's own JSON, its plain text for anywhere else, and pictures that go along."""

    platform: Platform
    body: Mapping[str, Any]
    text: str = ""
    images: tuple[Image, ...] = field(default=())
    part: int = 0  # of a text that was split


def json_object(text: str) -> dict[str, Any] | None:
    """The map a text is when it is JSON of one; None for everything else (`123`, `"hi"` and `[]` are plain text)."""
    try:
        value = any_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def payload_object(text: str, service: str) -> dict[str, Any]:
    """The map a payload must be; TaskFailed says where it stops being one."""
    try:
        value = any_json(text)
    except ValueError as error:
        raise TaskFailed(
            f"The payload for {service} is not JSON: {where(error)}.",
            fix="Quotes and line breaks inside a text need escaping: write `{{ value | json }}` without quotes.",
        ) from error
    if not isinstance(value, dict):
        raise TaskFailed(f"The payload for {service} is JSON but not a map.", fix='Write {"text": …}.')
    return value


def find_images(context: RunContext, text: str) -> tuple[str, tuple[Image, ...]]:
    """The text with the URIs of readable pictures replaced by their names, and those pictures."""
    images: list[Image] = []

    def replaced(found: re.Match[str]) -> str:
        uri = found[0].rstrip(".,;:!?")
        tail = found[0][len(uri) :]
        if Path(uri).suffix.lower() not in IMAGES or len(images) == MAX_FILES:
            return found[0]
        try:
            path = context.files.path(uri)
            size = path.stat().st_size
        except (NotFound, Refused, OSError) as error:
            context.log(f"{uri} is not attached: {error}", "WARN")
            return found[0]
        if size > MAX_FILE:
            context.log(f"{uri} is not attached: it has {size} bytes, {MAX_FILE} at most.", "WARN")
            return found[0]
        images.append(Image(uri, path, Path(uri).name))
        return Path(uri).name + tail

    return STORED_URI.sub(replaced, text), tuple(images)


async def post(context: RunContext, url: str, message: Message, options: HttpOptions = DEFAULT) -> None:
    """Post a message where a webhook points: the service itself, or a channel of the bot by the operator's table.

    TaskFailed when it cannot be delivered. A webhook that was never filled in posts where the run was started from.
    """
    service = SERVICES[message.platform]
    target = aliases.webhook(url, context.settings.webhooks)
    if isinstance(target, aliases.Channel):
        await post_through_bot(context, target.platform, target.channel, message)
        return
    if aliases.is_placeholder(target) and aliases.rewrite(target, context.settings.urls) == target:
        origin = context.chat.origin_channel(context.execution_id) if context.chat is not None else None
        if origin is None:
            raise TaskFailed(
                f"The {service} webhook was never filled in: {target or '(empty)'}.",
                fix="Put the real URL into the flow or secret, or map it in `webhooks` to `discord:<channel id>`.",
            )
        context.log(f"{target} is a placeholder; posting where this run was started from instead.", "WARN")
        await post_through_bot(context, origin[0], origin[1], message)
        return
    context.mask(target)  # whoever knows a webhook's URL can post
    if message.platform == "discord" and message.images:
        await _post_with_files(context, target, message, options)
        return
    await deliver(context, target, service=service, options=options, json=dict(message.body))


async def post_through_bot(context: RunContext, platform: str, channel: str, message: Message) -> str:
    """Post by the bot's own connection; the platform's message id. TaskFailed when the bot is not connected."""
    if context.chat is None:
        raise TaskFailed(
            f"There is no bot connection to post to {platform}:{channel}.",
            fix="Start Parley with that platform's token (`parley doctor` checks it).",
        )
    if platform not in ("slack", "discord", "web"):
        raise TaskFailed(f"Messages cannot be posted to {platform!r}.", fix="Use slack, discord or web.")
    return await context.chat.post(
        ChatPost(
            platform=platform,  # type: ignore[arg-type]  # checked above
            channel=channel,
            text=message.text,
            body=dict(message.body) if platform == message.platform else None,
            files=[image.uri for image in message.images],
            username=message.body.get("username") if platform == message.platform else None,
            nonce=f"{context.task_run_id}.{message.part}",
        )
    )


async def _post_with_files(context: RunContext, url: str, message: Message, options: HttpOptions) -> None:
    attachments = [{"id": n, "filename": image.name} for n, image in enumerate(message.images)]
    body = json.dumps({**message.body, "attachments": attachments}, ensure_ascii=False)
    parts: list[tuple[str, Any]] = [("payload_json", (None, body.encode(), "application/json"))]
    for n, image in enumerate(message.images):
        content = await asyncio.to_thread(image.path.read_bytes)
        kind = mimetypes.guess_type(image.name)[0] or "application/octet-stream"
        parts.append((f"files[{n}]", (image.name, content, kind)))
    await deliver(context, url, service="Discord", options=options, files=parts)


def shortened(text: str, limit: int, note: str = "…") -> str:
    """A text cut to a limit, ending in a note when something was cut."""
    return text if len(text) <= limit else text[: max(limit - len(note), 0)] + note


def chunks(text: str, limit: int) -> list[str]:
    """A text in pieces of at most `limit` characters, cut at line ends or blanks where there are some."""
    pieces = []
    while len(text) > limit:
        cut = max(text.rfind("\n", 0, limit), text.rfind(" ", limit // 2, limit))
        cut = cut if cut > 0 else limit
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*pieces, text] if text or not pieces else pieces
