"""The clock: what time it is, and waiting until a time. Tests and `parley test` replace it, and nothing else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the engine's time comes from."""

    def now(self) -> datetime:
        """The time now, in UTC."""

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` whenever time jumps (a real clock never does); the answer ends the subscription."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        """A real clock never jumps, so nobody is ever told."""
        return lambda: None


class ShiftedClock:
    """A clock that starts at a given time, runs at real speed and can jump forward."""

    def __init__(self, start: datetime | None = None) -> None:
        self._shift = (start - datetime.now(UTC)) if start else timedelta(0)
        self._told: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The shifted time, in UTC."""
        return datetime.now(UTC) + self._shift

    def jump(self, by: timedelta) -> None:
        """Let time pass at once."""
        self._shift += by
        for told in tuple(self._told):
            told()

    def jump_to(self, when: datetime) -> None:
        """Let time pass until `when`; never goes back."""
        self.jump(max(when - self.now(), timedelta(0)))

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` after each jump; the answer ends the subscription."""
        self._told.append(told)
        return lambda: self._told.remove(told)


async def wait_until(clock: Clock, when: datetime, woken: asyncio.Event) -> bool:
    """Whether `when` came; False when `woken` was set first (something changed: look again)."""
    unsubscribe = clock.on_jump(woken.set)
    try:
        seconds = (when - clock.now()).total_seconds()
        if seconds <= 0:
            return True
        try:
            async with asyncio.timeout(min(seconds, 3600.0)):  # an hour at most: machines sleep and clocks are set
                await woken.wait()
        except TimeoutError:
            return clock.now() >= when
        return False
    finally:
        unsubscribe()
