"""Time that moves only when the simulation says so."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


class SimulatedClock:
    """Implements `engine.clock.Clock`."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._told: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return self._now

    def move_to(self, when: datetime) -> None:
        """Let time pass; it never goes back."""
        if when <= self._now:
            return
        self._now = when
        for told in tuple(self._told):
            told()

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        self._told.append(told)
        return lambda: self._told.remove(told)


class SteadyClock(SimulatedClock):
    """One that never jumps: a loop that waits for it moves it on."""

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


def after(seconds: float) -> timedelta:
    """So many seconds, to the microsecond."""
    return timedelta(microseconds=round(seconds * 1_000_000))
