"""The workers of the simulation: what an attempt does and when it ends, the same after every crash."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from engine.core import events as e
from engine.core.durations import parse
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.executor import find_task
from engine.core.flowable import DirectoryTask, truthy
from engine.core.state import State
from engine.core.task import Task
from engine.core.variables import variables
from engine.errors import EngineError
from engine.expressions import render
from engine.tasks.core.flow.loop import CheckBreak
from tests.simulate.clock import after
from tests.simulate.work import Work, length_of, path_of

if TYPE_CHECKING:
    from tests.simulate.process import Process
    from tests.simulate.world import World

FILE = "kestra:///lines-"


class Workers:
    """Runs attempts. An attempt cut off by a crash is run again and ends when it would have ended, or at once."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.ends: dict[tuple[Any, ...], datetime] = {}  # when something that was begun ends

    def begin(self, process: "Process", execution: Execution, run: TaskRun, attempt: int, key: str) -> None:
        """Start an attempt; its end is told to the process that lives then."""
        world = self.world
        world.laws.begun(run, attempt)
        process.post(execution.id, e.TaskStarted(world.now, run.id, attempt))
        task = find_task(world.flow(execution), run.task_id)
        if isinstance(task, DirectoryTask):
            children = [child for child in getattr(task, "tasks", ()) if not child.disabled]
            self._directory(process, execution, run, attempt, key, children, State.SUCCESS)
            return
        path = path_of(execution, run)
        started = world.now
        state, outputs, effects, seconds = self._outcome(task, execution, run, path, attempt)
        at = self._end(run, attempt, "", f"{world.names[execution.id]} {path}", seconds)

        def end() -> None:
            error = "It was to fail." if state is State.FAILED else None
            world.laws.reported(run.id, attempt, state)
            event = e.TaskEnded(world.now, run.id, attempt, state, started, outputs, effects, error)
            process.job_ended(execution.id, key, event)

        process.later[f"end {key}"] = (at, end)

    def _end(self, run: TaskRun, attempt: int, child: str, path: str, seconds: float) -> datetime:
        rounds = sum(state.is_created for state, _ in run.histories)
        key = (run.id, attempt, rounds, child)
        if key not in self.ends:
            self.ends[key] = self.world.now + after(length_of(path, attempt, seconds))
        return max(self.ends[key], self.world.now)

    def _outcome(
        self, task: Task | None, execution: Execution, run: TaskRun, path: str, attempt: int
    ) -> tuple[State, dict[str, Any] | None, dict[str, Any], float]:
        if not isinstance(task, Work):
            return self._built_in(task, execution, run)
        state = task.ending(path, attempt)
        outputs, effects = task.given(path, attempt, state)
        if task.lines is not None:
            outputs = {**outputs, "uri": f"{FILE}{task.lines}"}
        limit = task.timeout
        if limit is not None:
            longest = (parse(limit) if isinstance(limit, str) else limit).total_seconds()
            if longest < task.seconds:
                return State.FAILED, None, {}, longest
        return state, None if state is State.FAILED else dict(outputs), dict(effects), task.seconds

    def _built_in(
        self, task: Any, execution: Execution, run: TaskRun
    ) -> tuple[State, dict[str, Any] | None, dict[str, Any], float]:
        """The steps of a ForEachItem, and of a Loop with outputs or an early end."""
        if isinstance(task, CheckBreak):
            try:
                return State.SUCCESS, {"breaks": truthy(self.render(task.asked, execution, run))}, {}, 0.1
            except EngineError:
                return State.FAILED, None, {}, 0.1
        if run.task_id.endswith("_split"):
            try:
                uri = str(self.render(task.from_, execution, run))
            except EngineError:
                return State.FAILED, None, {}, 0.1
            if not uri.startswith(FILE):
                return State.FAILED, None, {}, 0.1
            batches = [f"{FILE}batch-{number}" for number in range(int(uri.removeprefix(FILE)))]
            return State.SUCCESS, {"splits": uri}, {"batches": batches}, 0.1
        return State.SUCCESS, None, {}, 0.1

    def render(self, template: Any, execution: Execution, run: TaskRun) -> Any:
        """A template as the run's task sees it; EngineError."""
        seen = variables(self.world.flow(execution), execution, run)
        return render(template, seen, self.world.services)

    # --- a WorkingDirectory: one job that tells of its children
    def _directory(
        self,
        process: "Process",
        execution: Execution,
        run: TaskRun,
        attempt: int,
        key: str,
        children: list[Any],
        state: State,
    ) -> None:
        world, started = self.world, self.world.now
        if not children or state is State.FAILED:
            self._finish(process, execution, run, attempt, key, state, started)
            return
        child, rest = children[0], children[1:]
        ahead = TaskRun(run.id, child.id, State.CREATED, ((State.CREATED, started),), run.id)
        refused = self._refused(child, execution, ahead)
        number = self._attempt_of(world.store.executions[execution.id], run, child)
        if refused is State.SKIPPED:
            process.post(execution.id, e.ChildRan(started, run.id, child.id, State.SKIPPED, number))
            self._directory(process, execution, run, attempt, key, rest, state)
            return
        process.post(execution.id, e.ChildRan(started, run.id, child.id, State.RUNNING, number))
        path = f"{path_of(execution, run)}/{child.id}"
        ended = refused or child.ending(path, attempt)
        at = self._end(run, attempt, child.id, f"{world.names[execution.id]} {path}", child.seconds)

        def end() -> None:
            outputs, effects = child.given(path, attempt, ended)
            world.laws.reported(f"{run.id}/{child.id}", number, ended)
            given = None if ended is State.FAILED else outputs
            process.post(execution.id, e.ChildRan(world.now, run.id, child.id, ended, number, given, effects))
            following = state
            if ended is State.FAILED and not child.allow_failure:
                following = State.FAILED
            elif ended in (State.FAILED, State.WARNING) and not child.allow_warning:
                following = State.WARNING
            self._directory(process, execution, run, attempt, key, rest, following)

        process.later[f"end {key}"] = (at, end)

    def _finish(
        self,
        process: "Process",
        execution: Execution,
        run: TaskRun,
        attempt: int,
        key: str,
        state: State,
        started: datetime,
    ) -> None:
        self.world.laws.reported(run.id, attempt, state)
        outputs = None if state is State.FAILED else {"outputFiles": {}}
        process.job_ended(execution.id, key, e.TaskEnded(self.world.now, run.id, attempt, state, started, outputs))

    def _refused(self, child: Any, execution: Execution, ahead: TaskRun) -> State | None:
        if child.run_if is None:
            return None
        try:
            shown = self.render(str(child.run_if), execution, ahead)
        except EngineError:
            return State.FAILED
        return None if truthy(shown) else State.SKIPPED

    def _attempt_of(self, execution: Execution, run: TaskRun, child: Task) -> int:
        """The attempt of a child: one more than it has had in this directory."""
        runs: Any = execution.task_runs
        if isinstance(runs, TaskRuns):
            for one in runs.in_order():
                if one.parent_id == run.id and one.task_id == child.id:
                    return len(one.attempts) + 1
        return 1
