"""What a database keeps once for all processes on it: versions of parts of its schema, a proof of the key."""

from sqlalchemy import Connection, select

from engine.store.statements import insert_new
from engine.store.statements import put as put_row
from engine.store.tables import schema_parts

ENCRYPTION_KEY = "encryption key"  # the fingerprint of the key that processes share


def get(connection: Connection, name: str) -> str | None:
    """What is kept under a name."""
    found: str | None = connection.execute(
        select(schema_parts.c.version).where(schema_parts.c.name == name)
    ).scalar_one_or_none()
    return found


def put(connection: Connection, name: str, text: str) -> None:
    """Keep a text under a name, over what was there."""
    put_row(connection, schema_parts, {"name": name, "version": text})


def first(connection: Connection, name: str, text: str) -> str:
    """Keep a text under a name unless there is one; the one that is there."""
    insert_new(connection, schema_parts, {"name": name, "version": text})
    there = get(connection, name)
    return text if there is None else there
