"""Flows by revision: the text as it was deployed, never changed afterwards."""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, not_, select, update
from sqlalchemy import delete as delete_rows

from engine.store import triggers
from engine.store.records import rests
from engine.store.statements import serial
from engine.store.tables import executions, flows

_NUMBER = re.compile(r"^revision:[ \t]*\d+[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FlowRow:
    """One revision of a flow. `deleted` on the newest: its file is gone, the history is kept."""

    namespace: str
    id: str
    revision: int
    source: str
    file: str
    deleted: bool
    created: datetime


def deploy(connection: Connection, namespace: str, flow_id: str, source: str, file: str, now: datetime) -> int:
    """Keep a flow's text as a new revision, unless it is the newest already; its revision."""
    serial(connection, f"flow {namespace} {flow_id}")
    newest = latest(connection, namespace, flow_id)
    key = flows.c
    if newest is not None and _without_number(newest.source) == _without_number(source):
        if newest.deleted or newest.file != file:
            connection.execute(
                update(flows)
                .where(key.namespace == namespace, key.id == flow_id, key.revision == newest.revision)
                .values(deleted=False, file=file)
            )
        return newest.revision
    revision = 1 if newest is None else newest.revision + 1
    values = {"namespace": namespace, "id": flow_id, "revision": revision, "source": source, "file": file}
    connection.execute(insert(flows), values | {"deleted": False, "created": now})
    return revision


def _without_number(source: str) -> str:
    """A flow's text without the line in which it says which revision it is: that is for us to say."""
    return _NUMBER.sub("", source, count=1)


def delete(connection: Connection, namespace: str, flow_id: str, now: datetime) -> bool:
    """Disable a flow for good: nothing new starts from it, what it did is kept. Whether there was one."""
    serial(connection, f"flow {namespace} {flow_id}")
    newest = latest(connection, namespace, flow_id)
    if newest is None or newest.deleted:
        return False
    key = flows.c
    connection.execute(
        update(flows)
        .where(key.namespace == namespace, key.id == flow_id, key.revision == newest.revision)
        .values(deleted=True)
    )
    triggers.rest(connection, namespace, flow_id, now)
    return True


def latest(connection: Connection, namespace: str, flow_id: str) -> FlowRow | None:
    """The newest revision of a flow."""
    key = flows.c
    query = select(flows).where(key.namespace == namespace, key.id == flow_id).order_by(key.revision.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else FlowRow(**row._mapping)


def revision(connection: Connection, namespace: str, flow_id: str, number: int) -> FlowRow | None:
    """One revision of a flow."""
    key = flows.c
    query = select(flows).where(key.namespace == namespace, key.id == flow_id, key.revision == number)
    row = connection.execute(query).one_or_none()
    return None if row is None else FlowRow(**row._mapping)


def all_latest(connection: Connection) -> list[FlowRow]:
    """The newest revision of every flow."""
    newest = (
        select(flows.c.namespace, flows.c.id, func.max(flows.c.revision).label("revision"))
        .group_by(flows.c.namespace, flows.c.id)
        .subquery()
    )
    joined = (
        (flows.c.namespace == newest.c.namespace)
        & (flows.c.id == newest.c.id)
        & (flows.c.revision == newest.c.revision)
    )
    rows = connection.execute(select(flows).join(newest, joined).order_by(flows.c.namespace, flows.c.id))
    return [FlowRow(**row._mapping) for row in rows]


def purge_revisions(
    connection: Connection, namespace: str, flow_id: str, keep: int | None, before: datetime | None
) -> int:
    """Delete old revisions, all but the `keep` newest or those from before a date; how many.

    The newest stays, and so does what an execution that may still go on is running.
    """
    key = flows.c
    own = (key.namespace == namespace, key.id == flow_id)
    numbers = list(connection.execute(select(key.revision).where(*own).order_by(key.revision.desc())).scalars())
    old = numbers[max(keep or 1, 1) :]
    gone = delete_rows(flows).where(*own, key.revision.in_(old))
    if before is not None:
        gone = gone.where(key.created <= before)
    run = executions.c
    used = select(run.revision).where(run.namespace == namespace, run.flow_id == flow_id, not_(rests()))
    return connection.execute(gone.where(key.revision.not_in(used))).rowcount


def revisions(connection: Connection, namespace: str, flow_id: str) -> list[int]:
    """The revisions there are, oldest first."""
    return [row.revision for row in history(connection, namespace, flow_id)]


def history(connection: Connection, namespace: str, flow_id: str) -> list[FlowRow]:
    """Every revision there is, oldest first."""
    key = flows.c
    query = select(flows).where(key.namespace == namespace, key.id == flow_id).order_by(key.revision)
    return [FlowRow(**row._mapping) for row in connection.execute(query)]
