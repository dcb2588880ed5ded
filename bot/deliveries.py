"""Deliveries: each counts once, gets one answer, and is carried on after a restart when it was cut off."""

import asyncio
import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from structlog.contextvars import bind_contextvars

from bot import documents
from bot.audit import trail
from bot.commands.crowding import Crowding
from bot.conversation import Click, Command, FieldErrors, Form, Notice, Person, Platform, Reply, Room, Submission
from bot.forms.drafts import PREFIX
from bot.frontend import KEPT, REACHED, FrontEnd, Unreachable
from bot.office import Office
from bot.tallies import DELIVERIES, FIRST_CLICK, REDELIVERIES, outcome
from bot.texts import answer, code
from engine.errors import EngineError, StoreFailed
from engine.store import chat_audit, chat_messages, chat_receipts, pauses
from engine.store.chat_receipts import Receipt
from engine.store.database import Unit

log = logging.getLogger(__name__)

Event = Command | Click | Submission
Answer = Reply | FieldErrors
ANSWERABLE = timedelta(minutes=30)  # Slack's response_url lives as long, Discord's token half of it
WORDS = {"command": "command", "click": "click", "submission": "form"}


def receipt_key(event: Event) -> str:
    """The key of a delivery: the platform's own id for it, and nothing that differs between two copies of it."""
    return f"{event.person.platform}:{event.receipt}"[:300]


@dataclass(frozen=True, slots=True)
class _Way:
    """The way back to whoever sent a delivery."""

    key: str
    kind: str
    person: Person
    room: Room
    url: str | None
    since: datetime

    @classmethod
    def of(cls, key: str, kind: str, event: Event, now: datetime) -> Self:
        """Of one that is here."""
        return cls(key, kind, event.person, event.room, event.answer_url, now)

    @classmethod
    def read(cls, receipt: Receipt) -> Self:
        """Of one that was written down."""
        event = receipt.event
        person, room = documents.load(Person, event["person"]), documents.room(event["room"])
        return cls(receipt.key, receipt.kind, person, room, event.get("answer_url"), receipt.created)


