"""Carries out what was decided, after it is on disk; and takes it up again after a restart."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import partial
from weakref import WeakValueDictionary

from engine.clock import Clock
from engine.core.commands import CancelTimer, CreateRetry, RunTask, SetTimer, StartSubflow, StopTask
from engine.core.events import Started, TaskEnded, TimerFired
from engine.core.state import State
from engine.dispatch.inline import Dispatcher, Job, Timers
from engine.errors import StoreFailed
from engine.logbook import LogBook
from engine.runtime.answers import Answers
from engine.runtime.changes import Changes
from engine.runtime.creation import START
from engine.runtime.deciding import Decider
from engine.runtime.decision import Decision
from engine.runtime.flow_triggers import FlowTriggers
from engine.runtime.flows import Flows
from engine.runtime.homes import WorkerHome
from engine.runtime.places import Places
from engine.runtime.slots import FlowKey, Slots
from engine.runtime.subflows import Subflows
from engine.store.commands import Announcement, Stored, stored, timer_key

log = logging.getLogger(__name__)

AT_ONCE = 8  # executions that one flow starts at a time: one that goes on without end leaves the database to others


class Carrier:
    """Hands commands to whoever does them. The parts without a value here are set once they exist."""

    decider: Decider
    dispatcher: Dispatcher
    home: WorkerHome
    subflows: Subflows
    flow_triggers: FlowTriggers
    answers: Answers

    def __init__(
        self, clock: Clock, flows: Flows, timers: Timers, slots: Slots, changes: Changes, logbook: LogBook
    ) -> None:
        self.clock = clock
        self.flows = flows
        self.timers = timers
        self.slots = slots
        self.changes = changes
        self.logbook = logbook
        self.alarm: Callable[[], None] | None = None  # looks for timers that are due, where their rows are shared
        self.places: Places | None = None  # in place of `slots`, where others decide too
        self._background: set[asyncio.Task[None]] = set()
        self._in_hand: set[str] = set()  # rows that wait for their turn, or have it
        self._turns: WeakValueDictionary[FlowKey, asyncio.Semaphore] = WeakValueDictionary()
        self._open = True

    @property
    def busy(self) -> int:
        """How much is being done besides tasks."""
        return len(self._background)

    def decided(self, decision: Decision) -> None:
        """A decision is on disk: do what follows from it."""
        execution = decision.after
        flow = (execution.namespace, execution.flow_id)
        for command in decision.commands:
            match command:
                case RunTask():
                    self._offer(execution.id, command, flow)
                case StopTask(task_run_id):
                    for job in self.dispatcher.withdraw(task_run_id):
                        self.killed(job)
                case SetTimer():
                    self.set_timer(execution.id, command)
                case CancelTimer(key):
                    self.timers.cancel(timer_key(execution.id, key))
                case StartSubflow() | CreateRetry():
                    self.take_up(stored(execution.id, command, execution.version), flow)
        for announcement in decision.announcements:
            self.take_up(announcement, flow)
        if self.places is None:
            following = self.slots.committed(execution)
            if following is not None:
                self.decider.post(following, Started(self.clock.now()))
        elif self.places.is_free(decision):
            self._spawn(partial(self.places.offer, execution.namespace, execution.flow_id))
        self.changes.publish(decision.before, execution)

    def take_up(self, row: Stored, flow: FlowKey | None = None) -> None:
        """Do what a row of the outbox asks for; `flow`: of its execution, where that is known."""
        match row.command:
            case RunTask() as command:
                self._offer(row.execution_id, command, flow)
            case SetTimer() as command:
                self.set_timer(row.execution_id, command)
            case StartSubflow():
                self._in_turn(row, flow, self.subflows.start)
            case CreateRetry(at):
                self.timers.set(row.id, at, lambda: self._spawn(lambda: self.subflows.retry(row)))
            case Announcement():
                self._in_turn(row, flow, self.flow_triggers.handle)

    def set_timer(self, execution_id: str, timer: SetTimer) -> None:
        """Post an event at a time."""

        def fire() -> None:
            if self.alarm is not None:
                self.alarm()
            else:
                self.fire(execution_id, timer)

        self.timers.set(timer_key(execution_id, timer.key), timer.at, fire)

    def fire(self, execution_id: str, timer: SetTimer) -> None:
        """The time of a timer has come."""
        now = self.clock.now()
        if timer.key == START:
            self.decider.post(execution_id, Started(now), drops=timer_key(execution_id, START))
        elif timer.key.startswith("pause:"):
            self._spawn(lambda: self.answers.expire(execution_id, timer))
        else:
            self.decider.post(execution_id, TimerFired(now, timer.key))

    def killed(self, job: Job) -> None:
        """An attempt was interrupted, or taken back before it began, because its execution is killed."""
        self.home.mention(job.execution_id, killed(job, self.clock.now()), self.logbook.take(job.execution_id))

    async def end_killed(self, job: Job) -> None:
        """The same; kept when this returns."""
        await self.home.end(job.execution_id, killed(job, self.clock.now()), self.logbook.take(job.execution_id))

    async def stop(self) -> None:
        """Do nothing more; rows stay for the next start."""
        self._open = False
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _offer(self, execution_id: str, command: RunTask, flow: FlowKey | None) -> None:
        lane = execution_id if flow is None else "/".join(flow)
        self.dispatcher.offer(Job(execution_id, command.task_run_id, command.attempt, lane))

    def _in_turn(self, row: Stored, flow: FlowKey | None, work: Callable[[Stored], Awaitable[None]]) -> None:
        """Do what a row asks for that makes executions, beside a few others of the same flow."""
        if row.id in self._in_hand:
            return
        self._in_hand.add(row.id)
        turns = self._turns.setdefault(flow or ("", ""), asyncio.Semaphore(AT_ONCE))

        async def in_turn() -> None:
            try:
                async with turns:
                    await _until_stored(partial(work, row))
            finally:
                self._in_hand.discard(row.id)

        self._begin(in_turn())

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        self._begin(_until_stored(work))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        if not self._open:
            work.close()
            return
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def killed(job: Job, now: datetime) -> TaskEnded:
    """The end of an attempt whose execution is killed."""
    return TaskEnded(now, job.task_run_id, job.attempt, State.KILLED, now)


async def _until_stored(work: Callable[[], Awaitable[None]]) -> None:
    """Do some work, again when the database could not be written."""
    wait = 0.5
    while True:
        try:
            await work()
        except StoreFailed as error:
            log.error("Trying again in %.1f s: %s", wait, error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 30.0)
        except Exception:
            log.exception("A command could not be carried out; it is tried again at the next start.")
            return
        else:
            return
