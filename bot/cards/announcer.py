"""Sees to it that chat shows what happens: for each change of an execution, which messages are wanted or stale.

Only the wish is written here, into the table; the outbox draws and sends. After a start everything that is not final is
looked at once, and the table of pauses is swept now and then, so that a card appears although a change went unheard.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from bot.approvals.rungs import steps_of
from bot.cards import run_posts
from bot.cards.parts import due
from bot.cards.run_posts import want_card
from bot.conversation import Room
from bot.office import Office
from engine.core.execution import Execution
from engine.core.state import State
from engine.errors import EngineError, NotFound
from engine.store import chat_ladder, chat_messages
from engine.store.chat_messages import DECISION, Message
from engine.store.database import Unit
from engine.store.pauses import PauseRow
from engine.store.pauses import find as find_pauses

log = logging.getLogger(__name__)
SWEEP = 60.0  # seconds between two looks at all waiting pauses
RETRY = 1.0  # seconds after which a database that could not be written is tried again
MANY = 10_000
MAX_ERRORS = 200
FRESH = timedelta(hours=1)  # how late a date may be for its run to be shown


class Announcer:
    """Follows the engine."""

    def __init__(self, office: Office, wake: Callable[[], None], planned: Callable[[], None]) -> None:
        self.office = office
        self.wake = wake
        self.planned = planned  # called when there is something to do later
        self._tasks: list[asyncio.Task[None]] = []
        self._jumped = asyncio.Event()
        self._forget_jumps: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Follow from now on; what happened before is caught up with first."""
        subscribed = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._follow(subscribed), name="announcer"),
            asyncio.create_task(self._sweep(), name="announcer sweep"),
            asyncio.create_task(self._hurry(), name="announcer hurry"),
        ]
        self._jumped.set()  # perhaps it did while nothing ran
        self._forget_jumps = self.office.engine.clock.on_jump(self._jumped.set)
        await subscribed.wait()
        now = self.office.now()
        await self.office.engine.database.transact(lambda unit: chat_messages.touch_live(unit.connection, now))
        await self._catch_up()

    async def stop(self) -> None:
        """Follow no more."""
        self._forget_jumps()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, subscribed: asyncio.Event) -> None:
        async with self.office.engine.subscribe() as changes:
            subscribed.set()
            async for change in changes:
                own = self.office.engine.schedules.own
                await self._guarded(change.execution_id, scheduled=own.any_of(change.namespace, change.flow_id))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self._catch_up()
            except Exception:
                log.exception("The sweep of waiting pauses broke; trying again in %g s.", SWEEP)

    async def _hurry(self) -> None:
        """When the clock jumped, the times until which messages were put off mean nothing: they are tried at once."""
        while True:
            await self._jumped.wait()
            self._jumped.clear()

            def work(unit: Unit) -> None:
                chat_messages.hurry(unit.connection, self.office.now())

            try:
                await self.office.engine.database.transact(work)
            except EngineError as error:
                log.warning("What was put off can't be taken up yet: %s", error)
                self._jumped.set()
                await asyncio.sleep(RETRY)
            self.wake()

    async def _catch_up(self) -> None:
        """Every waiting pause has its cards, and pauses that ended unheard are drawn again."""
        waiting = await self.office.engine.pauses(limit=MANY)
        live = await self.office.engine.database.read(chat_messages.live_executions)
        for execution_id in dict.fromkeys([*(pause.execution_id for pause in waiting), *live]):
            await self._guarded(execution_id)

    async def _guarded(self, execution_id: str, *, scheduled: bool = False) -> None:
        try:
            await self.look_at(execution_id, scheduled=scheduled)
        except NotFound:
            return
        except EngineError as error:
            log.warning("Chat can't show run %s: %s", execution_id, error)
        except Exception:
            log.exception("Chat can't show run %s.", execution_id)

    async def look_at(self, execution_id: str, *, scheduled: bool = False) -> None:
        """Bring the wishes for one execution up to its state; `scheduled`: its flow has schedules that were added in a
        room, which wants to see what they start."""
        engine = self.office.engine
        shown, pauses = await engine.database.read(
            lambda c: (chat_messages.showing(c, execution_id=execution_id), find_pauses(c, execution_id=execution_id))
        )
        if not shown and not pauses and not scheduled:
            return  # most executions: nobody in chat looks at them
        execution = await engine.execution(execution_id)
        room = self.office.scheduled_room(execution) if all(one.kind == "pause" for one in shown) else None
        if room is not None and _is_made_up_for(execution):
            room = None
        if not shown and not pauses and room is None:
            return
        missing = await self._missing(execution, pauses, shown)
        errors: list[tuple[str, str]] = []
        if execution.state is State.FAILED and any(
            message.kind == "word" or message.state == "QUIET" for message in shown
        ):
            lines = await engine.logs(execution_id, level="ERROR", limit=MAX_ERRORS)
            errors = [(line.task_id or "", line.message) for line in lines]
        await engine.database.transact(partial(self._write, execution, pauses, shown, missing, errors, room))
        self.wake()

    async def _missing(
        self, execution: Execution, pauses: list[PauseRow], shown: list[Message]
    ) -> list[tuple[PauseRow, Room]]:
        there = {message.entity for message in shown if message.kind == "pause"}
        unseen = [pause for pause in pauses if pause.id not in there]
        return [(pause, room) for pause in unseen for room in await self.office.rooms_of(execution, pause)]

    def _write(
        self,
        execution: Execution,
        pauses: list[PauseRow],
        shown: list[Message],
        missing: list[tuple[PauseRow, Room]],
        errors: list[tuple[str, str]],
        room: Room | None,
        unit: Unit,
    ) -> None:
        now = self.office.now()
        steps = [step for pause in pauses for step in steps_of(self.office.eligibility.rule(pause), pause)]
        if chat_ladder.plan(unit.connection, steps):
            unit.after_commit(self.planned)
        for pause, where in missing:
            want_card(unit, self.office.new_id(), "pause", pause.id, execution.id, where, now)
        if room is not None:
            run_posts.show_run(unit, self.office, execution, room, now, quiet=False)
            shown = chat_messages.showing(unit.connection, execution_id=execution.id)
        run_posts.follow(unit, self.office, execution, shown, errors)
        waiting = {pause.id for pause in pauses}
        for message in shown:
            if message.kind == "pause" and message.state == "LIVE" and message.entity not in waiting:
                chat_messages.touch(unit.connection, entity=message.entity, urgency=DECISION, now=now)


def _is_made_up_for(execution: Execution) -> bool:
    """Whether a run stands for a date long before it: of a backfill, or missed while the bot was away. Cards of such
    would come by the hundred."""
    date = due(execution)
    return date is not None and execution.created - date > FRESH
