"""The record of who did what from where; rows are only ever added."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from engine.store import audit_chain
from engine.store.chat_tables import audit, audit_private
from engine.store.tables import pauses

FORGOTTEN = "somebody who was removed"
REMOVED = "removed"  # the account that is named instead of one that was taken out
HEARD = ("command", "click", "form", "refused", "posted")  # what came in, before and beside what was done about it
others = audit.alias("others")
who, said = audit_private.alias("who"), audit_private.alias("said")


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing a person did. `details` hold values with secrets already masked."""

    at: datetime
    person: str
    name: str
    platform: str
    action: str  # run | approve | reject | answer | choose | resume | kill | vote | restart | replay | kv …, or HEARD
    entity: str
    execution_id: str = ""
    flow: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def record(connection: Connection, deed: Deed) -> None:
    """Add a row to the chain."""
    audit_chain.append(
        connection,
        at=deed.at,
        person=audit_chain.person_key(connection, deed.person, deed.name) if deed.person else "",
        platform=deed.platform,
        action=deed.action,
        entity=deed.entity,
        execution_id=deed.execution_id,
        flow=deed.flow,
        details=audit_chain.details_key(connection, deed.details),
    )


def about(connection: Connection, entity: str, *, heard: bool = False) -> list[Deed]:
    """What was done to a pause or an execution, oldest first; with `heard` also each press and refusal on the way."""
    here = (audit.c.entity == entity) | (audit.c.execution_id == entity)
    if heard:
        of_run = select(pauses.c.id).where(pauses.c.execution_id == entity)
        told = others.c.entity  # also when the run is purged, and its pauses with it
        once = select(told).where(others.c.execution_id == entity, told != "", told != entity)
        here = here | audit.c.entity.in_(of_run.union(once))
    else:
        here = here & audit.c.action.not_in(HEARD)
    return [_deed(row) for row in connection.execute(_deeds().where(here).order_by(audit.c.id))]


def last(connection: Connection, entity: str, actions: Collection[str]) -> Deed | None:
    """The last thing of a kind done to a pause."""
    which = (audit.c.entity == entity) & audit.c.action.in_(actions)
    query = _deeds().where(which).order_by(audit.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return _deed(row) if row else None


def previous(
    connection: Connection, namespace: str, flow_id: str, task_id: str, pause_id: str, actions: Collection[str]
) -> Deed | None:
    """The last decision at the same place of the same flow, in another pause."""
    here = (pauses.c.namespace == namespace) & (pauses.c.flow_id == flow_id) & (pauses.c.task_id == task_id)
    query = _deeds().join(pauses, pauses.c.id == audit.c.entity).where(here, audit.c.entity != pause_id)
    query = query.where(audit.c.action.in_(actions)).order_by(audit.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return _deed(row) if row else None


def _deeds() -> Select[Any]:
    """The rows, with what is still known of who did it and how."""
    return (
        select(audit, who.c.content.label("who"), said.c.content.label("said"))
        .join_from(audit, who, who.c.key == audit.c.person, isouter=True)
        .join(said, said.c.key == audit.c.details, isouter=True)
    )


def _deed(row: Row[Any]) -> Deed:
    person = audit_chain.read(row.who) if row.who else {"name": FORGOTTEN if row.person else ""}
    details = audit_chain.read(row.said) if row.said else {}
    who_, name = person.get("id", ""), person.get("name", "")
    return Deed(row.at, who_, name, row.platform, row.action, row.entity, row.execution_id, row.flow, details)
