"""Requests to Discord through the library's client, which keeps its rate limits, and refusals as sentences."""

import base64
import hashlib
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord
from discord.http import Route

from bot.cards.graphemes import line, shorten, size
from bot.discord.limits import NONCE, THREAD_MINUTES, THREAD_NAME
from bot.frontend import Unreachable
from bot.tallies import RATE_LIMITS

Json = dict[str, Any]

_HAS_THREAD, _OLD_MESSAGE = 160004, 30046
_NOBODY = frozenset({10007, 10013})  # no such member, no such account
_OUTSIDE = frozenset({10003, 10004, 50001, 50013})
_ROLES_AGE = 300.0  # seconds
_ROLES_KEPT = 5000  # people
_GONE = {10008: "The message was deleted.", 50005: "The message was written by another bot."}
_SENTENCES = {
    10003: "Discord has no such channel. Check the channel id, and that the bot is in that server.",
    10004: "The bot is not in that server. Invite it with the link of `parley discord invite`.",
    10013: "Discord does not know this person.",
    10015: "The 15 minutes in which this could be answered are over.",
    10062: "Discord waited no longer for an answer to this click. Press again.",
    20009: "Discord refused explicit content for this channel.",
    30007: "Discord allows no more webhooks here.",
    40005: "The files are larger than Discord takes. Send fewer or smaller ones.",
    40060: "This was answered already, perhaps by a second bot with the same token.",
    50001: "The bot may not see this channel. Give it View Channel in the channel's permissions.",
    50007: "This person takes no direct messages from the bot.",
    50008: "This kind of channel takes no messages. Choose a text channel or a thread.",
    50013: "The bot may not write here. Give it Send Messages and Attach Files in the channel's permissions.",
    50027: "The 15 minutes in which this could be answered are over.",
    50083: "The thread is archived and locked. Unlock it, or post elsewhere.",
    160005: "The thread is locked. Unlock it, or post elsewhere.",
}
_LATER = {
    _OLD_MESSAGE: ("Discord allows only few edits of a message older than an hour; the card will catch up.", 120.0),
    20016: ("This channel is in slow mode.", 30.0),
    20028: ("This channel gets too many messages at once.", 10.0),
    40062: ("Discord limits this for the moment.", 30.0),
    40333: ("Discord's network refuses requests for the moment.", 60.0),
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A file to send along, under the name the payload gives it."""

    name: str
    content: bytes


class Transport:
    """Discord's HTTP interface as this bot uses it; every refusal is an Unreachable."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client
        self._roles: dict[tuple[str, str], tuple[float, set[str]]] = {}
        self._last_in: dict[str, str] = {}  # the server in which somebody was found last, to be asked of first

    async def post(self, channel: str, payload: Json, files: Sequence[Sent] = (), nonce: str = "") -> Json:
        """Post into a channel or thread; the same nonce again within minutes gives the first message."""
        body = {**payload, "nonce": short_nonce(nonce), "enforce_nonce": True} if nonce else payload
        route = Route("POST", "/channels/{channel_id}/messages", channel_id=channel)
        return await self._send(route, body, files)

    async def edit(self, channel: str, message: str, payload: Json, files: Sequence[Sent] = ()) -> Json:
        """Draw a message anew."""
        path = "/channels/{channel_id}/messages/{message_id}"
        return await self._send(Route("PATCH", path, channel_id=channel, message_id=message), payload, files)

    async def open_thread(self, channel: str, message: str, name: str) -> str:
        """The thread of a message; one that is there already is taken."""
        path = "/channels/{channel_id}/messages/{message_id}/threads"
        route = Route("POST", path, channel_id=channel, message_id=message)
        body = {"name": shorten(line(name), THREAD_NAME) or "Run", "auto_archive_duration": THREAD_MINUTES}
        try:
            return str((await self._send(route, body)).get("id") or message)
        except Unreachable as refusal:
            cause = refusal.__cause__
            if isinstance(cause, discord.HTTPException) and cause.code == _HAS_THREAD:
                return message
            raise

    async def direct(self, user: str) -> str:
        """The channel of direct messages with a person."""
        body = await self._send(Route("POST", "/users/@me/channels"), {"recipient_id": user})
        return str(body["id"])

    async def roles(self, guild: str, user: str, *, fresh: bool = True) -> set[str]:
        """The ids of somebody's roles in a server; none when they are not in it. Not `fresh`: as they were at most five
        minutes ago."""
        at, known = self._roles.get((guild, user), (-_ROLES_AGE, set[str]()))
        if not fresh and time.monotonic() - at < _ROLES_AGE:
            return known
        known = await self._ask_for_roles(guild, user)
        if len(self._roles) >= _ROLES_KEPT:
            self._roles.clear()
        self._roles[guild, user] = (time.monotonic(), known)
        return known

    async def _ask_for_roles(self, guild: str, user: str) -> set[str]:
        try:
            member = await self._member(guild, user)
        except Unreachable as refusal:
            if isinstance(refusal.__cause__, discord.NotFound):
                return set()
            raise
        return {str(role) for role in member.get("roles", ())}

    async def _member(self, guild: str, user: str) -> Json:
        self._check()
        route = Route("GET", "/guilds/{guild_id}/members/{user_id}", guild_id=guild, user_id=user)
        with refusals():
            answer = await self._client.http.request(route)
        return answer if isinstance(answer, dict) else {}

    async def guilds(self) -> list[str]:
        """The servers the bot is in, as Discord says now."""
        self._check()
        with refusals():
            answer = await self._client.http.request(Route("GET", "/users/@me/guilds"))
        return [str(one["id"]) for one in answer]

    async def is_in_any(self, guilds: Sequence[str], user: str) -> bool:
        """Whether somebody is in one of these servers, as Discord says now; Unreachable when that can't be told of each
        of them, or there are none."""
        unsure = None if guilds else Unreachable("The bot is in no server.")
        last = self._last_in.get(user)
        for guild in sorted(guilds, key=lambda one: one != last):
            try:
                await self._member(guild, user)
            except Unreachable as refusal:
                if not (isinstance(refusal.__cause__, discord.HTTPException) and refusal.__cause__.code in _NOBODY):
                    unsure = refusal
            else:
                if len(self._last_in) >= _ROLES_KEPT:
                    self._last_in.clear()
                self._last_in[user] = guild
                return True
        if unsure is not None:
            raise unsure
        return False

    async def respond(self, interaction: Mapping[str, Any], kind: int, data: Json, files: Sequence[Sent] = ()) -> None:
        """The first response to an interaction, within Discord's 3 seconds."""
        body: Json = {"type": kind, "data": data} if data else {"type": kind}
        # Named as a webhook's, so that each interaction has a rate limit of its own: as one route they would queue up.
        path = "/interactions/{webhook_id}/{webhook_token}/callback"
        route = Route("POST", path, webhook_id=interaction["id"], webhook_token=interaction["token"])
        await self._send(route, body, files)

    async def follow_up(self, application: str, token: str, payload: Json, files: Sequence[Sent] = ()) -> Json:
        """A further message of an interaction, within its 15 minutes."""
        path = "/webhooks/{webhook_id}/{webhook_token}"
        return await self._send(Route("POST", path, webhook_id=application, webhook_token=token), payload, files)

    async def edit_original(self, application: str, token: str, payload: Json, files: Sequence[Sent] = ()) -> Json:
        """Draw the first response, or the message of the pressed button, anew."""
        path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
        return await self._send(Route("PATCH", path, webhook_id=application, webhook_token=token), payload, files)

    async def fetch(self, url: str) -> bytes:
        """A file somebody sent along."""
        self._check()
        with refusals():
            return await self._client.http.get_from_cdn(url)

    def _check(self) -> None:
        """Before the login and after the end the library has no session and fails in ways of its own."""
        if self._client.user is None or self._client.is_closed():
            raise Unreachable("The bot is not connected to Discord.", retry_after=2.0)

    async def _send(self, route: Route, body: Json, files: Sequence[Sent] = ()) -> Json:
        self._check()
        with refusals():
            if not files:
                answer = await self._client.http.request(route, json=body)
            else:
                answer = await self._upload(route, body, files)
        return answer if isinstance(answer, dict) else {}

    async def _upload(self, route: Route, body: Json, files: Sequence[Sent]) -> Any:
        form: list[dict[str, Any]] = [{"name": "payload_json", "value": discord.utils._to_json(body)}]
        sent = [discord.File(io.BytesIO(file.content), filename=file.name) for file in files]
        form += [
            {
                "name": f"files[{index}]",
                "value": file.fp,
                "filename": file.filename,
                "content_type": "application/octet-stream",
            }
            for index, file in enumerate(sent)
        ]
        try:
            return await self._client.http.request(route, form=form, files=sent)
        finally:
            for file in sent:
                file.close()


def short_nonce(nonce: str) -> str:
    """A nonce Discord takes: as it is when short enough, else a digest of it."""
    if size(nonce) <= NONCE and nonce.isascii():
        return nonce
    digest = hashlib.blake2b(nonce.encode(errors="replace"), digest_size=15).digest()
    return base64.b32encode(digest).decode()[:NONCE]


@contextmanager
def refusals() -> Iterator[None]:
    """Discord's errors as Unreachable."""
    try:
        yield
    except discord.RateLimited as error:
        RATE_LIMITS.add("discord")
        raise Unreachable("Discord limits this bot for the moment.", retry_after=error.retry_after) from error
    except discord.HTTPException as error:
        raise unreachable(error.status, error.code, error.text) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unreachable("Discord can't be reached.", retry_after=5.0) from error


def unreachable(status: int, code: int, text: str) -> Unreachable:
    """What a refusal means for us."""
    if status == 429 or code in _LATER:
        RATE_LIMITS.add("discord")
    if code in _GONE:
        return Unreachable(_GONE[code], gone=True)
    if code in _LATER:
        reason, after = _LATER[code]
        return Unreachable(reason, retry_after=after, about="message" if code == _OLD_MESSAGE else "place")
    if code in _SENTENCES:
        return Unreachable(_SENTENCES[code], outside=code in _OUTSIDE)
    if status == 429:
        return Unreachable("Discord limits this bot for the moment.", retry_after=60.0)
    if status >= 500:
        return Unreachable("Discord has trouble of its own.", retry_after=10.0)
    if status == 401:
        reason = "Discord no longer takes the bot's token. Put a new one into DISCORD_TOKEN, restart Parley."
        return Unreachable(reason, retry_after=60.0, about="platform")
    if status == 413:
        return Unreachable(_SENTENCES[40005])
    reason = " ".join(text.split())[:300] or "no reason given"
    return Unreachable(f"Discord refused the message ({code}): {reason}")
