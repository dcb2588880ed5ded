"""Pauses: what waits for a person. Cards, inboxes and approvals are drawn from these rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Connection, Row, insert, select, update

from engine.store.documents import dumps, loads
from engine.store.tables import pauses

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


def open_pause(connection: Connection, pause: PauseRow) -> None:
    """Insert a waiting pause, unless its task run has one."""
    row = pauses.c
    there = select(row.id).where(row.task_run_id == pause.task_run_id, row.state == "WAITING")
    if connection.execute(there).first() is None:
        values = {name: getattr(pause, name) for name in pause.__slots__}
        connection.execute(insert(pauses), values | {"inputs": None})


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
    row = pauses.c
    text = None if inputs is None else dumps(inputs)
    moved = connection.execute(
        update(pauses)
        .where(row.id == pause_id, row.state == "WAITING")
        .values(state=state, decided_by=by, decided_at=now, inputs=text)
    )
    return get(connection, pause_id) if moved.rowcount == 1 else None


def close_of_task_run(connection: Connection, task_run_id: str, state: PauseState, now: datetime) -> None:
    """Close whatever waits for a task run, when it was over by other means."""
    row = pauses.c
    connection.execute(
        update(pauses).where(row.task_run_id == task_run_id, row.state == "WAITING").values(state=state, decided_at=now)
    )


def get(connection: Connection, pause_id: str) -> PauseRow | None:
    """One pause."""
    row = connection.execute(select(pauses).where(pauses.c.id == pause_id)).one_or_none()
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
