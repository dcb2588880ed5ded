"""Schedules that people add from chat: they belong to a flow, but stand outside its file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, delete, select

from engine.store.statements import insert_new
from engine.store.tables import Chars, Instant, metadata, trigger_fires

schedules = Table(
    "own_schedule",
    metadata,
    Column("namespace", Chars, nullable=False),
    Column("flow_id", Chars, nullable=False),
    Column("id", Chars, nullable=False),
    Column("trigger", Chars, nullable=False),
    Column("words", Chars, nullable=False),
    Column("person", Chars, nullable=False),
    Column("room", Chars, nullable=False),
    Column("created", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "flow_id", "id"),
)


@dataclass(frozen=True, slots=True)
class OwnSchedule:
    """One of them: the trigger as a flow would declare it, how it was said, by whom and where."""

    namespace: str
    flow_id: str
    id: str
    trigger: Mapping[str, Any]
    words: str
    person: str
    room: Mapping[str, Any]
    created: datetime


def add(connection: Connection, one: OwnSchedule) -> bool:
    """Write one down; False when it is there already."""
    values = {name: getattr(one, name) for name in one.__slots__}
    values |= {"trigger": json.dumps(one.trigger), "room": json.dumps(one.room)}
    return insert_new(connection, schedules, values)


def remove(connection: Connection, namespace: str, flow_id: str, id_: str) -> bool:
    """Forget one; False when there is none."""
    row = schedules.c
    which = delete(schedules).where(row.namespace == namespace, row.flow_id == flow_id, row.id == id_)
    return connection.execute(which).rowcount > 0


def every(connection: Connection) -> list[OwnSchedule]:
    """All of them."""
    found = [dict(row._mapping) for row in connection.execute(select(schedules))]
    return [OwnSchedule(**row | {name: json.loads(row[name]) for name in ("trigger", "room")}) for row in found]


def taken(connection: Connection, key: str, after: datetime) -> list[datetime]:
    """Dates of a trigger that are taken after a moment: skipped ones, when they lie ahead."""
    row = trigger_fires.c
    query = select(row.scheduled_at).where(row.trigger_key == key, row.scheduled_at > after)
    return list(connection.execute(query).scalars())
