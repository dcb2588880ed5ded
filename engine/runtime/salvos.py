"""Salvos: many schedules that are due at the same moment, fired with few statements and without blocking the loop.

Only plain dates are fired like that: nothing to recover, no backfill, no conditions, nothing under way. When one of a
chunk meets anything unexpected, all of the chunk are fired one by one, as schedules usually are.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from engine.aside import waits
from engine.clock import Clock
from engine.core.durations import parse as parse_duration
from engine.core.execution import Execution, Origin
from engine.core.flow import Flow
from engine.core.inputs import RenderFn
from engine.core.labels import read_labels
from engine.core.triggers import Dated, Scheduled
from engine.errors import EngineError
from engine.runtime.creation import may_wait
from engine.runtime.starts import Start, Starts
from engine.store import triggers as rows
from engine.store.database import Database, Unit
from engine.store.triggers import TriggerState

SALVO = 32  # dates from which on they are fired together
CHUNK = 100  # fires in one unit of work
SLICE = 0.01  # seconds of preparing before others get a turn
IN_LINE = 500  # executions that are remembered until they begin; what the others are is read then
UNDER_WAY = 200  # executions that are being decided upon while further ones begin
PAUSE = 0.002  # seconds until it is looked again whether further ones may
BREATH = 0.001  # seconds between two schedules that are looked ahead for
REST = 0.01  # seconds until it is looked again whether nothing is fired


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known of a date before it comes: the date after it, and what expressions see of it."""

    date: datetime
    tick: datetime | None
    variables: Dated


@dataclass(slots=True)
class Entry:
    """One schedule of a flow, and where it stands."""

    flow: Flow
    trigger: Scheduled
    state: TriggerState
    zone: tzinfo  # of dates whose trigger names none
    ahead: Ahead | None = None
    is_slow: bool = field(init=False)  # what it starts may take long, or have to wait for a disk or a network first

    def __post_init__(self) -> None:
        checks = [text for check in self.flow.checks for text in (check.condition, check.message)]
        labels = [value for _, value in read_labels(self.trigger.labels)]
        self.is_slow = may_wait(self.flow.inputs) or waits([self.trigger.inputs, labels, checks])

    @property
    def key(self) -> str:
        """`namespace/flow/trigger`."""
        return self.state.key

    def is_due(self, until: datetime) -> bool:
        """Whether its next date comes until then."""
        date = self.state.next_date
        return date is not None and date <= until

    @property
    def is_plain(self) -> bool:
        """Whether its dates depend on nothing but the date."""
        trigger = self.trigger
        return not trigger.conditions and trigger.when is None and trigger.late_maximum_delay is None

    def is_late(self, date: datetime, now: datetime) -> bool:
        """Whether it is too late to fire for a date."""
        limit = self.trigger.late_maximum_delay
        if isinstance(limit, str):
            limit = parse_duration(limit)
        return limit is not None and now - date > limit

    @property
    def wants_ahead(self) -> bool:
        """Whether its next date has not been looked at."""
        date = self.state.next_date
        return self.is_plain and date is not None and (self.ahead is None or self.ahead.date != date)

    def looked_ahead(self, date: datetime, render: RenderFn) -> Ahead:
        """What a date of it wants to know."""
        if self.ahead is None or self.ahead.date != date:
            local = date.astimezone(self.trigger.zone(self.zone))
            self.ahead = Ahead(date, self.trigger.tick(local), self.trigger.variables_at(local, render))
        return self.ahead

    def next_after(self, date: datetime) -> datetime | None:
        """The next date strictly after another, whatever the conditions say."""
        ahead = self.ahead
        if ahead is not None and ahead.date <= date and (ahead.tick is None or date < ahead.tick):
            return ahead.tick
        return self.trigger.tick(date.astimezone(self.zone))


def may_join(entry: Entry, until: datetime) -> bool:
    """Whether the next date of a schedule is due and may be fired together with others."""
    state = entry.state
    free = not state.disabled and state.backfill is None and state.execution_id is None
    return entry.is_due(until) and free and entry.is_plain and not entry.is_slow


@dataclass(frozen=True, slots=True)
class Shot:
    """One fire, ready to be written."""

    entry: Entry
    date: datetime
    start: Start
    state: TriggerState  # where the trigger stands afterwards


