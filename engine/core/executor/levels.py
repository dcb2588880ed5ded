"""What exists under each task run, kept up to date change by change so that a decision need not look at every run.

An Index belongs to one version of an execution's task runs. A decision takes it, changes it and leaves it with the
version it made; whoever finds none builds it again. So versions stay immutable and a long chain of decisions cheap.
"""

from collections import deque
from dataclasses import dataclass, field

from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.executor.plans import Plan
from engine.core.flowable import Body, Section
from engine.core.state import State

MEMORY = "executor"


@dataclass(slots=True)
class Lane:
    """Task runs of one list under one parent."""

    runs: dict[tuple[str, str | None], str] = field(default_factory=dict)  # (task, value) → run
    counts: dict[State, int] = field(default_factory=dict)
    open: int = 0
    cursor: int = 0  # flat: everything before it exists; groups: values begun
    latest: dict[str, str] = field(default_factory=dict)  # value → its latest run
    ready: deque[str] = field(default_factory=deque)  # values whose latest run has ended

    def count(self, run: TaskRun, step: int) -> None:
        """Count a run in (1) or out (-1)."""
        self.counts[run.state] = self.counts.get(run.state, 0) + step
        self.open += 0 if run.state.is_terminal else step

    def has(self, state: State) -> bool:
        """Whether some run is in this state."""
        return self.counts.get(state, 0) > 0


@dataclass(slots=True)
class Level:
    """The lists under one parent (or at the top of the execution)."""

    lanes: dict[Section, Lane] = field(default_factory=dict)
    body: Body | None = None
    has_body: bool = False

    def lane(self, section: Section) -> Lane:
        """One list, made when first asked for."""
        found = self.lanes.get(section)
        if found is None:
            found = self.lanes[section] = Lane()
        return found

    @property
    def open(self) -> int:
        """Runs that have not ended, in all lists."""
        return sum(lane.open for lane in self.lanes.values())


class Index:
    """Levels by parent run, and the runs that have not ended."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.levels: dict[str | None, Level] = {}
        self.open: dict[str, None] = {}
        self.working = (
            0  # runs that move by themselves: starting, on a worker, waiting for a timer or another execution
        )
        self.counts: dict[State, int] = {}  # PAUSED and RETRYING

    def level(self, parent_id: str | None) -> Level:
        """What exists under a run."""
        found = self.levels.get(parent_id)
        if found is None:
            found = self.levels[parent_id] = Level()
        return found

    def replace(self, before: TaskRun | None, after: TaskRun | None) -> None:
        """Count a change of one run."""
        run = after or before
        if run is None:
            return
        place = self.plan.places.get(run.task_id)
        if place is None:
            return
        lane = self.level(run.parent_id).lane(place.section)
        if before is not None:
            lane.count(before, -1)
            self._weigh(before, place.is_flowable, -1)
        if after is not None:
            lane.count(after, 1)
            self._weigh(after, place.is_flowable, 1)
        if before is None and after is not None:
            lane.runs[after.task_id, after.value] = after.id
            if after.value is not None:
                lane.latest[after.value] = after.id
        self._follow(lane, run, before, after)

    def _follow(self, lane: Lane, run: TaskRun, before: TaskRun | None, after: TaskRun | None) -> None:
        if after is None:
            lane.runs.pop((run.task_id, run.value), None)
            self.levels.pop(run.id, None)
        if after is not None and not after.state.is_terminal:
            self.open[run.id] = None
            return
        self.open.pop(run.id, None)
        if after is None or run.value is None or lane.latest.get(run.value) != run.id:
            return
        if before is None or not before.state.is_terminal:
            lane.ready.append(run.value)

    def _weigh(self, run: TaskRun, is_flowable: bool, step: int) -> None:
        state = run.state
        if state in (State.PAUSED, State.RETRYING):
            self.counts[state] = self.counts.get(state, 0) + step
        elif not state.is_terminal and (not is_flowable or state.is_created or "waiting" in run.rendered):
            self.working += step


def take(execution: Execution, plan: Plan) -> tuple[TaskRuns, Index]:
    """An execution's task runs and their index, which the caller may change; nobody else gets the same one."""
    runs = execution.task_runs
    if not isinstance(runs, TaskRuns):
        runs = TaskRuns(runs.values())
    index = runs.memory.pop(MEMORY, None)  # one thread wins; others build their own
    if isinstance(index, Index) and index.plan is plan:
        return runs, index
    index = Index(plan)
    for run in runs.in_order():
        index.replace(None, run)
    return runs, index


def leave(runs: TaskRuns, index: Index) -> None:
    """Keep an index with the task runs it describes."""
    runs.memory[MEMORY] = index
