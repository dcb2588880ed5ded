"""Files of rows: one JSON value (or plain text) a line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engine.core.json_text import any_json
from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.expressions.ion_documents import from_ion
from engine.plugin import TaskFailed
from engine.whole_text import writable


def rows_of(text: str, separator: str) -> list[str]:
    """The rows of a text; a separator at the end makes no empty row."""
    rows = text.split(separator)
    return rows[:-1] if rows and not rows[-1] else rows


def row_variables(row: str) -> dict[str, Any]:
    """What an expression about a row sees: the entries of a map; anything else as `value`."""
    try:
        value = any_json(row)
    except ValueError:
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


def values_of(path: Path, charset: str = "utf-8") -> Iterator[Any]:
    """The values of a file: one a line as JSON or Ion, or all in one JSON array; TaskFailed names a bad line."""
    with path.open(encoding=charset, newline=None) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield any_json(line)
            except ValueError:
                if number == 1 and line.lstrip().startswith("[") and (whole := _array(path, charset)) is not None:
                    yield from whole
                    return
                yield _ion(line, number, path)


def documents_of(path: Path) -> list[Any]:
    """The rows of a file; one document over several lines is one row. TaskFailed."""
    text = path.read_text("utf-8")
    try:
        return [any_json(text)]
    except ValueError:
        return list(values_of(path))


def lines_of(values: Iterable[Any]) -> Iterator[str]:
    """Values as lines of a file of rows."""
    for value in values:
        yield writable(json.dumps(value, ensure_ascii=False, default=str)) + "\n"


def _array(path: Path, charset: str) -> list[Any] | None:
    """The values of a JSON array that is written over several lines; None when the file is something else."""
    text = path.read_text(charset)
    try:
        found = any_json(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None


def _ion(line: str, number: int, path: Path) -> Any:
    try:
        return from_ion(line, None)
    except ExpressionFailed as error:
        raise TaskFailed(
            f"Line {number} of {path.name} is no row: {line.strip()[:80]!r}.",
            fix="Such files hold one JSON or Ion value a line; convert others first, for instance with CsvToIon.",
        ) from error
