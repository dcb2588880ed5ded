"""Messages that tasks post: their own text or JSON, and the channel they name."""

import mimetypes
from collections.abc import Mapping, Sequence

from bot.cards.graphemes import is_blank, line, size
from bot.conversation import FileRef, Notice
from bot.discord import limits
from bot.discord.files import to_send
from bot.discord.views import cards
from bot.discord.views import components as c
from bot.discord.views.components import Json, Overflow, Rendered
from bot.discord.views.markdown import escape, excerpt, markdown
from bot.frontend import Unreachable
from engine.plugin import ChatPost

__all__ = ["channel_id", "draw", "file_refs", "to_send"]

_OURS = frozenset({"content", "embeds", "components", "flags", "tts", "poll", "allowed_mentions", "message_reference"})
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def channel_id(name: str, places: Sequence[tuple[str, str, str]]) -> str:
    """The id of a channel given as id, `<#id>`, `#name` or `server/name`; Unreachable when it is none or several.

    `places` are (id, name, server) of the channels the bot sees.
    """
    wanted = name.strip().removeprefix("<#").removesuffix(">")
    if wanted.isdecimal():
        return wanted
    server, _, channel = wanted.rpartition("/")
    channel = channel.lstrip("#").casefold()
    fitting = [
        (place, guild)
        for place, its_name, guild in places
        if its_name.casefold() == channel and (not server or guild.casefold() == server.casefold())
    ]
    if len(fitting) == 1:
        return fitting[0][0]
    if not fitting:
        raise Unreachable(f"The bot sees no channel named {name!r}. Invite it there, or give the channel's id.")
    servers = ", ".join(sorted({guild for _, guild in fitting}))
    raise Unreachable(f"{name!r} exists {len(fitting)} times (in {servers}). Give the channel's id.")


def file_refs(uris: Sequence[str]) -> tuple[FileRef, ...]:
    """Files by their URI; the type goes by the name."""
    refs = []
    for uri in uris:
        name = uri.rsplit("/", 1)[-1] or "file"
        refs.append(FileRef(uri, name, mimetypes.guess_type(name)[0] or "application/octet-stream"))
    return tuple(refs)


def draw(post: ChatPost, refs: Sequence[FileRef]) -> tuple[Rendered, dict[str, str]]:
    """The message, and the attachment names it gives to the files' URIs."""
    names, lost = c.attachment_names(refs, limits.ATTACHMENTS - 1)
    uris = {name: refs[index].uri for index, name in names.items()}
    if post.body is not None:
        return _own(post, list(names.values())), uris
    text = markdown(post.text)
    if post.username:
        text = f"-# {escape(line(post.username))}\n{text}"
    if size(text) <= limits.CONTENT and not names and not lost and not is_blank(text):
        return Rendered({"content": text, "allowed_mentions": c.NO_PINGS}), uris
    shown, was_cut = excerpt(text, limits.MESSAGE_TEXT - 100)
    if was_cut:
        lost.append(Overflow("text", post.text))
    parts: list[Json] = [c.text(shown)] if not is_blank(shown) else []
    pictures = {index: name for index, name in names.items() if refs[index].media_type in _PICTURES}
    if pictures:
        parts.append(c.gallery((name, refs[index].alt) for index, name in pictures.items()))
    parts += [c.file(name) for index, name in names.items() if index not in pictures]
    return cards.message(Notice("info", ""), parts, [], list(names.values()), lost), uris


def _own(post: ChatPost, names: Sequence[str]) -> Rendered:
    """The flow's own JSON; it may ping only whom it names itself in `allowed_mentions`."""
    body: Mapping[str, object] = post.body or {}
    payload: Json = {key: value for key, value in body.items() if key in _OURS}
    payload.setdefault("allowed_mentions", c.NO_PINGS)
    flags = payload.get("flags")
    has_content = "content" in payload or (isinstance(flags, int) and flags & c.COMPONENTS_V2)
    if post.text and not has_content:
        payload["content"] = excerpt(markdown(post.text), limits.CONTENT)[0]
    if names:
        payload["attachments"] = [{"id": str(index), "filename": name} for index, name in enumerate(names)]
    return Rendered(payload)


def calling(payload: Json, roles: Sequence[str]) -> Json:
    """A message that calls the people with these roles, at its top."""
    if not roles:
        return payload
    call = {"type": 10, "content": " ".join(f"<@&{role}>" for role in roles[:20])}
    return {**payload, "components": [call, *payload["components"]], "allowed_mentions": {"roles": list(roles[:20])}}
