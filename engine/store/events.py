"""The inbox: events that must not be lost, each once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, true, update

from engine.core.events import Event
from engine.store.batches import Statement, Target, write
from engine.store.documents import Sealer, event_from, payload
from engine.store.statements import insert_numbered
from engine.store.tables import events

KEPT = timedelta(days=7)  # how long a consumed event's dedupe key is remembered

_delete = Statement(delete(events).where(events.c.id == bindparam("key")))
_consume = Statement(update(events).where(events.c.id == bindparam("key")).values(consumed=true()))


@dataclass(frozen=True, slots=True)
class Posted:
    """An event in the inbox; `keep` when its dedupe key must outlive it."""

    id: int
    execution_id: str
    event: Event
    keep: bool = False


def post(
    connection: Connection, execution_id: str, event: Event, now: datetime, sealer: Sealer, dedupe: str | None = None
) -> Posted | None:
    """Store an event; None when one with the same dedupe key was stored before."""
    row = {
        "execution_id": execution_id,
        "kind": type(event).__name__,
        "payload": sealer.dumps(payload(event), execution_id),
        "dedupe": dedupe,
        "created": now,
        "consumed": False,
    }
    number = insert_numbered(connection, events, row)
    return None if number is None else Posted(number, execution_id, event, keep=dedupe is not None)


def knows(connection: Connection, dedupe: str) -> bool:
    """Whether an event with this dedupe key was stored before."""
    return connection.execute(select(events.c.id).where(events.c.dedupe == dedupe)).first() is not None


def consume(target: Target, posted: Sequence[Posted]) -> None:
    """These have been decided upon."""
    gone = [{"key": event.id} for event in posted if not event.keep]
    kept = [{"key": event.id} for event in posted if event.keep]
    write(target, _delete, gone)
    write(target, _consume, kept)


def waiting(connection: Connection, sealer: Sealer, execution_id: str | None = None) -> list[Posted]:
    """What nobody has decided upon yet, in the order it came."""
    query = select(events).where(events.c.consumed.is_(False))
    if execution_id is not None:
        query = query.where(events.c.execution_id == execution_id)
    return [_posted(row, sealer) for row in connection.execute(query.order_by(events.c.id))]


def _posted(row: Row[Any], sealer: Sealer) -> Posted:
    event = event_from(row.kind, sealer.loads(row.payload, row.execution_id))
    return Posted(row.id, row.execution_id, event, keep=row.dedupe is not None)


def forget(connection: Connection, now: datetime) -> int:
    """Drop dedupe keys that have served their time; how many."""
    old = delete(events).where(events.c.consumed.is_(True), events.c.created < now - KEPT)
    return connection.execute(old).rowcount
