"""Starting a task run: its condition, its expressions, then a worker, a timer, another execution or its own tasks."""

from dataclasses import replace
from datetime import timedelta

from engine.core.commands import Render, RunTask, SetTimer
from engine.core.execution import TaskRun
from engine.core.executor.attempts import begin, end, fail, fail_attempt
from engine.core.executor.decision import Decision
from engine.core.executor.subflows import call, call_batches
from engine.core.executor.timeouts import limited, watch
from engine.core.flow import Flow
from engine.core.flowable import (
    BatchTask,
    DirectoryTask,
    ExecutableTask,
    FlowableTask,
    ItemsTask,
    LoopingTask,
    TimedTask,
    truthy,
)
from engine.core.state import State
from engine.core.task import Task


def start(d: Decision, run: TaskRun | None) -> None:
    """Start a run that was created, restarted or is to be tried again; what it waits for is asked for."""
    if run is None or not run.state.is_created:
        return
    task = d.task(run)
    if task is None:
        fail(d, run, f"The flow has no task {run.task_id!r} any more.")
        return
    if d.is_killing:
        end(d, run, State.KILLED)
        return
    if task.run_if is not None:
        asked = d.ask(run, {"runIf": (task.run_if, "text")})
        if asked is None:
            return
        run = asked
        if not truthy(run.rendered["runIf"]):
            end(d, run, State.SKIPPED)
            return
    if isinstance(task, FlowableTask) and not isinstance(task, DirectoryTask):
        _open(d, run, task)
    elif isinstance(task, BatchTask):
        call_batches(d, run, task)
    elif isinstance(task, ExecutableTask):
        call(d, run, task)
    elif isinstance(task, TimedTask):
        _wait(d, run, task)
    else:
        d.emit(RunTask(run.id, len(run.attempts) + 1, group_of(task) or group_of(d.flow)))


def group_of(part: Task | Flow) -> str | None:
    """The worker group that a task or a flow asks for: `{key: …}`, its key, or tags."""
    if part.worker_selector is not None:
        return part.worker_selector.group
    group = part.worker_group
    key = group.get("key") if isinstance(group, dict) else group
    return key if isinstance(key, str) else None


def _open(d: Decision, run: TaskRun, task: FlowableTask) -> None:
    asked = d.ask(run, {**task.wanted(), **limited(task)})
    if asked is None:
        return
    run = asked
    file = task.file_of(run.rendered) if isinstance(task, ItemsTask) else None
    if file is not None and "lines" not in run.rendered:
        d.emit(Render(run.id, {"lines": "{{ read(source) }}"}, {}, {"source": file}))
        return
    opened = task.opened(run.rendered)
    if opened.error:
        fail(d, run, opened.error)
        return
    if (number := opened.number) > d.bounds.foreach_values:
        sentence = f"There are {number:,} values to go through; {d.bounds.foreach_values:,} are allowed."
        fail(d, run, f"{sentence} Go through them in parts, in a subflow each, or raise `limits.foreach_values`.")
        return
    iteration = 1 if isinstance(task, LoopingTask) else run.iteration
    run = replace(run, outputs=opened.outputs, iteration=iteration, rendered={**run.rendered, **opened.remembered})
    run = d.put(run.moved(State.RUNNING, d.now))
    try:
        watch(d, run, task)
    except ValueError as error:
        fail(d, run, str(error))
        return
    d.dirty[run.id] = None


def _wait(d: Decision, run: TaskRun, task: TimedTask) -> None:
    asked = d.ask(run, {**task.wanted(), **limited(task)})
    if asked is None:
        return
    run = begin(d, asked)
    try:
        length = task.wait(run.rendered)
        run = watch(d, run, task)
    except ValueError as error:
        fail_attempt(d, run, str(error))
        return
    key = f"sleep:{run.id}:{len(run.attempts)}"
    d.remember(run, timer=key)
    d.emit(SetTimer(key, d.now + max(length, timedelta())))
