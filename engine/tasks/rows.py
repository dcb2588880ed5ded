"""Files of rows: one JSON value (or plain text) a line."""

import json
from typing import Any


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
