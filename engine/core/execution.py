"""Execution and TaskRun: what has happened so far, as immutable values."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

from engine.core.state import State

Histories = tuple[tuple[State, datetime], ...]

CHUNK = 64  # task runs copied by one change
R = TypeVar("R")


def altered(record: R, **fields: Any) -> R:
    """A copy of a frozen record with some fields changed: `dataclasses.replace` for those that change at every step."""
    kind = type(record)
    copy = object.__new__(kind)
    put = object.__setattr__
    for name in kind.__slots__:  # type: ignore[attr-defined]
        put(copy, name, fields[name] if name in fields else getattr(record, name))
    return copy


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a runnable task."""

    state: State
    started: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One run of one task. Flowables have no attempts.

    `rendered` records what expressions returned when the executor asked (`runIf`, `condition`, `values` …), so that
    a history replays to the same decisions.
    """

    id: str
    task_id: str
    state: State
    histories: Histories
    parent_id: str | None = None
    value: str | None = None
    iteration: int | None = None
    attempts: tuple[Attempt, ...] = ()
    outputs: Mapping[str, Any] | None = None
    rendered: Mapping[str, Any] = field(default_factory=dict)

    def moved(self, state: State, now: datetime) -> "TaskRun":
        """Copy in another state; the same state again changes nothing."""
        return self if state is self.state else altered(self, state=state, histories=(*self.histories, (state, now)))

    def attempted(self, state: State, now: datetime, started: datetime | None = None) -> "TaskRun":
        """Copy with the open attempt ended; when none is open, one that began and ended is added."""
        if self.attempts and self.attempts[-1].ended is None:
            last = altered(self.attempts[-1], state=state, ended=now)
            return altered(self, attempts=(*self.attempts[:-1], last))
        return altered(self, attempts=(*self.attempts, Attempt(state, started or now, now)))


class Lineage:
    """What successive versions of one execution's task runs share: facts that a run's creation settles for good.

    `claimed` is the number of the newest run of the line; a version that did not see it begins a line of its own.
    """

    __slots__ = ("claimed", "derived")

    def __init__(self, claimed: int) -> None:
        self.claimed = claimed
        self.derived: dict[str, Any] = {}


class TaskRuns(Mapping[str, TaskRun]):
    """Task runs by id in order of creation; immutable, and a changed copy shares all but a few chunks with its source.

    A run lives at the number its id ends with (`<execution id>.<n>`), so that ten thousand runs cost a change no more
    than ten. `memory` (of this version) and `lineage` (of all versions in line) hold what readers derive from the runs;
    they never change what the mapping says.
    """

    __slots__ = ("_chunks", "_count", "lineage", "memory", "size")

    def __init__(self, runs: Iterable[TaskRun] = ()) -> None:
        self._chunks: tuple[tuple[TaskRun | None, ...], ...] = ()
        self._count = 0
        self.size = 0  # the highest number ever used
        self.memory: dict[str, Any] = {}
        self.lineage = Lineage(0)
        changed = list(runs)
        if changed:
            grown = self.changed(changed)
            self._chunks, self._count, self.size = grown._chunks, grown._count, grown.size
            self.lineage = grown.lineage

    def changed(self, runs: Iterable[TaskRun] = (), removed: Iterable[str] = ()) -> "TaskRuns":
        """Copy with some runs put or replaced and others taken out."""
        writes: dict[int, TaskRun | None] = {number_of(run.id): run for run in runs}
        writes.update((number_of(id_), None) for id_ in removed)
        if min(writes, default=0) < 0:
            raise ValueError("The id of a task run ends with its number: `<execution id>.<n>`.")
        chunks = list(self._chunks)
        size, count = max(self.size, max(writes, default=0)), self._count
        while len(chunks) * CHUNK <= size:
            chunks.append((None,) * CHUNK)
        open_chunks: dict[int, list[TaskRun | None]] = {}
        for number, run in writes.items():
            which, place = divmod(number, CHUNK)
            chunk = open_chunks.get(which)
            if chunk is None:
                chunk = open_chunks[which] = list(chunks[which])
            count += (run is not None) - (chunk[place] is not None)
            chunk[place] = run
        for which, chunk in open_chunks.items():
            chunks[which] = tuple(chunk)
        copy = TaskRuns()
        copy._chunks, copy._count, copy.size = tuple(chunks), count, size
        copy.lineage = self._lineage_up_to(size)
        return copy

    def _lineage_up_to(self, size: int) -> Lineage:
        if size == self.size:
            return self.lineage
        if self.lineage.claimed != self.size:
            return Lineage(size)
        self.lineage.claimed = size
        return self.lineage

    def changed_since(self, older: "Mapping[str, TaskRun]") -> tuple[list[TaskRun], list[str]]:
        """Runs that are new or different since an older version, and ids that are gone; cheap within one execution."""
        if not isinstance(older, TaskRuns):
            older = TaskRuns(older.values())
        new: list[TaskRun] = []
        gone: list[str] = []
        none = (None,) * CHUNK
        for which in range(max(len(self._chunks), len(older._chunks))):
            ours = self._chunks[which] if which < len(self._chunks) else none
            theirs = older._chunks[which] if which < len(older._chunks) else none
            if ours is theirs:
                continue
            for run, before in zip(ours, theirs, strict=True):
                if run is before:
                    continue
                if run is None:
                    gone.extend([before.id] if before is not None else [])
                else:
                    new.append(run)
        return new, gone

    def in_order(self, after: int = 0) -> Iterator[TaskRun]:
        """The runs in order of creation, those numbered above `after` only."""
        for which in range((after + 1) // CHUNK, len(self._chunks)):
            for run in self._chunks[which]:
                if run is not None and (after == 0 or number_of(run.id) > after):
                    yield run

    def numbered(self, number: int) -> TaskRun | None:
        """The run with this number."""
        which, place = divmod(number, CHUNK)
        return self._chunks[which][place] if 0 <= which < len(self._chunks) else None

    def __getitem__(self, key: str) -> TaskRun:
        run = self.numbered(number_of(key)) if isinstance(key, str) else None
        if run is None or run.id != key:
            raise KeyError(key)
        return run

    def __iter__(self) -> Iterator[str]:
        return (run.id for run in self.in_order())

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"TaskRuns({list(self.in_order())!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskRuns, (list(self.in_order()),)


def begun(histories: Histories) -> datetime:
    """When what this is the history of last began: at its last restart after an end, else when it was created."""
    again = (then for (was, _), (state, then) in pairwise(histories) if was.is_terminal and state is State.RESTARTED)
    return max(again, default=histories[0][1])


def number_of(task_run_id: str) -> int:
    """The number a task run's id ends with; -1 when it has none."""
    digits = task_run_id.rpartition(".")[2]
    return int(digits) if digits.isdecimal() and digits.isascii() else -1


