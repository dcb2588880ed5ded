"""Carries out commands in this process: task attempts side by side, timers one after the other.

Attempts wait in lanes (one a flow) that take turns, so that a fan-out of a thousand does not keep another flow waiting;
and a lane has its share of what may run, so that tasks of one flow that hang leave room for others.
"""

import asyncio
import heapq
import itertools
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from engine.clock import Clock, wait_until
from engine.core.commands import RunTask
from engine.core.execution import Execution
from engine.store.writing import Unit

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to run."""

    execution_id: str
    task_run_id: str
    attempt: int
    lane: str = ""
    version: int = 0  # of the execution that asked for it; whoever runs it must not have seen less


class Dispatcher(Protocol):
    """Who sees to it that task attempts run."""

    @property
    def busy(self) -> int:
        """How many jobs run or wait in this process."""

    @property
    def waiting(self) -> int:
        """How many jobs wait for a free worker, wherever it may be."""

    @property
    def under_way(self) -> int:
        """How many jobs run in this process."""

    def start(self) -> None:
        """Begin to run jobs."""

    def store(self, unit: Unit, execution: Execution, command: RunTask) -> bool:
        """Keep what is asked for, in the transaction of the decision; False when a row of the outbox has to."""

    def offer(self, job: Job) -> None:
        """What was asked for is on disk: run it."""

    def withdraw(self, task_run_id: str) -> list[Job]:
        """Take back what waits for a task run, and interrupt what runs; the jobs that had not begun, if known now."""

    async def stop(self, grace: float) -> None:
        """Begin nothing more; give what runs `grace` seconds, then interrupt it: it runs again later."""


class InlineDispatcher:
    """Runs jobs as asyncio tasks, at most `workers` at once, of one lane at most `share` of them."""

    def __init__(
        self,
        run: Callable[[Job], Awaitable[None]],
        killed: Callable[[Job], None],
        workers: int,
        share: int | None = None,
    ) -> None:
        self._run = run
        self._tell_killed = killed
        self._interrupted: set[tuple[str, int]] = set()
        self._workers = workers
        self._share = workers if share is None else share
        self._taken = Counter[str]()  # by lane, of those that run
        self._lanes: OrderedDict[str, deque[Job]] = OrderedDict()
        self._known: dict[tuple[str, int], Job] = {}  # waiting or running
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._open = False

    @property
    def busy(self) -> int:
        """How many jobs run or wait."""
        return len(self._known)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._known) - len(self._running)

    @property
    def under_way(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    def start(self) -> None:
        """Begin to run what was offered."""
        self._open = True
        self._fill()

    def store(self, unit: Unit, execution: Execution, command: RunTask) -> bool:
        """Whether the dispatcher keeps what is asked for itself; here a row of the outbox does."""
        return False

    def offer(self, job: Job) -> None:
        """Run a job when there is room; one that waits or runs already is not taken twice."""
        key = (job.task_run_id, job.attempt)
        if key in self._known:
            return
        self._known[key] = job
        self._lanes.setdefault(job.lane, deque()).append(job)
        self._fill()

    def withdraw(self, task_run_id: str) -> list[Job]:
        """Take back what still waits for a task run, and interrupt what runs; the jobs that had not begun."""
        waiting = []
        for key, job in tuple(self._known.items()):
            if job.task_run_id != task_run_id:
                continue
            running = self._running.get(key)
            if running is not None:
                self._interrupted.add(key)
                running.cancel()
                continue
            self._lanes[job.lane].remove(job)
            if not self._lanes[job.lane]:
                del self._lanes[job.lane]
            del self._known[key]
            waiting.append(job)
        return waiting

    async def stop(self, grace: float) -> None:
        """Begin nothing more; give what runs `grace` seconds, then interrupt it: it runs again at the next start."""
        self._open = False
        running = list(self._running.values())
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=5)

    def _fill(self) -> None:
        while self._open and len(self._running) < self._workers and (lane := self._next_lane()) is not None:
            jobs = self._lanes.pop(lane)
            job = jobs.popleft()
            if jobs:
                self._lanes[lane] = jobs  # to the end of the row
            self._taken[lane] += 1
            key = (job.task_run_id, job.attempt)
            task = asyncio.create_task(self._guarded(job), name=f"job {job.task_run_id}")
            self._running[key] = task
            task.add_done_callback(lambda done, job=job: self._ended(done, job))  # type: ignore[misc]

    def _next_lane(self) -> str | None:
        return next((lane for lane, jobs in self._lanes.items() if jobs and self._taken[lane] < self._share), None)

    async def _guarded(self, job: Job) -> None:
        try:
            await self._run(job)
        except Exception:
            log.exception("The worker broke on task run %s; it runs again at the next start.", job.task_run_id)

    def _ended(self, done: asyncio.Task[None], job: Job) -> None:
        key = (job.task_run_id, job.attempt)
        self._running.pop(key, None)
        self._known.pop(key, None)
        self._taken[job.lane] -= 1
        if not self._taken[job.lane]:
            del self._taken[job.lane]
        if key in self._interrupted:
            self._interrupted.discard(key)
            if done.cancelled():
                self._tell_killed(job)
        self._fill()


@dataclass(order=True, slots=True)
class Entry:
    """One timer in the heap."""

    at: datetime
    number: int
    key: str = field(compare=False)


class Timers:
    """Calls back at given times; one heap, one sleeping task."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Entry] = []
        self._calls: dict[str, tuple[int, Callable[[], None]]] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to call."""
        self._task = asyncio.create_task(self._work(), name="timers")

    async def stop(self) -> None:
        """Call nobody any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def set(self, key: str, at: datetime, call: Callable[[], None]) -> None:
        """Call at a time; the same key again moves it."""
        number = next(self._numbers)
        self._calls[key] = (number, call)
        heapq.heappush(self._heap, Entry(at, number, key))
        self._changed.set()

    def cancel(self, key: str) -> None:
        """Forget a timer, if it is there."""
        self._calls.pop(key, None)

    def due(self) -> list[tuple[datetime, str]]:
        """(time, key) of every timer that is set, soonest first."""
        live = (entry for entry in self._heap if self._calls.get(entry.key, (None,))[0] == entry.number)
        return sorted((entry.at, entry.key) for entry in live)

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            while self._heap and self._calls.get(self._heap[0].key, (None,))[0] != self._heap[0].number:
                heapq.heappop(self._heap)  # moved or cancelled
            if not self._heap:
                await self._changed.wait()
                continue
            if not await wait_until(self._clock, self._heap[0].at, self._changed):
                continue
            entry = heapq.heappop(self._heap)
            found = self._calls.get(entry.key)
            if found is not None and found[0] == entry.number:
                del self._calls[entry.key]
                try:
                    found[1]()
                except Exception:
                    log.exception("A timer's call failed: %s", entry.key)
            await asyncio.sleep(0)
