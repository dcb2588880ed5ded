"""One event, one decision."""

from collections.abc import Callable
from typing import Any

from engine.core.bounds import DEFAULT, Bounds
from engine.core.commands import START, CancelTimer, Command
from engine.core.events import (
    ChildRan,
    Event,
    ForceAsked,
    KillAsked,
    LimitReached,
    Overruled,
    PauseAsked,
    Rendered,
    RestartAsked,
    Resumed,
    Started,
    SubflowCreated,
    SubflowEnded,
    TaskEnded,
    TaskStarted,
    TaskStateAsked,
    TimerFired,
)
from engine.core.execution import Attempt, Execution, TaskRun, altered
from engine.core.executor import directories, loops, pauses, promises, restarts, stopping, subflows, timeouts
from engine.core.executor.attempts import end_attempt, fail, fail_attempt, retry_now
from engine.core.executor.closing import close, outputs_rendered
from engine.core.executor.decision import ACTIVE, Decision
from engine.core.executor.effects import apply
from engine.core.executor.iterations import leave_iteration
from engine.core.executor.settling import settle
from engine.core.executor.starting import start
from engine.core.flow import Flow
from engine.core.flowable import BatchTask, DirectoryTask, ExecutableTask, FlowableTask, LoopingTask, TimedTask
from engine.core.state import State

EXITS = {"CANCELED": State.CANCELLED}


def advance(
    flow: Flow, execution: Execution, event: Event, bounds: Bounds = DEFAULT
) -> tuple[Execution, tuple[Command, ...]]:
    """What an execution becomes because of an event, and what is to be done; an event that does not fit is ignored.

    The commands may hold `Render`: evaluate each and call again with its `Rendered` until none is left, then save.
    """
    d = Decision(flow, execution, event.now, bounds)
    _HANDLERS[type(event)](d, event)
    run_until_quiet(d)
    if d.execution.state.is_terminal and not execution.state.is_terminal:
        promises.unwatch(d)
    if not isinstance(event, Rendered) or event.task_run_id is not None or d.changed:
        promises.check(d)
    return d.result()


def run_until_quiet(d: Decision) -> None:
    """Start what was created and look at parents whose children changed, until nothing is left to decide."""
    while d.todo or d.dirty:
        while d.todo:
            start(d, d.run(d.todo.popleft()))
        if d.dirty:
            parent = next(iter(d.dirty))
            del d.dirty[parent]
            settle(d, parent)
    _show(d)


def _show(d: Decision) -> None:
    """RUNNING, PAUSED or RETRYING: what is going on below decides. PAUSED shows when nothing else runs."""
    state = d.execution.state
    if state not in ACTIVE:
        return
    if d.execution.held:
        d.become(State.PAUSED)
    elif d.index.working:
        if state is State.PAUSED and not d.has_run:
            d.become(State.RESTARTED)
        elif state is not State.RESTARTED or d.has_run:
            d.become(State.RUNNING)
    elif d.index.counts.get(State.RETRYING):
        d.become(State.RETRYING)
    elif d.index.counts.get(State.PAUSED):
        d.become(State.PAUSED)


def _started(d: Decision, event: Started) -> None:
    state = d.execution.state
    if state in (State.CREATED, State.QUEUED):
        d.forget("ahead")
        d.note(begun=True)
        d.become(State.RUNNING)
        promises.watch(d)
    elif state is State.RESTARTED and "begun" not in d.execution.rendered:
        d.note(begun=True)
        promises.watch(d)
        restarts.revive(d)
    else:
        return
    d.dirty[None] = None


def _limit_reached(d: Decision, event: LimitReached) -> None:
    if d.execution.state is not State.CREATED or d.flow.concurrency is None:
        return
    behavior = d.flow.concurrency.behavior
    d.note(ahead=event.running)
    if behavior == "QUEUE":
        d.log("INFO", f"Flow is queued due to concurrency limit exceeded, {event.running} running(s)")
        d.become(State.QUEUED)
        return
    state = State.FAILED if behavior == "FAIL" else State.CANCELLED
    d.log("ERROR" if behavior == "FAIL" else "WARN", f"Flow is {state} due to concurrency limit exceeded")
    d.become(state)


def _rendered(d: Decision, event: Rendered) -> None:
    if event.task_run_id is None:
        if "ending" in d.execution.rendered and (event.error is not None or "outputs" in event.values):
            outputs_rendered(d, event.values, event.error)
        else:
            promises.checked(d, event.values, event.error)
        return
    run = d.run(event.task_run_id)
    if run is None or run.state.is_terminal:
        return
    task = d.task(run)
    if isinstance(task, BatchTask) and run.state is State.RUNNING:
        subflows.batch_rendered(d, run, task, event.values, event.error)
        return
    if event.error is None and (not event.values or all(key in run.rendered for key in event.values)):
        return
    if run.state.is_running and not (isinstance(task, LoopingTask) and loops.is_asking(d, run)):
        return
    if event.error is not None:
        _not_rendered(d, run, event.error)
        return
    run = d.remember(run, **event.values)
    if run.state.is_created:
        d.todo.append(run.id)
    elif run.state is State.PAUSED:
        pauses.expire(d, run)
    else:
        d.dirty[run.id] = None