@dataclass(frozen=True, slots=True)
class Origin:
    """What created an execution: a person, a trigger or a parent's task. Expressions see `variables` as `trigger`."""

    id: str
    type: str  # a trigger type, "Subflow", "ForEachItem", or "chat" / "web" / "cli" / "api" for people
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names_execution(self) -> bool:
        """Whether another execution led to this one: one that called it, or one that a Flow trigger listened to."""
        return "executionId" in self.variables


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a flow. `task_runs` is in order of creation, by id.

    `version` grows by one with each save; `sequence` counts task runs ever created (ids are `<execution id>.<n>`).
    `started_by` names the person or thing that asked (`slack:U1`, `local:ann`, `schedule`), for cards and policies.
    `held`: somebody paused it by hand; nothing new starts until resumed. `original_created` is when the first of a
    chain of replays and retries was created. `variables` are the flow's variables as SetVariables and UnsetVariables
    left them once `rendered["vars"]` is true; before that they are laid over the flow's.
    """

    id: str
    namespace: str
    flow_id: str
    revision: int
    state: State
    histories: Histories
    task_runs: Mapping[str, TaskRun] = field(default_factory=TaskRuns)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] | None = None
    labels: tuple[tuple[str, str], ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = None
    parent_id: str | None = None
    original_id: str = ""
    attempt_number: int = 1
    started_by: str = ""
    schedule_date: datetime | None = None
    sequence: int = 0
    version: int = 0
    rendered: Mapping[str, Any] = field(default_factory=dict)
    held: bool = False
    original_created: datetime | None = None

    @property
    def created(self) -> datetime:
        """When it was created."""
        return self.histories[0][1]

    @property
    def begun(self) -> datetime:
        """When it last began: a restart, and a replay from a task on, carry the history of what was before."""
        return begun(self.histories[self.rendered.get("inherited", 0) :])

    @property
    def ended(self) -> datetime | None:
        """When it reached its terminal state, if it has."""
        return self.histories[-1][1] if self.state.is_terminal else None

    @property
    def goes_on(self) -> bool:
        """Whether something of it is still to come: it has not ended, or what runs after its end has not."""
        return not self.state.is_terminal or any(not run.state.is_terminal for run in self.task_runs.values())

    def moved(self, state: State, now: datetime) -> "Execution":
        """Copy in another state; the same state again changes nothing."""
        return self if state is self.state else altered(self, state=state, histories=(*self.histories, (state, now)))
