"""Cards and posts on their way out: messages, their edits, and what goes into the thread below them."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from bot.conversation import Card, FileRef, MessageRef, Room
from bot.frontend import Unreachable
from bot.slack import limits, views
from bot.slack.blocks import Overflow, Rendered
from bot.slack.mrkdwn import escape_within
from bot.slack.transport import Transport
from bot.slack.work import Work
from bot.tallies import REFUSALS
from bot.texts import code, plain
from engine.plugin import ChatPost

Locate = Callable[[str], Path]  # an internal storage URI's file on disk
Piece = Callable[[], Awaitable[None]]  # sends something
log = structlog.get_logger("parley.slack")
V = TypeVar("V")

EVENT_TYPE = "parley_message"
_INSIST = 40  # tries of what belongs into a thread
_RECOVERY = 60.0  # seconds after the start in which a nonce may have been posted by the process before us
_POST_KEYS = frozenset(
    {"text", "blocks", "attachments", "thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media", "mrkdwn"}
    | {"icon_emoji", "icon_url", "username"}
)


class Recent(Generic[V]):
    """The last few values by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Any, V] = OrderedDict()

    def get(self, key: Any) -> V | None:
        """A kept value."""
        return self._kept.get(key)

    def put(self, key: Any, value: V) -> V:
        """Keep a value; the oldest goes."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return value


@dataclass(slots=True)
class _Below:
    """What already lies in the thread of a card."""

    files: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)  # hashes
    there: "_There | None" = None  # what lay there when this process began; None: nobody looked
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class _There:
    """What Slack says lies in a thread: numbers of our messages, names of files, and names with sizes."""

    nonces: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    files: frozenset[tuple[str, int]] = frozenset()


def has_sequel(card: Card, *, is_fresh: bool) -> bool:
    """Whether files, or what did not fit, follow a card in its thread."""
    return bool(card.files or card.enclosed or ((is_fresh or _is_final(card)) and views.card(card).overflow))


def _is_final(card: Card) -> bool:
    return card.tone not in ("running", "paused")


def _metadata(nonce: str, entity: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"nonce": nonce, "entity": entity}}


def _nonce_of(written: Mapping[str, Any]) -> str | None:
    """The number we gave a message; None when it is not ours."""
    metadata = written.get("metadata") or {}
    return metadata.get("event_payload", {}).get("nonce") if metadata.get("event_type") == EVENT_TYPE else None


class Delivery:
    """Posts, edits and uploads of one workspace."""

    def __init__(self, transport: Transport, work: Work, locate: Locate | None) -> None:
        self._transport = transport
        self._work = work
        self._locate = locate
        self._started = time.monotonic()
        self._posted: Recent[MessageRef] = Recent(5_000)
        self._doubtful: Recent[bool] = Recent(1_000)
        self._below: Recent[_Below] = Recent(2_000)
        self._uploads = asyncio.Semaphore(3)

    async def post_card(self, room: Room, card: Card, nonce: str) -> MessageRef:
        """Post a card; its files and what did not fit follow in its thread."""
        rendered = views.card(card)
        arguments = {**rendered.payload, "unfurl_links": False, "unfurl_media": False}
        ref, is_new = await self._post(room.channel, room.thread, arguments, nonce, card.entity)
        if is_new:
            self._fill_thread(ref, rendered.overflow, card.files, is_new=True, is_final=True)
        return ref

    async def edit_card(self, ref: MessageRef, card: Card) -> None:
        """Draw a card over its message."""
        rendered = views.card(card)
        await self._transport.call(
            lambda client: client.chat_update(channel=ref.channel, ts=ref.message, **rendered.payload), ref.channel
        )
        self._fill_thread(ref, rendered.overflow, card.files, is_new=False, is_final=_is_final(card))

    async def send_sequel(self, ref: MessageRef, card: Card, *, is_fresh: bool) -> None:
        """All that follows a card is in its thread, once: what this process put there, it knows; else it looks."""
        rendered = views.card(card)
        is_whole = is_fresh or _is_final(card)
        texts = [one for one in rendered.overflow if is_whole or one.file]
        await self._fill(ref, self._below_of(ref), texts, card.files)

    async def post(self, post: ChatPost) -> MessageRef:
        """A task's own message: Slack's own JSON when it has one, else its Markdown; the rest goes into the thread."""
        arguments = {key: value for key, value in (post.body or {}).items() if key in _POST_KEYS}
        thread = post.thread or arguments.pop("thread_ts", None)
        overflow: tuple[Overflow, ...] = ()
        if not any(arguments.get(key) for key in ("text", "blocks", "attachments")):
            rendered = views.text(post.text)
            arguments |= rendered.payload
            overflow = rendered.overflow
        elif post.text:
            arguments.setdefault("text", escape_within(post.text, limits.FALLBACK))
        if post.username:
            arguments["username"] = post.username
        ref, is_new = await self._post(post.channel, thread, arguments, post.nonce, "")
        files = tuple(FileRef(uri, uri.rpartition("/")[2] or "file") for uri in post.files)
        if is_new and (overflow or files):
            self._fill_thread(ref, overflow, files, is_new=True, is_final=True)
        return ref

    async def direct(self, user: str) -> str:
        """The direct conversation with somebody, by their id; a conversation's own id as it is. Unreachable."""
        if not user.startswith(("U", "W")):
            return user
        opened = await self._transport.patiently(lambda client: client.conversations_open(users=user))
        return str(opened["channel"]["id"])

    async def say(self, channel: str, thread: str | None, rendered: Rendered, nonce: str) -> None:
        """A sentence; the same nonce again is the same message."""
        ref, is_new = await self._post(channel, thread, {**rendered.payload, "unfurl_links": False}, nonce, "")
        if is_new:
            await self.spill(ref.channel, ref.thread, rendered.overflow)

    # Posting once

    async def _post(
        self, channel: str, thread: str | None, arguments: Mapping[str, Any], nonce: str, entity: str
    ) -> tuple[MessageRef, bool]:
        """The message, and whether this call made it: the same nonce again is the same message."""
        if nonce and (known := self._posted.get(nonce)):
            return known, False
        in_doubt = self._doubtful.get(nonce) or time.monotonic() - self._started < _RECOVERY
        if nonce and in_doubt and (found := await self._find(channel, thread, nonce)):
            return self._posted.put(nonce, found), False
        metadata = _metadata(nonce, entity) if nonce else None
        try:
            answer = await self._transport.call(
                lambda client: client.chat_postMessage(
                    channel=channel, thread_ts=thread, metadata=metadata, **arguments
                ),
                channel,
            )
        except Unreachable as error:
            if nonce and error.retry_after is not None:
                self._doubtful.put(nonce, True)  # Slack may have taken it all the same
            raise
        ref = MessageRef("slack", str(answer.get("channel") or channel), str(answer["ts"]), thread)
        if nonce:
            self._posted.put(nonce, ref)
        return ref, True

    async def _find(self, channel: str, thread: str | None, nonce: str) -> MessageRef | None:
        """A message of ours with this nonce; None when there is none, or when the app may not read there."""
        try:
            if thread:
                answer = await self._transport.call(
                    lambda client: client.conversations_replies(
                        channel=channel, ts=thread, limit=100, include_all_metadata=True
                    )
                )
            else:
                answer = await self._transport.call(
                    lambda client: client.conversations_history(channel=channel, limit=100, include_all_metadata=True)
                )
        except Unreachable as error:
            log.debug("slack history is closed to us", reason=error.reason)
            return None
        for written in answer.get("messages") or ():
            if _nonce_of(written) == nonce:
                return MessageRef("slack", channel, str(written["ts"]), thread)
        return None

    # The thread below a card

    def _fill_thread(
        self,
        ref: MessageRef,
        overflow: Sequence[Overflow],
        files: Sequence[FileRef],
        *,
        is_new: bool,
        is_final: bool,
    ) -> None:
        below = self._below_of(ref)
        if is_new:
            below.there = _There()
        texts = [one for one in overflow if is_final or one.file]
        if texts or any(file.uri not in below.files for file in files):
            self._work.spawn(self._fill(ref, below, texts, files), "thread")

    def _below_of(self, ref: MessageRef) -> _Below:
        key = (ref.channel, ref.message)
        return self._below.get(key) or self._below.put(key, _Below())

    async def _fill(
        self, ref: MessageRef, below: _Below, overflow: Sequence[Overflow], files: Sequence[FileRef]
    ) -> None:
        thread = ref.thread or ref.message
        async with below.lock:
            said = {one: hashlib.sha256(repr(one).encode("utf-8", "surrogatepass")).hexdigest() for one in overflow}
            texts = [one for one in overflow if said[one] not in below.texts]
            new = [file for file in files if file.uri not in below.files]
            if not texts and not new:
                return
            # After a restart nobody remembers what lies there.
            if below.there is None:
                below.there = await self._in_thread(ref.channel, thread)
            there = below.there
            if texts:
                below.texts.update(said[one] for one in texts)
                await self._insist_on_spilling(ref.channel, thread, texts, there)
            below.files.update(file.uri for file in new)
            await self.attach(ref.channel, thread, [file for file in new if file.name not in there.names])

    async def _insist_on_spilling(
        self, channel: str, thread: str, overflow: Sequence[Overflow], there: "_There"
    ) -> None:
        messages, files = views.spill(overflow)
        try:
            for number, payload in enumerate(messages):
                nonce = hashlib.sha256(f"{thread}:{number}:{payload}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
                if nonce not in there.nonces:
                    marked = {**payload, "metadata": _metadata(nonce, "")}
                    await insist(partial(self.thread_message, channel, thread, marked))
            for name, text in files:
                content = log_bytes(text)
                if (name, len(content)) not in there.files:
                    await insist(partial(self.upload, channel, thread, name, content))
        except Unreachable as error:
            REFUSALS.add("slack", "thread incomplete")
            log.warning("slack thread is incomplete", channel=channel, thread=thread, reason=error.reason)

    async def _in_thread(self, channel: str, thread: str) -> "_There":
        """What lies in a thread; nothing where the app may not read."""
        try:
            answer = await self._transport.patiently(
                lambda client: client.conversations_replies(
                    channel=channel, ts=thread, limit=200, include_all_metadata=True
                )
            )
        except Unreachable:
            return _There()
        written = answer.get("messages") or ()
        nonces = {str(found) for one in written if (found := _nonce_of(one))}
        files = [file for one in written for file in one.get("files") or ()]
        return _There(
            frozenset(nonces),
            frozenset(str(file.get("name")) for file in files),
            frozenset((str(file.get("name")), int(file.get("size") or 0)) for file in files),
        )

    async def attach(self, channel: str, thread: str | None, files: Sequence[FileRef]) -> None:
        """Files of internal storage into a channel or thread; one that can't be had is named there."""
        for file in files:
            try:
                if self._locate is None:
                    raise Unreachable("This bot has no access to stored files.")
                content = await asyncio.to_thread(self._locate(file.uri).read_bytes)
                await insist(partial(self.upload, channel, thread, file.name, content, file.alt))
            except Exception as error:  # noqa: BLE001 - whatever reading fails with, the thread says what is missing
                reason = error.reason if isinstance(error, Unreachable) else getattr(error, "message", repr(error))
                REFUSALS.add("slack", "thread incomplete")
                log.warning("slack upload failed", file=file.name, error=repr(error))
                notice = views.answered(f"I could not attach {code(file.name)}: {plain(reason)}")
                await self.thread_message(channel, thread, notice)

    async def upload(self, channel: str, thread: str | None, name: str, content: bytes, alt: str = "") -> None:
        """A file into a channel or thread; Unreachable."""
        async with self._uploads:
            await self._transport.upload(channel, thread, name, content, alt)

    async def thread_message(self, channel: str, thread: str | None, payload: Mapping[str, Any]) -> None:
        """A message into a channel or thread; Unreachable."""
        await self._transport.patiently(
            lambda client: client.chat_postMessage(channel=channel, thread_ts=thread, unfurl_links=False, **payload),
            channel,
        )

    async def spill(self, channel: str, thread: str | None, overflow: Sequence[Overflow]) -> None:
        """What did not fit: as messages when it is little, else as files."""
        for piece in self.pieces(channel, thread, overflow):
            await piece()

    def pieces(self, channel: str, thread: str | None, overflow: Sequence[Overflow]) -> list[Piece]:
        """The same, to be sent one after the other."""
        messages, files = views.spill(overflow)
        return [
            *(partial(self.thread_message, channel, thread, payload) for payload in messages),
            *(partial(self.upload, channel, thread, name, log_bytes(text)) for name, text in files),
        ]


async def insist(doing: Piece) -> None:
    """Do it, through outages and long pauses: nobody waits for it, and no outbox repeats it."""
    for _ in range(_INSIST):
        try:
            return await doing()
        except Unreachable as error:
            if error.retry_after is None:
                raise
            await asyncio.sleep(max(error.retry_after, 0.05))
    return await doing()


def log_bytes(text: str) -> bytes:
    """A text as a file; of a huge one the end, which says that it is one."""
    whole = text.encode("utf-8", "replace")
    if len(whole) <= limits.LOG_BYTES:
        return whole
    kept = whole[-limits.LOG_BYTES :].decode("utf-8", "ignore")
    lead = f"[the first {len(whole) - limits.LOG_BYTES} bytes are left out; the web page has all lines]\n"
    return (lead + kept).encode("utf-8")
