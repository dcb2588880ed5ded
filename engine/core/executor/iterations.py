"""Iterations of a Loop: which of them a task run is in, how one ended, and its end before its tasks are through.

Whatever ends an execution early (an Exit, an answer, a deadline) ends the innermost iteration it is in, as an iteration
of Kestra's Loop is an execution of its own. What is left carries `left`, the state it takes: the runs from the one that
left up to the step of the iteration, the run right below the Loop. A step whose `finally` still runs carries `tidies`.
"""

from collections.abc import Iterable, Sequence

from engine.core.execution import TaskRun
from engine.core.executor.decision import Decision
from engine.core.executor.stopping import open_below, stop_below, stop_waiting
from engine.core.flowable import FlowableTask, ItemsTask
from engine.core.state import State

LEFT = "left"
TIDIES = "tidies"
WORST = (State.KILLED, State.FAILED, State.WARNING)  # one of these makes the whole so
TOLD = {State.FAILED: "ERROR", State.WARNING: "WARN", State.KILLED: "WARN", State.CANCELLED: "WARN"}


def step_of(d: Decision, run: TaskRun) -> TaskRun | None:
    """The run right below the innermost Loop that a run is in, perhaps itself; None outside of loops."""
    step: TaskRun | None = run
    while step is not None:
        above = d.run(step.parent_id)
        if above is not None and isinstance(d.task(above), ItemsTask):
            return step
        step = above
    return None


def is_left(d: Decision, run: TaskRun) -> bool:
    """Whether a run is in an iteration that was left, so that nothing more of it begins."""
    return LEFT in run.rendered or any(LEFT in above.rendered for above in d.ancestors(run))


def leave_iteration(d: Decision, run: TaskRun, state: State, *, tidies: bool) -> bool:
    """End a run, and with it the innermost iteration it is in, in a state; False outside of loops.

    What only waits in the iteration ends at once. What runs may end, and then the iteration has ended; KILLED stops it.
    """
    step = step_of(d, run)
    if step is None:
        return False
    if step.id != run.id:
        d.move(run, state)
    if step.state.is_terminal or LEFT in step.rendered:  # it has its end already
        if step.id == run.id:
            d.move(run, state)
        return True
    _tell(d, step, state)
    step = d.remember(step, **{LEFT: state.value}, **({TIDIES: True} if tidies else {}))
    if state is State.KILLED or step.id == run.id:
        stop_below(d, step)
        d.move(step, state)
        return True
    for above in d.ancestors(run):
        if above.id == step.id:
            break
        d.remember(above, **{LEFT: state.value})
    below = open_below(d, step)
    stop_waiting(d, below)
    for one in (step, *below):
        if isinstance(d.task(one), FlowableTask):
            d.dirty[one.id] = None
    return True


def _tell(d: Decision, step: TaskRun, state: State) -> None:
    loop = d.run(step.parent_id)
    if loop is not None and state in TOLD:
        d.log(TOLD[state], f"Iteration {step.value} of {loop.task_id!r} ended {state}.", loop)


def left_by(steps: Sequence[TaskRun]) -> TaskRun | None:
    """Of the runs right below a Loop of one iteration, in their order, the last one in which it was left."""
    return next((one for one in reversed(steps) if LEFT in one.rendered), None)


def ended_as(steps: Sequence[TaskRun]) -> State:
    """How an iteration ended, from the runs right below its Loop, in their order."""
    last = left_by(steps)
    if last is None:
        return _worst(one.state for one in steps)
    after = {one.state for one in steps[steps.index(last) + 1 :]}
    return State.FAILED if State.FAILED in after else State(last.rendered[LEFT])


def all_ended_as(iterations: Iterable[Sequence[TaskRun]]) -> State:
    """What the iterations of a Loop amount to; as in Kestra, none that was left as CANCELLED or KILLED changes it."""
    ends = [(ended_as(steps), left_by(steps)) for steps in iterations]
    return _worst(state for state, left in ends if left is None or state is not State.KILLED)


def _worst(states: Iterable[State]) -> State:
    found = set(states)
    return next((state for state in WORST if state in found), State.SUCCESS)
