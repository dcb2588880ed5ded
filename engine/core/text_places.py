"""Where a place inside a text stands in the YAML file: folding, quoting and escapes undone."""

import re
from collections.abc import Iterator, Sequence

from engine.core.yaml_text import Spot

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")  # an anchor or tag before the text
_ESCAPED = {"x": 2, "u": 4, "U": 8}
_BLANKS = frozenset("tnvfrNLP_ \t\n")  # after a backslash: what gives white space, or nothing at the end of a line


def inside(spot: Spot, lines: Sequence[str], text: str, line: int, column: int) -> tuple[int, int]:
    """Line and column in the file of a place inside the text that stands at a spot; all count from 1."""
    parts = text.split("\n")
    if spot.style == "|":
        there = spot.value_line + line
        shown = parts[line - 1] if line <= len(parts) else ""
        source = lines[there - 1].rstrip("\r") if there <= len(lines) else ""
        return there, max(len(source) - len(shown), 0) + column
    offset = sum(len(part) + 1 for part in parts[: line - 1]) + column - 1
    wanted = sum(not one.isspace() for one in text[:offset])
    last = (spot.value_line, spot.value_column)
    for number, place in enumerate(_marks(spot, lines)):
        if number == wanted:
            return place
        last = (place[0], place[1] + 1)
        if number > wanted:
            break
    return last


def _marks(spot: Spot, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where each character of a text stands that is no white space: folding changes nothing else."""
    row, start = spot.value_line - 1, spot.value_column - 1
    if spot.style == ">":
        row, start = row + 1, 0
    elif row < len(lines):
        start = _PROPERTIES.match(lines[row], start).end() + (1 if spot.style else 0)  # type: ignore[union-attr]
    for number in range(row, len(lines)):
        source = lines[number]
        column = start if number == row else 0
        while column < len(source):
            width, is_blank = _unit(source, column, spot.style)
            if not is_blank:
                yield number + 1, column + 1
            column += width


def _unit(source: str, column: int, style: str) -> tuple[int, bool]:
    """How many characters of the file make one of the text, and whether that is white space."""
    one = source[column]
    if style == "'" and source[column : column + 2] == "''":
        return 2, False
    if style != '"' or one != "\\":
        return 1, one.isspace()
    kind = source[column + 1 : column + 2]
    width = _ESCAPED.get(kind, 0)
    if width:
        digits = source[column + 2 : column + 2 + width]
        return 2 + width, chr(int(digits, 16)).isspace()
    return 2, kind in _BLANKS
