"""Work that goes on after an event was acknowledged: kept, watched, and brought to an end on stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger("parley.slack")
T = TypeVar("T")


class Work:
    """Tasks that listeners leave behind, so that no listener waits for the network."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, doing: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start it now; a failure that nobody awaits is logged, never lost."""
        task = asyncio.create_task(doing, name=f"slack {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("slack work failed", work=task.get_name(), error=repr(error), exc_info=error)

    async def drain(self, grace: float) -> None:
        """Let what runs end for `grace` seconds, then cancel it."""
        while pending := {task for task in self._tasks if task is not asyncio.current_task()}:
            _, left = await asyncio.wait(pending, timeout=grace)
            if left:
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)
                return
