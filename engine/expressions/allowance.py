"""How much one render may still use. Everything it does is counted here: the same template stops at the same place.

Steps count parts of expressions evaluated, characters handled (64 a step), items handled (4 a step), parts of
structures walked through (2 a step), and what dear operations cost besides. Work that has no frame at hand finds the
allowance of the render that runs in its thread.
"""

import threading
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

from engine.expressions.failures import fail
from engine.expressions.limits import MAX_STEPS, MAX_TEXT, MAX_WAIT, SHORT_STEPS

Found = TypeVar("Found")


class TooLong(Exception):
    """Work that `shortly` began takes longer."""


class Allowance:
    """What is left: `steps` of work, `room` for printed characters, `wait` in seconds for work outside the process."""

    steps = MAX_STEPS
    room = MAX_TEXT
    wait = MAX_WAIT
    mask: Callable[[str], str] = staticmethod(str)  # hides the secrets in a text
    hide: Callable[[str, Callable[[str], str]], bool] | None = None  # also what some work makes of a text with secrets

    def __init__(self) -> None:
        self.is_short = _RUNNING.is_short
        if self.is_short:
            self.steps = SHORT_STEPS

    def charge(self, steps: int) -> None:
        """Count work; ExpressionFailed when the render has done too much."""
        self.steps -= steps
        if self.steps < 0:
            self.overdrawn()

    def overdrawn(self) -> NoReturn:
        """Stop the render."""
        if self.is_short:
            raise TooLong
        if self.room < 0:
            fail(f"The template prints more than {MAX_TEXT:,} characters.", "Print less, or write a file in a task.")
        fail(f"The template needs more than {MAX_STEPS:,} steps.", "Loop over fewer items, or do the work in a task.")


_HIDING: Final = 20_000
_LONGEST_SECRET: Final = 10_000  # characters behind an excerpt that are looked at, too


class _Running(threading.local):
    allowance: Allowance | None = None
    is_short = False


_RUNNING = _Running()


def enter(allowance: Allowance | None) -> Allowance | None:
    """From now on `spend` and `affords` of this thread use this allowance; the one before, to go back to."""
    before = _RUNNING.allowance
    _RUNNING.allowance = allowance
    return before


def spend(steps: int) -> None:
    """Count work of the render in this thread, if there is one."""
    if (allowance := _RUNNING.allowance) is not None:
        allowance.charge(steps)


def affords(steps: int) -> bool:
    """Count work unless there is too little left for it."""
    allowance = _RUNNING.allowance
    if allowance is None:
        return True
    if allowance.steps < steps:
        if allowance.is_short:
            raise TooLong
        return False
    allowance.steps -= steps
    return True


def shortly(work: Callable[[], Found]) -> Found:
    """What some rendering gives; TooLong when it is not done in a moment. It can then be begun again elsewhere."""
    _RUNNING.is_short = True
    try:
        return work()
    finally:
        _RUNNING.is_short = False


def current() -> Allowance:
    """The allowance of the render in this thread, or a fresh one."""
    return _RUNNING.allowance or Allowance()


def follow(text: str, work: Callable[[str], str]) -> str:
    """What some work makes of a text; secrets that it writes in another way are still hidden."""
    if (hide := current().hide) is not None and hide(text, work):
        spend(_HIDING)  # the masker remembers so many, and the oldest go
    return work(text)


def excerpt(text: str, longest: int) -> str:
    """The beginning of a text for an error, secrets as stars: one that is cut through would not be found later."""
    return current().mask(text[: longest + _LONGEST_SECRET])[:longest]
