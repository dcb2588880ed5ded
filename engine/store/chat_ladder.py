"""What is to be done about a pause nobody has decided: reminders, new posts, escalations, each once at its time."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, Connection, Index, String, Table, Text, delete, func, select, update

from engine.store.statements import insert_new
from engine.store.tables import Instant, metadata, pauses

Kind = Literal["remind", "repost", "escalate", "snooze"]

rungs = Table(
    "chat_rung",
    metadata,
    Column("id", String(300), primary_key=True),
    Column("pause_id", String(64), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("person", String(200), nullable=False, default=""),  # of a snooze: who asked for it
    Column("detail", Text, nullable=False, default="{}"),
    Column("due", Instant, nullable=False),
    Column("state", String(8), nullable=False, default="OPEN"),  # OPEN | DONE
    Index("chat_rung_due", "state", "due"),
    Index("chat_rung_pause", "pause_id"),
)


@dataclass(frozen=True, slots=True)
class Rung:
    """One thing to do at a time. The same id again is the same thing."""

    id: str
    pause_id: str
    kind: Kind
    due: datetime
    person: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    state: str = "OPEN"


def plan(connection: Connection, steps: Iterable[Rung]) -> int:
    """Write down what is to be done; what is planned already, or was done, stays as it is. How many are new."""
    return sum([insert_new(connection, rungs, _values(step)) for step in steps])


def snooze(connection: Connection, step: Rung) -> None:
    """Ask somebody again at another time; their last word counts."""
    moved = update(rungs).where(rungs.c.id == step.id).values(due=step.due, state="OPEN")
    if connection.execute(moved).rowcount == 0:
        insert_new(connection, rungs, _values(step))


def due(connection: Connection, now: datetime, limit: int) -> list[Rung]:
    """What is to be done now, the oldest first."""
    query = select(rungs).where(rungs.c.state == "OPEN", rungs.c.due <= now).order_by(rungs.c.due, rungs.c.id)
    return [_rung(row) for row in connection.execute(query.limit(limit))]


def next_due(connection: Connection) -> datetime | None:
    """When there is something to do; None when nothing is planned."""
    found: datetime | None = connection.execute(select(func.min(rungs.c.due)).where(rungs.c.state == "OPEN")).scalar()
    return found


def take(connection: Connection, step: Rung) -> bool:
    """Mark as done; False when it was done, or put off, meanwhile."""
    same = (rungs.c.id == step.id) & (rungs.c.state == "OPEN") & (rungs.c.due == step.due)
    return connection.execute(update(rungs).where(same).values(state="DONE")).rowcount == 1


def done(connection: Connection, pause_id: str, kind: Kind) -> list[Rung]:
    """What was done about a pause already."""
    query = select(rungs).where(rungs.c.pause_id == pause_id, rungs.c.kind == kind, rungs.c.state == "DONE")
    return [_rung(row) for row in connection.execute(query.order_by(rungs.c.due, rungs.c.id))]


def snoozed(connection: Connection, pause_id: str) -> set[str]:
    """Who wants to be asked about a pause later."""
    query = select(rungs.c.person).where(
        rungs.c.pause_id == pause_id, rungs.c.kind == "snooze", rungs.c.state == "OPEN"
    )
    return set(connection.execute(query).scalars())


def forget(connection: Connection, before: datetime) -> None:
    """Drop what belongs to pauses that are over or gone."""
    open_ones = select(pauses.c.id).where(pauses.c.state == "WAITING")
    connection.execute(delete(rungs).where(rungs.c.due < before, rungs.c.pause_id.not_in(open_ones)))


def _values(step: Rung) -> dict[str, Any]:
    return {
        "id": step.id,
        "pause_id": step.pause_id,
        "kind": step.kind,
        "person": step.person,
        "detail": json.dumps(step.detail),
        "due": step.due,
        "state": step.state,
    }


def _rung(row: Any) -> Rung:
    values = dict(row._mapping)
    return Rung(**{**values, "detail": json.loads(values["detail"])})
