"""New executions made of old ones: replay, retry of a flow, restart under another revision; and a changed status."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from engine.core.execution import Execution, TaskRun, TaskRuns, number_of
from engine.core.executor.iterations import LEFT
from engine.core.executor.plans import Plan, plan_of
from engine.core.executor.restarts import ancestors_of, reopened, restarted
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask, FlowableTask, PausingTask
from engine.core.labels import REPLAYED, marked
from engine.core.state import State
from engine.errors import NotFound, Refused


def replayed(
    flow: Flow, execution: Execution, new_id: str, now: datetime, *, from_task_run: str | None = None, by: str = ""
) -> Execution:
    """A new execution that repeats an old one from its start or from one task run; NotFound when there is no such run,
    Refused when its task is not in the flow.

    `flow` may be another revision. What stood before the task run is kept with its outputs; what follows it runs again.
    """
    execution = replace(execution, labels=marked(execution.labels, REPLAYED))
    if from_task_run is None:
        return _from_start(execution, flow.revision, new_id, now, by)
    runs = _kept(plan_of(flow), execution, from_task_run, now)
    base = _another(execution, flow.revision, new_id, by)
    base = replace(base, rendered={**base.rendered, "inherited": len(execution.histories)})
    return _renumbered(replace(base.moved(State.RESTARTED, now), task_runs=TaskRuns(runs.values())), execution.id)


def retried(execution: Execution, new_id: str, now: datetime) -> Execution:
    """The execution that replaces a failed one (retry behaviour CREATE_NEW_EXECUTION)."""
    again = _from_start(execution, execution.revision, new_id, now)
    return replace(again, attempt_number=execution.attempt_number + 1)


def _another(execution: Execution, revision: int, new_id: str, by: str) -> Execution:
    """A new execution made of an old one, before it is said how far it has come."""
    return replace(
        execution,
        id=new_id,
        revision=revision,
        parent_id=execution.id,
        original_id=execution.original_id or execution.id,
        original_created=execution.original_created or execution.created,
        outputs=None,
        rendered={key: value for key, value in execution.rendered.items() if key == "vars"},
        started_by=by or execution.started_by,
        schedule_date=None,
        held=False,
        version=0,
    )


def _from_start(execution: Execution, revision: int, new_id: str, now: datetime, by: str = "") -> Execution:
    return replace(
        _another(execution, revision, new_id, by),
        state=State.CREATED,
        histories=((State.CREATED, now),),
        task_runs=TaskRuns(),
        sequence=0,
        variables={},
        rendered={},
    )


def restarted_as(flow: Flow, execution: Execution, new_id: str, now: datetime, *, by: str = "") -> Execution:
    """A restart under a named revision: a new execution; Refused when there is nothing to restart."""
    again = restarted(flow, execution, now)
    again = replace(
        again,
        id=new_id,
        revision=flow.revision,
        parent_id=execution.id,
        original_id=execution.original_id or execution.id,
        original_created=execution.original_created or execution.created,
        started_by=by or execution.started_by,
        version=0,
    )
    return _renumbered(again, execution.id)


def status_changed(execution: Execution, to: State, now: datetime) -> Execution:
    """An ended execution in another ended state; Refused."""
    if not to.is_terminal or to in (State.SKIPPED, State.RETRIED):
        raise Refused("You can only change the status of an execution to a terminal state.")
    if not execution.state.is_terminal:
        raise Refused("You can only change the status of a terminated execution.")
    return execution.moved(to, now)


def _renumbered(execution: Execution, old_id: str) -> Execution:
    def new(run_id: str | None) -> str | None:
        return None if run_id is None else f"{execution.id}.{number_of(run_id)}"

    runs = (
        replace(run, id=new(run.id) or "", parent_id=new(run.parent_id))
        for run in sorted(execution.task_runs.values(), key=lambda run: number_of(run.id))
    )
    return replace(execution, task_runs=TaskRuns(runs))


def _kept(plan: Plan, execution: Execution, target_id: str, now: datetime) -> dict[str, TaskRun]:
    runs = {run.id: run for run in execution.task_runs.values()}
    target = runs.get(target_id)
    if target is None:
        raise NotFound(f"Execution {execution.id} has no task run {target_id!r}.")
    if target.task_id not in plan.places:
        raise Refused(
            f"The flow has no task {target.task_id!r} in this revision, so it can't be replayed from there.",
            fix="Replay it from the start, or from a task that is still there.",
        )
    parent = runs.get(target.parent_id or "")
    place = plan.places.get(parent.task_id) if parent else None
    if parent is not None and place is not None and isinstance(place.task, DirectoryTask):
        target = parent  # the children of a directory only run together
    chain = [target.id, *ancestors_of(runs, target)]
    for run_id in chain:
        _drop_after(plan, runs, runs[run_id])
    _drop_below(runs, target.id)
    place = plan.places.get(target.task_id)
    # A pause that is replayed asks again: the answer was given to the run before.
    asks = place is not None and isinstance(place.task, PausingTask)
    is_flowable = place is not None and place.is_flowable and not asks and _has_begun(target)
    fresh = replace(target, outputs=target.outputs if is_flowable else None, attempts=())
    runs[target.id] = reopened(fresh, now) if is_flowable else replace(fresh, rendered={}).moved(State.RESTARTED, now)
    for run_id in chain[1:]:
        runs[run_id] = reopened(runs[run_id], now)
    for run in list(runs.values()):  # parents come before their children
        was_stopped = run.state is State.KILLED and LEFT not in run.rendered
        if run.id in runs and run.id not in chain and (not run.state.is_terminal or was_stopped):
            above = runs.get(run.parent_id or "")
            if above is None or not above.state.is_terminal:
                runs[run.id] = _revived(plan, runs, run, now)
            elif not run.state.is_terminal:  # what it belongs to has ended, so nobody waits for it any more
                is_open = bool(run.attempts) and run.attempts[-1].ended is None
                runs[run.id] = (run.attempted(State.KILLED, now) if is_open else run).moved(State.KILLED, now)
    return runs


def _revived(plan: Plan, runs: dict[str, TaskRun], run: TaskRun, now: datetime) -> TaskRun:
    place = plan.places.get(run.task_id)
    if place is not None and isinstance(place.task, DirectoryTask):
        _drop_below(runs, run.id)  # its children only run together
    elif place is not None and place.is_flowable and _has_begun(run) and run.state is not State.PAUSED:
        return reopened(run, now)
    return replace(run, rendered={}, attempts=()).moved(State.RESTARTED, now)


def _has_begun(run: TaskRun) -> bool:
    """Whether what it needs to know what it runs could be rendered."""
    return any(state is State.RUNNING for state, _ in run.histories)


def _drop_after(plan: Plan, runs: dict[str, TaskRun], run: TaskRun) -> None:
    """Take out what follows a run under its parent, and the handlers there."""
    place = plan.places.get(run.task_id)
    siblings = [one for one in runs.values() if one.parent_id == run.parent_id and one.id != run.id]
    sections = {one.id: plan.places[one.task_id].section for one in siblings if one.task_id in plan.places}
    section = place.section if place else "tasks"
    rank = {"onPause": 0, "tasks": 1, "errors": 2, "finally": 3, "after": 4}
    follows = _followers(plan, runs, run)
    for one in siblings:
        theirs = sections.get(one.id)
        if theirs is None or rank[theirs] > rank[section] or (theirs == section and follows(one)):
            _drop_below(runs, one.id)
            runs.pop(one.id, None)


def _followers(plan: Plan, runs: dict[str, TaskRun], run: TaskRun) -> Callable[[TaskRun], bool]:
    """Whether a sibling follows a run in the order of their parent."""
    number = number_of(run.id)
    place = plan.places.get(run.task_id)
    parent = runs.get(run.parent_id or "")
    body = plan.body("tasks")
    if parent is not None and place is not None and place.parent is not None:
        found = place.parent.task.body(parent) if isinstance(place.parent.task, FlowableTask) else None
        if found is None or place.section != "tasks":
            return lambda one: number_of(one.id) > number
        body = found
    if body.order == "graph":
        later = {run.task_id}
        for _ in body.tasks:
            later |= {task for task, needs in body.needs.items() if needs & later}
        return lambda one: one.task_id in later
    if body.order == "groups":
        return lambda one: one.value == run.value and number_of(one.id) > number
    if body.limit != 1:
        return lambda one: False
    return lambda one: number_of(one.id) > number


def _drop_below(runs: dict[str, TaskRun], run_id: str) -> None:
    gone = {run_id}
    for other in sorted(runs.values(), key=lambda one: number_of(one.id)):
        if other.parent_id in gone:
            gone.add(other.id)
            runs.pop(other.id, None)
