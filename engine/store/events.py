"""The inbox: events that must not be lost, each once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, true, update

from engine.core.events import Event
from engine.store.batches import Statement, Target, write
from engine.store.documents import Sealer, event_from, payload
from engine.store.statements import insert_numbered
from engine.store.tables import events, instant

KEPT = timedelta(days=7)  # how long a consumed event's dedupe key is remembered

# Each must be there: another process may have decided upon it meanwhile.
_delete = Statement(delete(events).where(events.c.id == bindparam("key")), each=True)
_consume = Statement(
    update(events).where(events.c.id == bindparam("key"), events.c.consumed.is_(False)).values(consumed=true()),
    each=True,
)
_drop = Statement(delete(events).where(events.c.id == bindparam("key")))
_insert = Statement(insert(events), columns=("execution_id", "kind", "payload", "created", "consumed"))


@dataclass(frozen=True, slots=True)
class Posted:
    """An event in the inbox; `keep` when its dedupe key must outlive it."""

    id: int
    execution_id: str
    event: Event
    keep: bool = False


def post(
    connection: Connection,
    execution_id: str,
    event: Event,
    now: datetime,
    sealer: Sealer,
    dedupe: str | None = None,
    *,
    consumed: bool = False,
) -> Posted | None:
    """Store an event; None when one with the same dedupe key was stored before. `consumed`: what it comes to is written
    with it."""
    row = {
        "execution_id": execution_id,
        "kind": type(event).__name__,
        "payload": sealer.dumps(payload(event), execution_id),
        "dedupe": dedupe,
        "created": now,
        "consumed": consumed,
    }
    number = insert_numbered(connection, events, row)
    return None if number is None else Posted(number, execution_id, event, keep=dedupe is not None)


def knows(connection: Connection, dedupe: str) -> bool:
    """Whether an event with this dedupe key was stored before."""
    return connection.execute(select(events.c.id).where(events.c.dedupe == dedupe)).first() is not None


def add(target: Target, execution_id: str, event: Event, now: datetime, sealer: Sealer) -> None:
    """Store an event with the group; for who need not know its number. Only where booleans are values of their own."""
    row = {
        "execution_id": execution_id,
        "kind": type(event).__name__,
        "payload": sealer.dumps(payload(event), execution_id),
        "created": instant(now),
        "consumed": False,
    }
    write(target, _insert, [row])


def drop(target: Target, posted: Sequence[Posted]) -> None:
    """Nobody will decide upon these."""
    write(target, _drop, [{"key": event.id} for event in posted])


def consume(target: Target, posted: Sequence[Posted]) -> None:
    """These have been decided upon; Superseded when another hand did that."""
    gone = [{"key": event.id} for event in posted if not event.keep]
    kept = [{"key": event.id} for event in posted if event.keep]
    write(target, _delete, gone)
    write(target, _consume, kept)


def waiting(
    connection: Connection, sealer: Sealer, execution_id: str | None = None, limit: int | None = None
) -> list[Posted]:
    """What nobody has decided upon yet, in the order it came."""
    query = select(events).where(events.c.consumed.is_(False))
    if execution_id is not None:
        query = query.where(events.c.execution_id == execution_id)
    return [_posted(row, sealer) for row in connection.execute(query.order_by(events.c.id).limit(limit))]


def waiting_of(connection: Connection, sealer: Sealer, executions: Collection[str]) -> list[Posted]:
    """What of some executions nobody has decided upon yet, in the order it came."""
    if not executions:
        return []
    query = select(events).where(events.c.consumed.is_(False), events.c.execution_id.in_(executions))
    return [_posted(row, sealer) for row in connection.execute(query.order_by(events.c.id))]


def still(connection: Connection, numbers: Collection[int]) -> set[int]:
    """Those of some events that nobody has decided upon yet."""
    return set(
        connection.execute(select(events.c.id).where(events.c.id.in_(numbers), events.c.consumed.is_(False))).scalars()
    )


def any_waiting(connection: Connection) -> bool:
    """Whether there is something nobody has decided upon yet."""
    return connection.execute(select(events.c.id).where(events.c.consumed.is_(False)).limit(1)).first() is not None


def is_waiting(connection: Connection, number: int) -> bool:
    """Whether nobody has decided upon an event yet."""
    return bool(still(connection, [number]))


def _posted(row: Row[Any], sealer: Sealer) -> Posted:
    event = event_from(row.kind, sealer.loads(row.payload, row.execution_id))
    return Posted(row.id, row.execution_id, event, keep=row.dedupe is not None)


def forget(connection: Connection, now: datetime) -> int:
    """Drop dedupe keys that have served their time; how many."""
    old = delete(events).where(events.c.consumed.is_(True), events.c.created < now - KEPT)
    return connection.execute(old).rowcount
