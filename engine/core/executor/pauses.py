"""Pauses: a task that waits for a person, and an execution somebody holds by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.core.commands import CancelTimer, ClosePause, OpenPause, SetTimer
from engine.core.events import Overruled, Resumed
from engine.core.execution import TaskRun, altered
from engine.core.executor.attempts import end, fail
from engine.core.executor.closing import leave
from engine.core.executor.decision import Decision
from engine.core.executor.iterations import leave_iteration
from engine.core.executor.stopping import leave_with, stop_waiting
from engine.core.flowable import Behavior, PausingTask, enabled
from engine.core.state import State

ENDS: dict[Behavior, State] = {"CANCEL": State.CANCELLED, "KILL": State.KILLED, "SUCCEED": State.SUCCESS}
STATES = {"WARN": State.WARNING, "FAIL": State.FAILED}


def pause(d: Decision, run: TaskRun, task: PausingTask) -> None:
    """Wait for a person: a row is opened, and a timer set when the pause has a deadline."""
    try:
        terms = task.terms(run.rendered)
    except ValueError as error:
        fail(d, run, str(error))
        return
    if not task.asks(run.rendered):
        go_on(d, run, task.answered({}, "", d.now.isoformat()))
        return
    run = d.move(run, State.PAUSED)
    deadline = None
    if terms.deadline is not None:
        deadline = d.now + terms.deadline
        asked = sum(state is State.PAUSED for state, _ in run.histories)
        key = f"pause:{run.id}:{asked}"  # a timer that is late must not end the pause of a restart
        run = d.remember(run, timer=key)
        d.emit(SetTimer(key, deadline))
    known = task.asked(deadline.isoformat() if deadline else None)
    if known:
        d.put(altered(run, outputs=_added(run, known)))
    d.emit(OpenPause(run.id, deadline, terms.behavior))


def unprepared(d: Decision, run: TaskRun) -> None:
    """Nobody is asked, as what comes before the question has failed: its `errors` and `finally` run, then it fails."""
    d.log("ERROR", f"Nobody is asked by {run.task_id!r}: what comes before the question has failed.", run)
    d.remember(run, answered=True, verdict="FAIL", unprepared=True)
    d.dirty[run.id] = None


def resume(d: Decision, event: Resumed) -> None:
    """Somebody answered a pause, or let a held execution go on."""
    if event.task_run_id is None:  # said twice it must not answer a pause that was opened in between
        if d.execution.held:
            d.let_go()
        return
    run = d.run(event.task_run_id)
    task = d.task(run) if run else None
    if run is None or run.state is not State.PAUSED or not isinstance(task, PausingTask):
        return
    if "timer" in run.rendered:
        d.emit(CancelTimer(run.rendered["timer"]))
    d.emit(ClosePause(run.id, "RESUMED"))  # the row that was answered is not this one if a restart asked anew meanwhile
    go_on(d, run, task.answered(event.inputs, event.by, d.now.isoformat()))


def overrule(d: Decision, event: Overruled) -> None:
    """The policy of whoever runs the flow says what silence means."""
    run = d.run(event.task_run_id)
    if run is None or run.state is not State.PAUSED or "timer" not in run.rendered:
        return
    if event.behavior is None:
        d.emit(CancelTimer(run.rendered["timer"]))
        rendered = {key: value for key, value in run.rendered.items() if key != "timer"}
        d.put(replace(run, rendered={**rendered, "silence": "WAIT"}))
    else:
        d.remember(run, silence=event.behavior)


def go_on(d: Decision, run: TaskRun, outputs: Mapping[str, Any] | None) -> None:
    """The pause is over: its tasks run, if it has any."""
    rendered = {key: value for key, value in run.rendered.items() if key != "timer"}
    run = replace(run, outputs=_added(run, outputs), rendered={**rendered, "answered": True})
    run = d.put(run.moved(State.RUNNING, d.now))
    d.dirty[run.id] = None


def _added(run: TaskRun, outputs: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The outputs of a run with more."""
    return run.outputs if outputs is None else {**(run.outputs or {}), **outputs}


def expire(d: Decision, run: TaskRun) -> None:
    """Nobody answered in time."""
    task = d.task(run)
    silence = run.rendered.get("silence")
    if run.state is not State.PAUSED or not isinstance(task, PausingTask) or silence == "WAIT":
        return
    behavior = silence or task.terms(run.rendered).behavior
    inputs: Mapping[str, Any] = {}
    if behavior == "RESUME":
        asked = d.ask(run, task.unanswered())
        if asked is None:
            return
        run, inputs = asked, asked.rendered.get("defaults") or {}
    d.emit(ClosePause(run.id, "EXPIRED"))
    outputs = task.expired(inputs, d.now.isoformat())
    if behavior == "RESUME":
        go_on(d, run, outputs)
        return
    rendered = {key: value for key, value in run.rendered.items() if key != "timer"}
    said = outputs if "decision" in (outputs or {}) else None
    if enabled(task.finally_) or (behavior == "FAIL" and enabled(task.errors)):  # it ends when they have run
        d.log("WARN", f"Nobody answered {run.task_id!r} in time.", run)
        go_on(d, d.remember(run, verdict=behavior), said if said is not None else run.outputs)
        return
    run = d.put(replace(run, outputs=_added(run, said), rendered=rendered))
    d.log("WARN", f"Nobody answered {run.task_id!r} in time.", run)
    conclude(d, run, behavior)


def conclude(d: Decision, run: TaskRun, behavior: Behavior) -> None:
    """End a pause the way it asks for, and with it its iteration of a Loop or the execution, if it asks for that."""
    if behavior in ENDS and leave_iteration(d, run, ENDS[behavior], tidies=behavior != "KILL"):
        return
    if behavior in ENDS and d.execution.state.is_terminal:  # left by Exit while the pause waited: it has its state
        d.move(run, ENDS[behavior])
        return
    if behavior == "CANCEL":
        leave_with(d, run, State.CANCELLED)
        stop_waiting(d, [d.run(one) for one in reversed(list(d.index.open))])
        leave(d, State.CANCELLED)
    elif behavior == "KILL":
        leave_with(d, run, State.KILLED)
    elif behavior == "SUCCEED":
        leave_with(d, run, State.SUCCESS)
        stop_waiting(d, [d.run(one) for one in reversed(list(d.index.open))])
        leave(d, State.SUCCESS)
    else:
        end(d, run, STATES.get(behavior, State.SUCCESS))


def hold(d: Decision, by: str) -> None:
    """Start nothing new until somebody resumes the execution."""
    if d.execution.state in (State.RUNNING, State.RETRYING, State.RESTARTED) and not d.execution.held:
        d.execution = replace(d.execution, held=True)
        d.log("INFO", f"Paused{f' by {by}' if by else ''}.")
