"""The working copy of an execution while one event is being decided."""

from collections import deque
from datetime import datetime
from typing import Any

from engine.core.bounds import DEFAULT, Bounds
from engine.core.commands import Announce, CancelTimer, Command, Render, SetTimer, WriteLog
from engine.core.execution import Execution, TaskRun, altered
from engine.core.executor.levels import Level, leave, take
from engine.core.executor.plans import Place, plan_of
from engine.core.flow import Flow
from engine.core.flowable import Body, FlowableTask, Mode, Wanted, is_plain, plain
from engine.core.state import State
from engine.core.task import Task

ACTIVE = (State.CREATED, State.RUNNING, State.PAUSED, State.RETRYING, State.RESTARTED)


class Decision:
    """Collects changed task runs and commands; `result` is the new execution. Changes nothing it was given."""

    def __init__(self, flow: Flow, execution: Execution, now: datetime, bounds: Bounds = DEFAULT) -> None:
        self.flow = flow
        self.plan = plan_of(flow)
        self.before = execution
        self.execution = execution
        self.now = now
        self.bounds = bounds
        self.runs, self.index = take(execution, self.plan)
        self.changed: dict[str, TaskRun | None] = {}
        self.commands: list[Command] = []
        self.sequence = execution.sequence
        self.dirty: dict[str | None, None] = {}  # parents whose children are to be looked at
        self.todo: deque[str] = deque()  # runs to start
        self.has_run = False  # something began to run

    # --- reading
    def run(self, run_id: str | None) -> TaskRun | None:
        """A task run as it stands in this decision."""
        if run_id is None:
            return None
        if run_id in self.changed:
            return self.changed[run_id]
        return self.runs.get(run_id)

    def place(self, run: TaskRun) -> Place | None:
        """Where the task of a run stands; None when the flow has no such task (any more)."""
        return self.plan.places.get(run.task_id)

    def task(self, run: TaskRun) -> Task | None:
        """The task of a run."""
        place = self.plan.places.get(run.task_id)
        return place.task if place else None

    def level(self, run_id: str | None) -> Level:
        """What exists under a run."""
        return self.index.level(run_id)

    def body(self, run: TaskRun | None, task: Task | None) -> Body | None:
        """What a run runs; worked out once."""
        if run is None or not isinstance(task, FlowableTask):
            return self.plan.body("tasks")
        level = self.level(run.id)
        if not level.has_body:
            level.body, level.has_body = task.body(run), True
        return level.body

    def ancestors(self, run: TaskRun) -> list[TaskRun]:
        """The runs above a run, nearest first."""
        found = []
        above = self.run(run.parent_id)
        while above is not None:
            found.append(above)
            above = self.run(above.parent_id)
        return found

    @property
    def is_killing(self) -> bool:
        """Whether the execution is being killed."""
        return self.execution.state is State.KILLING

    # --- writing
    def put(self, run: TaskRun) -> TaskRun:
        """Replace a run; the end of one makes its parent look at its children again."""
        before = self.run(run.id)
        if before is run:
            return run
        self.index.replace(before, run)
        self.changed[run.id] = run
        if run.state is not (before.state if before else None):
            if run.state.is_terminal:
                self.dirty[run.parent_id] = None
                if "limit" in run.rendered:
                    self.emit(CancelTimer(run.rendered["limit"]))
            elif run.state is State.RUNNING:
                self.has_run = True
        return run

    def move(self, run: TaskRun, state: State) -> TaskRun:
        """Put a run into another state."""
        return self.put(run.moved(state, self.now))

    def remember(self, run: TaskRun, **rendered: Any) -> TaskRun:
        """Record something on a run."""
        return self.put(altered(run, rendered={**run.rendered, **rendered}))

    def create(
        self, task: Task, parent: TaskRun | None, value: str | None = None, iteration: int | None = None
    ) -> TaskRun:
        """A new run, to be started in this decision."""
        self.sequence += 1
        run = TaskRun(
            id=f"{self.execution.id}.{self.sequence}",
            task_id=task.id,
            state=State.CREATED,
            histories=((State.CREATED, self.now),),
            parent_id=parent.id if parent else None,
            value=value,
            iteration=iteration,
        )
        self.put(run)
        self.todo.append(run.id)
        return run

    def remove(self, run: TaskRun) -> None:
        """Take a run out, as a loop does with its last iteration."""
        self.index.replace(self.run(run.id), None)
        self.changed[run.id] = None

    def become(self, state: State) -> None:
        """Put the execution into another state, by way of the states between."""
        current = self.execution.state
        if current is state:
            return
        if current is State.PAUSED and state not in (State.RESTARTED, State.KILLING, State.KILLED, State.CANCELLED):
            self.execution = self.execution.moved(State.RESTARTED, self.now)
        if self.execution.state is State.RESTARTED and state in (State.SUCCESS, State.WARNING, State.FAILED):
            self.execution = self.execution.moved(State.RUNNING, self.now)
        if self.execution.held and (state.is_terminal or state is State.KILLING):
            self.let_go()  # what ends, and what runs after the end, must not wait for a resume
        self.execution = self.execution.moved(state, self.now)

    def let_go(self) -> None:
        """The execution is held no more: what was left undone meanwhile is looked at."""
        self.execution = altered(self.execution, held=False)
        for run in filter(None, map(self.run, self.index.open)):
            if isinstance(self.task(run), FlowableTask):
                self.dirty[run.id] = None
            self.try_due(run)
        self.dirty[None] = None

    def try_due(self, run: TaskRun) -> None:
        """Let a run be tried again now if its time came while the execution was held."""
        if run.state is State.RETRYING and "due" in run.rendered:
            self.emit(SetTimer(f"retry:{run.id}:{len(run.attempts)}", self.now))

    def note(self, **rendered: Any) -> None:
        """Record something on the execution."""
        self.execution = altered(self.execution, rendered={**self.execution.rendered, **rendered})

    def forget(self, *keys: str) -> None:
        """Take something off the execution's record."""
        kept = {key: value for key, value in self.execution.rendered.items() if key not in keys}
        self.execution = altered(self.execution, rendered=kept)

    def emit(self, *commands: Command) -> None:
        """Ask for something to be done."""
        self.commands.extend(commands)

    def log(self, level: str, message: str, run: TaskRun | None = None) -> None:
        """Add a line to the execution's log."""
        attempt = len(run.attempts) if run is not None and run.attempts else None
        self.emit(WriteLog(level, message, run.id if run else None, self.now, attempt))

    def ask(self, run: TaskRun, wanted: Wanted) -> TaskRun | None:
        """The run once everything wanted is known; None after asking for what is missing."""
        missing = {key: pair for key, pair in wanted.items() if key not in run.rendered}
        known = {key: plain(value, mode) for key, (value, mode) in missing.items() if is_plain(value, mode)}
        if known:
            run = self.remember(run, **known)
        open_ = {key: pair for key, pair in missing.items() if key not in known}
        if not open_:
            return run
        sources = {key: value for key, (value, _) in open_.items()}
        modes: dict[str, Mode] = {key: mode for key, (_, mode) in open_.items() if mode != "text"}
        self.emit(Render(run.id, sources, modes))
        return None

    # --- the end
    def result(self) -> tuple[Execution, tuple[Command, ...]]:
        """The new execution and what is to be done."""
        runs = self.runs
        if self.changed:
            removed = [run_id for run_id, run in self.changed.items() if run is None]
            runs = runs.changed((run for run in self.changed.values() if run is not None), removed)
        leave(runs, self.index)
        execution = self.execution
        if runs is not execution.task_runs or self.sequence != execution.sequence:
            execution = altered(execution, task_runs=runs, sequence=self.sequence)
        if execution.state is not self.before.state:
            self.emit(Announce(execution.state))
        return execution, tuple(self.commands)
