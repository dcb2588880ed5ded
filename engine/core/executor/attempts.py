"""Attempts of a task run: how one begins and ends, and whether it is tried again."""

from datetime import datetime, timedelta
from hashlib import sha256

from engine.core.commands import CreateRetry, SetTimer
from engine.core.durations import LONGEST
from engine.core.execution import Attempt, TaskRun, altered
from engine.core.executor.decision import Decision
from engine.core.executor.iterations import is_left
from engine.core.executor.stopping import stop_everything
from engine.core.flowable import FlowableTask
from engine.core.retries import Retry
from engine.core.state import State
from engine.core.task import Task

CALLED = frozenset({"past", "children", "restarts"})  # what a call remembers of the executions of its earlier attempts


def begin(d: Decision, run: TaskRun) -> TaskRun:
    """The run RUNNING with a new attempt, for tasks that need no worker."""
    run = altered(run, attempts=(*run.attempts, Attempt(State.RUNNING, d.now)))
    return d.put(run.moved(State.RUNNING, d.now))


def softened(task: Task | None, state: State) -> State:
    """A state after `allowFailure` and `allowWarning`."""
    if task is None:
        return state
    if state is State.FAILED and task.allow_failure:
        state = State.WARNING
    if state is State.WARNING and task.allow_warning:
        state = State.SUCCESS
    return state


def end(d: Decision, run: TaskRun, state: State) -> TaskRun:
    """End a run in a state, softened by its task's allowances."""
    return d.move(run, softened(d.task(run), state))


def fail(d: Decision, run: TaskRun, message: str) -> TaskRun:
    """End a run as FAILED without another try, because it could not even start."""
    d.log("ERROR", message, run)
    if not isinstance(d.task(run), FlowableTask):
        run = run.attempted(State.FAILED, d.now)
    return end(d, run, State.FAILED)


def fail_attempt(d: Decision, run: TaskRun, message: str) -> TaskRun:
    """End the attempt of a run as FAILED; its retry policy decides what follows."""
    d.log("ERROR", message, run)
    return end_attempt(d, run, State.FAILED)


def end_attempt(d: Decision, run: TaskRun, state: State, started: datetime | None = None) -> TaskRun:
    """End the attempt of a run: the run ends with it or is tried again later."""
    run = run.attempted(state, d.now, started)
    if run.state is State.KILLING:
        return d.move(run, State.KILLED)
    if state is State.FAILED and not d.is_killing:
        again = tried_again(d, run)
        if again is not None:
            return again
    return end(d, run, warned(run, policy_of(d, run), state))


def warned(run: TaskRun, policy: Retry | None, state: State) -> State:
    """WARNING in place of SUCCESS where it took more than one attempt and the policy wants that told."""
    took_more = len(run.attempts) > 1 and policy is not None and policy.warning_on_retry
    return State.WARNING if took_more and state is State.SUCCESS else state


def policy_of(d: Decision, run: TaskRun) -> Retry | None:
    """The retry policy of a run: its task's, else that of the nearest task above, else the flow's."""
    place = d.place(run)
    if place is None:
        return None
    if place.task.retry is not None:
        return place.task.retry
    for above in place.above:
        if above.task.retry is not None:
            return above.task.retry
    return None if place.root_section == "after" else d.flow.retry


def tried_again(d: Decision, run: TaskRun) -> TaskRun | None:
    """The run waiting for another try, or replaced by another execution; None when its failure is definite."""
    policy, place = policy_of(d, run), d.place(run)
    if policy is None or place is None:
        return None
    if is_left(d, run):
        return None
    is_new = policy.behavior == "CREATE_NEW_EXECUTION"
    if d.execution.state.is_terminal and (is_new or place.root_section != "after"):
        return None
    if "leaving" in d.execution.rendered and (is_new or place.root_section == "tasks"):
        return None  # the execution has its end already, and only lets end what runs
    if is_new:
        then = _next_execution(d, policy)
        if then is None:
            return None
        return _held_back(d, run) if d.execution.held else _tried_as_new_execution(d, run, then)
    number = len(run.attempts)
    at = next_try(policy, number, run.attempts[0].started, d.now, run.id)
    if at is None:
        return None
    run = d.put(run.moved(State.FAILED, d.now).moved(State.RETRYING, d.now))
    d.emit(SetTimer(f"retry:{run.id}:{number}", at))
    return run


def _held_back(d: Decision, run: TaskRun) -> TaskRun:
    """The run waiting until the execution goes on: no other takes the place of one that somebody holds."""
    return d.remember(run.moved(State.FAILED, d.now).moved(State.RETRYING, d.now), due=True)


def _next_execution(d: Decision, policy: Retry) -> datetime | None:
    """When another execution takes the place of this one, whose attempt ends now; None when none does."""
    begun = d.execution.original_created or d.execution.created
    return next_try(policy, d.execution.attempt_number, begun, d.now, d.execution.id)


def _tried_as_new_execution(d: Decision, run: TaskRun, at: datetime) -> TaskRun:
    run = d.put(run.moved(State.RETRIED, d.now))
    for above in d.ancestors(run):
        d.move(above, State.RETRIED)
    stop_everything(d, State.KILLED)
    d.become(State.RETRIED)
    d.emit(CreateRetry(at))
    return run


def next_try(policy: Retry, number: int, first: datetime, ended: datetime, seed: str) -> datetime | None:
    """When attempt `number` that failed at `ended` is tried again; None when it is not."""
    if policy.max_attempts is not None and number >= policy.max_attempts:
        return None
    at = ended + delay(policy, number, seed)
    if policy.max_duration is not None and at >= first + policy.max_duration:
        return None
    return at


def delay(policy: Retry, number: int, seed: str) -> timedelta:
    """The wait after attempt `number`. Random waits depend on the seed only, so that a history replays the same."""
    if policy.type == "random":
        low, high = policy.min_interval or timedelta(), policy.max_interval or timedelta()
        share = int.from_bytes(sha256(f"{seed}:{number}".encode()).digest()[:6], "big") / 2**48
        return low + (high - low) * share
    interval = policy.interval or timedelta()
    if policy.type == "exponential":
        cap = policy.max_interval or LONGEST
        try:
            return min(interval * policy.delay_factor ** (number - 1), cap)
        except OverflowError:
            return cap
    return interval


def retry_now(d: Decision, run: TaskRun, number: int) -> None:
    """The wait before another attempt is over: it starts as the first did, `runIf` and every expression asked anew."""
    if run.state is not State.RETRYING or len(run.attempts) != number:
        return
    policy = policy_of(d, run)
    if d.execution.held:
        d.remember(run, due=True)  # its timer comes again when the execution goes on
    elif policy is not None and policy.behavior == "CREATE_NEW_EXECUTION":
        then = _next_execution(d, policy)
        if then is None:  # it was held for longer than the policy goes on
            end(d, run, State.FAILED)
        else:
            _tried_as_new_execution(d, run, then)
    else:
        kept = {key: value for key, value in run.rendered.items() if key in CALLED}
        d.move(altered(run, rendered=kept), State.CREATED)
        d.todo.append(run.id)
