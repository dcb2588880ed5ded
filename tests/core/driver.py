"""Runs flows in memory: the real executor, language, expressions and tasks; only the world around them is simulated.

Time moves only when a test says so. Tasks run at once, or when a test lets them (`held_tasks`).
"""

import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from engine.core import commands as c
from engine.core import events as e
from engine.core.execution import Execution, Origin, TaskRun
from engine.core.executor import advance, find_task, retried
from engine.core.flow import Flow
from engine.core.flow_source import load
from engine.core.flowable import DirectoryTask
from engine.core.inputs import resolve
from engine.core.state import State
from engine.core.variables import variables
from engine.errors import EngineError, ExpressionFailed, InputInvalid, TaskFailed
from engine.expressions import Services, evaluate, render
from engine.plugin import Result
from engine.tasks import catalogue
from tests.core.memory import Memory, finished, typed

START = datetime(2026, 1, 1, tzinfo=UTC)


class Driver:
    """Deploys flows and drives executions to rest, one event at a time."""

    def __init__(self) -> None:
        self.now = START
        self.flows: dict[tuple[str, str], Flow] = {}
        self.executions: dict[str, Execution] = {}
        self.queue: deque[tuple[str, e.Event]] = deque()
        self.timers: dict[tuple[str, str], datetime] = {}
        self.pauses: dict[str, str] = {}
        self.logs: list[tuple[str, str | None, str, str]] = []
        self.kv: dict[tuple[str, str], Any] = {}
        self.files: dict[str, bytes] = {}
        self.parents: dict[str, tuple[str, str, int | None]] = {}
        self.held_tasks: set[str] = set()  # tasks whose end a test posts itself
        self.announced: list[tuple[str, State]] = []
        self.commands: list[tuple[str, c.Command]] = []
        self.replacements: list[tuple[str, datetime]] = []
        self.events: list[tuple[str, e.Event]] = []
        self.services = Services(now=lambda: self.now, zone=UTC, read=lambda uri, *_: self.files[uri].decode())
        self.on_event: Callable[[Flow, Execution, e.Event, Execution], None] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="parley-core-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    # --- flows and executions
    def deploy(self, source: str | Mapping[str, Any]) -> Flow:
        text = source if isinstance(source, str) else yaml.safe_dump(source, sort_keys=False)
        flow = load(text, catalogue())
        self.flows[flow.namespace, flow.id] = flow
        return flow

    def flow_of(self, execution: Execution) -> Flow:
        return self.flows[execution.namespace, execution.flow_id]

    def start(
        self,
        flow: Flow,
        inputs: Mapping[str, Any] | None = None,
        labels: tuple[tuple[str, str], ...] = (),
        origin: Origin | None = None,
    ) -> Execution:
        resolved = resolve(flow.inputs, inputs or {}, self._render_input)
        if resolved.problems:
            raise InputInvalid(resolved.problems)
        new_id = f"X{len(self.executions) + 1}"
        kept = [pair for pair in flow.labels if not pair[0].startswith("system.")]
        every = (*kept, *labels)
        if not any(key == "system.correlationId" for key, _ in every):
            every = (*every, ("system.correlationId", new_id))
        given = dict(every)  # the caller's labels win
        execution = Execution(
            new_id,
            flow.namespace,
            flow.id,
            flow.revision,
            State.CREATED,
            ((State.CREATED, self.now),),
            inputs=resolved.values,
            labels=tuple(given.items()),
            origin=origin,
            original_id=new_id,
        )
        self.executions[new_id] = execution
        self.post(new_id, e.Started(self.now))
        return execution

    def _render_input(self, text: str, extra: Mapping[str, Any], as_typed: bool) -> Any:
        return (evaluate if as_typed else render)(text, extra, self.services)

    def run(self, source: str | Mapping[str, Any], inputs: Mapping[str, Any] | None = None) -> Execution:
        """Deploy, start and drive to rest."""
        execution = self.start(self.deploy(source), inputs)
        self.rest()
        return self.executions[execution.id]

    def variables(self, execution_id: str, run_id: str | None) -> dict[str, Any]:
        execution = self.executions[execution_id]
        run = execution.task_runs[run_id] if run_id else None
        return variables(self.flow_of(execution), execution, run)

    # --- driving
    def post(self, execution_id: str, event: e.Event) -> None:
        self.queue.append((execution_id, event))

    def work(self) -> None:
        """Carry out everything that needs no time."""
        while self.queue:
            self.decide(*self.queue.popleft())

    def rest(self) -> None:
        """Let time pass until nothing runs or retries; pauses keep waiting."""
        self.work()
        for _ in range(10_000):
            due = [(at, key) for key, at in self.timers.items() if not key[1].startswith(("pause:", "sla:"))]
            if not due:
                return
            self.fire(min(due)[1])
        raise AssertionError("the flow never comes to rest")

    def fire(self, key: tuple[str, str]) -> None:
        at = self.timers.pop(key)
        self.now = max(self.now, at)
        self.post(key[0], e.TimerFired(self.now, key[1]))
        self.work()

    def fire_pause(self) -> bool:
        due = [(at, key) for key, at in self.timers.items() if key[1].startswith("pause:")]
        if due:
            self.fire(min(due)[1])
        return bool(due)

    def decide(self, execution_id: str, event: e.Event) -> None:
        before = self.executions[execution_id]
        flow = self.flow_of(before)
        self.events.append((execution_id, event))
        after, asked = self.advanced(flow, before, event)
        self.executions[execution_id] = after
        for command in asked:
            self.commands.append((execution_id, command))
            self.carry_out(execution_id, command)

    def advanced(self, flow: Flow, execution: Execution, event: e.Event) -> tuple[Execution, list[c.Command]]:
        todo: deque[e.Event] = deque([event])
        kept: list[c.Command] = []
        while todo:
            step = todo.popleft()
            before = execution
            execution, asked = advance(flow, execution, step)
            if self.on_event is not None:
                self.on_event(flow, before, step, execution)
            for command in asked:
                if isinstance(command, c.Render):
                    todo.append(self.answer(flow, execution, command, event.now))
                else:
                    kept.append(command)
        return execution, kept

    def answer(self, flow: Flow, execution: Execution, command: c.Render, now: datetime) -> e.Rendered:
        run = execution.task_runs[command.task_run_id] if command.task_run_id else None
        seen = {**variables(flow, execution, run), **command.extra}
        values: dict[str, Any] = {}
        try:
            for key, source in command.sources.items():
                mode = command.modes.get(key, "text")
                if mode == "text":
                    values[key] = render(source, seen, self.services)
                elif mode == "typed":
                    values[key] = typed(source, seen, self.services)
                elif mode == "each":
                    values[key] = {name: self.value_or_error(one, seen) for name, one in source.items()}
                else:
                    values[key] = self.as_list(source, seen)
        except EngineError as error:
            return e.Rendered(now, command.task_run_id, error=str(error))
        return e.Rendered(now, command.task_run_id, values)

    def value_or_error(self, source: Any, seen: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"value": render(source, seen, self.services)}
        except EngineError as error:
            return {"error": str(error)}

    def as_list(self, source: Any, seen: Mapping[str, Any]) -> Any:
        if not isinstance(source, str):
            return render(list(source), seen, self.services)
        rendered = render(source, seen, self.services)
        try:
            return yaml.safe_load(rendered) if rendered.strip().startswith("[") else rendered
        except yaml.YAMLError as error:
            raise ExpressionFailed(str(error)) from error

    def carry_out(self, execution_id: str, command: c.Command) -> None:
        match command:
            case c.RunTask(run_id, attempt):
                self.run_task(execution_id, run_id, attempt)
            case c.StopTask(run_id):
                run = self.executions[execution_id].task_runs[run_id]
                attempt = max(len(run.attempts), 1)
                self.post(execution_id, e.TaskEnded(self.now, run_id, attempt, State.KILLED, self.now))
            case c.SetTimer(key, at):
                self.timers[execution_id, key] = at
            case c.CancelTimer(key):
                self.timers.pop((execution_id, key), None)
            case c.OpenPause(run_id):
                self.pauses[run_id] = "WAITING"
            case c.ClosePause(run_id, reason):
                self.pauses[run_id] = reason
            case c.StartSubflow():
                self.start_subflow(execution_id, command)
            case c.StopSubflow() | c.CancelRetry():
                self.stop_others(execution_id, command)
            case c.CreateRetry(at):
                self.replace_execution(execution_id, at)
            case c.WriteLog(level, message, run_id):
                run_ = self.executions[execution_id].task_runs.get(run_id or "")
                self.logs.append((execution_id, run_.task_id if run_ else None, level, message))
            case c.Announce(state):
                self.announce(execution_id, state)

    def stop_others(self, execution_id: str, command: c.StopSubflow | c.CancelRetry) -> None:
        made = [one.id for one in self.executions.values() if one.parent_id == execution_id]
        for child in [command.execution_id] if isinstance(command, c.StopSubflow) else made:
            self.post(child, e.KillAsked(self.now))

    def announce(self, execution_id: str, state: State) -> None:
        self.announced.append((execution_id, state))
        parent = self.parents.get(execution_id)
        if parent is None or not state.is_terminal or state is State.RETRIED:
            return
        child = self.executions[execution_id]
        caller, run_id, iteration = parent
        self.post(caller, e.SubflowEnded(self.now, run_id, child.id, state, child.outputs, None, iteration))

    def replace_execution(self, execution_id: str, at: datetime) -> None:
        old = self.executions[execution_id]
        new = retried(old, f"X{len(self.executions) + 1}", at)
        self.now = max(self.now, at)
        self.executions[new.id] = new
        if execution_id in self.parents:
            caller, run_id, iteration = self.parents[new.id] = self.parents[execution_id]
            told = e.SubflowCreated(self.now, run_id, new.id, iteration=iteration, replaces=execution_id)
            self.post(caller, told)
        self.post(new.id, e.Started(self.now))

    def start_subflow(self, execution_id: str, command: c.StartSubflow) -> None:
        caller = self.executions[execution_id]
        flow = self.flows.get((command.namespace, command.flow_id))
        if flow is None:
            error = f"Unable to find flow '{command.namespace}'.'{command.flow_id}'"
            self.post(execution_id, e.SubflowCreated(self.now, command.task_run_id, None, error, command.iteration))
            return
        facts = {"executionId": caller.id, "namespace": caller.namespace, "flowId": caller.flow_id}
        try:
            child = self.start(flow, command.inputs, command.labels, Origin(command.task_run_id, "Subflow", facts))
        except InputInvalid as error:
            self.post(
                execution_id, e.SubflowCreated(self.now, command.task_run_id, None, str(error), command.iteration)
            )
            return
        if command.wait:
            self.parents[child.id] = (execution_id, command.task_run_id, command.iteration)
        started = self.queue.pop()  # the caller hears of the child before the child starts
        created = e.SubflowCreated(self.now, command.task_run_id, child.id, None, command.iteration, command.attempt)
        self.post(execution_id, created)
        self.queue.append(started)

    # --- work
    def run_task(self, execution_id: str, run_id: str, attempt: int) -> None:
        execution = self.executions[execution_id]
        run = execution.task_runs[run_id]
        task = find_task(self.flow_of(execution), run.task_id)
        if run.task_id in self.held_tasks:
            self.post(execution_id, e.TaskStarted(self.now, run_id, attempt))
            return
        self.decide(execution_id, e.TaskStarted(self.now, run_id, attempt))
        if isinstance(task, DirectoryTask):
            self.post(execution_id, self.run_directory(execution_id, run_id, attempt, task))
            return
        self.post(execution_id, self.attempted(execution_id, run_id, attempt, self.folder))

    def attempted(self, execution_id: str, run_id: str, attempt: int, folder: Path) -> e.TaskEnded:
        execution = self.executions[execution_id]
        run = execution.task_runs[run_id]
        task = find_task(self.flow_of(execution), run.task_id)
        memory = Memory(self, execution, run, folder)
        started = self.now
        try:
            ready = task.rendered(lambda value, guard: render(value, memory.variables, self.services, guard))
            result = finished(ready.run(memory))
        except TaskFailed as error:
            outputs = dict(error.outputs) if error.outputs else None
            return e.TaskEnded(self.now, run_id, attempt, State.FAILED, started, outputs, {}, error.message)
        except EngineError as error:
            return e.TaskEnded(self.now, run_id, attempt, State.FAILED, started, None, {}, error.message)
        effects: Mapping[str, Any] = {}
        state = State.SUCCESS
        if isinstance(result, Result):
            result, state, effects = result.outputs, result.state, result.effects
        if result is not None and not isinstance(result, Mapping):
            result = result.model_dump(by_alias=True)
        return e.TaskEnded(self.now, run_id, attempt, state, started, result, effects)

    def run_directory(self, execution_id: str, run_id: str, attempt: int, task: Any) -> e.TaskEnded:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        for name, content in (task.input_files or {}).items():
            (folder / name).write_text(content)
        state = State.SUCCESS
        for child in task.tasks:
            if child.disabled:
                continue
            self.decide(execution_id, e.ChildRan(self.now, run_id, child.id, State.RUNNING))
            run = next(
                run
                for run in self.executions[execution_id].task_runs.values()
                if run.parent_id == run_id and run.task_id == child.id
            )
            ended = self.attempted(execution_id, run.id, 1, folder)
            self.decide(
                execution_id,
                e.ChildRan(self.now, run_id, child.id, ended.state, 1, ended.outputs, ended.effects),
            )
            if ended.state is State.FAILED and not child.allow_failure:
                state = State.FAILED
                break
        memory = Memory(self, self.executions[execution_id], self.executions[execution_id].task_runs[run_id], folder)
        files = {
            found.name: finished(memory.put(found, found.name))
            for pattern in task.output_files or ()
            for found in sorted(folder.glob(pattern))
        }
        return e.TaskEnded(self.now, run_id, attempt, state, self.now, {"outputFiles": files} if files else None)

    # --- people
    def resume(
        self, execution: Execution, inputs: Mapping[str, Any] | None = None, task_run_id: str | None = None
    ) -> None:
        now = self.executions[execution.id]
        if task_run_id is None and not now.held:  # the one that has waited longest
            waiting = [run for run in now.task_runs.values() if run.state is State.PAUSED]
            task_run_id = min(waiting, key=lambda run: run.histories[-1][1]).id if waiting else None
        self.post(execution.id, e.Resumed(self.now, task_run_id, inputs or {}, "ann"))
        self.work()

    def kill(self, execution: Execution) -> None:
        self.post(execution.id, e.KillAsked(self.now, "ann"))
        self.work()

    def pass_time(self, length: timedelta) -> None:
        """Let time pass; every timer that comes due fires, in order."""
        until = self.now + length
        while True:
            due = sorted((at, key) for key, at in self.timers.items() if at <= until)
            if not due:
                break
            self.fire(due[0][1])
        self.now = until


def shape(execution: Execution) -> list[tuple[str, str, str | None]]:
    """Task, state and value of each run, in order of creation."""
    return [(run.task_id, run.state.value, run.value) for run in execution.task_runs.values()]


def states(execution: Execution) -> dict[str, State]:
    return {run.task_id: run.state for run in execution.task_runs.values()}


def run_of(execution: Execution, task_id: str, value: str | None = None) -> TaskRun:
    return next(r for r in execution.task_runs.values() if r.task_id == task_id and r.value == value)


def end(
    driver: Driver, execution: Execution, task_id: str, state: State = State.SUCCESS, attempt: int = 1
) -> Execution:
    """A held task ends."""
    run = run_of(driver.executions[execution.id], task_id)
    driver.post(execution.id, e.TaskEnded(driver.now, run.id, attempt, state, driver.now))
    driver.rest()
    return driver.executions[execution.id]


def started(driver: Driver, source: Mapping[str, Any], *held: str, **inputs: Any) -> Execution:
    driver.held_tasks = set(held)
    execution = driver.start(driver.deploy(source), inputs)
    driver.rest()
    return driver.executions[execution.id]
