"""Who watches executions: callers that wait for an end, and subscribers that want every change."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from engine.core.execution import Execution
from engine.core.state import State

Until = Literal["ended", "ended_or_paused", "settled"]
WAITING = 10_000  # changes kept for a slow subscriber; the oldest executions are dropped first


@dataclass(frozen=True, slots=True)
class Change:
    """An execution moved. `task_run_id` is set when exactly one task run did."""

    execution_id: str
    namespace: str
    flow_id: str
    state: State
    task_run_id: str | None = None


class Subscription:
    """The changes one subscriber has not seen yet: the latest of each execution."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, Change] = OrderedDict()
        self._some = asyncio.Event()

    def add(self, change: Change) -> None:
        """Keep a change for the subscriber."""
        earlier = self._latest.get(change.execution_id)
        if earlier is not None and earlier.task_run_id != change.task_run_id:
            change = Change(change.execution_id, change.namespace, change.flow_id, change.state)
        self._latest[change.execution_id] = change
        while len(self._latest) > WAITING:
            self._latest.popitem(last=False)
        self._some.set()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while not self._latest:
            self._some.clear()
            await self._some.wait()
        return self._latest.popitem(last=False)[1]


def reached(execution: Execution, until: Until) -> bool:
    """Whether an execution has come to where a caller waits for it."""
    if until == "ended_or_paused" and execution.state is State.PAUSED:
        return True
    if not execution.state.is_terminal:
        return False
    return until != "settled" or not execution.goes_on


class Changes:
    """Passes on what changed."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._waiters: dict[str, set[tuple[Until, asyncio.Future[Execution]]]] = {}

    def heard(self, change: Change) -> bool:
        """An execution was written by another process; whether somebody waits for it (see `arrived`)."""
        for subscription in self._subscriptions:
            subscription.add(change)
        return change.execution_id in self._waiters

    def waited_for(self) -> list[str]:
        """Executions that somebody waits for."""
        return list(self._waiters)

    def arrived(self, execution: Execution) -> None:
        """Tell who waits for an execution how far it has come."""
        for until, future in tuple(self._waiters.get(execution.id, ())):
            if not future.done() and reached(execution, until):
                future.set_result(execution)

    def publish(self, before: Execution, after: Execution) -> None:
        """An execution was written."""
        self.arrived(after)
        if not self._subscriptions:
            return
        moved = [key for key, run in after.task_runs.items() if before.task_runs.get(key) is not run]
        one = moved[0] if len(moved) == 1 else None
        change = Change(after.id, after.namespace, after.flow_id, after.state, one)
        for subscription in self._subscriptions:
            subscription.add(change)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Change]]:
        """Every change from now on."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def wait(
        self,
        execution_id: str,
        until: Until,
        timeout: float | None,  # noqa: ASYNC109 - the end of the wait is part of the question
        read: Callable[[str], Awaitable[Execution]],
    ) -> Execution:
        """The execution once it has come so far; TimeoutError."""
        future: asyncio.Future[Execution] = asyncio.get_running_loop().create_future()
        waiter = (until, future)
        self._waiters.setdefault(execution_id, set()).add(waiter)
        try:
            found = await read(execution_id)
            if reached(found, until):
                return found
            async with asyncio.timeout(timeout):
                return await future
        finally:
            waiters = self._waiters[execution_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[execution_id]
