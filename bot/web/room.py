"""The chat room of the page: a third platform beside Slack and Discord, with its messages in our own database."""

import asyncio
import re
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, Protocol

from bot.conversation import Body, Card, MessageRef, Notice, Person, Platform, Reply, Room
from bot.frontend import Desk, Unreachable
from bot.web import codec
from engine.plugin import ChatPost
from engine.runtime import Engine
from engine.store import room as rows

LOBBY = "lobby"
EVERY_FLOW = "*"
ULID = 26
_TARGET = re.compile(r"p1:[a-z]{2}:([0-9A-Z]{26}):")  # the run or pause of a button
KEPT = 500  # messages a channel shows; older ones stay in the database until they are purged
BOT = "Parley"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the page draws it. `private_to` is the only person who sees it, or None."""

    id: int
    channel: str
    author: str
    author_kind: Literal["person", "bot"]
    at: datetime
    body: Body | str
    private_to: str | None = None
    version: int = 0
    change: int = 0  # grows with every message and every edit
    about: str = ""  # the flow it tells of: who may not see that does not see this


class Sight(Protocol):
    """Who sees what in the room."""

    async def accounts(self, person: Person) -> Collection[str]:
        """Every account of somebody: what is for one of them is for them."""

    async def sees(self, person: Person, flow: str) -> bool:
        """Whether somebody may see what belongs to a flow; "" is what belongs to none."""


class Everything:
    """No roles ask: a room for whoever is in it."""

    async def accounts(self, person: Person) -> Collection[str]:
        """The account itself."""
        return (person.id,)

    async def sees(self, person: Person, flow: str) -> bool:
        """They do."""
        return True


class ChatRoom:
    """Implements `bot.frontend.FrontEnd` for the page."""

    platform: Platform = "web"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.desk: Desk | None = None
        self.sight: Sight = Everything()
        self._showing: set[asyncio.Task[None]] = set()
        self._listeners: set[asyncio.Queue[Message | None]] = set()

    async def start(self, desk: Desk) -> None:
        """Nothing to connect to."""
        self.desk = desk

    async def stop(self) -> None:
        """Let every open page go."""
        for queue in self._listeners:
            queue.put_nowait(None)

    def heard(self, message_id: int) -> None:
        """Another process added a message, or changed one: show it on the pages that are open here."""
        if self._listeners:
            task = asyncio.create_task(self._show_stored(message_id))
            self._showing.add(task)
            task.add_done_callback(self._showing.discard)

    async def _show_stored(self, message_id: int) -> None:
        row = await self.engine.database.read(lambda connection: rows.one(connection, message_id))
        if row is not None:
            self._tell(_message(row))

    def describe(self) -> str:
        """One line for the start-up log."""
        return "the web room (channel web:lobby)"

    async def say(self, person: Person, text: str, channel: str = LOBBY) -> Message:
        """Write down what a person typed, for themselves: what comes of it is what others see."""
        return await self._add(channel, person.name, "person", text, private_to=person.id)

    async def show(self, person: Person, body: Body, channel: str, *, public: bool) -> Message:
        """Show an answer, to one person unless it is public."""
        return await self._add(channel, BOT, "bot", body, private_to=None if public else person.id)

    async def said_to(self, person: Person, message_id: int) -> Notice | None:
        """What somebody was told, for the page they asked from; None when it was told to somebody else."""
        row = await self.engine.database.read(lambda connection: rows.one(connection, message_id))
        message = None if row is None else _message(row)
        if message is None or not isinstance(message.body, Notice) or not await self._is_for(message, person):
            return None
        return message.body

    async def messages(self, channel: str, person: Person) -> list[Message]:
        """What this person sees of a channel, oldest first."""
        mine = await self.sight.accounts(person)
        found = await self.engine.database.read(lambda connection: rows.recent(connection, channel, mine, KEPT))
        every = [_message(row) for row in found]
        seen = {about: await self.sight.sees(person, about) for about in {one.about for one in every}}
        return [one for one in every if one.private_to is not None or seen[one.about]]

    async def listen(self, channel: str, person: Person, seen: int) -> AsyncGenerator[Message | None, None]:
        """Messages new or edited since change number `seen`, then more as they come; None every 15 s so that a dead
        connection is noticed."""
        queue: asyncio.Queue[Message | None] = asyncio.Queue(1000)
        self._listeners.add(queue)  # before the database is read: what comes in between arrives twice, never not at all
        try:
            for missed in sorted(await self.messages(channel, person), key=lambda message: message.change):
                if missed.change > seen:
                    yield missed
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), 15)
                except TimeoutError:
                    yield None
                    continue
                if message is None:
                    return
                if message.channel == channel and await self._is_for(message, person):
                    yield message
        finally:
            self._listeners.discard(queue)

    async def _is_for(self, message: Message, person: Person) -> bool:
        if message.private_to is not None:
            return message.private_to in await self.sight.accounts(person)
        return await self.sight.sees(person, message.about)

    async def _about(self, *ids: str) -> str:
        """The flow that one of some runs, pauses or task runs belongs to. Of what belongs to none, only those hear who
        may see every flow."""
        for id_ in ids:
            if found := await self.engine.database.read(partial(rows.flow_of, id_=id_)):
                return found
        return EVERY_FLOW

    async def post_card(self, room: Room, card: Card, nonce: str) -> MessageRef:
        """Post a card; the same nonce again is the same message."""
        about = await self._about(card.entity)
        message = await self._add(room.channel, BOT, "bot", card, nonce=nonce, about=about)
        return MessageRef("web", room.channel, str(message.id), room.thread)

    async def edit_card(self, ref: MessageRef, card: Card) -> None:
        """Draw a newer version of a card over its message; an older one changes nothing."""
        now = self.engine.clock.now()
        encoded = codec.encode(card, await self._about(card.entity))
        row = await self.engine.database.transact(
            lambda unit: rows.edit(unit.connection, int(ref.message), encoded, card.version, now)
        )
        if row is None:
            raise Unreachable("The message is gone.", gone=True)
        self._tell(_message(row))

    def has_sequel(self, card: Card, *, is_fresh: bool) -> bool:
        """Whether something follows a card's message: all of it is shown in it."""
        return False

    async def send_sequel(self, ref: MessageRef, card: Card, *, is_fresh: bool) -> None:
        """There is nothing to send."""

    async def thread_below(self, ref: MessageRef, name: str) -> str | None:
        """The room has no threads."""
        return None

    async def notify(self, room: Room, notice: Notice, person_id: str | None = None, nonce: str = "") -> None:
        """Say something in the room, to one person when named; once for each nonce."""
        targets = [found[1] for action in notice.actions if (found := _TARGET.match(action.id))]
        about = "" if person_id else await self._about(*targets)
        await self._add(room.channel, BOT, "bot", notice, private_to=person_id, nonce=nonce or None, about=about)

    async def answer(self, answer_url: str, reply: Reply) -> None:
        """Answer late; `answer_url` is `web:<channel>:<person id>`."""
        _, channel, person_id = answer_url.split(":", 2)
        await self._add(channel, BOT, "bot", reply.body, private_to=None if reply.public else person_id)

    async def is_member(self, person: Person, group: str, *, fresh: bool = True) -> bool:
        """The page has no groups."""
        return False

    async def zone_of(self, person_id: str) -> str | None:
        """The page knows no zones."""
        return None

    async def is_stranger(self, person: Person) -> bool:
        """Whoever is on the page signed in there."""
        return False

    async def is_active(self, person_id: str) -> bool:
        """The page has no accounts that could end."""
        return True

    async def email_of(self, person_id: str) -> str | None:
        """The page knows no addresses."""
        return None

    async def post(self, post: ChatPost) -> MessageRef:
        """A task's own message."""
        card, channel = codec.card_of_post(post), post.channel.removeprefix("#") or LOBBY
        about = await self._about(post.nonce[:ULID])
        message = await self._add(channel, BOT, "bot", card, nonce=post.nonce or card.entity, about=about)
        return MessageRef("web", channel, str(message.id))

    async def _add(
        self,
        channel: str,
        author: str,
        kind: Literal["person", "bot"],
        body: Body | str,
        *,
        private_to: str | None = None,
        nonce: str | None = None,
        about: str = "",
    ) -> Message:
        now = self.engine.clock.now()
        encoded = codec.encode(body, about)
        version = body.version if isinstance(body, Card) else 0
        row = await self.engine.database.transact(
            lambda unit: rows.add(
                unit.connection,
                channel=channel,
                author=author,
                author_kind=kind,
                body=encoded,
                private_to=private_to,
                nonce=nonce,
                version=version,
                now=now,
            )
        )
        message = _message(row)
        self._tell(message)
        return message

    def _tell(self, message: Message) -> None:
        for queue in list(self._listeners):
            if queue.full():  # a page that stopped reading; it reconnects and reads the room anew
                self._listeners.discard(queue)
                continue
            queue.put_nowait(message)


def _message(row: rows.RoomRow) -> Message:
    kind: Literal["person", "bot"] = "person" if row.author_kind == "person" else "bot"
    body, about = codec.decode(row.body), codec.about(row.body)
    return Message(row.id, row.channel, row.author, kind, row.at, body, row.private_to, row.version, row.change, about)
