"""Spans of executions and task runs, made of what the record says once each is complete.

An execution may wait for days and go on in another process, so no span is held open. Its ids follow from the ids in the
record: what several processes did, a flow and the flows it called, make one trace.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from engine.core.commands import WriteLog
from engine.core.execution import Execution, Histories, TaskRun, TaskRuns
from engine.core.state import State
from engine.runtime.creation import CORRELATION
from engine.runtime.decision import Decision
from engine.store.logs import LogLine

Attributes = Mapping[str, str | int]
BAD = (State.FAILED, State.KILLED)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time. `trace` has 32 hex digits, `id` and `parent` 16; `marks` are moments in between."""

    trace: str
    id: str
    parent: str | None
    name: str
    began: datetime
    ended: datetime
    attributes: Attributes
    marks: tuple[tuple[str, datetime], ...] = ()
    failed: str | None = None  # why, or the state it ended in


def spans_of(decision: Decision) -> Iterator[Span]:
    """What a decision completed, children before their parents."""
    before, after = decision.before, decision.after
    if after is before:
        return
    reasons = _reasons(decision)
    changed, _ = _runs(after).changed_since(before.task_runs)
    for run in reversed(changed):
        was = before.task_runs.get(run.id)
        if _has_ended(run.histories, was.histories if was is not None else ()):
            yield _task_span(after, run, reasons.get(run.id))
    if _has_ended(after.histories, before.histories):
        yield _execution_span(after)


def _reasons(decision: Decision) -> Mapping[str, str]:
    """The last error that the log tells of each task run."""
    lines: list[LogLine | WriteLog] = [line for line in decision.lines if isinstance(line, LogLine)]
    lines += [command for command in decision.commands if isinstance(command, WriteLog)]
    return {line.task_run_id: line.message for line in lines if line.level == "ERROR" and line.task_run_id}


def trace_of(execution: Execution) -> str:
    """The trace an execution belongs to: that of the execution which everything began with."""
    return sha256(_first(execution).encode()).hexdigest()[:32]


def span_id(of: str, leg: int = 0) -> str:
    """The span of an execution or task run, in its first life or after so many restarts."""
    return sha256(f"{of}#{leg}".encode()).hexdigest()[:16]


def _execution_span(execution: Execution) -> Span:
    leg, began = _leg(execution.histories)
    attributes: dict[str, str | int] = {
        "parley.execution.id": execution.id,
        "parley.namespace": execution.namespace,
        "parley.flow": execution.flow_id,
        "parley.flow.revision": execution.revision,
        "parley.state": execution.state.value,
        "parley.started_by": execution.started_by,
    }
    if execution.origin is not None and execution.origin.names_execution:
        attributes["parley.caused_by"] = str(execution.origin.variables["executionId"])
    return Span(
        trace_of(execution),
        span_id(execution.id, leg),
        _caller(execution),
        f"{execution.namespace}.{execution.flow_id}",
        began,
        execution.histories[-1][1],
        attributes,
        tuple((state.value, at) for state, at in execution.histories if began <= at),
        execution.state.value if execution.state in BAD else None,
    )


def _task_span(execution: Execution, run: TaskRun, reason: str | None) -> Span:
    leg, began = _leg(run.histories)
    above = _runs(execution).get(run.parent_id) if run.parent_id else None
    parent = span_id(above.id, _leg(above.histories)[0]) if above else None
    attributes: dict[str, str | int] = {
        "parley.execution.id": execution.id,
        "parley.task_run.id": run.id,
        "parley.task": run.task_id,
        "parley.state": run.state.value,
        "parley.attempts": len(run.attempts),
    }
    if run.iteration is not None:
        attributes["parley.iteration"] = run.iteration
    return Span(
        trace_of(execution),
        span_id(run.id, leg),
        parent or span_id(execution.id, _leg(execution.histories)[0]),
        run.task_id,
        began,
        run.histories[-1][1],
        attributes,
        tuple((f"attempt {number}", one.started) for number, one in enumerate(run.attempts, 1) if one.started >= began),
        (reason or run.state.value) if run.state in BAD else None,
    )


def _has_ended(histories: Histories, before: Histories) -> bool:
    """Whether a life ended since; one decision may also begin it."""
    lived = not before or any(not state.is_terminal for state, _ in (before[-1], *histories[len(before) :]))
    return histories[-1][0].is_terminal and lived


def _leg(histories: Histories) -> tuple[int, datetime]:
    """How often something was begun again after it had ended, and when the last of these lives began."""
    ends = [number for number, (state, _) in enumerate(histories[:-1]) if state.is_terminal]
    return (len(ends), histories[ends[-1] + 1][1]) if ends else (0, histories[0][1])


def _caller(execution: Execution) -> str | None:
    """The span of the execution that called this one, which is in the same trace."""
    if execution.origin is None or not execution.origin.names_execution or _first(execution) == execution.id:
        return None
    return span_id(str(execution.origin.variables["executionId"]))


def _first(execution: Execution) -> str:
    return next((value for key, value in execution.labels if key == CORRELATION), execution.id)


def _runs(execution: Execution) -> TaskRuns:
    runs = execution.task_runs
    return runs if isinstance(runs, TaskRuns) else TaskRuns(runs.values())
