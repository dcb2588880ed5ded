"""Sees to it that a pause is not forgotten: reminders, new posts, escalations and snoozes, at their times, once each.

What is to be done lies in the store with its time. One timer of the engine's wakes this up for the next; after a
restart what came due meanwhile is done at once. The sentences go out through the outbox.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot import documents
from bot.approvals.approvers import Approver, approver, labels
from bot.approvals.eligibility import Bench
from bot.approvals.policy import is_room
from bot.cards.drawing import Drawing
from bot.cards.parts import elapsed, in_round, rounds
from bot.cards.room_modes import room_key
from bot.cards.run_posts import posted_room, want_card
from bot.chat_settings import room_of
from bot.commands.references import short
from bot.conversation import Card, Notice, Person, Room
from bot.frontend import Unreachable
from bot.office import Office
from bot.texts import code, plain
from engine.errors import EngineError, NotFound
from engine.store import chat_audit, chat_ladder, chat_messages, chat_votes
from engine.store.chat_audit import Deed
from engine.store.chat_ladder import Rung
from engine.store.chat_messages import DECISION, Message
from engine.store.database import Unit
from engine.store.pauses import PauseRow

log = logging.getLogger(__name__)
AT_ONCE = 50
RETRY = 5.0
LOOK = 60.0
TIMER = "chat ladder"
MAX_BUTTONS = 4


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence on its way to a person or a room."""

    room: Room
    notice: Notice
    person: str | None = None


class Ladder:
    """Does what is due."""

    def __init__(self, office: Office, drawing: Drawing, wake: Callable[[], None]) -> None:
        self.office = office
        self.drawing = drawing
        self.wake = wake
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._forget_jumps: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Begin with what came due while nobody was here."""
        self._forget_jumps = self.office.engine.clock.on_jump(self._woken.set)
        self._task = asyncio.create_task(self._run(), name="ladder")

    async def stop(self) -> None:
        """Do nothing more; the rest is in the store."""
        self._forget_jumps()
        self.office.engine.timers.cancel(TIMER)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Something new was planned."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                while await self._round():
                    continue
                following = await self.office.engine.database.read(chat_ladder.next_due)
            except Exception:
                log.exception("Reminders could not be looked after; trying again in %g s.", RETRY)
                following = self.office.now() + timedelta(seconds=RETRY)
            # Another process may have planned something meanwhile.
            latest = self.office.now() + timedelta(seconds=LOOK)
            self.office.engine.timers.set(TIMER, min(following or latest, latest), self._woken.set)
            await self._woken.wait()

    async def _round(self) -> bool:
        """Do what is due; whether there may be more."""
        now = self.office.now()
        rows = await self.office.engine.database.read(lambda c: chat_ladder.due(c, now, AT_ONCE))
        for row in rows:
            await self._do(row)
        return len(rows) == AT_ONCE

    async def _do(self, step: Rung) -> None:
        try:
            pause = await self.office.engine.pause_row(step.pause_id)
            card = await self.drawing.pause_of(pause) if pause.state == "WAITING" else None
        except NotFound:
            card, pause = None, None
        except EngineError as error:
            log.warning("The card of pause %s can't be drawn for a reminder: %s", step.pause_id, error)
            card, pause = None, None
        said = await self._said(step, pause, card) if pause is not None and card is not None else []
        rooms = self._rooms(step)
        now = self.office.now()

        def work(unit: Unit) -> None:
            connection = unit.connection
            if not chat_ladder.take(connection, step) or pause is None:
                return
            if chat_votes.lock(connection, pause.id) != "WAITING":
                return
            for number, one in enumerate(said):
                document = documents.dump(one.notice)
                room = documents.dump(one.room)
                chat_messages.tell(connection, f"{step.id}:{number}"[-64:], room, one.person, document, now)
            if step.kind == "repost":
                self._post_below(unit, step, chat_messages.showing(connection, entity=pause.id), now)
            for room_ in rooms:
                want_card(unit, self.office.new_id(), "pause", pause.id, pause.execution_id, room_, now)
            if step.kind == "escalate":
                chat_audit.record(connection, _widened(step, pause, now))
                chat_messages.touch(connection, entity=pause.id, urgency=DECISION, now=now)
            unit.after_commit(self.wake)

        await self.office.engine.database.transact(work)

    def _post_below(self, unit: Unit, step: Rung, shown: Sequence[Message], now: datetime) -> None:
        """The card once more, at the bottom of each room; the older one stays and tells the same."""
        mark = f"#{step.id.rpartition(':')[2]}"
        for message in shown:
            if "#again" in message.place or message.state == "DEAD":
                continue
            place = f"{message.place}#again{mark}"[:300]
            id_ = self.office.new_id()
            chat_messages.want(
                unit.connection, id_, "pause", message.entity, message.execution_id, place, message.room, now
            )

    def _rooms(self, step: Rung) -> list[Room]:
        if step.kind != "escalate":
            return []
        return [room_of(text) for text in step.detail["to"] if is_room(text)]

    # What is said to whom

    async def _said(self, step: Rung, pause: PauseRow, card: Card) -> list[Said]:
        if step.kind == "repost":
            return []
        execution = await self.office.engine.execution(pause.execution_id)
        values = rounds(execution, pause.task_run_id)
        about = in_round(f"{code(pause.flow_id)} {code(short(pause.execution_id))}", values)
        about = self.office.engine.masker.mask(about)
        waits = elapsed((self.office.now() - pause.created).total_seconds())
        if step.kind == "snooze":
            text = f"You wanted to be asked again: {about} waits for an answer, since {waits}."
            return [self._privately(step.person, Notice("paused", text, card.actions[:MAX_BUTTONS]), ())]
        bench = await self.office.eligibility.bench(pause, execution)
        shown, votes, snoozed = await self.office.engine.database.read(
            lambda c: (
                chat_messages.showing(c, entity=pause.id),
                chat_votes.votes_on(c, pause.id),
                chat_ladder.snoozed(c, pause.id),
            )
        )
        called: Iterable[Approver] = bench.approvers
        text = f"Still waiting for an answer: {about}, since {waits}."
        if step.detail.get("by"):
            text = f"{told(str(step.detail['by']))} asks for an answer: {about}, waiting since {waits}."
        if step.kind == "escalate":
            called = [approver(entry) for entry in step.detail["to"] if not is_room(entry)]
            text = f"Nobody has decided {about} for {waits}. You may decide it now."
        asked_no_more = {vote.person for vote in votes} | snoozed | {one.giver for one in bench.delegations}
        silent = {account for one in asked_no_more for account in await self._accounts(one)}
        private = Notice("paused", text, card.actions[:MAX_BUTTONS])
        places = _places(shown, self._rooms(step))
        return _addressed(called, bench, places, shown, Notice("paused", text), private, silent, self._privately)

    async def _accounts(self, person_id: str) -> set[str]:
        """Every account of somebody: whoever voted under one is not reminded under another."""
        try:
            return {person_id, *(await self.office.eligibility.identities.of(person_id)).accounts}
        except Unreachable:
            return {person_id}

    def _privately(self, person: str, notice: Notice, shown: Sequence[Message]) -> Said:
        """By direct message; where somebody takes none, in the room of the card."""
        platform, _, id_ = person.partition(":")
        if platform == "slack":
            return Said(Room("slack", id_, is_direct=True), notice, person)
        if platform == "discord":
            here = next((message for message in shown if message.platform == "discord"), None)
            return Said(posted_room(here) if here else Room("discord", ""), notice, person)
        return Said(Room("web", "lobby"), notice, person)

    def tell_in(self, unit: Unit, id_: str, person: Person | str, notice: Notice, now: datetime) -> None:
        """Tell somebody something in private, inside somebody's transaction."""
        said = self._privately(person if isinstance(person, str) else person.id, notice, ())
        chat_messages.tell(
            unit.connection, id_[-64:], documents.dump(said.room), said.person, documents.dump(said.notice), now
        )
        unit.after_commit(self.wake)


