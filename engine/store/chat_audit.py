"""The record of who did what from where; rows are only ever added."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from engine.store.chat_tables import audit
from engine.store.tables import pauses


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing a person did. `details` hold values with secrets already masked."""

    at: datetime
    person: str
    name: str
    platform: str
    action: str  # run | approve | reject | answer | choose | resume | kill | vote | restart | replay | kv
    entity: str
    execution_id: str = ""
    flow: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def record(connection: Connection, deed: Deed) -> None:
    """Add a row."""
    connection.execute(
        insert(audit).values(
            at=deed.at,
            person=deed.person,
            name=deed.name,
            platform=deed.platform,
            action=deed.action,
            entity=deed.entity,
            execution_id=deed.execution_id,
            flow=deed.flow,
            details=json.dumps(deed.details),
        )
    )


def about(connection: Connection, entity: str) -> list[Deed]:
    """What was done to a pause or an execution, oldest first."""
    query = select(audit).where((audit.c.entity == entity) | (audit.c.execution_id == entity)).order_by(audit.c.id)
    return [_deed(row) for row in connection.execute(query)]


def last(connection: Connection, entity: str, actions: Collection[str]) -> Deed | None:
    """The last thing of a kind done to a pause."""
    which = (audit.c.entity == entity) & audit.c.action.in_(actions)
    query = select(audit).where(which).order_by(audit.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return _deed(row) if row else None


def previous(
    connection: Connection, namespace: str, flow_id: str, task_id: str, pause_id: str, actions: Collection[str]
) -> Deed | None:
    """The last decision at the same place of the same flow, in another pause."""
    here = (pauses.c.namespace == namespace) & (pauses.c.flow_id == flow_id) & (pauses.c.task_id == task_id)
    query = select(audit).join(pauses, pauses.c.id == audit.c.entity).where(here, audit.c.entity != pause_id)
    query = query.where(audit.c.action.in_(actions)).order_by(audit.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return _deed(row) if row else None


def _deed(row: Row[Any]) -> Deed:
    details = json.loads(row.details)
    return Deed(row.at, row.person, row.name, row.platform, row.action, row.entity, row.execution_id, row.flow, details)
