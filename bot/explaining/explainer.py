"""Explanations of failed runs: each end of a run is told to the model once, whoever asks and however often; what it
says is kept, and told to all who wait.

"Asking …" is a promise. Whoever asks the model says every few seconds that they live; of a process that died another
takes over, which may be the same one after its next start.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from bot import documents
from bot.conversation import Notice, Person, Reply, Room
from bot.explaining import models
from bot.explaining.answers import asking as asking_now
from bot.explaining.answers import bounded, explained, unexplained
from bot.explaining.evidence import failure_of
from bot.explaining.prompt import turns
from bot.explaining.section import ExplainSection
from bot.frontend import REACHED, Unreachable
from bot.office import Office
from bot.tallies import EXPLANATIONS
from bot.texts import code, plain
from engine.core.execution import Execution
from engine.errors import EngineError, NotFound
from engine.store import chat_audit, chat_explanations, chat_messages, chat_receipts
from engine.store.chat_explanations import Crowded, Explanation, Listener, Question
from engine.store.database import Unit

log = structlog.get_logger("parley")

ALIVE = timedelta(seconds=15)  # without a sign of life an owner is taken for dead
SIGN = 4.0  # seconds between two signs of life
LOOK = 10.0  # and between two looks for what nobody goes on with
PATIENCE = 10.0  # until "Asking …" has reached the person: Discord takes no other answer before it
EVER = datetime(9999, 1, 1, tzinfo=UTC)
OFF = "Explanations are switched off for it now."


def ending_of(execution: Execution) -> int:
    """Which of its ends a run is at."""
    return len(execution.histories)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to know, where, by which delivery. `accounts`: all that are theirs."""

    person: Person
    room: Room
    receipt: str
    answer_url: str | None
    accounts: Collection[str]


