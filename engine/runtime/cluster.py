"""One process among several on a database: takes up what falls to it, and hears what the others did.

Each execution falls to one of the processes that decide, chosen by its id among those that live. What happens
anywhere is a row first (an event in the inbox, a command in the outbox); the notification only makes it quick. When two
processes decide about the same execution all the same, the version of its row lets one of them through.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.clock import Clock, SharedClock
from engine.core.commands import RunTask, SetTimer
from engine.core.state import State
from engine.dispatch.procrastinate import ProcrastinateDispatcher
from engine.errors import NotFound, StoreFailed
from engine.logbook import LogBook
from engine.runtime.carrying import Carrier
from engine.runtime.changes import Change, Changes
from engine.runtime.deciding import Decider
from engine.runtime.flows import Flows
from engine.runtime.places import Places
from engine.runtime.schedules import Schedules
from engine.secrets import AtRest
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store import task_runs
from engine.store.commands import Stored
from engine.store.logs import LogLine
from engine.store.postgres import PostgresDatabase
from engine.store.presence import Lease, Presence
from engine.store.signals import Signal
from engine.store.writing import Unit

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks at rows nobody told us of
PATIENCE = 6.0  # seconds after which a row that is still there is taken up again
SWEEP_SECONDS = 2.0  # between two looks at workers that are silent
AWAY_SECONDS = 1.0  # between two tries while the database is away
AT_ONCE = 1000  # rows taken up in one look


@dataclass(frozen=True, slots=True)
class Parts:
    """What of an engine a cluster moves."""

    database: PostgresDatabase
    clock: Clock
    sealer: AtRest
    flows: Flows
    decider: Decider
    carrier: Carrier
    changes: Changes
    schedules: Schedules
    dispatcher: ProcrastinateDispatcher
    places: Places
    logbook: LogBook


class Cluster:
    """Keeps one process in step with the others."""

    def __init__(self, parts: Parts, role: str, queues: tuple[str, ...], heartbeat: float) -> None:
        self.role = role
        self._parts = parts
        self._heartbeat = heartbeat
        self.presence = Presence(
            parts.database, role, queues, self._heard, clock_shows=self._clock_shows, changed=self._members_changed
        )
        self.leads = False
        self._told: dict[str, Callable[[Signal], None]] = {
            "event": lambda signal: self._look_at(signal.words[0]),
            "command": lambda signal: self.wake(signal.words[0]),
            "execution": self._moved,
            "flow": lambda signal: self._see_to(lambda: parts.flows.heard(signal.words[0], signal.words[1])),
            "trigger": lambda signal: self._see_to(lambda: parts.schedules.told(*signal.words[:3])),
            "stop": lambda signal: parts.dispatcher.interrupt(signal.words[0]),
        }
        self._events: set[str] = set()  # executions of which an event waits
        self._everything = True  # look at all rows, whoever told us of them
        self._taken: dict[str, float] = {}  # rows of the outbox that were taken up, and when
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leading: asyncio.Task[None] | None = None
        self._started = False
        self._with_schedules = True
        self._lead_changes = asyncio.Lock()

    @property
    def decides(self) -> bool:
        """Whether this process decides about executions."""
        return self.role != "worker"

    @property
    def busy(self) -> bool:
        """Whether anything waits to be decided upon or carried out, anywhere; asks the database."""
        return self._parts.database.read_now(lambda c: inbox.any_waiting(c) or outbox.any_waiting(c))

    def owns(self, execution_id: str) -> bool:
        """Whether it falls to this process to decide about an execution."""
        return self.decides and self.presence.owns(execution_id)

    def on(self, topic: str, told: Callable[[Signal], None]) -> None:
        """Be told of lines with a topic."""
        self._told[topic] = told

    def hold(self, name: str, changed: Callable[[bool], None]) -> None:
        """Do what only one process may do at a time: `changed` is told each time it falls to us, or no longer."""
        self.presence.hold(Lease(name, changed))

    async def join(self) -> None:
        """Be one of them; StoreFailed."""
        await self._parts.dispatcher.install()
        if self.decides:
            self.presence.hold(Lease("lead", self._lead_changed, self._may_lead, self._lead_no_more))
        await self.presence.start()

    async def start(self, *, schedules: bool) -> None:
        """Take up what falls to us, from now on."""
        self._with_schedules = schedules
        self._parts.dispatcher.start()
        self._spawn(self._watch_own())
        self._started = True
        if not self.decides:
            return
        await self._look()
        await self._set_leading(self.leads)
        self._spawn(self._work())

    async def stop(self) -> None:
        """Take up nothing more."""
        self._started = False
        tasks = [*self._tasks, *([self._leading] if self._leading else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def leave(self) -> None:
        """Be one of them no longer; what fell to us falls to others."""
        await self.presence.stop()

    def wake(self, execution_id: str | None = None) -> None:
        """Something of the outbox is due: of an execution, or of any."""
        if execution_id is None or self.owns(execution_id):
            self._everything = True
            self._woken.set()

    # What the others say

    def _heard(self, signal: Signal) -> None:
        told = self._told.get(signal.topic)
        if told is None:
            return
        try:
            told(signal)
        except Exception:
            log.exception("Could not make use of %s.", signal)

    def _members_changed(self) -> None:
        """Somebody came or went, or we were away and may have missed something."""
        if self._started:
            self._see_to(self._parts.flows.catch_up)
        if self.decides:
            self._parts.decider.memory.forget()
            self.wake()

    def _clock_shows(self, theirs: datetime, took: timedelta) -> None:
        if isinstance(self._parts.clock, SharedClock):
            self._parts.clock.shown(theirs, took)

    def _look_at(self, execution_id: str) -> None:
        if self.owns(execution_id):
            self._events.add(execution_id)
            self._woken.set()

    def _moved(self, signal: Signal) -> None:
        execution_id, version, state, namespace, flow_id = signal.words[:5]
        self._parts.decider.memory.heard(execution_id, int(version))
        change = Change(execution_id, namespace, flow_id, State(state))
        if self._parts.changes.heard(change) and (change.state.is_terminal or change.state is State.PAUSED):
            self._see_to(lambda: self._arrived(execution_id))

    async def _arrived(self, execution_id: str) -> None:
        try:
            self._parts.changes.arrived(await self._parts.decider.current(execution_id))
        except NotFound:
            log.debug("Execution %s is gone already.", execution_id)

    # What falls to us

    async def _work(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                self._everything = True
            self._woken.clear()
            try:
                await self._look()
            except StoreFailed as error:
                log.warning("Could not look for what is to be done: %s", error)
                self._everything = True

    async def _look(self) -> None:
        ids, everything = self._events, self._everything
        self._events, self._everything = set(), False
        sealer, now = self._parts.sealer, self._parts.clock.now()
        if everything:
            waiting = await self._parts.database.read(lambda c: inbox.waiting(c, sealer, limit=AT_ONCE))
        else:
            waiting = await self._parts.database.read(lambda c: inbox.waiting_of(c, sealer, ids))
        for posted in waiting:
            if self.owns(posted.execution_id):
                self._parts.decider.post_stored(posted)
        if everything:
            for execution_id in self._parts.changes.waited_for():  # the word that it came so far may have been lost
                await self._arrived(execution_id)
            for row in await self._parts.database.read(lambda c: outbox.due(c, sealer, now, AT_ONCE)):
                self._take_up(row)

    def _take_up(self, row: Stored) -> None:
        now = time.monotonic()
        if not self.owns(row.execution_id) or now - self._taken.get(row.id, -PATIENCE) < PATIENCE:
            return
        if len(self._taken) > 10 * AT_ONCE:
            self._taken = {key: at for key, at in self._taken.items() if now - at < PATIENCE}
        self._taken[row.id] = now
        if isinstance(row.command, SetTimer):
            self._parts.carrier.fire(row.execution_id, row.command)
        elif isinstance(row.command, RunTask):
            self._spawn(self._adopt(row, row.command))
        else:
            self._parts.carrier.take_up(row)

    async def _adopt(self, row: Stored, command: RunTask) -> None:
        """A task that was asked for on a file, from which this database was made: give it to the workers."""
        execution = await self._parts.decider.current(row.execution_id)

        def work(unit: Unit) -> None:
            if outbox.take(unit.connection, row.id):
                self._parts.dispatcher.store(unit, execution, command)

        await self._parts.database.transact(work)

    async def _watch_own(self) -> None:
        """Stop what runs here and was killed: the word that said so may have been lost."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            running = self._parts.dispatcher.running()
            if not running:
                continue
            try:
                stopped = await self._parts.database.read(lambda c, ids=running: task_runs.stopped(c, ids))  # type: ignore[misc]
            except StoreFailed:
                continue
            for key in stopped:
                self._parts.dispatcher.interrupt(key)

    # Leading

    def _may_lead(self) -> bool:
        """Processes that are there to schedule go first; a bot does it when there is none."""
        if self.role in ("all", "scheduler"):
            return True
        return not any(member.role in ("all", "scheduler") for member in self.presence.members)

    def _lead_changed(self, held: bool) -> None:
        self.leads = held
        if self._started:
            self._see_to(lambda: self._set_leading(held))

    async def _lead_no_more(self) -> None:
        self.leads = False
        await self._set_leading(False)

    async def _set_leading(self, held: bool) -> None:
        async with self._lead_changes:
            if held != self.leads:
                return
            schedules = self._parts.schedules
            if self._leading is not None:
                self._leading.cancel()
                await asyncio.gather(self._leading, return_exceptions=True)
                self._leading = None
            if held:
                self._leading = asyncio.create_task(self._sweep(), name="sweep")
            if self._with_schedules:
                await schedules.stop()
                await schedules.start(leads=held)

    async def _sweep(self) -> None:
        """Offer again what silent workers had, and see to jobs whose worker is not there."""
        said: set[str] = set()
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self._heartbeat / 2))
            try:
                await self._parts.dispatcher.sweep()
                await self._parts.places.offer_all()
                await self._parts.schedules.catch_up()
                await self._see_to_unserved(said)
            except Exception as error:  # noqa: BLE001 - the next round comes soon
                log.warning("Could not look after silent workers: %s", error)

    async def _see_to_unserved(self, said: set[str]) -> None:
        """Say which executions wait for a worker that is not there; those that are killed need none."""
        served = {queue for member in self.presence.members for queue in member.queues}
        unserved = await self._parts.dispatcher.unserved(sorted(served))
        ids = {job.task_run_id for _, job in unserved}
        stopped = await self._parts.database.read(lambda c: task_runs.stopped(c, ids)) if ids else set()
        for group, job in unserved:
            if job.task_run_id in stopped:  # whoever killed it died before the job was taken back
                self._parts.dispatcher.withdraw(job.task_run_id)
                continue
            if job.task_run_id in said:
                continue
            said.add(job.task_run_id)
            if len(said) > 10 * AT_ONCE:
                said.clear()
            self._parts.logbook.add(
                LogLine(
                    self._parts.clock.now(),
                    "WARN",
                    None,
                    job.task_run_id,
                    job.attempt,
                    missing(group),
                    execution_id=job.execution_id,
                )
            )

    def _see_to(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._spawn(self._insistent(work))

    async def _insistent(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something, again while the database is away: nobody will say it a second time."""
        while True:
            try:
                return await work()
            except StoreFailed as error:
                log.warning("What another process said can't be followed yet: %s", error)
            await asyncio.sleep(AWAY_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("Something another process said could not be followed.", exc_info=error)


def missing(group: str | None) -> str:
    """What an execution says that waits for a worker."""
    if group is None:
        return "Waiting for a worker: none is running. Start one with `parley up --role worker`."
    return (
        f"Waiting for a worker of the group {group!r}: none is running. "
        f"Start one with `parley up --role worker --worker-group {group}`."
    )
