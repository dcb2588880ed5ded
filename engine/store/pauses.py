"""Pauses: what waits for a person. Cards, inboxes and approvals are drawn from these rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Connection, Row, bindparam, exists, insert, select, text, update

from engine.store.batches import Statement, Target, write
from engine.store.documents import dumps, loads
from engine.store.tables import instant, pauses

PauseState = Literal["WAITING", "RESUMED", "EXPIRED", "KILLED", "SUPERSEDED"]


@dataclass(frozen=True, slots=True)
class PauseRow:
    """A task run that waits, or waited, for a person. `inputs` is what was answered, secrets masked."""

    id: str
    execution_id: str
    task_run_id: str
    task_id: str
    namespace: str
    flow_id: str
    state: PauseState
    created: datetime
    deadline: datetime | None = None
    deadline_behavior: str = "RESUME"
    decided_by: str | None = None
    decided_at: datetime | None = None
    inputs: Mapping[str, Any] | None = None


_row = pauses.c
_given = [column for column in pauses.columns if column.name != "inputs"]
_open = Statement(
    insert(pauses).from_select(
        [column.name for column in _given],
        select(*(bindparam(f"new_{column.name}", type_=column.type) for column in _given)).where(
            ~exists(text("1")).where(
                _row.execution_id == bindparam("new_execution_id"),  # by this the row is found
                _row.task_run_id == bindparam("new_task_run_id"),
                _row.state == text("'WAITING'"),
            )
        ),
    )
)
_one = select(pauses).where(_row.id == bindparam("key"))
_decide = Statement(
    update(pauses)
    .where(_row.id == bindparam("key"), _row.state == text("'WAITING'"))
    .values(
        state=bindparam("new_state"), decided_by=bindparam("by"), decided_at=bindparam("now"), inputs=bindparam("given")
    )
)
_close = Statement(
    update(pauses)
    .where(
        _row.execution_id == bindparam("of_execution"),
        _row.task_run_id == bindparam("of_task_run"),
        _row.state == text("'WAITING'"),
    )
    .values(state=bindparam("new_state"), decided_at=bindparam("now"))
)


def open_pause(target: Target, pause: PauseRow) -> None:
    """Insert a waiting pause, unless its task run has one."""
    row = {f"new_{column.name}": getattr(pause, column.name) for column in _given}
    moments = {"new_created": instant(pause.created), "new_deadline": instant(pause.deadline)}
    write(target, _open, [row | moments | {"new_decided_at": instant(pause.decided_at)}])


def decide(
    connection: Connection,
    pause_id: str,
    state: PauseState,
    *,
    by: str,
    now: datetime,
    inputs: Mapping[str, Any] | None = None,
) -> PauseRow | None:
    """Close a waiting pause once; None when someone was faster."""
    row = {"key": pause_id, "new_state": state, "by": by, "now": instant(now)}
    moved = _decide.run(connection, [row | {"given": None if inputs is None else dumps(inputs)}])
    return get(connection, pause_id) if moved == 1 else None


def close_of_task_run(target: Target, execution_id: str, task_run_id: str, state: PauseState, now: datetime) -> None:
    """Close whatever waits for a task run, when it was over by other means."""
    row = {"of_execution": execution_id, "of_task_run": task_run_id, "new_state": state, "now": instant(now)}
    write(target, _close, [row])


def postpone(connection: Connection, pause_id: str, deadline: datetime) -> bool:
    """Give a pause more time; False when it is decided, has no deadline, or a later one."""
    which = (_row.id == pause_id, _row.state == text("'WAITING'"), _row.deadline < deadline)
    return connection.execute(update(pauses).where(*which).values(deadline=deadline)).rowcount == 1


def expire(connection: Connection, execution_id: str, task_run_id: str, deadline: datetime, now: datetime) -> bool:
    """Close what waits for a task run until `deadline`; False when nothing does: somebody answered, or asked anew."""
    waits = (_row.execution_id == execution_id, _row.task_run_id == task_run_id, _row.state == text("'WAITING'"))
    closed = update(pauses).where(*waits, _row.deadline <= deadline).values(state="EXPIRED", decided_at=now)
    return connection.execute(closed).rowcount > 0


def get(connection: Connection, pause_id: str) -> PauseRow | None:
    """One pause."""
    row = connection.execute(_one, {"key": pause_id}).one_or_none()
    return None if row is None else _pause(row)


def find(
    connection: Connection,
    *,
    execution_id: str | None = None,
    task_run_id: str | None = None,
    state: str | None = "WAITING",
    limit: int = 100,
) -> list[PauseRow]:
    """Pauses that fit, oldest first."""
    query = select(pauses)
    for column, value in (("execution_id", execution_id), ("task_run_id", task_run_id), ("state", state)):
        if value is not None:
            query = query.where(pauses.c[column] == value)
    return [_pause(row) for row in connection.execute(query.order_by(pauses.c.created, pauses.c.id).limit(limit))]


def _pause(row: Row[Any]) -> PauseRow:
    values = dict(row._mapping)
    inputs = values.pop("inputs")
    return PauseRow(**values, inputs=None if inputs is None else cast(Mapping[str, Any], loads(inputs)))
