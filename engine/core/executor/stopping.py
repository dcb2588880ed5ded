"""Ending an execution from outside its tasks: kill, Exit, a broken promise, a replacement by another execution."""

from collections.abc import Collection, Iterable

from engine.core.commands import CancelRetry, CancelTimer, ClosePause, StopSubflow, StopTask
from engine.core.execution import TaskRun
from engine.core.executor.decision import Decision
from engine.core.flowable import DirectoryTask, ExecutableTask, FlowableTask, TimedTask
from engine.core.state import State
from engine.core.task import Task


def kill(d: Decision, by: str, reason: str, *, cascade: bool = True) -> None:
    """Stop everything that is under way; the execution is KILLED when nothing is left. One that has ended stays as it
    ended, and nothing more runs after its end; but no other takes the place of one that is to be tried again.

    Without `cascade` the executions it waits for go on by themselves.
    """
    state = d.execution.state
    if state is State.KILLING or (state.is_terminal and not d.index.open and state is not State.RETRIED):
        return
    d.log(
        "INFO",
        " ".join(filter(None, ("Kill was asked", f"by {by}" if by else "", f": {reason}" if reason else ""))) + ".",
    )
    if state is State.RETRIED:
        d.emit(CancelRetry(by, reason))
        d.become(State.KILLED)
    if state.is_terminal:
        places = (d.place(run) for run_id in d.index.open if (run := d.run(run_id)) is not None)
        if any(place is not None and place.root_section == "after" for place in places):
            d.note(stopped=True)
    elif state in (State.CREATED, State.QUEUED) and not d.index.open:
        d.become(State.KILLED)
        return
    else:
        d.become(State.KILLING)
    if not cascade:
        d.note(spares=True)
    for run_id in list(d.index.open):
        run = d.run(run_id)
        if run is not None:
            _interrupt(d, run)
    d.dirty[None] = None


def _interrupt(d: Decision, run: TaskRun) -> None:
    """Ask one run to stop; what only waits ends at once."""
    task = d.task(run)
    if run.state is State.KILLING and not isinstance(task, FlowableTask):
        return
    if isinstance(task, FlowableTask) and (not isinstance(task, DirectoryTask) or "result" in run.rendered):
        forget_waits(d, run)
        if run.state.is_created or run.state is State.PAUSED:
            d.move(run, State.KILLED)
        else:
            d.move(run, State.KILLING)
            d.dirty[run.id] = None
    elif run.state is State.RUNNING and is_in_directory(d, run):
        return  # it ends with the directory's job
    elif run.state is State.RUNNING and not isinstance(task, TimedTask) and not spares(d, task):
        stop_work(d, run)
        if d.execution.state.is_terminal:  # its own state does not say that this one is stopped, and a crash forgets it
            d.move(run, State.KILLING)
    else:
        stop_work(d, run)
        d.move(cut_short(run, d), State.KILLED)


def is_stopping(d: Decision, run: TaskRun) -> bool:
    """Whether a run has been asked to stop: with its execution, or by itself once that has ended."""
    return d.is_killing or run.state is State.KILLING


def spares(d: Decision, task: Task | None) -> bool:
    """Whether what a task waits for is another execution, and that is to go on."""
    return isinstance(task, ExecutableTask) and "spares" in d.execution.rendered


def cut_short(run: TaskRun, d: Decision) -> TaskRun:
    """The run with the attempt that is under way ended."""
    is_open = bool(run.attempts) and run.attempts[-1].ended is None
    return run.attempted(State.KILLED, d.now) if is_open else run


def is_in_directory(d: Decision, run: TaskRun) -> bool:
    """Whether a worker runs this as part of a WorkingDirectory."""
    parent, place = d.run(run.parent_id), d.place(run)
    if parent is None or place is None or place.section != "tasks":
        return False
    return isinstance(d.task(parent), DirectoryTask)