def _widened(step: Rung, pause: PauseRow, now: datetime) -> Deed:
    """Who may decide from now on, as the policy says, for the record."""
    flow = f"{pause.namespace}/{pause.flow_id}"
    return Deed(now, "", "", "", "escalate", pause.id, pause.execution_id, flow, {"to": step.detail["to"]})


def _addressed(
    called: Iterable[Approver],
    bench: Bench,
    places: Mapping[str, Room],
    shown: Sequence[Message],
    public: Notice,
    private: Notice,
    silent: set[str],
    privately: Callable[[str, Notice, Sequence[Message]], Said],
) -> list[Said]:
    """Accounts are told in private, groups below the card on their platform, everybody else below every card. Where a
    group's platform shows none, whoever sees one is told whom it needs."""
    said: dict[tuple[object, ...], Said] = {}
    accounts = [one.value for one in called if one.kind == "account"] + [one.taker for one in bench.delegations]
    for account in dict.fromkeys(accounts):
        if account not in silent:
            said[("person", account)] = privately(account, private, shown)
    groups = [one for one in called if one.kind == "group"]
    is_open = any(one.kind in ("channel", "anyone", "domain", "email", "name") for one in called)
    reached = {room.platform for room in places.values()}
    away = tuple(one for one in groups if one.platform not in reached)
    text = f"{public.text} It is for {labels(away)} to decide." if away else public.text
    for key, room in places.items():
        calls = tuple(one.text for one in groups if one.platform == room.platform)
        if calls or is_open or away:
            said[("room", key)] = Said(room, Notice(public.tone, text, public.actions, calls=calls))
    return list(said.values())


def _places(shown: Sequence[Message], rooms: Sequence[Room]) -> dict[str, Room]:
    """Where a sentence is said: below each card, and in the rooms that get one with it."""
    cards = [one for one in shown if one.state != "DEAD" and "#again" not in one.place]
    there = {room_key(posted_room(one)) for one in cards}
    fresh = {room_key(room): room for room in rooms if room_key(room) not in there}
    return {**{one.id: _below(one) for one in cards}, **fresh}


def _below(message: Message) -> Room:
    """Where a sentence about a card is said: in its thread, where a platform has threads of messages. A card that is
    not posted yet has none."""
    room = posted_room(message)
    if message.platform != "slack" or message.message is None:
        return room
    reference = documents.message_ref(message.message)
    return Room("slack", reference.channel, reference.thread or reference.message, room.workspace)


def told(name: str) -> str:
    """A person's name as cards write it."""
    return f"**{plain(name, 60)}**"
