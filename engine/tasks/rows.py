"""Files of rows: one JSON value (or plain text) a line."""

import json
from typing import Any

from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.plugin import TaskFailed


def rows_of(text: str, separator: str) -> list[str]:
    """The rows of a text; a separator at the end makes no empty row."""
    rows = text.split(separator)
    return rows[:-1] if rows and not rows[-1] else rows


def row_variables(row: str) -> dict[str, Any]:
    """What an expression about a row sees: the entries of a map; anything else as `value`."""
    try:
        value = json.loads(row)
    except json.JSONDecodeError:
        value = row
    return value if isinstance(value, dict) else {"value": value}


def by_pattern(rows: list[str], pattern: str) -> list[list[str]]:
    """Rows by what a pattern's first group finds in them; a row without it is in no group. TaskFailed."""
    groups: dict[str, list[str]] = {}
    try:
        for row in rows:
            found = regexes.search(row, pattern)
            if found is not None and len(found) < 2:
                raise TaskFailed(f"The pattern {pattern!r} has no group.", fix="Put what to group by in parentheses.")
            if found is not None and found[1] is not None:
                groups.setdefault(found[1], []).append(row)
    except ExpressionFailed as error:
        raise TaskFailed(error.message, fix=error.fix) from error
    return list(groups.values())