@dataclass(slots=True)
class Explaining:
    """Those of one process. `wake` makes the outbox look; `alone`: no other process is on the database."""

    office: Office
    wake: Callable[[], None]
    alone: bool
    owner: str = field(default_factory=lambda: secrets.token_hex(8))
    _going: dict[tuple[str, int], asyncio.Task[None]] = field(default_factory=dict)
    _looking: asyncio.Task[None] | None = None

    # Life

    def start(self) -> None:
        """Go on with what was cut off, now and from time to time."""
        self._looking = asyncio.create_task(self._look(), name="explanations")

    async def stop(self) -> None:
        """Ask no more; what is not answered goes on after the next start, or in another process."""
        tasks = [*self._going.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        is_first = True
        while True:
            try:
                # What a process alone finds at its start is nobody else's.
                await self._take_up(EVER if is_first and self.alone else self.office.now())
            except EngineError as error:
                log.warning("explanations wait", reason=str(error))
            is_first = False
            await asyncio.sleep(LOOK)

    async def _take_up(self, before: datetime) -> None:
        for one in await self.office.engine.database.read(lambda c: chat_explanations.overdue(c, before)):
            if (one.execution_id, one.ending) in self._going:
                continue
            mine = replace(one, owner=self.owner, until=self.office.now() + ALIVE)

            def work(unit: Unit, one: Explanation = one, mine: Explanation = mine) -> bool:
                return chat_explanations.take_over(unit.connection, one, mine.owner, mine.until)

            if await self.office.engine.database.transact(work):
                self._go(mine, self._ask(mine) if one.state == "ASKING" else self._tell(mine))

    # What people see

    async def of(self, execution: Execution) -> Explanation | None:
        """What is known of the end a run is at; None when nobody asked."""
        ending = ending_of(execution)
        return await self.office.engine.database.read(lambda c: chat_explanations.find(c, execution.id, ending))

    def said(self, one: Explanation, flow_id: str) -> Notice:
        """An explanation as it is shown."""
        log_button = self.office.ids.button("lg", one.execution_id, "Log")
        match one.state:
            case "DONE":
                return explained(one, flow_id, log_button)
            case "FAILED":
                again = self.office.ids.button("ex", one.execution_id, "Ask again")
                return unexplained(one, flow_id, *([again] if self.office.explain else []), log_button)
            case _:
                return asking_now(one, flow_id)

    async def ask(self, asker: Asker, execution: Execution, deed: chat_audit.Deed) -> Reply:
        """The explanation, when there is one; else the model is asked, and whoever asked is told later. With the audit
        and the answer in one transaction, once for each receipt."""
        section, now = self.office.explain, self.office.now()
        if section is None or not self.office.explains(execution):
            return Reply(Notice("warning", OFF))
        person, flow_id = asker.person.id, execution.flow_id
        is_page = asker.room.platform == "web" and asker.answer_url is None  # it shows the answer by itself
        wanted = Explanation(
            execution.id, ending_of(execution), "ASKING", self.owner, section.model, "", now, now + ALIVE
        )
        question = Question(self.office.new_id(), person, asker.accounts, section.per_person, section.in_total)

        def work(unit: Unit) -> tuple[Reply, bool]:
            known = chat_receipts.find(unit.connection, asker.receipt)
            if known is not None and known.is_done and known.answer is not None:
                return Reply(Notice("info", "This was asked already.")), False
            found = chat_explanations.claim(unit.connection, wanted, question)
            if isinstance(found, Crowded):
                return Reply(_crowded(found, section, now)), False
            if found.state == "ASKING" and asker.room.channel and not is_page:
                room = documents.dump(asker.room)
                chat_explanations.listen(unit.connection, found, person, room, asker.answer_url)
            reply = Reply(self.said(found, flow_id))
            details = {"model": found.model, "answer": "shown" if found.state == "DONE" else "asked for"}
            chat_audit.record(unit.connection, replace(deed, details=details))
            chat_receipts.finish(unit.connection, asker.receipt, documents.dump_reply(reply))
            return reply, found is wanted

        reply, is_ours = await self.office.engine.database.transact(work)
        if is_ours:
            self._go(wanted, self._ask(wanted, REACHED.get()))
        return reply

    # What is done

    def _go(self, one: Explanation, work: Coroutine[Any, Any, None]) -> None:
        key = (one.execution_id, one.ending)
        task = asyncio.create_task(self._safely(one, work), name=f"explanation of {one.execution_id}")
        self._going[key] = task
        task.add_done_callback(lambda done: self._going.pop(key, None) if self._going.get(key) is done else None)

    async def _safely(self, one: Explanation, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except EngineError as error:  # the database can't be written: a later look goes on
            log.warning("an explanation waits", execution_id=one.execution_id, reason=str(error))
        except Exception:
            log.exception("an explanation waits", execution_id=one.execution_id)

    async def _ask(self, one: Explanation, reached: "asyncio.Future[bool] | None" = None) -> None:
        """Ask the model, keep what it says, tell it. `reached`: whether the person knows that it is asked."""
        living = asyncio.create_task(self._live(one), name=f"sign of life of {one.execution_id}")
        try:
            state, text = await self._answer(one)
            if reached is not None:
                await asyncio.wait({reached}, timeout=PATIENCE)
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living
        until = self.office.now() + ALIVE

        def work(unit: Unit) -> bool:
            return chat_explanations.settle(unit.connection, one, state, text, until)

        if await self.office.engine.database.transact(work):
            EXPLANATIONS.add(state.lower())
            await self._tell(replace(one, state=state, text=text))

    async def _live(self, one: Explanation) -> None:
        while True:
            await asyncio.sleep(SIGN)
            until = self.office.now() + ALIVE

            def work(unit: Unit, until: datetime = until) -> None:
                chat_explanations.still_asking(unit.connection, one, until)

            with suppress(EngineError):
                await self.office.engine.database.transact(work)

    async def _answer(self, one: Explanation) -> tuple[chat_explanations.State, str]:
        """The end of the question, and what is kept of it: the model's words, or a sentence of ours."""
        engine, section = self.office.engine, self.office.explain
        try:
            execution = await engine.execution(one.execution_id)
            if ending_of(execution) != one.ending:
                return "FAILED", _WENT_ON
            if section is None or not self.office.explains(execution):
                return "FAILED", OFF
            failure = await failure_of(engine, execution)
            how = (section.language, section.max_input, engine.masker.mask)
            told = await asyncio.to_thread(turns, failure, *how)  # a flow can be long
            said = await models.ask(section, engine.settings, engine.secrets, engine.masker, told)
        except NotFound:
            return "FAILED", "The run is no longer kept."
        except models.Unexplained as error:
            return "FAILED", plain(engine.masker.mask(f"{error.message} {error.fix}".strip()), 400)
        except Exception:
            reference = secrets.token_hex(3)
            log.exception("an explanation broke", execution_id=one.execution_id, ref=reference)
            return "FAILED", f"Something broke on my side (ref {code(reference)}). Ask again."
        return "DONE", engine.masker.mask(bounded(said))

    async def _tell(self, one: Explanation) -> None:
        """To all who wait: by the address their click came with, else by a notice, which is kept until it arrives."""
        database = self.office.engine.database
        flow_id = await self._flow_id(one)
        for listener in await database.read(lambda c: chat_explanations.waiting(c, one)):
            await self._tell_one(self.said(one, flow_id), listener)

    async def _flow_id(self, one: Explanation) -> str:
        with suppress(NotFound):
            return (await self.office.engine.execution(one.execution_id)).flow_id
        return "?"

    async def _tell_one(self, notice: Notice, listener: Listener) -> None:
        room, database = documents.room(listener.room), self.office.engine.database
        front_end, is_told = self.office.eligibility.membership.front_ends.get(room.platform), False
        in_thread = room.platform == "slack" and room.thread  # the address would speak beside the thread
        if front_end is not None and listener.answer_url and not in_thread:
            try:
                await front_end.answer(listener.answer_url, Reply(notice))
                is_told = True
            except Unreachable as refusal:
                log.info("an explanation goes another way", to=room.platform, reason=refusal.reason)
        now, document = self.office.now(), documents.dump(notice)

        def work(unit: Unit) -> None:
            chat_explanations.heard(unit.connection, listener.id)
            if not is_told:
                id_ = f"explained:{listener.id}"
                chat_messages.tell(unit.connection, id_, listener.room, listener.person, document, now)
                unit.after_commit(self.wake)

        await database.transact(work)


_WENT_ON = "The run has gone on since. Look at its card."


def _crowded(found: Crowded, section: ExplainSection, now: datetime) -> Notice:
    minutes = max(1, -int(-(found.until - now).total_seconds() // 60))
    who, most = ("You have", section.per_person) if found.is_own else ("All of you together have", section.in_total)
    return Notice(
        "warning",
        f"{who} asked the model {'once' if most == 1 else f'{most} times'} within an hour; it was not asked now. "
        f"Try again in {minutes} min. "
        "What was explained already is still told.",
    )
