"""How much one render may still use. Everything it does is counted here: the same template stops at the same place.

Steps count parts of expressions evaluated, characters handled (64 a step), items handled (4 a step), parts of
structures walked through (2 a step), and what dear operations cost besides. Work that has no frame at hand finds the
allowance of the render that runs in its thread.
"""

import threading
from typing import NoReturn

from engine.expressions.failures import fail
from engine.expressions.limits import MAX_STEPS, MAX_TEXT, MAX_WAIT


class Allowance:
    """What is left: `steps` of work, `room` for printed characters, `wait` in seconds for work outside the process."""

    steps = MAX_STEPS
    room = MAX_TEXT
    wait = MAX_WAIT

    def charge(self, steps: int) -> None:
        """Count work; ExpressionFailed when the render has done too much."""
        self.steps -= steps
        if self.steps < 0:
            self.overdrawn()

    def overdrawn(self) -> NoReturn:
        """Stop the render."""
        if self.room < 0:
            fail(f"The template prints more than {MAX_TEXT:,} characters.", "Print less, or write a file in a task.")
        fail(f"The template needs more than {MAX_STEPS:,} steps.", "Loop over fewer items, or do the work in a task.")


class _Running(threading.local):
    allowance: Allowance | None = None


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
        return False
    allowance.steps -= steps
    return True


def current() -> Allowance:
    """The allowance of the render in this thread, or a fresh one."""
    return _RUNNING.allowance or Allowance()
