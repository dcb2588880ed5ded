"""The `timeout` of tasks that no worker runs: what takes longer is stopped and fails."""

from dataclasses import replace

from engine.core.commands import SetTimer
from engine.core.durations import to_iso
from engine.core.execution import TaskRun
from engine.core.executor.attempts import fail_attempt
from engine.core.executor.decision import Decision
from engine.core.executor.stopping import forget_waits, stop_below, stop_work
from engine.core.flowable import ExecutableTask, FlowableTask, PausingTask, TimedTask, Wanted, to_wait
from engine.core.state import State
from engine.core.task import Task


def limited(task: Task) -> Wanted:
    """What is rendered to know how long a task may take; pauses read their `timeout` in their own way."""
    return {"timeout": (task.timeout, "text")} if task.timeout is not None and not isinstance(task, PausingTask) else {}


def watch(d: Decision, run: TaskRun, task: Task) -> TaskRun:
    """The run with a timer for its end, if its task has a `timeout`; ValueError says why that cannot be read."""
    if not limited(task):
        return run
    length = to_wait(run.rendered.get("timeout", task.timeout), "timeout")
    if length is None:
        return run
    at = d.now + length
    key = f"limit:{run.id}:{round(at.timestamp() * 1_000_000)}"  # one that is late must not end what has a later limit
    d.emit(SetTimer(key, at))
    return d.remember(run, limit=key)


def reached(d: Decision, run: TaskRun, key: str) -> None:
    """The time of a run is over."""
    task = d.task(run)
    is_known = "late" in run.rendered  # an alarm may ring again after a crash
    if run.rendered.get("limit") != key or run.state is not State.RUNNING or task is None or is_known:
        return
    length = to_wait(run.rendered.get("timeout", task.timeout), "timeout")
    message = f"Timeout after {to_iso(length)}." if length is not None else "Timeout."
    if isinstance(task, ExecutableTask | TimedTask):
        stop_work(d, run)
        fail_attempt(d, run, message)
        return
    lanes = d.level(run.id).lanes
    if not isinstance(task, FlowableTask) or any(lanes[name].runs for name in ("errors", "finally") if name in lanes):
        return  # its tasks have ended, only handlers are left
    d.log("ERROR", message, run)
    body = d.body(run, task)
    stop_below(d, run, spared=[name for name, end in body.ends.items() if end in ("errors", "finally")] if body else ())
    forget_waits(d, run)
    kept = {name: value for name, value in run.rendered.items() if name not in ("waiting", "timer")}
    d.put(replace(run, rendered={**kept, "late": True}))
    d.dirty[run.id] = None
