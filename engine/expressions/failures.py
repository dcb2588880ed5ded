"""How parts of the expression language report failure: one sentence, what to do, and where in the template."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import NoReturn

from engine.errors import ExpressionFailed, NameMissing

Position = tuple[int, int]  # line and column, counted from 1
_MOST = 1_000  # names that are compared with a misspelt one
_LONGEST = 100  # characters of such names

# What evaluating somebody's template may raise on odd values; anything else is a defect of ours.
ODD_VALUE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, MemoryError)


class Missing(NameMissing):
    """A name that is not there, with the names that are: the nearest is looked for only when the error is shown."""

    def __init__(self, message: str, *, name: object = "", known: Iterable[object] = (), at: Position = (0, 0)) -> None:
        super().__init__(message, line=at[0], column=at[1])
        self.name = name
        self.known = known

    def explained(self) -> NameMissing:
        """The same error with the nearest name as its fix."""
        hint = nearest(str(self.name), (str(known) for known in self.known))
        fix = hint or "Guard it with `?? 'another value'` if it may be absent."
        return NameMissing(self.message, fix=fix, line=self.line, column=self.column)


def nearest(name: str, known: Iterable[str]) -> str:
    """“Did you mean …?” or nothing."""
    if len(name) > _LONGEST:
        return ""
    names = [other for other in islice(known, _MOST) if len(other) <= _LONGEST]
    found = get_close_matches(name, names, 1, 0.6) or [other for other in names if other.lower() == name.lower()]
    return f"Did you mean {found[0]!r}?" if found else ""


def located(error: ExpressionFailed, at: Position) -> ExpressionFailed:
    """The error, placed unless something nearer to the fault placed it already."""
    if not error.line:
        error.line, error.column = at
    return error


def fail(message: str, fix: str = "", at: Position = (0, 0)) -> NoReturn:
    """Raise ExpressionFailed."""
    raise ExpressionFailed(message, fix=fix, line=at[0], column=at[1])


def hardened(error: NameMissing) -> ExpressionFailed:
    """A missing name met inside a comparison or calculation: from there on `??` no longer catches it."""
    if isinstance(error, Missing):
        error = error.explained()
    return ExpressionFailed(error.message, fix=error.fix, line=error.line, column=error.column)


def kind(value: object) -> str:
    """What a value is called in an error."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    return f"a {type(value).__name__}"
