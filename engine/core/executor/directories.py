"""WorkingDirectory: one job of a worker runs its children; the executor keeps their task runs."""

from dataclasses import replace

from engine.core.events import ChildRan
from engine.core.execution import Attempt, TaskRun
from engine.core.executor.attempts import end_attempt, policy_of, softened, tried_again, warned
from engine.core.executor.decision import Decision
from engine.core.executor.effects import apply
from engine.core.executor.stopping import is_stopping
from engine.core.flowable import DirectoryTask
from engine.core.state import State


def child_ran(d: Decision, event: ChildRan) -> None:
    """A child began (RUNNING) or ended inside the job."""
    parent = d.run(event.parent_id)
    place = d.plan.places.get(event.task_id)
    if parent is None or place is None or parent.state.is_terminal or not isinstance(d.task(parent), DirectoryTask):
        return
    if not parent.attempts or parent.attempts[-1].ended is not None:
        return  # the job has ended; whoever still tells of it was believed to be gone
    if place.parent is None or place.parent.task.id != parent.task_id:
        return
    lane = d.level(parent.id).lane(place.section)
    run = d.run(lane.runs.get((event.task_id, None)))
    if run is None:
        run = _new(d, place.task.id, parent)
    if run.state.is_terminal and event.attempt <= len(run.attempts):
        return
    if event.state is State.RUNNING:
        _child_began(d, run, event)
    elif event.state.is_terminal:
        _child_ended(d, run, event)


def _new(d: Decision, task_id: str, parent: TaskRun) -> TaskRun:
    run = d.create(d.plan.places[task_id].task, parent)
    d.todo.pop()  # the worker starts it, not we
    return run


def _child_began(d: Decision, run: TaskRun, event: ChildRan) -> None:
    if event.attempt != len(run.attempts) + 1:
        return
    if run.attempts and run.attempts[-1].ended is None:  # the job tries again: what went before has failed
        run = run.attempted(State.FAILED, event.now)
    attempts = (*run.attempts, Attempt(State.RUNNING, event.now))
    d.put(replace(run, attempts=attempts).moved(State.RUNNING, event.now))


def _child_ended(d: Decision, run: TaskRun, event: ChildRan) -> None:
    if event.attempt not in (len(run.attempts), len(run.attempts) + 1):
        return
    if event.state is not State.SKIPPED:
        run = run.attempted(event.state, event.now)
    elif run.attempts and run.attempts[-1].ended is None:  # skipped when it was to be tried again
        run = run.attempted(State.FAILED, event.now)
    run = replace(run, outputs=event.outputs if event.outputs is not None else run.outputs)
    task = d.task(run)
    state = warned(run, task.retry if task is not None else None, event.state)
    d.put(run.moved(softened(task, state), event.now))
    apply(d, run, event.effects)


def directory_ended(d: Decision, run: TaskRun, state: State) -> None:
    """The job has ended: `errors` and `finally` of the directory run now, then its run ends."""
    for child_id in list(d.level(run.id).lane("tasks").runs.values()):
        child = d.run(child_id)
        if child is not None and not child.state.is_terminal:  # the job ended without saying how this one did
            ended = State.KILLED if state is State.KILLED else State.FAILED
            d.move(child.attempted(ended, d.now), softened(d.task(child), ended))
    task = d.task(run)
    handled = isinstance(task, DirectoryTask) and (task.finally_ or (task.errors and state is State.FAILED))
    if not handled or is_stopping(d, run) or state is State.KILLED:
        end_attempt(d, run, state)
        return
    run = run.attempted(state, d.now)
    if state is not State.FAILED or tried_again(d, run) is None:
        result = warned(run, policy_of(d, run), state)
        d.put(replace(run, rendered={**run.rendered, "result": result.value}))
        d.dirty[run.id] = None


def cleared(d: Decision, run: TaskRun) -> None:
    """A directory is tried again: its children of the last try are taken out."""
    level = d.level(run.id)
    for lane in list(level.lanes.values()):
        for child_id in list(lane.runs.values()):
            child = d.run(child_id)
            if child is not None:
                d.remove(child)
    level.lanes.clear()