def _not_rendered(d: Decision, run: TaskRun, error: str) -> None:
    task = d.task(run)
    if run.state is State.PAUSED:  # the defaults of a pause that nobody answered
        d.log("WARN", error, run)
        pauses.expire(d, d.remember(run, defaults={}))
    elif isinstance(task, ExecutableTask | TimedTask) and (task.run_if is None or "runIf" in run.rendered):
        fail_attempt(d, run, error)
    else:
        fail(d, run, error)


def _task_started(d: Decision, event: TaskStarted) -> None:
    run = d.run(event.task_run_id)
    if run is None or not run.state.is_created or event.attempt != len(run.attempts) + 1 or not _is_work(d, run):
        return
    if isinstance(d.task(run), DirectoryTask):
        directories.cleared(d, run)
    run = altered(run, attempts=(*run.attempts, Attempt(State.RUNNING, event.now)))
    d.put(run.moved(State.RUNNING, event.now))


def _task_ended(d: Decision, event: TaskEnded) -> None:
    run = d.run(event.task_run_id)
    if run is None or run.state.is_terminal or not event.state.is_terminal or not _is_work(d, run):
        return
    is_open = bool(run.attempts) and run.attempts[-1].ended is None
    if event.attempt != len(run.attempts) + (0 if is_open else 1) or not (is_open or run.state.is_created):
        return
    if not is_open:  # its start was never heard of
        run = altered(run, attempts=(*run.attempts, Attempt(State.RUNNING, event.started)))
        run = run.moved(State.RUNNING, event.started)
    if event.outputs is not None:
        run = altered(run, outputs=event.outputs)
    run = d.put(run)
    if event.error:
        d.log("ERROR", event.error, run)
    apply(d, run, event.effects)
    run = d.run(run.id) or run
    if "exit" in event.effects and event.state is not State.FAILED and run.state is not State.KILLING:
        _exit(d, run, str(event.effects["exit"]))
    elif isinstance(d.task(run), DirectoryTask):
        directories.directory_ended(d, run, event.state)
    else:
        end_attempt(d, run, event.state, event.started)


def _exit(d: Decision, run: TaskRun, asked: str) -> None:
    state = EXITS.get(asked) or State(asked)
    run = d.put(run.attempted(State.SUCCESS, d.now))
    if not d.is_killing and leave_iteration(d, run, state, tidies=False):
        return
    if d.execution.state.is_terminal or d.is_killing:
        d.move(run, state)
        return
    stopping.leave_with(d, run, state)
    if state is not State.KILLED:
        d.note(exiting=True)  # outputs that need what never ran are no failure
        close(d, state)


def _is_work(d: Decision, run: TaskRun) -> bool:
    """Whether a worker runs the task."""
    task = d.task(run)
    if isinstance(task, DirectoryTask):
        return True
    return not isinstance(task, FlowableTask | ExecutableTask | TimedTask)


def _timer_fired(d: Decision, event: TimerFired) -> None:
    kind, _, rest = event.key.partition(":")
    if kind == "sla":
        promises.out_of_time(d, event.key)
        return
    if kind == "pause":
        run = d.run(rest) or d.run(rest.rpartition(":")[0])  # without a number: set by an older version
        if run is not None and run.rendered.get("timer") == event.key:
            pauses.expire(d, run)
        return
    run_id, _, number = rest.rpartition(":")
    run = d.run(run_id)
    if run is None or not number.isdecimal():
        return
    if kind == "limit":
        timeouts.reached(d, run, event.key)
    elif kind == "retry":
        retry_now(d, run, int(number))
    elif kind == "loop":
        loops.next_iteration(d, run, event.key)
    elif kind == "sleep" and run.rendered.get("timer") == event.key and run.state is State.RUNNING:
        end_attempt(d, run, State.SUCCESS)


def _killed(d: Decision, event: KillAsked) -> None:
    stopping.kill(d, event.by, event.reason, cascade=event.cascade)


def _held(d: Decision, event: PauseAsked) -> None:
    pauses.hold(d, event.by)


def _restarted(d: Decision, event: RestartAsked) -> None:
    restarts.restart(d, event.by)


def _forced(d: Decision, event: ForceAsked) -> None:
    if d.execution.state in (State.CREATED, State.QUEUED):
        d.log("INFO", f"Begun at once{f', as {event.by} asked' if event.by else ''}.")
        d.emit(CancelTimer(START))
        _started(d, Started(event.now))


def _task_state_asked(d: Decision, event: TaskStateAsked) -> None:
    restarts.change_task_state(d, event.task_run_id, event.state, event.by)


_HANDLERS: dict[type[Any], Callable[[Decision, Any], None]] = {
    Started: _started,
    LimitReached: _limit_reached,
    Rendered: _rendered,
    TaskStarted: _task_started,
    TaskEnded: _task_ended,
    ChildRan: directories.child_ran,
    TimerFired: _timer_fired,
    Overruled: pauses.overrule,
    Resumed: pauses.resume,
    SubflowCreated: subflows.created,
    SubflowEnded: subflows.ended,
    KillAsked: _killed,
    PauseAsked: _held,
    RestartAsked: _restarted,
    ForceAsked: _forced,
    TaskStateAsked: _task_state_asked,
}
