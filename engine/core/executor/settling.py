"""Looking at the children of a task run, or at the top: which run next, and what their parent becomes."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.core.execution import TaskRun, number_of
from engine.core.executor.attempts import end
from engine.core.executor.closing import close, left
from engine.core.executor.decision import Decision
from engine.core.executor.iterations import LEFT, TIDIES, WORST, all_ended_as, ended_as, is_left, left_by
from engine.core.executor.levels import Lane, Level
from engine.core.executor.loops import repeat
from engine.core.executor.pauses import conclude, pause, unprepared
from engine.core.executor.stopping import forget_waits, stop_below
from engine.core.flowable import (
    Body,
    DirectoryTask,
    End,
    FlowableTask,
    ItemsTask,
    LoopingTask,
    PausingTask,
    Section,
    enabled,
)
from engine.core.state import State
from engine.core.task import Task

WELL = (State.SUCCESS, State.WARNING)  # an iteration that ended so hands something on
ILL = (State.FAILED, State.KILLED, State.CANCELLED)  # after an iteration that ended so no further one begins
STOPPED = frozenset({"late", "verdict"})  # none of its tasks begins any more: it took too long, or nobody answered


def settle(d: Decision, run_id: str | None) -> None:
    """Create what may run next under a run, or end the run when nothing is left."""
    if run_id is None:
        _settle_root(d)
        return
    run = d.run(run_id)
    task = d.task(run) if run else None
    if run is not None and run.state.is_terminal and (d.is_killing or "leaving" in d.execution.rendered):
        d.dirty[None] = None  # a task below left the execution: what was open beside it may have been the last
    if run is None or not run.state.is_running or not isinstance(task, FlowableTask):
        return
    level = d.level(run_id)
    if d.is_killing or run.state is State.KILLING:
        if level.open == 0 and (not isinstance(task, DirectoryTask) or "result" in run.rendered):
            end(d, run, State.KILLED)
        return
    if d.execution.held:
        return
    place = d.place(run)
    is_over = is_left(d, run) or (place is not None and _is_left(d, place.root_section))
    if isinstance(task, DirectoryTask):
        _settle_directory(d, run, task, level, is_over)
        return
    if is_over:
        if level.open == 0:  # the execution or its iteration of a Loop was left: what runs may end, nothing new starts
            _end_left(d, run, task, level)
        return
    if isinstance(task, PausingTask) and "answered" not in run.rendered:
        _settle_question(d, run, task, level)
        return
    _settle_flowable(d, run, task, level)


def _end_left(d: Decision, run: TaskRun, task: FlowableTask, level: Level) -> None:
    forget_waits(d, run)
    if LEFT in run.rendered:
        d.move(run, State(run.rendered[LEFT]))
    else:
        end(d, run, _sum(d, run, task, level.lane("tasks")))


def _settle_question(d: Decision, run: TaskRun, task: PausingTask, level: Level) -> None:
    """Ask, once what comes before the question has ended."""
    if task.asks(run.rendered) and _busy(d, run, task, level, "onPause"):
        return
    if task.needs_preparation and not task.allow_failure and level.lane("onPause").has(State.FAILED):
        unprepared(d, run)
    else:
        pause(d, run, task)


def _settle_flowable(d: Decision, run: TaskRun, task: FlowableTask, level: Level) -> None:
    body = d.body(run, task)
    if body is None:
        d.log("ERROR", f"No branch of task {run.task_id!r} fits and it has no default.", run)
        end(d, run, State.FAILED)
        return
    main = level.lane("tasks")
    if "waiting" in run.rendered:
        return
    run = _heeded(d, run, main, body)
    if _goes_on(run, main, body):
        grow(d, run, main, body)
    run = _interrupted(d, run, task, main)
    if main.open:
        return
    outcome = _outcome(d, run, task, main)
    if outcome is None:
        return
    run, state = outcome
    has_failed = state is State.FAILED or main.has(State.FAILED) or run.rendered.get("verdict") == "FAIL"
    if has_failed and _busy(d, run, task, level, "errors"):
        return
    if _busy(d, run, task, level, "finally"):
        return
    run = _collected(d, run, task, main)
    if isinstance(task, PausingTask) and state in (State.SUCCESS, State.WARNING):
        verdict = run.rendered.get("verdict") or task.verdict(run)
        if verdict != "RESUME":
            conclude(d, run, verdict)
            return
    end(d, run, task.outcome(state))


def _goes_on(run: TaskRun, main: Lane, body: Body) -> bool:
    """Whether something of a run may still begin; after a failure, or when it was stopped, the ends of its values."""
    if STOPPED.isdisjoint(run.rendered):
        return body.isolated or not main.has(State.FAILED)
    return bool(body.ends)


def _outcome(d: Decision, run: TaskRun, task: FlowableTask, main: Lane) -> tuple[TaskRun, State] | None:
    """What the tasks of a run amount to when none is open; None while a loop goes on."""
    if "late" in run.rendered or "interrupted" in run.rendered:
        return run, State.FAILED
    if isinstance(task, LoopingTask) and not main.has(State.FAILED) and not main.has(State.KILLED):
        repeated = repeat(d, run, task)
        return None if repeated is None else (repeated[0], repeated[1] or guess(main))
    return run, _sum(d, run, task, main)


def _sum(d: Decision, run: TaskRun, task: FlowableTask, main: Lane) -> State:
    """What the ended tasks of a run amount to."""
    if not isinstance(task, ItemsTask):
        return guess(main)
    body = d.body(run, task)
    return all_ended_as(_steps(d, main, body, value) for value in main.latest) if body is not None else guess(main)


def _steps(d: Decision, lane: Lane, body: Body, value: str) -> list[TaskRun]:
    """The runs of one value, in their order."""
    there = (d.run(lane.runs.get((one.id, value))) for one in body.tasks)
    return [run for run in there if run is not None]


def _collected(d: Decision, run: TaskRun, task: FlowableTask, main: Lane) -> TaskRun:
    """The run of a Loop with how its iterations ended and what they handed on; others as they are."""
    if not isinstance(task, ItemsTask):
        return run
    last, body = task.collector(run), d.body(run, task)
    given: dict[int, Mapping[str, Any] | None] = {}
    states = Counter[str]()
    for number in range(len(run.rendered["items"])):
        if str(number) not in main.latest:
            continue  # the loop ended before its turn
        states[ended_as(_steps(d, main, body, str(number)) if body else ()).value] += 1
        closing = d.run(main.runs.get((last, str(number)))) if last is not None else None
        given[number] = closing.outputs if closing is not None else None
    return d.put(replace(run, outputs={**(run.outputs or {}), **task.collected(run, given, states)}))


def _interrupted(d: Decision, run: TaskRun, task: FlowableTask, main: Lane) -> TaskRun:
    """The run; what its tasks still do is stopped when one has failed and it wants that."""
    state = task.interrupts(run) if main.open and main.has(State.FAILED) else None
    if state is None:
        return run
    run = d.remember(run, interrupted=True)
    stop_below(d, run, state)
    return run


def _heeded(d: Decision, run: TaskRun, main: Lane, body: Body) -> TaskRun:
    """The run; once the end of one value means that no further one begins, it remembers, and none does."""
    if (body.goes_on and not body.ends) or body.values is None or len(main.latest) >= len(body.values):
        return run
    if "broken" not in run.rendered and any(_is_last(d, run, main, body, value) for value in main.ready):
        run = d.remember(run, broken=True)
    if "broken" in run.rendered or not STOPPED.isdisjoint(run.rendered):
        main.cursor = len(body.values)
    return run


def _is_last(d: Decision, run: TaskRun, lane: Lane, body: Body, value: str) -> bool:
    """Whether a value has ended in a way after which no further one begins."""
    latest = d.run(lane.latest[value])
    if latest is None or not latest.state.is_terminal:
        return False
    if body.ends.get(latest.task_id) == "closing" and (latest.outputs or {}).get("breaks"):
        return True
    if body.goes_on or ended_as(_steps(d, lane, body, value)) not in ILL:
        return False
    is_stopped = not STOPPED.isdisjoint(run.rendered)
    return _following(d, lane, body, value, latest.task_id, is_stopped=is_stopped) is None


def _settle_directory(d: Decision, run: TaskRun, task: DirectoryTask, level: Level, is_left: bool) -> None:
    state = run.rendered.get("result")
    if state is None:  # the worker is still at it
        return
    if is_left:
        if level.open == 0:
            end(d, run, State(state))
        return
    if state == State.FAILED and _busy(d, run, task, level, "errors"):
        return
    if not _busy(d, run, task, level, "finally"):
        end(d, run, State(state))


def _is_left(d: Decision, section: Section) -> bool:
    """Whether the execution has ended, or is about to and only its outputs or its `finally` are still to come."""
    if "leaving" in d.execution.rendered and section == "tasks":
        return True
    return section != "after" and (d.execution.state.is_terminal or "ending" in d.execution.rendered)


def _settle_root(d: Decision) -> None:
    state = d.execution.state
    level = d.level(None)
    if state is State.KILLING:
        if not d.index.open:
            close(d, State.KILLED)
        return
    if d.execution.held or "ending" in d.execution.rendered:
        return
    if state.is_terminal:
        if "stopped" not in d.execution.rendered:
            grow(d, None, level.lane("after"), d.plan.body("after"))
        return
    main = level.lane("tasks")
    if "leaving" in d.execution.rendered:
        is_busy = not level.lane("finally").runs and d.index.open
        if not is_busy and not _busy(d, None, None, level, "finally"):
            left(d, State(d.execution.rendered["leaving"]))
        return
    if not main.has(State.FAILED):
        grow(d, None, main, d.plan.body("tasks"))
    if main.open:
        return
    if main.has(State.FAILED) and _busy(d, None, None, level, "errors"):
        return
    if not _busy(d, None, None, level, "finally"):
        close(d, guess(main))


def _busy(d: Decision, run: TaskRun | None, task: FlowableTask | None, level: Level, section: Section) -> bool:
    """Run a list of handlers in order; whether it still has something to do."""
    lane = level.lane(section)
    grow(d, run, lane, _handlers(d, task, section))
    return lane.open > 0


def _handlers(d: Decision, task: FlowableTask | None, section: Section) -> Body:
    if task is None:
        return d.plan.body(section)
    for which, tasks in task.lists():
        if which == section:
            return Body(enabled(tasks))
    return Body(())


def guess(lane: Lane) -> State:
    """What a list of ended runs amounts to."""
    return next((state for state in WORST if lane.has(state)), State.SUCCESS)


def grow(d: Decision, parent: TaskRun | None, lane: Lane, body: Body) -> None:
    """Create the runs that may start now."""
    if body.order == "graph":
        _grow_graph(d, parent, lane, body)
    elif body.order == "groups" and body.values is not None:
        _grow_groups(d, parent, lane, body, body.values)
    else:
        _grow_flat(d, parent, lane, body)


def _grow_flat(d: Decision, parent: TaskRun | None, lane: Lane, body: Body) -> None:
    """In order, at most `limit` at once; the cursor makes this cost nothing when there is nothing to do."""
    total, width = body.total, len(body.tasks)
    while lane.cursor < total and (not body.limit or lane.open < body.limit):
        turn, place = divmod(lane.cursor, width)
        task, value = body.tasks[place], None if body.values is None else body.values[turn]
        lane.cursor += 1
        if (task.id, value) not in lane.runs:
            d.create(task, parent, value, _iteration(parent, d) if value is None else turn)


def _grow_groups(d: Decision, parent: TaskRun | None, lane: Lane, body: Body, values: tuple[str, ...]) -> None:
    """Values that have begun go on first, then new ones begin."""
    is_stopped = parent is not None and not STOPPED.isdisjoint(parent.rendered)
    if len(lane.ready) > 1:  # the same order whether the index was kept or built again
        lane.ready = deque(sorted(set(lane.ready), key=lambda value: number_of(lane.latest[value])))
    while lane.ready and (not body.limit or lane.open < body.limit):
        value = lane.ready.popleft()
        latest = d.run(lane.latest[value])
        if latest is None or not latest.state.is_terminal:
            continue
        following = _following(d, lane, body, value, latest.task_id, is_stopped=is_stopped)
        if following is not None:
            d.create(following, parent, value, latest.iteration)
    while body.tasks and lane.cursor < len(values) and (not body.limit or lane.open < body.limit):
        value = values[lane.cursor]
        lane.cursor += 1
        first = _following(d, lane, body, value, "") if value not in lane.latest else None
        if first is not None:
            d.create(first, parent, value, lane.cursor - 1)


def _following(
    d: Decision, lane: Lane, body: Body, value: str, latest: str, *, is_stopped: bool = False
) -> Task | None:
    """The task of a value that begins after its latest one; of a value in which one has failed only its ends do."""
    steps = _steps(d, lane, body, value) if body.isolated else []  # else a failure ends all
    begins = _beginning(body, steps, is_stopped=is_stopped)
    names = [one.id for one in body.tasks]
    for task in body.tasks[names.index(latest) + 1 if latest in names else 0 :]:
        if begins[body.ends.get(task.id)] and (task.id, value) not in lane.runs:
            return task
    return None


def _beginning(body: Body, steps: list[TaskRun], *, is_stopped: bool) -> dict[End | None, bool]:
    """Which kinds of tasks of a value may begin after those of its runs that are there, all ended."""
    left = left_by(steps)
    if left is not None:
        hands_on = ended_as(steps) in WELL and not is_stopped
        tidies = TIDIES in left.rendered
        return {None: False, "errors": False, "finally": tidies, "outputs": hands_on, "closing": not is_stopped}
    own = [one.id for one in body.tasks if body.isolated and body.ends.get(one.id) in (None, "outputs")]
    ended = {run.task_id: run.state for run in steps}
    states = {ended.get(task_id) for task_id in own}
    has_failed = State.FAILED in states or (is_stopped and (None in states or State.KILLED in states))
    goes_on = not (has_failed or is_stopped or State.KILLED in states)
    return {None: goes_on, "errors": has_failed, "finally": True, "outputs": goes_on, "closing": not is_stopped}


def _grow_graph(d: Decision, parent: TaskRun | None, lane: Lane, body: Body) -> None:
    """Every task whose needs have ended."""
    for task in body.tasks:
        if body.limit and lane.open >= body.limit:
            return
        if (task.id, None) in lane.runs:
            continue
        needed = [d.run(lane.runs.get((need, None))) for need in body.needs.get(task.id, ())]
        if all(run is not None and run.state.is_terminal for run in needed):
            d.create(task, parent, None, _iteration(parent, d))


def _iteration(parent: TaskRun | None, d: Decision) -> int | None:
    """Children of a loop carry its iteration; others none."""
    return parent.iteration if parent is not None and isinstance(d.task(parent), LoopingTask) else None
