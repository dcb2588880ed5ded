"""Restart: the failed task runs of an ended execution run again, under the same id or as a new execution."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.core.commands import CancelTimer, ClosePause
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.executor import promises
from engine.core.executor.decision import Decision
from engine.core.executor.iterations import LEFT, TIDIES
from engine.core.executor.levels import take
from engine.core.executor.plans import Plan, plan_of
from engine.core.executor.stopping import children_of
from engine.core.executor.timeouts import watch
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask, ExecutableTask, FlowableTask, ItemsTask
from engine.core.labels import RESTARTED, marked
from engine.core.state import State
from engine.errors import NotFound, Refused

HANDLERS = ("errors", "finally", "after", "onPause")


def is_broken_off(execution: Execution) -> bool:
    """Whether a task failed or waits, from which a restart would go on."""
    return any(run.state in (State.FAILED, State.PAUSED) for run in execution.task_runs.values())


def check_restart(execution: Execution) -> None:
    """Refused when there is nothing to restart."""
    if not execution.state.is_terminal and execution.state is not State.PAUSED:
        raise Refused(f"Execution must be terminated to be restarted, current state is '{execution.state}' !")
    if not is_broken_off(execution):
        raise Refused(
            "No task found to restart execution from!",
            fix="Replay it instead: nothing in it failed or waits for an answer.",
        )


def restarted(flow: Flow, execution: Execution, now: datetime) -> Execution:
    """The execution RESTARTED, before anything runs; Refused when there is nothing to restart."""
    check_restart(execution)
    plan = plan_of(flow)
    runs = {run.id: run for run in execution.task_runs.values()}
    for run in list(runs.values()):
        if _is_handler(plan, run):
            _drop(runs, run)
    failed = [run for run in runs.values() if run.state in (State.FAILED, State.PAUSED) or _was_interrupted(runs, run)]
    above = {ancestor for run in failed for ancestor in ancestors_of(runs, run)}
    for run in failed:
        if run.id in above or run.id not in runs:
            continue
        for child in [one for one in runs.values() if one.parent_id == run.id]:
            _drop(runs, child)
        place = plan.places.get(run.task_id)
        known = _calls(run) if place is not None and isinstance(place.task, ExecutableTask) else {}
        fresh = replace(run, rendered=known, outputs=None, iteration=_iteration(plan, run))
        runs[run.id] = fresh.moved(State.RESTARTED, now)
    for run_id in above:
        if run_id in runs:
            runs[run_id] = reopened(runs[run_id], now)
    _forget_ends(plan, runs, {run.id for run in failed} | above)
    kept = {key: value for key, value in execution.rendered.items() if key == "vars"}
    return replace(
        execution.moved(State.RESTARTED, now),
        task_runs=TaskRuns(runs.values()),
        outputs=None,
        rendered=kept,
        held=False,
        labels=marked(execution.labels, RESTARTED),
        attempt_number=execution.attempt_number + 1,
    )


def task_state_changed(flow: Flow, execution: Execution, task_run_id: str, to: State, now: datetime) -> Execution:
    """The execution RESTARTED with one task run in another ended state; post `Started` to go on from there.

    Refused while the execution runs, NotFound when there is no such task run.
    """
    if not execution.state.is_terminal and execution.state is not State.PAUSED:
        raise Refused("The execution is still running.", fix="Kill it, or wait for its end.")
    if not to.is_terminal:
        raise Refused(f"A task run can only be put into a state it can end in, not {to}.")
    runs = {run.id: run for run in execution.task_runs.values()}
    if task_run_id not in runs:
        raise NotFound(f"Execution {execution.id} has no task run {task_run_id!r}.")
    state = runs[task_run_id].state
    if not state.is_terminal and state is not State.PAUSED:
        raise Refused(
            f"{runs[task_run_id].task_id!r} is {state}.", fix="Wait until it has ended, or kill the execution."
        )
    plan = plan_of(flow)
    above = ancestors_of(runs, runs[task_run_id])
    if any(_is_directory(plan, runs[run_id]) for run_id in above):  # its folder is gone, so it can't go on from within
        raise Refused(
            f"{runs[task_run_id].task_id!r} is a part of a WorkingDirectory, which runs as a whole.",
            fix="Change the state of the WorkingDirectory, or restart the execution.",
        )
    for run in list(runs.values()):
        if run.id not in (task_run_id, *above) and _is_handler(plan, run) and not _is_in_directory(plan, run):
            _drop(runs, run)
    for run_id in above:
        runs[run_id] = reopened(runs[run_id], now)
    _forget_ends(plan, runs, {task_run_id, *above})
    kept = {key: value for key, value in runs[task_run_id].rendered.items() if key not in (LEFT, TIDIES)}
    runs[task_run_id] = replace(runs[task_run_id], rendered=kept).moved(to, now)
    kept = {key: value for key, value in execution.rendered.items() if key == "vars"}
    again = execution.moved(State.RESTARTED, now)
    return replace(again, task_runs=TaskRuns(runs.values()), outputs=None, rendered=kept, held=False)


def reopened(run: TaskRun, now: datetime) -> TaskRun:
    """A flowable RUNNING again because something below it runs again."""
    forgotten = {"looped", "until", "waiting", "result", "late", "limit", "broken", "interrupted", LEFT, TIDIES}
    if "unprepared" in run.rendered:  # what comes before its question comes again, and then it asks
        forgotten |= {"unprepared", "answered", "verdict"}
    kept = {key: value for key, value in run.rendered.items() if key not in forgotten}
    return replace(run, rendered=kept).moved(State.RUNNING, now)


def _was_interrupted(runs: dict[str, TaskRun], run: TaskRun) -> bool:
    """Whether a run was stopped because another beside it failed, or left their iteration of a Loop as FAILED."""
    if run.state not in (State.KILLED, State.CANCELLED):
        return False
    above = [runs[one].rendered for one in ancestors_of(runs, run)]
    return bool(above) and ("interrupted" in above[0] or any(one.get(LEFT) == State.FAILED for one in above))


def _forget_ends(plan: Plan, runs: dict[str, TaskRun], again: Collection[str]) -> None:
    """Take out what stands at the end of iterations of a Loop and comes again, as what is before it comes again."""
    earliest: dict[tuple[str | None, str | None], int] = {}
    for run in [runs[run_id] for run_id in again if run_id in runs]:
        turn, key = _turn(plan, run), (run.parent_id, run.value)
        if turn is not None:
            earliest[key] = min(turn, earliest.get(key, turn))
    for run in list(runs.values()) if earliest else ():
        turn, first = _turn(plan, run), earliest.get((run.parent_id, run.value))
        if turn is not None and first is not None and turn > first:
            _drop(runs, run)


def _calls(run: TaskRun) -> dict[str, Any]:
    """What a call that is made again remembers of those before: the execution that may be restarted, and all whose end
    is not that of the new call."""
    called, past = (run.outputs or {}).get("executionId"), [*run.rendered.get("past", ()), *children_of(run)]
    return {**({"restarts": called} if called else {}), **({"past": past} if past else {})}


def _turn(plan: Plan, run: TaskRun) -> int | None:
    """Of a run in an iteration of a Loop: its turn among those at the end, -1 if it is none of them; None elsewhere."""
    place = plan.places.get(run.task_id)
    loop = place.parent.task if place is not None and place.parent is not None else None
    if not isinstance(loop, ItemsTask):
        return None
    return next((turn for turn, task in enumerate(loop.last) if task.id == run.task_id), -1)


def _iteration(plan: Plan, run: TaskRun) -> int | None:
    place = plan.places.get(run.task_id)
    is_under_loop = place is not None and place.parent is not None
    return run.iteration if is_under_loop or run.value is not None else None


def _is_handler(plan: Plan, run: TaskRun) -> bool:
    place = plan.places.get(run.task_id)
    return place is None or place.section in HANDLERS or _is_in_directory(plan, run)


def _is_directory(plan: Plan, run: TaskRun) -> bool:
    place = plan.places.get(run.task_id)
    return place is not None and isinstance(place.task, DirectoryTask)


def _is_in_directory(plan: Plan, run: TaskRun) -> bool:
    place = plan.places.get(run.task_id)
    return place is not None and place.parent is not None and isinstance(place.parent.task, DirectoryTask)


def _drop(runs: dict[str, TaskRun], run: TaskRun) -> None:
    gone = {run.id}
    runs.pop(run.id, None)
    for other in list(runs.values()):  # parents come before their children
        if other.parent_id in gone:
            gone.add(other.id)
            runs.pop(other.id, None)


def ancestors_of(runs: dict[str, TaskRun], run: TaskRun) -> list[str]:
    """Ids of the runs above a run, nearest first."""
    found = []
    above = runs.get(run.parent_id or "")
    while above is not None:
        found.append(above.id)
        above = runs.get(above.parent_id or "")
    return found


def restart(d: Decision, by: str) -> None:
    """Restart an execution under its own id; nothing happens when there is nothing to restart."""
    with suppress(Refused):
        _go_on_as(d, restarted(d.flow, d.execution, d.now), f"Restarted{f' by {by}' if by else ''}.")


def change_task_state(d: Decision, task_run_id: str, to: State, by: str) -> None:
    """Put a task run into another ended state and go on from there; nothing happens where that is refused."""
    with suppress(Refused, NotFound):
        execution = task_state_changed(d.flow, d.execution, task_run_id, to, d.now)
        _go_on_as(d, execution, f"The state of {task_run_id} was set to {to}{f' by {by}' if by else ''}.")


def _go_on_as(d: Decision, execution: Execution, said: str) -> None:
    for run in d.execution.task_runs.values():
        there = execution.task_runs.get(run.id)
        if run.state is State.PAUSED and (there is None or there.state is not State.PAUSED):
            d.emit(ClosePause(run.id, "SUPERSEDED"))
            if "timer" in run.rendered:
                d.emit(CancelTimer(run.rendered["timer"]))
        if not run.state.is_terminal and "limit" in run.rendered:
            d.emit(CancelTimer(run.rendered["limit"]))
    offered = {run.id for run in d.execution.task_runs.values() if run.state is State.CREATED}
    d.execution = execution
    d.runs, d.index = take(execution, d.plan)
    d.note(begun=True)
    d.log("INFO", said)
    promises.watch(d)
    revive(d, offered)
    d.dirty[None] = None


def revive(d: Decision, offered: Collection[str] = ()) -> None:
    """Start what was restarted, but for what a worker was offered already, and look below everything that is open."""
    for run_id in d.index.open:
        run = d.run(run_id)
        if run is None:
            continue
        if run.state.is_created:
            if run_id not in offered:
                d.todo.append(run_id)
        elif run.state is State.RUNNING and isinstance(task := d.task(run), FlowableTask):
            watch(d, run, task)
            d.dirty[run_id] = None
        else:
            d.try_due(run)
