"""SQLite's driver with statements that take any text; other drivers have a place of their own for that."""

import sqlite3
from collections.abc import Iterable
from typing import Any, Self

from engine.whole_text import writable

Parameters = Any  # a sequence or a mapping of values, as the driver takes them


class WholeTextConnection(sqlite3.Connection):
    """A connection whose statements take any text."""

    def cursor(self, *_factory: Any) -> "WholeTextCursor":  # type: ignore[override]
        """A cursor whose statements take any text."""
        return super().cursor(WholeTextCursor)


class WholeTextCursor(sqlite3.Cursor):
    """A cursor whose statements take any text."""

    def execute(self, sql: str, parameters: Parameters = (), /) -> Self:
        """Run a statement."""
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:  # of a value, before anything was done
            return super().execute(sql, _writable(parameters))

    def executemany(self, sql: str, rows: Iterable[Parameters], /) -> Self:
        """Run a statement for each row: those before the one that fails would be done already."""
        return super().executemany(sql, map(_writable, rows))


def _writable(parameters: Parameters) -> Parameters:
    values = parameters.values() if isinstance(parameters, dict) else parameters
    for one in values:
        if type(one) is str and not one.isascii() and writable(one) is not one:
            break
    else:
        return parameters
    if isinstance(parameters, dict):
        return {name: writable(one) if isinstance(one, str) else one for name, one in parameters.items()}
    return [writable(one) if isinstance(one, str) else one for one in values]
