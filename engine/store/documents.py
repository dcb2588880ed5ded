"""JSON of executions, task runs, events and commands as they lie in the database.

Times are ISO text with their zone, durations ISO-8601. Whatever a task returned is brought to plain JSON by `plain`
before the engine keeps it, so that an execution reads the same from memory and from disk.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any, Protocol, cast

from pydantic import BaseModel

from engine.core import commands, events
from engine.core.commands import Command
from engine.core.dates import to_text
from engine.core.events import Event
from engine.core.execution import Attempt, Execution, Histories, Origin, TaskRun
from engine.core.state import State
from engine.errors import Refused
from engine.expressions.limits import MAX_DIGITS
from engine.whole_text import writable

EVENTS: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        events.Started,
        events.TaskStarted,
        events.TaskEnded,
        events.ChildRan,
        events.TimerFired,
        events.Overruled,
        events.Resumed,
        events.LimitReached,
        events.SubflowCreated,
        events.SubflowEnded,
        events.KillAsked,
        events.PauseAsked,
        events.RestartAsked,
        events.ForceAsked,
        events.TaskStateAsked,
    )
}
COMMANDS: dict[str, type[Any]] = {
    cls.__name__: cls for cls in (commands.RunTask, commands.SetTimer, commands.StartSubflow, commands.CreateRetry)
}
TIMES = frozenset({"now", "started", "at", "schedule_date"})


class Sealer(Protocol):
    """Keeps secrets unreadable in the database: JSON text in which they are encrypted for one owner, and back."""

    def dumps(self, value: Any, owner: str) -> str:
        """JSON text of a value; texts that hold a secret are encrypted."""

    def loads(self, text: str, owner: str) -> Any:
        """The value again."""


def dumps(value: Any) -> str:
    """Compact JSON text."""
    return _encoder.encode(value)


loads = json.loads


def plain(value: Any) -> Any:
    """The value as plain JSON: mappings with text keys, lists, text, numbers, true, false, null.

    A number that JSON has no way to write, NaN or one without end, is null, and one that no template could read is its
    text; for half of a character is a `?`. Refused when it is nested so deeply that nothing could work on it.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise Refused("A value is nested too deeply to be kept.", fix="Keep it as text, or as a file.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return writable(value if type(value) is str else str(value))
    if isinstance(value, float) and not isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(_as_json(value))


def _key(key: Any) -> str:
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    return writable(str(key if isinstance(key, str | int | float) else plain(key)))


def _as_json(value: Any) -> Any:
    """What stands in JSON for a value JSON has no kind for; TypeError names the type otherwise."""
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, date | timedelta):
        return to_text(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        if abs(value.adjusted()) > MAX_DIGITS:
            return str(value)
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"a {type(value).__name__} can't be kept")


_encoder = json.JSONEncoder(default=_as_json, separators=(",", ":"), ensure_ascii=False)


def _histories(histories: Histories) -> list[list[str]]:
    return [[state.value, moment.isoformat()] for state, moment in histories]


def from_histories(rows: list[list[str]]) -> Histories:
    """States and their times as they were written."""
    return tuple((State(state), datetime.fromisoformat(moment)) for state, moment in rows)


def _time(moment: str | None) -> datetime | None:
    return None if moment is None else datetime.fromisoformat(moment)


def execution_document(execution: Execution) -> dict[str, Any]:
    """What of an execution has no column of its own; inputs and outputs lie apart."""
    origin = execution.origin
    document: dict[str, Any] = {
        "histories": _histories(execution.histories),
        "labels": execution.labels,
        "variables": execution.variables,
        "origin": None if origin is None else [origin.id, origin.type, origin.variables],
        "parent": execution.parent_id,
        "original": execution.original_id,
        "attempt": execution.attempt_number,
        "sequence": execution.sequence,
        "rendered": execution.rendered,
    }
    if execution.schedule_date is not None:
        document["schedule"] = execution.schedule_date.isoformat()
    if execution.original_created is not None:
        document["first"] = execution.original_created.isoformat()
    if execution.held:
        document["held"] = True
    return document


def execution_from(row: Any, doc: dict[str, Any], runs: Mapping[str, TaskRun], inputs: Any, outputs: Any) -> Execution:
    """An execution from its row, document, task runs and values."""
    origin = doc["origin"]
    return Execution(
        id=row.id,
        namespace=row.namespace,
        flow_id=row.flow_id,
        revision=row.revision,
        state=State(row.state),
        version=row.version,
        started_by=row.started_by,
        histories=from_histories(doc["histories"]),
        task_runs=runs,
        inputs=inputs,
        outputs=outputs,
        labels=tuple((key, value) for key, value in doc["labels"]),
        variables=doc["variables"],
        origin=None if origin is None else Origin(*origin),
        parent_id=doc["parent"],
        original_id=doc["original"],
        attempt_number=doc["attempt"],
        sequence=doc["sequence"],
        rendered=doc["rendered"],
        schedule_date=_time(doc.get("schedule")),
        original_created=_time(doc.get("first")),
        held=doc.get("held", False),
    )


def task_run_document(run: TaskRun) -> dict[str, Any]:
    """What of a task run has no column of its own, without its outputs."""
    document: dict[str, Any] = {"h": _histories(run.histories)}
    if run.attempts:
        document["a"] = [
            [a.state.value, a.started.isoformat(), None if a.ended is None else a.ended.isoformat()]
            for a in run.attempts
        ]
    optional = (("p", run.parent_id), ("v", run.value), ("i", run.iteration))
    document |= {key: value for key, value in optional if value is not None}
    if run.rendered:
        document["r"] = run.rendered
    return document


def task_run_from(row: Any, doc: dict[str, Any], outputs: Any) -> TaskRun:
    """A task run from its row, document and outputs."""
    return TaskRun(
        id=row.id,
        task_id=row.task_id,
        state=State(row.state),
        histories=from_histories(doc["h"]),
        parent_id=doc.get("p"),
        value=doc.get("v"),
        iteration=doc.get("i"),
        attempts=tuple(
            Attempt(State(state), datetime.fromisoformat(started), _time(ended))
            for state, started, ended in doc.get("a", ())
        ),
        outputs=outputs,
        rendered=doc.get("r", {}),
    )


def payload(value: Event | Command) -> dict[str, Any]:
    """The fields of an event or a command."""
    return {f.name: getattr(value, f.name) for f in fields(value)}


def _from_payload(cls: type[Any], given: dict[str, Any]) -> Any:
    for name, value in given.items():
        if name in TIMES and value is not None:
            given[name] = datetime.fromisoformat(value)
        elif name == "state":
            given[name] = State(value)
        elif name == "labels":
            given[name] = tuple((key, label) for key, label in value)
    return cls(**given)


def event_from(kind: str, given: dict[str, Any]) -> Event:
    """The event of an inbox row."""
    return cast(Event, _from_payload(EVENTS[kind], given))


def command_from(kind: str, given: dict[str, Any]) -> Command:
    """The command of an outbox row."""
    return cast(Command, _from_payload(COMMANDS[kind], given))
