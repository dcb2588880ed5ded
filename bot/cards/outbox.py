"""Carries cards and notices to the platforms: what the table says is wanted and not yet shown is sent, in order of
urgency, within each platform's rate, again after a refusal and again after a restart.

A card is drawn when it is sent, so a message that is behind by ten states is edited once. Posting anew after a crash
uses the same nonce, so that a platform which knows nonces shows one message.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from structlog.contextvars import bind_contextvars

from bot import documents
from bot.audit import trail
from bot.cards.pacing import Operation, Pace
from bot.cards.parts import ELAPSED, READY
from bot.cards.pause_cards import evidence
from bot.cards.room_modes import room_key, run_above
from bot.cards.sequels import Sequels
from bot.commands.references import short
from bot.conversation import Action, Card, Notice, Platform, Room
from bot.frontend import FrontEnd, Unreachable
from bot.tallies import REFUSALS
from bot.texts import answer, code
from engine.clock import Clock
from engine.errors import NotFound
from engine.store import chat_audit, chat_evidence, chat_messages, chat_sequels
from engine.store.chat_messages import DECISION, Message, StoredNotice
from engine.store.chat_sequels import Sequel
from engine.store.database import Database, Unit

Draw = Callable[[Message], Awaitable[tuple[Card, bool]]]
log = logging.getLogger(__name__)

LOOK_AHEAD = 64  # rows looked at in one go
AT_ONCE = 4  # sends under way on one platform
KEPT_FREE = 2  # that many more when they are decisions: sends that hang hold up no decision
LONGEST_BACKOFF = 300.0
MAX_GENERATIONS = 5  # a message that is deleted again and again is left alone
MAX_NOTICE_TRIES = 6  # of a sentence that a fault keeps back
MAX_NOTICE_WAITS = 300  # of one that the platform does not take now: with five minutes in between about a day
IDLE = 30.0  # seconds after which the table is read although nobody called


def nonce(message: Message) -> str:
    """The same for each try to post a message; another once it was deleted. Discord takes at most 25 characters."""
    return short_digest(f"{message.id}:{message.generation}")


def short_digest(text: str) -> str:
    """24 characters that stand for a text."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def digest(card: Card) -> str:
    """Equal for cards that look alike; the time a run has taken so far, or may still take, is no reason to draw it
    again."""
    steady = replace(card, version=0, facts=tuple(fact for fact in card.facts if fact.label not in (ELAPSED, READY)))
    return hashlib.blake2b(json.dumps(documents.dump(steady), sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(slots=True)
class Lane:
    """One platform's way out. A slow platform holds up nobody but itself."""

    front_end: FrontEnd
    database: Database
    clock: Clock
    draw: Draw
    pace: Pace
    held_up: Callable[[Message], Awaitable[None]]  # told of each message that the platform kept from being seen
    again_id: Callable[[str], str]  # the id of a button that has the cards of a run tried again
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    sending: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    sequels: Sequels = field(init=False)
    ended: set[str] = field(default_factory=set)  # sends that ended since the table was read: it may not say so yet
    is_shut: bool = False
    shut_until: float = 0.0

    def __post_init__(self) -> None:
        self.sequels = Sequels(self.front_end, self.database, self.draw)

    @property
    def platform(self) -> Platform:
        """The platform it leads to."""
        return self.front_end.platform

    async def run(self) -> None:
        """Send whatever is due, until cancelled."""
        try:
            await self.sequels.catch_up()
        except Exception:
            log.exception("What %s still lacks below its cards could not be looked up.", self.platform)
        while True:
            self.woken.clear()
            try:
                wait = await self._round()
            except Exception:
                log.exception("The outbox of %s could not read what is due; trying again.", self.platform)
                wait = 1.0
            try:
                async with asyncio.timeout(wait):
                    await self.woken.wait()
            except TimeoutError:
                continue

    async def stop(self, grace: float) -> None:
        """Let what is under way end; the rest is in the table."""
        if self.sending:
            await asyncio.wait(self.sending.values(), timeout=grace)
        for task in self.sending.values():
            task.cancel()
        await self.sequels.stop()

    async def _round(self) -> float:
        """Start what may be sent now; seconds until there may be more to do."""
        now = self.clock.now()
        closed = self.shut_until - asyncio.get_running_loop().time()
        if closed > 0:
            return closed
        self.ended.clear()
        sentences = await self.database.read(lambda c: chat_messages.notices_due(c, self.platform, now, AT_ONCE))
        waits = [IDLE]
        for sentence in sentences:
            if self._is_free(sentence.id) and len(self.sending) < AT_ONCE:
                self._start(sentence.id, self._say(sentence))
        full: set[str] = set()  # places whose rate is used up: others must not wait behind them
        more = True
        while more:
            before = len(full)
            self.ended.clear()
            due = partial(chat_messages.due, platform=self.platform, now=now, limit=LOOK_AHEAD, passing=tuple(full))
            rows = await self.database.read(due)
            clock = asyncio.get_running_loop().time()
            for row in rows:
                if not self._is_free(row.id):
                    continue
                if len(self.sending) >= AT_ONCE + (KEPT_FREE if row.urgency <= DECISION else 0):
                    return IDLE  # each that ends wakes this up
                wait = self._start_if_allowed(row, clock)
                if wait > 0:
                    waits.append(wait)
                    full.add(row.place)
            more = len(rows) == LOOK_AHEAD and len(full) > before
        later = await self.database.read(lambda c: chat_messages.next_try(c, self.platform, now))
        if later is not None:
            waits.append((later - now).total_seconds())
        return max(0.01, min(waits))

    def _is_free(self, id_: str) -> bool:
        """Whether what was read about a message still holds; what ended meanwhile has the table read again."""
        return id_ not in self.sending and id_ not in self.ended

    def _start_if_allowed(self, row: Message, clock: float) -> float:
        """Send a message if its platform's rate allows it now; else the seconds until it may."""
        operation: Operation = "edit" if row.message else "post"
        room = documents.room(row.room)
        wait = self.pace.wait(operation, room, row.id, row.urgency, clock)
        if wait <= 0:
            self.pace.take(operation, room, row.id, clock)
            self._start(row.id, self._send(row, room, operation))
        return wait

    def _start(self, id_: str, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=f"send {id_} to {self.platform}")
        self.sending[id_] = task

        def ended(done: asyncio.Task[None]) -> None:
            self.sending.pop(id_, None)
            self.ended.add(id_)
            if not done.cancelled() and (error := done.exception()):
                log.error("The outbox of %s broke on %s.", self.platform, id_, exc_info=error)
            self.woken.set()

        task.add_done_callback(ended)

    async def _send(self, row: Message, room: Room, operation: Operation) -> None:
        """Post or edit one message, and note how it went. `row.desired` was read before the card is drawn."""
        bind_contextvars(execution_id=row.execution_id)
        if row.message is None and (above := run_above(room)):
            found = await self._below(row, room, above)
            if found is None:
                return
            room = found
        try:
            card, is_final = await self.draw(row)
        except NotFound as gone:
            await self._give_up(row, room, gone.message, tell=False)
            return
        drawn = digest(card)
        if row.message is not None and drawn == row.digest:
            await self._shown(row, drawn, None, is_final)
            return
        reference = None
        try:
            if row.message is None:
                await self.database.transact(lambda unit: chat_messages.trying(unit.connection, row.id))
                reference = documents.dump(await self.front_end.post_card(room, card, nonce(row)))
            else:
                await self.front_end.edit_card(documents.message_ref(row.message), card)
        except Unreachable as refusal:
            await self._refused(row, room, operation, refusal)
            if row.message is None and refusal.retry_after is not None:
                await self.held_up(row)
            return
        except Exception as error:  # a fault of the front end must not end the lane
            if row.attempts == 0:
                log.exception("%s broke on message %s; trying again later.", self.platform, row.id)
            await self._later(row, backoff(row.attempts), f"{type(error).__name__}: {error}")
            return
        # An earlier try may have arrived although nothing came back; the platform then keeps the card of that try.
        may_be_older = reference is not None and row.attempts > 0
        is_fresh = reference is not None
        has_more = self.front_end.has_sequel(card, is_fresh=is_fresh)
        sequel = Sequel(row.id, row.desired, is_fresh) if has_more else None
        drawn = "" if may_be_older else drawn
        await self._shown(row, drawn, reference, is_final, again=may_be_older, sequel=sequel, card=card)
        if sequel is not None:
            self.sequels.follow(sequel, documents.message_ref(reference or row.message or {}), card)
        if reference is not None and row.problem:
            await self.held_up(row)

    async def _below(self, row: Message, room: Room, above: str) -> Room | None:
        """The thread of a run's card; the room itself where there is none. None: not yet, it is tried again."""
        shown = await self.database.read(lambda c: chat_messages.showing(c, entity=above))
        cards = [
            one
            for one in shown
            if one.kind == "run" and room_key(documents.room(one.room)) == room_key(room) and one.state != "DEAD"
        ]
        posted = [documents.message_ref(one.message) for one in cards if one.message is not None]
        until = self.clock.now() + timedelta(seconds=1)
        if not posted and cards:
            await self.database.transact(lambda unit: chat_messages.wait(unit.connection, row.id, until))
            return None
        thread = None
        if posted:
            try:
                thread = await self.front_end.thread_below(posted[0], f"Run {short(above)}")
            except Unreachable as refusal:
                if refusal.retry_after is not None:
                    await self._later(row, refusal.retry_after, refusal.reason)
                    return None
                log.info("%s opens no thread, so it is said in the channel: %s", self.platform, refusal)
        return replace(room, thread=thread)

    async def _refused(self, row: Message, room: Room, operation: Operation, refusal: Unreachable) -> None:
        if refusal.gone and row.message is not None and row.generation < MAX_GENERATIONS:
            REFUSALS.add(self.platform, "reposted")
            now = self.clock.now()
            await self.database.transact(lambda unit: chat_messages.post_again(unit.connection, row.id, now))
        elif refusal.retry_after is not None:
            seconds = max(refusal.retry_after, 0.05)
            if refusal.about == "platform":
                self._shut(refusal, seconds)
            elif refusal.about == "place":
                self.pace.hold(operation, room, seconds, asyncio.get_running_loop().time())
            if refusal.about != "platform":
                REFUSALS.add(self.platform, "later")
            await self._later(row, seconds, refusal.reason)
        elif row.message is None and run_above(documents.room(row.room)):
            # The thread was deleted or locked: what belongs there is said in the channel.
            channel, now = documents.dump(replace(room, thread=None)), self.clock.now()
            log.info("%s takes nothing in the thread of %s: %s", self.platform, row.execution_id, refusal)
            await self.database.transact(lambda unit: chat_messages.move(unit.connection, row.id, channel, now))
        else:
            REFUSALS.add(self.platform, "abandoned")
            await self._give_up(row, room, refusal.reason, tell=True, is_outside=refusal.outside)

    def _shut(self, refusal: Unreachable, seconds: float) -> None:
        """The platform does not know us any more: nothing is tried for a while, and that is said once."""
        REFUSALS.add(self.platform, "no token")
        if not self.is_shut:
            log.error("Nothing is sent to %s, and all is kept: %s", self.platform, refusal)
        self.is_shut = True
        self.shut_until = asyncio.get_running_loop().time() + seconds

    async def _later(self, row: Message, seconds: float, problem: str) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        await self.database.transact(lambda unit: chat_messages.delay(unit.connection, row.id, until, problem))

    async def _shown(
        self,
        row: Message,
        drawn: str,
        reference: dict[str, Any] | None,
        is_final: bool,
        *,
        again: bool = False,
        sequel: Sequel | None = None,
        card: Card | None = None,
    ) -> None:
        if self.is_shut:
            log.warning("%s takes messages again.", self.platform)
            self.is_shut = False
        if is_final:
            self.pace.forget(row.id)
        now = self.clock.now()

        def work(unit: Unit) -> None:
            chat_messages.shown(
                unit.connection, row.id, version=row.desired, digest=drawn, reference=reference, is_final=is_final
            )
            if sequel is not None:
                chat_sequels.owe(unit.connection, self.platform, sequel)
            if card is not None and row.kind == "pause":
                chat_evidence.note(unit.connection, row.id, "" if again else evidence(card))
            if reference is not None:
                chat_audit.record(unit.connection, trail.posted(row, reference, now))
            if again:
                chat_messages.touch(unit.connection, entity=row.entity, urgency=chat_messages.END, now=now)

        await self.database.transact(work)

    async def _give_up(self, row: Message, room: Room, problem: str, *, tell: bool, is_outside: bool = False) -> None:
        """Said once: in the log, and to whoever started the run when that was somewhere else."""
        if tell:
            log.warning("%s does not take the %s card of %s: %s", self.platform, row.kind, row.execution_id, problem)
        channel, run = code(room.channel), code(short(row.execution_id))
        what = f"the question of {run} (`/flow pending` has it)" if row.kind == "pause" else f"the card of {run}"
        sentence = answer("E16", channel=channel, tone="danger")
        if not is_outside:
            sentence = answer("unshown", what=what, channel=channel, why=problem, tone="danger")
        notice = documents.dump(sentence.notice(Action(self.again_id(row.execution_id), "Post again")))
        now = self.clock.now()

        def work(unit: Unit) -> None:
            chat_messages.give_up(unit.connection, row.id, problem)
            start = chat_messages.start_of(unit.connection, [row.execution_id]).get(row.execution_id)
            if tell and start is not None:
                id_ = f"{row.id}:dead:{row.desired}"
                chat_messages.tell(unit.connection, id_, start.room, start.person, notice, now)

        await self.database.transact(work)

    async def _say(self, sentence: StoredNotice) -> None:
        notice = documents.load(Notice, sentence.notice)
        try:
            room, once = documents.room(sentence.room), short_digest(sentence.id)
            await self.front_end.notify(room, notice, sentence.person, once)
        except Unreachable as refusal:
            if refusal.about == "platform" and refusal.retry_after is not None:
                self._shut(refusal, refusal.retry_after)
            wait = refusal.retry_after
            later = None if wait is None else max(wait, 0.05, backoff(sentence.attempts - 6))
            await self._unsaid(sentence, refusal, later, MAX_NOTICE_WAITS)
        except Exception as error:  # noqa: BLE001 - whatever the front end does, the sentence is tried a few times
            await self._unsaid(sentence, error, backoff(sentence.attempts), MAX_NOTICE_TRIES)
        else:
            await self.database.transact(lambda unit: chat_messages.told(unit.connection, sentence.id))

    async def _unsaid(self, sentence: StoredNotice, why: Exception, wait: float | None, most: int) -> None:
        """Said later when that helps; a platform that is away for hours loses none."""
        if wait is not None and sentence.attempts + 1 < most:
            until = self.clock.now() + timedelta(seconds=wait)
            await self.database.transact(lambda unit: chat_messages.tell_later(unit.connection, sentence.id, until))
            return
        REFUSALS.add(self.platform, "sentence lost")
        log.warning("%s did not take a notice for %s: %s", self.platform, sentence.person, why)
        await self.database.transact(lambda unit: chat_messages.told(unit.connection, sentence.id))


def backoff(attempts: int) -> float:
    """Seconds before the next try: 1, 2, 4 … at most five minutes."""
    return float(min(LONGEST_BACKOFF, 2.0 ** min(attempts, 10)))


class Outbox:
    """The lanes of all platforms."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = {lane.platform: lane for lane in lanes}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [asyncio.create_task(lane.run(), name=f"outbox {name}") for name, lane in self.lanes.items()]

    def wake(self) -> None:
        """There is something to send."""
        for lane in self.lanes.values():
            lane.woken.set()

    async def stop(self, grace: float = 5.0) -> None:
        """Let what is under way end; what is left is sent after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(lane.stop(grace) for lane in self.lanes.values()))
