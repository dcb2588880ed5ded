"""Closures that kinds of expressions share: where errors get their place, and missing names are caught."""

from collections.abc import Callable, Iterable
from typing import NoReturn

from engine.errors import ExpressionFailed, NameMissing
from engine.expressions.failures import Position, fail, hardened, kind, located, nearest
from engine.expressions.frame import Frame
from engine.expressions.values import Value

Run = Callable[[Frame], Value]


def always(value: Value) -> Run:
    """A value that is known already."""
    return lambda frame: value


def failing(message: str, fix: str, at: Position) -> Run:
    """A fault of the template that shows only when this part of it is reached."""

    def run(_frame: Frame) -> NoReturn:
        fail(message, fix, at)

    return run


def unknown(what: str, name: str, known: Iterable[str], at: Position) -> Run:
    """A filter, function or test that is not there."""
    message = f"There is no {what} {name!r}."

    def run(_frame: Frame) -> NoReturn:
        fail(message, nearest(name, known), at)

    return run


def unexpected(what: str, name: str, value: Value, at: Position) -> ExpressionFailed:
    """The error for a value that an operation stumbled over."""
    message = f"The {what} {name!r} cannot work on {kind(value)} with these arguments."
    return ExpressionFailed(message, line=at[0], column=at[1])


def placed(work: Run, at: Position) -> Run:
    """The closure, with errors placed."""

    def run(frame: Frame) -> Value:
        try:
            return work(frame)
        except ExpressionFailed as error:
            located(error, at)
            raise

    return run


def calculation(work: Callable[[Value, Value], Value], left: Run, right: Run, at: Position) -> Run:
    """A calculation or comparison of two operands; a name missing in them is no longer one that `??` catches."""

    def run(frame: Frame) -> Value:
        try:
            a, b = left(frame), right(frame)
            if type(a) is not int:
                frame.weigh(a)
            if type(b) is not int:
                frame.weigh(b)
            found = work(a, b)
            if type(found) is not int and type(found) is not bool:
                frame.weigh(found)
        except NameMissing as error:
            raise located(hardened(error), at) from error
        except ExpressionFailed as error:
            located(error, at)
            raise
        return found

    return run


def coalesce(left: Run, right: Run) -> Run:
    """`a ?? b`."""

    def run(frame: Frame) -> Value:
        try:
            value = left(frame)
        except NameMissing:
            return right(frame)
        return right(frame) if value is None else value

    return run


def if_missing(left: Run, right: Run) -> Run:
    """`a ??? b`."""

    def run(frame: Frame) -> Value:
        try:
            return left(frame)
        except NameMissing:
            return right(frame)

    return run


def or_null(operand: Run) -> Run:
    """The operand, or null when a name in it is missing."""

    def run(frame: Frame) -> Value:
        try:
            return operand(frame)
        except NameMissing:
            return None

    return run