def stop_work(d: Decision, run: TaskRun) -> None:
    """Interrupt what a run has under way elsewhere."""
    task = d.task(run)
    if isinstance(task, ExecutableTask):
        for child in () if spares(d, task) else children_of(run):
            d.emit(StopSubflow(child))
    elif (
        not isinstance(task, TimedTask)
        and not is_in_directory(d, run)
        and run.state in (State.RUNNING, State.CREATED, State.RESTARTED)
    ):
        d.emit(StopTask(run.id))
    forget_waits(d, run)


def children_of(run: TaskRun) -> list[str]:
    """Ids of executions a run has started and that have not ended."""
    running = run.rendered.get("children")
    if isinstance(running, dict):
        return [str(child) for child in running.values()]
    child = (run.outputs or {}).get("executionId")
    return [str(child)] if child else []


def forget_waits(d: Decision, run: TaskRun, reason: str = "KILLED") -> None:
    """Cancel the timers of a run and close its pause."""
    if run.state is State.RETRYING:
        d.emit(CancelTimer(f"retry:{run.id}:{len(run.attempts)}"))
    if run.state is State.PAUSED:
        d.emit(ClosePause(run.id, "SUPERSEDED" if reason == "SUPERSEDED" else "KILLED"))
    if "timer" in run.rendered:
        d.emit(CancelTimer(run.rendered["timer"]))


def stop_everything(d: Decision, state: State, first: State | None = None) -> None:
    """End every open run at once and stop the work behind it; the latest leaf may end in another state (`first`)."""
    for run_id in reversed(list(d.index.open)):
        run = d.run(run_id)
        if run is None:
            continue
        task = d.task(run)
        is_leaf = not isinstance(task, FlowableTask) or run.state is State.PAUSED or isinstance(task, DirectoryTask)
        if is_leaf:
            stop_work(d, run)
        else:
            forget_waits(d, run)
        d.move(cut_short(run, d), first if first is not None and is_leaf else state)
        if is_leaf:
            first = None


def stop_waiting(d: Decision, runs: Iterable[TaskRun | None]) -> None:
    """End those runs that have not begun, wait for a person, another attempt or a time; what runs may end."""
    for run in runs:
        if run is None or run.state.is_terminal:
            continue
        is_waiting = run.state.is_created or run.state in (State.PAUSED, State.RETRYING)
        if is_waiting or isinstance(d.task(run), TimedTask):
            stop_work(d, run)
            d.move(cut_short(run, d), State.KILLED)


def stop_below(d: Decision, run: TaskRun, state: State = State.KILLED, *, spared: Collection[str] = ()) -> None:
    """End everything that is open below a run, and the work behind it; handlers of a Loop's items are `spared`."""
    for below in open_below(d, run, spared):
        task = d.task(below)
        if not isinstance(task, FlowableTask) or below.state is State.PAUSED or isinstance(task, DirectoryTask):
            stop_work(d, below)
        else:
            forget_waits(d, below)
        d.move(cut_short(below, d), state)


def open_below(d: Decision, run: TaskRun, spared: Collection[str] = ()) -> list[TaskRun]:
    """What is open below a run, the latest first, but for its children that run a `spared` task and what is below."""
    found: list[TaskRun] = []
    level = d.index.levels.get(run.id)
    for lane in reversed(list(level.lanes.values())) if level is not None else ():
        for below in map(d.run, reversed(list(lane.runs.values()))):
            if below is None or below.task_id in spared:
                continue
            found += open_below(d, below)
            if not below.state.is_terminal:
                found.append(below)
    return found


def leave_with(d: Decision, run: TaskRun, state: State) -> None:
    """Exit: end a run, all above it and the execution in a state; KILLED also stops what runs beside them."""
    d.move(run, state)
    for above in d.ancestors(run):
        if not above.state.is_terminal:
            d.move(above, state)
    if state is State.KILLED:
        kill(d, "", f"task {run.task_id} asked to exit")
