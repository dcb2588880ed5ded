"""Copies everything from one database to another: ids, dedupe keys, waiting pauses and the messages that show them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Integer, Table, func, insert, select, text

from engine.errors import StoreFailed
from engine.store.members import members
from engine.store.tables import executions, flows, metadata, schema_parts, schema_version
from engine.store.writing import Database, Unit

PIECE = 500  # rows at a time
OWN = (schema_version, schema_parts, members)  # what each database says of itself


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied: rows by table, and executions that wait for a person."""

    rows: dict[str, int]
    pauses: int


async def move(source: Database, target: Database) -> Moved:
    """Copy all rows into an empty database, in one transaction; StoreFailed when there is something in it."""

    def work(unit: Unit) -> dict[str, int]:
        there = unit.connection
        for table in (executions, flows):
            if there.execute(select(func.count()).select_from(table)).scalar_one():
                raise StoreFailed("The new database is not empty.", fix="Name one that nothing was stored in yet.")

        def copy(here: Connection) -> dict[str, int]:
            return {table.name: _copy(here, there, table) for table in metadata.sorted_tables if table not in OWN}

        return source.read_now(copy)

    rows = await target.transact(work)
    return Moved(rows, await target.read(_waiting))


def _copy(here: Connection, there: Connection, table: Table) -> int:
    number = 0
    rows = here.execution_options(yield_per=PIECE).execute(select(table)).mappings()
    for piece in rows.partitions(PIECE):
        there.execute(insert(table), [dict(row) for row in piece])
        number += len(piece)
    if number and there.dialect.name == "postgresql":
        _count_on(there, table)
    return number


def _count_on(connection: Connection, table: Table) -> None:
    """New rows get numbers after those that were copied."""
    key: Column[Any] = next(iter(table.primary_key))
    if key.autoincrement is True and isinstance(key.type, Integer):
        name = {"table": f'"{table.name}"', "column": key.name}
        highest = connection.execute(select(func.max(key))).scalar_one()
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)"), name | {"highest": highest}
        )


def _waiting(connection: Connection) -> int:
    found: int = connection.execute(text("SELECT count(*) FROM pause WHERE state = 'WAITING'")).scalar_one()
    return found
