"""What messages about an execution say, from the map the runtime gives (`RunContext.execution_map`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.tasks.given_rows import text_of

FINISHED = frozenset({"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED"})


@dataclass(frozen=True, slots=True)
class ExecutionFacts:
    """An execution in the words of a message."""

    id: str
    namespace: str
    flow_id: str
    state: str
    duration: str
    started: float | None
    link: str | None
    last_task: str
    failed_task: str
    has_failed: bool = False  # any task run of it, also while the handlers of `errors` are at work

    @property
    def headline(self) -> str:
        """Which flow, and how it stands: `[company.team] nightly ➛ FAILED`."""
        return f"[{self.namespace}] {self.flow_id} ➛ {self.state}"

    @property
    def outcome(self) -> str:
        """`Succeeded after 00:00:05.123`, `Failed on task `x` after …` as soon as one has failed, as in Kestra, or
        `Running for …` while it is under way."""
        if self.failed_task:
            return f"Failed on task `{self.failed_task}` after {self.duration}"
        if self.state in ("SUCCESS", "WARNING"):
            return f"Succeeded after {self.duration}"
        if self.state in FINISHED:
            return f"{self.state.capitalize()} after {self.duration}"
        return f"{'Paused' if self.state == 'PAUSED' else 'Running'} for {self.duration}"


def facts(execution_map: Mapping[str, Any]) -> ExecutionFacts:
    """The facts a message needs; what the map lacks is empty."""
    execution = execution_map.get("execution") or {}
    return ExecutionFacts(
        id=str(execution.get("id", "")),
        namespace=str(execution.get("namespace", "")),
        flow_id=str(execution.get("flowId", "")),
        state=_state(execution),
        duration=str(execution_map.get("duration") or "00:00:00.000"),
        started=_epoch(execution_map.get("startDate")),
        link=execution_map.get("link") or None,
        last_task=_task_id(execution_map.get("lastTask")),
        failed_task=_task_id(execution_map.get("firstFailed")),
        has_failed=any(_state(run) == "FAILED" for run in execution.get("taskRunList") or []),
    )


def as_texts(fields: Mapping[str, Any] | None) -> dict[str, str]:
    """What a flow adds to a summary as names and texts: JSON where a value is no text, nothing where it is null."""
    return {str(name): text_of(value) for name, value in (fields or {}).items() if value is not None}


def _state(held: Mapping[str, Any]) -> str:
    state = held.get("state") or {}
    return str(state.get("current", "") if isinstance(state, Mapping) else state)


def _task_id(run: Any) -> str:
    return str(run.get("taskId", "")) if isinstance(run, Mapping) else ""


def _epoch(date: Any) -> float | None:
    if isinstance(date, str):
        try:
            date = datetime.fromisoformat(date)
        except ValueError:
            return None
    return date.timestamp() if isinstance(date, datetime) else None
