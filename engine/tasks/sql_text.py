"""SQL as text: statements cut at their semicolons, and `:name` parameters as a driver wants them. Pure."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.plugin import TaskFailed

_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`"""
_ESCAPED = r"""'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*"|`[^`]*`"""
_REST = (
    r"|--[^\n]*|/\*.*?(?:\*/|\Z)|\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)"
    r"|(?P<end>;)|(?P<name>(?<![:\w]):[A-Za-z_]\w*)|::"
)
_TOKENS = re.compile(r"[eE](?:'(?:[^'\\]|''|\\.)*')|" + _QUOTED + _REST, re.DOTALL)
_BACKSLASH_TOKENS = re.compile(_ESCAPED + _REST, re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_COMMENTS = re.compile(r"\s+|--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)


def plain_name(text: str, of: str, *, dotted: bool = False) -> str:
    """A name as it may stand in a statement without quotes, `dotted` with that of what holds it; TaskFailed when the
    property `of` holds none."""
    names = text.split(".", 1) if dotted else [text]
    if not all(map(_NAME.fullmatch, names)):
        raise TaskFailed(f"`{of}` {text!r} is no name of a table or column.", fix="Letters, digits and `_`.")
    return text


def statements(text: str, *, backslashes: bool = False) -> list[str]:
    """The statements of a text; semicolons in quotes, comments and dollar quotes end none. Empty ones are left out."""
    found, start = [], 0
    for token in (_BACKSLASH_TOKENS if backslashes else _TOKENS).finditer(text):
        if token["end"]:
            found.append(text[start : token.start()])
            start = token.end()
    found.append(text[start:])
    return [statement.strip() for statement in found if _says_something(statement)]


def sqlite_statements(text: str) -> list[str]:
    """The same for SQLite, whose triggers hold statements of their own."""
    found: list[str] = []
    for statement in statements(text):
        if found and not sqlite3.complete_statement(found[-1] + ";"):
            found[-1] += ";\n" + statement
        else:
            found.append(statement)
    return found


def bound(
    statement: str,
    parameters: Mapping[str, Any] | None,
    mark: Callable[[int], str],
    *,
    backslashes: bool = False,
    percent: str = "%",
) -> tuple[str, Sequence[Any]]:
    """A statement with each `:name` replaced by `mark(n)`, and the values in that order.

    Names in quotes, comments and casts (`::text`) stay. TaskFailed names a parameter that is not given.
    """
    if not parameters:
        return statement, ()
    values: list[Any] = []

    def pieces() -> Iterator[str]:
        at = 0
        for token in (_BACKSLASH_TOKENS if backslashes else _TOKENS).finditer(statement):
            if not token["name"]:
                continue
            name = token["name"][1:]
            if name not in parameters:
                raise TaskFailed(
                    f"The statement names :{name}, which is not among `parameters`.", fix=f"Add `{name}` to them."
                )
            yield statement[at : token.start()].replace("%", percent)
            values.append(parameters[name])
            yield mark(len(values))
            at = token.end()
        yield statement[at:].replace("%", percent)

    return "".join(pieces()), values


def _says_something(statement: str) -> bool:
    return bool(_COMMENTS.sub("", statement))
