"""The alarm clock of schedules: APScheduler in a thread of its own, which only says that a date has come.

Nothing is stored here: schedules are rebuilt from the flows at start, and which date is due stands in the engine's own
rows. So a late or repeated alarm does no harm, and none is lost.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from engine.clock import Clock

log = logging.getLogger(__name__)

MILLISECOND = timedelta(milliseconds=1)

NextAfter = Callable[[datetime], datetime | None]  # the next date strictly after another


class Dates(BaseTrigger):  # type: ignore[misc]
    """The dates of one schedule, on the machine's clock."""

    __slots__ = ("_clock", "_known", "_next_after")

    def __init__(self, next_after: NextAfter, clock: Clock) -> None:
        self._next_after = next_after
        self._clock = clock
        self._known: tuple[datetime, datetime | None] | None = None  # APScheduler asks twice whenever one has come

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The next date to come: one alarm is enough for all that have passed since the last, when the clock was set or
        the machine slept. The engine's clock may be shifted against the machine's."""
        after = max(previous_fire_time or now, now)
        if self._known is None or self._known[0] != after:
            self._known = (after, self._following(after))
        return self._known[1]

    def _following(self, after: datetime) -> datetime | None:
        begun, theirs, ended = datetime.now(UTC), self._clock.now(), datetime.now(UTC)
        is_same = begun <= theirs <= ended  # however long it took to look
        shift = timedelta(0) if is_same else round((theirs - ended) / MILLISECOND) * MILLISECOND
        try:
            date = self._next_after(after + shift)
        except Exception:
            log.exception("A schedule could not tell its next date; it stops.")
            return None
        return None if date is None else date.astimezone(UTC) - shift  # in a zone this would be on the wall's clock


class HandOver(BaseExecutor):  # type: ignore[misc]
    """Runs nothing: tells the event loop which schedules are due, many at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[list[str]], None]) -> None:
        super().__init__()
        self._loop = loop
        self._due = due
        self._batch: list[str] = []

    def _do_submit_job(self, job: Any, run_times: list[datetime]) -> None:
        with self._lock:
            first = not self._batch
            self._batch.append(job.id)
        if first:
            self._loop.call_soon_threadsafe(self._deliver)
        self._run_job_success(job.id, [])

    def _deliver(self) -> None:
        with self._lock:
            batch, self._batch = self._batch, []
        self._due(batch)


class Scheduler:
    """Calls `due(keys)` on the event loop whenever dates of schedules have come."""

    def __init__(self, clock: Clock, due: Callable[[list[str]], None]) -> None:
        self._clock = clock
        self._due = due
        self._dates: dict[str, NextAfter] = {}
        self._scheduler: Any = None
        self._forget_jumps: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to call."""
        defaults = {"coalesce": False, "misfire_grace_time": None, "max_instances": 1_000_000}
        self._scheduler = BackgroundScheduler(timezone=UTC, job_defaults=defaults)
        self._scheduler.add_executor(HandOver(asyncio.get_running_loop(), self._due), "default")
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        for key, next_after in self._dates.items():
            self._add(key, next_after)
        self._scheduler.start()
        self._forget_jumps = self._clock.on_jump(self._jumped)

    def stop(self) -> None:
        """Call no more."""
        self._forget_jumps()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def sync(self, dates: Mapping[str, NextAfter]) -> None:
        """Keep exactly these schedules; those whose function is the same as before are left alone."""
        for key in self._dates.keys() - dates.keys():
            self._remove(key)
        for key, next_after in dates.items():
            if self._dates.get(key) != next_after:
                if key in self._dates:
                    self._remove(key)
                self._add(key, next_after)
        self._dates = dict(dates)

    def _add(self, key: str, next_after: NextAfter) -> None:
        if self._scheduler is not None:
            self._scheduler.add_job(_nothing, Dates(next_after, self._clock), id=key)

    def _remove(self, key: str) -> None:
        if self._scheduler is not None and self._scheduler.get_job(key) is not None:
            self._scheduler.remove_job(key)

    def _jumped(self) -> None:
        """The clock was moved: every date lies elsewhere now, and some may have come."""
        for key, next_after in self._dates.items():
            self._remove(key)
            self._add(key, next_after)
        self._due(list(self._dates))


def _nothing() -> None:
    """What APScheduler believes it calls."""
