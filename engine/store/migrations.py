"""Numbered steps that bring a database to the schema of this program, run at every start."""

import json
import logging
import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module

from sqlalchemy import Connection, func, insert, inspect, select, text

import engine.store
from engine.errors import StoreFailed
from engine.store import chat_aliases, chat_audit, parts, signals
from engine.store.tables import EPOCH, MICROSECOND, metadata, schema_version

log = logging.getLogger(__name__)


def create_tables(connection: Connection) -> None:
    """Version 1: every table and index that the store's modules declare, also new ones of tables that are there."""
    for module in pkgutil.iter_modules(engine.store.__path__):
        import_module(f"engine.store.{module.name}")
    metadata.create_all(connection)
    look = inspect(connection)
    for table in metadata.sorted_tables:
        there = {one["name"] for one in look.get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in there:
                index.create(connection)
    if connection.dialect.name == "postgresql":
        signals.create(connection)


def chain_audit(connection: Connection) -> None:
    """Version 2: the record of deeds becomes a chain; what was in it is taken over."""
    create_tables(connection)
    if not inspect(connection).has_table("chat_audit"):
        return
    query = "SELECT at, person, name, platform, action, entity, execution_id, flow, details FROM chat_audit ORDER BY id"
    for row in connection.execute(text(query)).all():
        said = {**row._mapping, "at": EPOCH + row.at * MICROSECOND, "details": json.loads(row.details)}
        chat_audit.record(connection, chat_audit.Deed(**said))
    connection.execute(text("DROP TABLE chat_audit"))


def own_aliases(connection: Connection) -> None:
    """Version 3: what was made in Discord's direct messages while it held in everybody's holds for who made it."""
    create_tables(connection)
    chat_aliases.make_own(connection)


OLDEST = "oldest program"
# The oldest schema whose programs may go on beside this one, while one process after the other is replaced. Programs of
# version 1 write the record of deeds elsewhere.
COMPATIBLE = 2

STEPS: tuple[Callable[[Connection], None], ...] = (create_tables, chain_audit, own_aliases)


def migrate(connection: Connection, name: str) -> None:
    """Run the steps a database has not seen, in the caller's transaction; StoreFailed when it is newer than we are."""
    known, shared = len(STEPS), connection.dialect.name == "postgresql"
    exists = inspect(connection).has_table(schema_version.name)
    found = connection.execute(select(func.max(schema_version.c.version))).scalar() if exists else None
    if (found or 0) > known:
        if shared and int(parts.get(connection, OLDEST) or found or 0) <= known:
            log.info("%s has schema %s, this Parley knows %s; they go together.", name, found, known)
            return
        raise StoreFailed(
            f"{name} was written by a newer Parley (schema {found}, this one knows {known}).",
            fix="Install that version again, or restore a backup made with this one.",
        )
    for number in range((found or 0) + 1, known + 1):
        STEPS[number - 1](connection)
        connection.execute(insert(schema_version).values(version=number, applied=datetime.now(UTC)))
    if shared:
        parts.put(connection, OLDEST, str(COMPATIBLE))
    if found == known:
        create_tables(connection)  # a table that a later build of the same version added
