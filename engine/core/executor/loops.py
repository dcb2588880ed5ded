"""Loops: the tasks of a LoopUntil run again until its condition holds."""

from dataclasses import replace

from engine.core.commands import SetTimer
from engine.core.durations import to_iso
from engine.core.execution import TaskRun
from engine.core.executor.attempts import fail
from engine.core.executor.decision import Decision
from engine.core.flowable import LoopingTask, truthy
from engine.core.state import State


def repeat(d: Decision, run: TaskRun, task: LoopingTask) -> tuple[TaskRun, State | None] | None:
    """After one iteration: None while the loop goes on, else the run and a state (None: that of its tasks)."""
    if "looped" in run.rendered:
        return run, State(run.rendered["looped"]) if run.rendered["looped"] else None
    asked = d.ask(run, {"until": (task.until(), "text")})
    if asked is None:
        return None
    run = asked
    if truthy(run.rendered["until"]):
        return d.remember(run, looped=""), None
    try:
        limits = task.limits(run.rendered)
    except ValueError as error:
        fail(d, run, str(error))
        return None
    number = run.iteration or 1
    again = d.now + limits.interval
    begun = next(at for state, at in run.histories if state is State.RUNNING)
    is_last = limits.max_iterations is not None and number >= limits.max_iterations
    is_late = limits.max_duration is not None and again >= begun + limits.max_duration
    if number >= d.bounds.loop_iterations and not is_last:
        sentence = f"Loop {run.task_id!r} was stopped after {number:,} iterations, which is as many as are allowed."
        d.log("ERROR", f"{sentence} Set `checkFrequency`, or raise `limits.loop_iterations`.", run)
        return d.remember(run, looped=State.FAILED.value), State.FAILED
    if is_last or is_late:
        reached = f"{number} iterations" if is_last or limits.max_duration is None else to_iso(limits.max_duration)
        state = State.FAILED if limits.fails_at_limit else None
        d.log(
            "ERROR" if state else "WARN",
            f"Loop {run.task_id!r} stopped after {reached}: its condition never held.",
            run,
        )
        return d.remember(run, looped=state.value if state else ""), state
    key = f"loop:{run.id}:{round(again.timestamp() * 1_000_000)}"  # one that is late must not end a later wait
    rendered = {name: value for name, value in run.rendered.items() if name != "until"}
    d.put(replace(run, rendered={**rendered, "waiting": True, "timer": key}))
    d.emit(SetTimer(key, again))
    return None


def is_asking(d: Decision, run: TaskRun) -> bool:
    """Whether a loop waits to hear about its condition."""
    return "waiting" not in run.rendered and "looped" not in run.rendered and not d.level(run.id).open


def next_iteration(d: Decision, run: TaskRun, key: str) -> None:
    """The wait between two iterations is over: the last iteration's runs make room for new ones."""
    if run.state is not State.RUNNING or "waiting" not in run.rendered or run.rendered["timer"] != key:
        return
    _clear(d, run)
    number = run.iteration or 1
    outputs = {**(run.outputs or {}), "iterationCount": number + 1}
    rendered = {name: value for name, value in run.rendered.items() if name not in ("waiting", "timer")}
    d.put(replace(run, iteration=number + 1, outputs=outputs, rendered=rendered))
    level = d.level(run.id)
    level.lanes.clear()
    d.dirty[run.id] = None


def _clear(d: Decision, run: TaskRun) -> None:
    lanes = list(d.level(run.id).lanes.values())
    for lane in lanes:
        for child_id in list(lane.runs.values()):
            child = d.run(child_id)
            if child is not None:
                _clear(d, child)
                d.remove(child)