class Deliveries:
    """Counts deliveries. `storable` gives one as it may be written down, `handle` answers one."""

    def __init__(
        self,
        office: Office,
        front_ends: Mapping[Platform, FrontEnd],
        storable: Callable[[Event], Awaitable[dict[str, Any]]],
        handle: Callable[[Event], Awaitable[Answer]],
        wake: Callable[[], None],
    ) -> None:
        self.office = office
        self.front_ends = front_ends
        self.storable = storable
        self.handle = handle
        self.wake = wake
        self._crowding = Crowding(office.settings.per_person)
        self._running: dict[str, asyncio.Task[Answer]] = {}
        self._later: set[asyncio.Task[None]] = set()

    async def once(self, kind: str, event: Event) -> Answer:
        """The answer to a delivery; the same delivery again gets the same answer, and waits for it if need be."""
        key = receipt_key(event)
        if key not in self._running and (refused := await self._too_many(key, kind, event)) is not None:
            return refused
        reply = await self._answer_of(key, kind, event)
        self.do_later(self._brought(_Way.of(key, kind, event, self.office.now()), reply, REACHED.get()))
        return reply

    async def _answer_of(self, key: str, kind: str, event: Event) -> Answer:
        running = self._running.get(key)
        if running is not None:
            REDELIVERIES.add(event.person.platform, kind)
        else:
            running = asyncio.create_task(self._answered(key, kind, event), name=f"{kind} {key}")
            self._running[key] = running
            running.add_done_callback(lambda done: self._running.pop(key, None))
        # A caller that hangs up (a page that is closed) does not undo what was asked.
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not running.cancelled() or (caller is not None and caller.cancelling()):
                raise
            raise StoreFailed("Parley is stopping.", fix="What arrived is kept; try again in a moment.") from None

    async def _too_many(self, key: str, kind: str, event: Event) -> Answer | None:
        """The refusal of somebody who types too much. Buttons and forms are always taken: no decision is lost."""
        if not isinstance(event, Command):
            return None
        wait = self._crowding.wait(event.person.id, self.office.now().timestamp())
        if not wait:
            return None
        known = await self.office.engine.database.read(lambda connection: chat_receipts.find(connection, key))
        if known is not None:  # it was counted: it gets the answer it had
            return None
        DELIVERIES.add(event.person.platform, kind, "crowded")
        now, seconds = self.office.now(), str(math.ceil(wait))
        reply = Reply(answer("E27", n=str(self._crowding.per_minute), s=seconds).notice())
        deed = trail.refused(event, reply, key, self.office.ids, now)
        if deed is not None and self._crowding.is_first(event.person.id, now.timestamp()):
            self.do_later(self._noted(deed))
        return reply

    async def _noted(self, deed: chat_audit.Deed) -> None:
        try:
            await self.office.engine.database.transact(lambda unit: chat_audit.record(unit.connection, deed))
        except EngineError as error:
            log.warning("That somebody sends too much could not be recorded: %s", error)

    async def _answered(self, key: str, kind: str, event: Event) -> Answer:
        bind_contextvars(delivery=key)
        is_written = False
        try:
            known = await self._write_down(key, kind, event)
            is_written = True
            if (kept := KEPT.get()) is not None:
                kept()
            if known is not None and known.is_done and known.answer is not None:
                REDELIVERIES.add(event.person.platform, kind)
                return documents.load_reply(known.answer)
            reply = await self.handle(event)
            DELIVERIES.add(event.person.platform, kind, outcome(reply))
            await self._finish(key, event, reply)
            return reply
        except Exception as error:
            reference = secrets.token_hex(3)
            if isinstance(error, StoreFailed):  # its sentence says all; where it was met does not matter
                log.error("The desk could not keep %s %s (ref %s): %s", kind, key, reference, error)
            else:
                log.exception("The desk broke on %s %s (ref %s).", kind, key, reference)
            DELIVERIES.add(event.person.platform, kind, "broken")
            return await self._broken(key, kind, event, reference, is_written)

    async def _finish(self, key: str, event: Event, reply: Answer) -> None:
        """Store the answer of what had no effect of its own; a refusal is recorded with it."""
        document, now = documents.dump_reply(reply), self.office.now()
        deed = trail.refused(event, reply, key, self.office.ids, now)

        def work(unit: Unit) -> None:
            if chat_receipts.finish(unit.connection, key, document) and deed is not None:
                chat_audit.record(unit.connection, deed)

        await self.office.engine.database.transact(work)

    async def _write_down(self, key: str, kind: str, event: Event) -> Receipt | None:
        now = self.office.now()
        document = await self.storable(event)
        person = event.person
        deed = trail.heard(event, document, key, self.office.ids, self.office.engine.masker.mask_value, now)
        known = chat_receipts.KnownPerson(person.id, person.name, person.platform, person.mention, person.zone)

        def work(unit: Unit) -> Receipt | None:
            if not person.is_visiting:  # the chat said better how they are called and reached
                chat_receipts.remember(unit.connection, known, now)
            there = chat_receipts.open_receipt(unit.connection, key, kind, document, now)
            if there is None:
                chat_audit.record(unit.connection, deed)
                if isinstance(event, Click):
                    unit.after_commit(lambda: self.do_later(self._measured(deed)))
            return there

        return await self.office.engine.database.transact(work, urgent=True)

    async def _measured(self, press: chat_audit.Deed) -> None:
        """How long a question waited for the first press of a button, if this is it. Nobody waits for this."""
        read = self.office.engine.database.read
        try:
            pause = await read(lambda c: pauses.get(c, press.entity))
            if pause is None or (pause.decided_at is not None and pause.decided_at < press.at):
                return
            told = await read(lambda c: chat_audit.about(c, press.entity, heard=True))
        except EngineError:
            return  # the bot is stopping, or the database is away: one figure less
        first = next((deed for deed in told if deed.action == press.action), None)
        if first is not None and (first.at, first.person) == (press.at, press.person):
            FIRST_CLICK.observe((press.at - pause.created).total_seconds())

    async def _broken(self, key: str, kind: str, event: Event, reference: str, is_written: bool) -> Answer:
        """E26, unless the effect is there and only the way back broke: then its own answer."""
        what = WORDS[kind]
        said = Reply(answer("E26", tone="danger", id=code(reference), what=what, counted="not counted").notice())
        if not is_written:
            return said
        deed = trail.refused(event, said, key, self.office.ids, self.office.now())

        def work(unit: Unit) -> Receipt | None:
            if chat_receipts.finish(unit.connection, key, documents.dump_reply(said)) and deed is not None:
                chat_audit.record(unit.connection, deed)
            return chat_receipts.find(unit.connection, key)

        try:
            done = await self.office.engine.database.transact(work)
        except EngineError:
            return said
        return documents.load_reply(done.answer) if done is not None and done.answer is not None else said

    async def _brought(self, way: "_Way", reply: Answer, reached: "asyncio.Future[bool] | None") -> None:
        """Note that the person has the answer, once they have; when its front end finds no way to them, find another.
        When it can't tell, since the process ends, the next start brings the answer."""
        if reached is not None:
            await asyncio.wait({reached})
            if reached.cancelled():
                return
        if reached is None or reached.result():
            await self._handed(way.key)
        else:
            await self._bring_late(way, reply)

    async def _handed(self, key: str) -> None:
        try:
            await self.office.engine.database.transact(lambda unit: chat_receipts.hand_over(unit.connection, key))
        except EngineError as error:  # the person has the answer; a delivery again gets the same
            log.warning("An answer that was given could not be noted down: %s", error)

    def do_later(self, work: Coroutine[None, None, None]) -> None:
        """Run beside, until the desk stops."""
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def stop(self) -> None:
        """Let what is being answered and noted down end; what is cut off is carried on after the next start."""
        if under_way := (*self._running.values(), *self._later):
            _, late = await asyncio.wait(under_way, timeout=2)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def carry_on(self) -> None:
        """Deliveries that were cut off, and answers that reached nobody: do what is asked, and answer late."""
        since = self.office.now() - chat_receipts.KEEP
        for receipt in await self.office.engine.database.read(lambda c: chat_receipts.unanswered(c, since)):
            try:
                await self._carry_on_with(receipt)
            except Exception:
                log.exception("Could not carry on with delivery %s.", receipt.key)

    async def _carry_on_with(self, receipt: Receipt) -> None:
        if receipt.is_done and receipt.answer is not None:
            reply = documents.load_reply(receipt.answer)
        else:
            event = documents.event(receipt.kind, receipt.event)
            reply = await self._answer_of(receipt.key, receipt.kind, event)
        # Beside the others: a platform that asks for a pause holds up nobody else's answer.
        self.do_later(self._bring_late(_Way.read(receipt), reply))

    async def _bring_late(self, way: "_Way", reply: Answer) -> None:
        try:
            await self._late(way, reply)
        except Exception:
            log.exception("The answer to delivery %s could not be given late.", way.key)

    async def _late(self, way: "_Way", reply: Answer) -> None:
        """By the address that came with the delivery, else by a notice, which is kept until it arrives."""
        late = reply if isinstance(reply, Reply) else Reply(reply.form)
        if isinstance(late.body, Form):  # a form can't be opened without a fresh click
            draft = late.body.id.removeprefix(PREFIX)
            late = Reply(answer("E18").notice(self.office.ids.button("cn", draft, "Continue")))
        front_end = self.front_ends.get(way.room.platform)
        if front_end is not None and not await self._by_address(front_end, way, late):
            notice = late.body if isinstance(late.body, Notice) else answer("unreached", what=WORDS[way.kind]).notice()
            await self._tell(way, notice)
        await self._handed(way.key)

    async def _by_address(self, front_end: FrontEnd, way: "_Way", reply: Reply) -> bool:
        """Whether the address took it; pauses are waited out for as long as the address may live."""
        while way.url:
            try:
                await front_end.answer(way.url, reply)
            except Unreachable as refusal:
                log.info("%s did not take a late answer: %s", way.room.platform, refusal)
                pause = refusal.retry_after
                if pause is None or self.office.now() + timedelta(seconds=pause) > way.since + ANSWERABLE:
                    return False
                await asyncio.sleep(pause)
            else:
                return True
        return False

    async def _tell(self, way: "_Way", notice: Notice) -> None:
        document, room, now = documents.dump(notice), documents.dump(way.room), self.office.now()
        id_ = f"late:{way.key}"[:64]
        await self.office.engine.database.transact(
            lambda unit: chat_messages.tell(unit.connection, id_, room, way.person.id, document, now)
        )
        self.wake()
