"""Statements that databases spell differently: insert unless, or instead of what, is there already."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

_wait_for = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 7))")


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row; False when a UNIQUE rule says that it is there already."""
    return connection.execute(_unless_there(connection.dialect.name, table), values).first() is not None


def insert_numbered(connection: Connection, table: Table, values: Mapping[str, Any]) -> int | None:
    """Insert into a table that numbers its rows; the number, None when a UNIQUE rule says that the row is there."""
    number: int | None = connection.execute(_unless_there(connection.dialect.name, table), values).scalar_one_or_none()
    return number


@cache
def _unless_there(dialect: str, table: Table) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key)


def serial(connection: Connection, what: str) -> None:
    """Until the commit, nobody else who asks for the same gets on: for what is read, and then written because of it.

    One process writes a file, one unit after the other; only a server has other writers.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_wait_for, {"what": what})


def put(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or replace the one with the same primary key."""
    connection.execute(_instead(connection.dialect.name, table, tuple(values)), values)


@cache
def _instead(dialect: str, table: Table, names: tuple[str, ...]) -> Any:
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    rest = {name: insert.excluded[name] for name in names if name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=rest)
