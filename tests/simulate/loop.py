"""An event loop whose time is simulated. It does one thing after another and can die between any two of them."""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from tests.simulate.clock import START, SimulatedClock, after

DELAYS = (0.0, 0.0, 0.001, 0.02)  # seconds that disk and threads take
TURNS = (0, 0, 1, 3, 9, 30)  # of the loop while the writer does one unit


class Died(BaseException):
    """The process is gone."""


class Stalled(Exception):
    """Nothing is left to wait for."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs handles in order; when none is left, time goes on to the next timer."""

    def __init__(self, random: Random, clock: SimulatedClock, steps: int | None) -> None:
        super().__init__()
        self._random = random
        self._clock = clock
        self._left = steps  # until it dies
        self.taken = 0

    def time(self) -> float:
        return (self._clock.now() - START).total_seconds()

    def delay(self) -> float:
        """How long something takes that is not done at once."""
        return self._random.choice(DELAYS)

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_later(self.delay(), callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                future.set_exception(error)

        self.call_later(self.delay(), work)
        return future

    def _run_once(self) -> None:
        if self._left is not None and self.taken >= self._left:
            raise Died
        while self._scheduled and self._scheduled[0]._cancelled:  # type: ignore[attr-defined]
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
        if not self._ready:  # type: ignore[attr-defined]
            if not self._scheduled:  # type: ignore[attr-defined]
                raise Stalled("Everybody waits and nothing will ever happen.")
            self._clock.move_to(START + after(self._scheduled[0]._when) + after(0.000001))  # type: ignore[attr-defined]
        now = self.time()
        while self._scheduled and self._scheduled[0]._when <= now:  # type: ignore[attr-defined]
            handle = heapq.heappop(self._scheduled)  # type: ignore[attr-defined]
            handle._scheduled = False
            self._ready.append(handle)  # type: ignore[attr-defined]
        if not self._ready:  # type: ignore[attr-defined]
            return
        handle = self._ready.popleft()  # type: ignore[attr-defined]
        self.taken += 1
        if not handle._cancelled:
            handle._run()

    def go_on(self) -> None:
        """What is done on the loop while another thread is at work: a few things, of those to be done soon."""
        for _ in range(self._random.choice(TURNS)):
            soon = self._scheduled and self._scheduled[0]._when <= self.time() + max(DELAYS)  # type: ignore[attr-defined]
            if self._ready or soon:  # type: ignore[attr-defined]
                self._run_once()

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def bury(self) -> None:
        """Forget everything that was under way; nothing of it runs on."""
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with suppress(BaseException):
                task.get_coro().close()  # type: ignore[union-attr]
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()
