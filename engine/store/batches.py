"""Statements of many units of a group, run together: a hundred rows cost little more than one.

What a unit adds to its group's Batch is written before the commit, or before anybody uses the connection directly;
deletions first, then updates, then insertions. Rows of different units must therefore not depend on one another, which
holds for what belongs to one execution: it has at most one unit under way.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Delete, Dialect, Insert, Update
from sqlalchemy.exc import DBAPIError

Row = dict[str, Any]
Text = tuple[str, Callable[[Iterable[Row]], Any]]


class Superseded(Exception):
    """The execution was written by another hand since it was read."""


class Kind(Protocol):
    """What a batch can hold rows for."""

    @property
    def rank(self) -> int:
        """Lower ones are written first."""

    @property
    def each(self) -> bool:
        """Whether every row must find what it changes; Superseded otherwise."""

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Write some rows; how many were touched."""


class Statement:
    """A Core statement with named parameters, compiled once for each dialect.

    Rows bring values as the driver takes them: times as numbers (`instant`), no booleans. `each` means that every row
    must find what it changes; Superseded otherwise.
    """

    def __init__(self, core: Insert | Update | Delete, *, columns: Sequence[str] = (), each: bool = False) -> None:
        self.core: Final = core
        self.each: Final = each
        self.rank: Final = 0 if isinstance(core, Delete) else 1 if isinstance(core, Update) else 2
        self._columns = list(columns) or None
        self._texts: dict[str, Text] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Run it for each row; how many rows of the table it touched."""
        dialect = connection.dialect
        text, driver_rows = self._texts.get(dialect.name) or self._compiled(dialect)
        given, raised = driver_rows(rows), dialect.loaded_dbapi.Error
        cursor = connection.connection.cursor()  # straight to the driver: what SQLAlchemy adds is half of the time
        try:
            cursor.executemany(text, given)
            return int(cursor.rowcount)
        except raised as error:
            raise DBAPIError.instance(text, None, error, raised, dialect=dialect) from error
        finally:
            cursor.close()

    def _compiled(self, dialect: Dialect) -> Text:
        compiled = self.core.compile(dialect=dialect, column_keys=self._columns)
        names = compiled.positiontup
        made: Text
        if names is None:
            made = (str(compiled), list)
        elif len(names) == 1:
            only = names[0]
            made = (str(compiled), lambda rows: [(row[only],) for row in rows])
        else:
            pick = itemgetter(*names)
            made = (str(compiled), lambda rows: [pick(row) for row in rows])
        self._texts[dialect.name] = made
        return made


class Batch:
    """Rows of statements that wait to be written."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: dict[Kind, list[Row]] = {}

    @property
    def connection(self) -> Connection:
        """The connection, once everything that waits is written."""
        if self._waiting:
            self.flush()
        return self._connection

    @property
    def bare(self) -> Connection:
        """The connection as it is; what waits is not on it yet. For reading what no waiting row can change."""
        return self._connection

    def add(self, statement: Kind, rows: Iterable[Row]) -> None:
        """Run a statement for some rows before the commit."""
        there = self._waiting.get(statement)
        if there is None:
            self._waiting[statement] = list(rows)
        else:
            there.extend(rows)

    def flush(self) -> None:
        """Write everything that waits; Superseded."""
        waiting, self._waiting = self._waiting, {}
        for statement in sorted(waiting, key=lambda one: one.rank):
            rows = waiting[statement]
            if rows and statement.run(self._connection, rows) != len(rows) and statement.each:
                raise Superseded


Target = Connection | Batch


def write(target: Target, statement: Kind, rows: Sequence[Row]) -> bool:
    """Run a statement for some rows, with the group where there is one; False when a row that must be there is not."""
    if not rows:
        return True
    if isinstance(target, Batch):
        target.add(statement, rows)
        return True
    return statement.run(target, rows) == len(rows) or not statement.each
