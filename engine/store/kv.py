"""Key/value pairs of namespaces."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from engine.store.statements import put as put_row
from engine.store.statements import serial
from engine.store.tables import key_values


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One pair. `value` is JSON text; of kind SECRET it is encrypted."""

    namespace: str
    key: str
    kind: str
    value: str
    updated: datetime
    expires: datetime | None = None
    description: str | None = None


def put(connection: Connection, pair: KeyValue, now: datetime, *, overwrite: bool = True) -> bool:
    """Store a pair; False when there is one that has not expired and may not be overwritten."""
    serial(connection, f"kv {pair.namespace} {pair.key}")
    if not overwrite:
        there = get(connection, pair.namespace, pair.key)
        if there is not None and not (there.expires and there.expires <= now):
            return False
    put_row(connection, key_values, {name: getattr(pair, name) for name in pair.__slots__})
    return True


def held(connection: Connection, namespace: str, key: str) -> KeyValue | None:
    """A pair, expired or not, for what is written because of it: until the commit nobody else stores or removes it."""
    serial(connection, f"kv {namespace} {key}")
    return get(connection, namespace, key)


def get(connection: Connection, namespace: str, key: str) -> KeyValue | None:
    """A pair, expired or not."""
    row = connection.execute(
        select(key_values).where(key_values.c.namespace == namespace, key_values.c.key == key)
    ).one_or_none()
    return None if row is None else KeyValue(**row._mapping)


def remove(connection: Connection, namespace: str, key: str) -> bool:
    """Whether there was one."""
    serial(connection, f"kv {namespace} {key}")
    gone = delete(key_values).where(key_values.c.namespace == namespace, key_values.c.key == key)
    return connection.execute(gone).rowcount == 1


def find(connection: Connection, namespace: str, now: datetime, prefix: str = "") -> list[KeyValue]:
    """Pairs that have not expired, by key."""
    rows = connection.execute(
        select(key_values)
        .where(key_values.c.namespace == namespace, key_values.c.key.startswith(prefix, autoescape=True))
        .where(key_values.c.expires.is_(None) | (key_values.c.expires > now))
        .order_by(key_values.c.key)
    )
    return [KeyValue(**row._mapping) for row in rows]


def namespaces(connection: Connection) -> list[str]:
    """Namespaces that have pairs."""
    return list(
        connection.execute(select(key_values.c.namespace).distinct().order_by(key_values.c.namespace)).scalars()
    )


def purge_expired(connection: Connection, now: datetime) -> int:
    """Delete what has expired; how many."""
    return connection.execute(delete(key_values).where(key_values.c.expires <= now)).rowcount


def secrets(connection: Connection) -> list[KeyValue]:
    """Every encrypted pair, for a change of keys."""
    return [
        KeyValue(**row._mapping) for row in connection.execute(select(key_values).where(key_values.c.kind == "SECRET"))
    ]