class Salvos:
    """Fires many dates. `keep` is told where each trigger stands once that is on disk; `undecided` tells how many
    executions are being decided upon."""

    def __init__(
        self,
        database: Database,
        starts: Starts,
        clock: Clock,
        keep: Callable[[TriggerState], None],
        undecided: Callable[[], int],
    ) -> None:
        self._database = database
        self._starts = starts
        self._clock = clock
        self._keep = keep
        self._undecided = undecided
        self._turn = asyncio.Lock()
        self._firing = 0
        self._beginning = False
        self._unseen: dict[str, Entry] = {}  # schedules whose next date nobody has looked at
        self._ahead: asyncio.Task[None] | None = None
        self._made: deque[tuple[str, str, Execution | None]] = deque()  # written, but not begun

    async def stop(self) -> None:
        """Look ahead no more."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.gather(self._ahead, return_exceptions=True)

    async def fire(self, entries: Sequence[Entry]) -> set[str]:
        """Fire the next date of each; the keys of those that have to be looked at one by one. The executions are on
        disk then; `begin` begins them."""
        left: set[str] = set()
        self._firing += 1
        try:
            async with self._turn:
                for begin in range(0, len(entries), CHUNK):
                    shots = await self._shots(entries[begin : begin + CHUNK], left)
                    try:
                        self._line_up(await self._write(shots))
                    except Exception:  # noqa: BLE001 - each is tried alone, and says then what is wrong with it
                        left |= {shot.entry.key for shot in shots}
        finally:
            self._firing -= 1
        return left

    def _line_up(self, made: Iterable[tuple[Execution, str]]) -> None:
        for execution, row in made:
            self._made.append((execution.id, row, execution if len(self._made) < IN_LINE else None))

    def expect(self, entries: Iterable[Entry]) -> None:
        """Work out ahead, in small pieces, what the next dates of schedules will want to know."""
        self._unseen.update((entry.key, entry) for entry in entries if entry.wants_ahead)
        if self._unseen and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.create_task(self._keep_ahead(), name="schedules ahead")

    async def _keep_ahead(self) -> None:
        while self._unseen:
            if self._firing:  # dates that have come go first
                await asyncio.sleep(REST)
                continue
            _, entry = self._unseen.popitem()
            if entry.wants_ahead:
                self._look_ahead(entry)
                await asyncio.sleep(BREATH)

    def _look_ahead(self, entry: Entry) -> Ahead | None:
        """What the next date of a schedule wants to know, if it has one."""
        date = entry.state.next_date
        return None if date is None else entry.looked_ahead(date, self._starts.render_for(entry.flow))

    async def begin(self) -> None:
        """Begin what was fired: only while no fire waits, so that none is late because of the work of another, and only
        so many at a time, so that neither memory nor the loop is full of them. Whoever fires calls it afterwards."""
        if self._beginning:
            return
        self._beginning = True
        began = time.monotonic()
        try:
            while self._made and not self._firing:
                if self._undecided() >= UNDER_WAY or time.monotonic() - began > SLICE:
                    await asyncio.sleep(PAUSE)
                    began = time.monotonic()
                else:
                    self._starts.creator.begun(*self._made.popleft())
        finally:
            self._beginning = False

    async def _shots(self, entries: Sequence[Entry], left: set[str]) -> list[Shot]:
        shots, began = [], time.monotonic()
        for entry in entries:
            ahead = self._look_ahead(entry)
            if ahead is None:
                left.add(entry.key)
                continue
            variables = ahead.variables
            names = {"trigger": variables, "schedule": variables}
            now = self._clock.now()
            try:
                start = await self._starts.start(entry.flow, entry.trigger, variables, names)
            except EngineError:
                left.add(entry.key)
                continue
            if start.prepared.failed_check is not None:
                left.add(entry.key)
                continue
            moved = replace(
                entry.state,
                next_date=ahead.tick,
                last_date=ahead.date,
                execution_id=start.prepared.id,
                updated=now,
            )
            shots.append(Shot(entry, ahead.date, start, moved))
            if time.monotonic() - began > SLICE:
                await asyncio.sleep(0)
                began = time.monotonic()
        return shots

    async def _write(self, shots: Sequence[Shot]) -> list[tuple[Execution, str]]:
        now = self._clock.now()

        def work(unit: Unit) -> list[tuple[Execution, str]]:
            claims = [(shot.entry.key, shot.date, shot.start.prepared.id) for shot in shots]
            rows.claim_all(unit.connection, claims, now)
            made = []
            for shot in shots:
                trigger = shot.entry.trigger
                origin = Origin(trigger.id, trigger.type, shot.start.variables)
                made.append(self._starts.creator.create_waiting(unit, shot.start.prepared, origin, shot.start.labels))
            rows.move_all(unit.connection, [(shot.entry.state, shot.state) for shot in shots])
            unit.after_commit(kept)
            return made

        def kept() -> None:
            for shot in shots:
                self._keep(shot.state)

        return await self._database.transact(work)
