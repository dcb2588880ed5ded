"""The clock: what time it is, and waiting until a time. Tests and `parley test` replace it, and nothing else."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at whether the machine's clock was set
APART = timedelta(seconds=1)  # machines whose clocks are less apart than that go by their own
JUMP = timedelta(seconds=0.5)  # what is less than that is said to nobody: time servers correct clocks little by little


class Clock(Protocol):
    """Where the engine's time comes from."""

    def now(self) -> datetime:
        """The time now, in UTC."""

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` whenever time jumps, ahead or back; the answer ends the subscription, also when called again."""


class SystemClock:
    """The machine's own clock. Somebody may set it, and it goes on while the machine sleeps: both are jumps.

    Waits are measured with the other clock, the one that nobody sets, so each jump has to be told to those who wait.
    """

    def __init__(self) -> None:
        self._told: dict[object, Callable[[], None]] = {}
        self._apart = timedelta(0)  # how far the two clocks are apart
        self._next_look: asyncio.TimerHandle | None = None

    def now(self) -> datetime:
        """The time now, in UTC."""
        return datetime.now(UTC)

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` soon after each jump, on the running loop; the answer ends the subscription."""
        if not self._told:
            self._apart = self._measured()
            self._look_later()
        subscription = object()
        self._told[subscription] = told

        def forget() -> None:
            self._told.pop(subscription, None)
            if not self._told and self._next_look is not None:
                self._next_look.cancel()

        return forget

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._look_later()
        before, self._apart = self._apart, self._measured()
        by = self._apart - before
        if abs(by) < JUMP:
            return
        seconds = round(by.total_seconds())
        log.warning("The clock jumped by %+d seconds: it was set, or this machine slept.", seconds)
        self._tell()

    def _tell(self) -> None:
        for told in tuple(self._told.values()):
            told()

    def _measured(self) -> timedelta:
        return self.now() - datetime.fromtimestamp(time.monotonic(), UTC)


class SharedClock(SystemClock):
    """The clock of several machines that work together: the machine's own, put right where it goes otherwise than the
    one they all see. What one of them sets a time for, another may look at."""

    def __init__(self) -> None:
        super().__init__()
        self._off = timedelta(0)

    def now(self) -> datetime:
        """The time now on the clock that all see, in UTC."""
        return super().now() + self._off

    def shown(self, theirs: datetime, took: timedelta) -> None:
        """What the clock that all see showed at some moment of the last while, which `took` so long."""
        by = theirs + took / 2 - self.now()
        if abs(by) <= APART + took / 2:
            return
        self._off += by
        if abs(self._off) > APART:
            log.warning(
                "The clock of this machine is %.0f seconds %s the database server's, which counts. Set both by NTP.",
                abs(self._off.total_seconds()),
                "behind" if self._off > timedelta(0) else "ahead of",
            )
        self._apart = self._measured()
        self._tell()


class ShiftedClock:
    """A clock that starts at a given time, runs at real speed and can jump."""

    def __init__(self, start: datetime | None = None) -> None:
        self._shift = (start - datetime.now(UTC)) if start else timedelta(0)
        self._told: dict[object, Callable[[], None]] = {}

    def now(self) -> datetime:
        """The shifted time, in UTC."""
        return datetime.now(UTC) + self._shift

    def jump(self, by: timedelta) -> None:
        """Let time pass at once."""
        self._shift += by
        for told in tuple(self._told.values()):
            told()

    def jump_to(self, when: datetime) -> None:
        """Let time pass until `when`; never goes back."""
        self.jump(max(when - self.now(), timedelta(0)))

    def on_jump(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` after each jump; the answer ends the subscription."""
        subscription = object()
        self._told[subscription] = told

        def forget() -> None:
            self._told.pop(subscription, None)

        return forget


async def wait_until(clock: Clock, when: datetime, woken: asyncio.Event) -> bool:
    """Whether `when` came; False when `woken` was set first (something changed: look again)."""
    unsubscribe = clock.on_jump(woken.set)
    try:
        seconds = (when - clock.now()).total_seconds()
        if seconds <= 0:
            return True
        try:
            async with asyncio.timeout(seconds):
                await woken.wait()
        except TimeoutError:
            return clock.now() >= when
        return False
    finally:
        unsubscribe()
