"""Messages that are taken from a broker until it is enough, and the file of rows they become."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from engine.plugin import Message, RunContext, TaskFailed
from engine.tasks.fetched_rows import filed


def end_of(most: int | None, longest: timedelta | None) -> float | None:
    """When to stop, by `time.monotonic()`; None when only `maxRecords` says it, TaskFailed when nothing does."""
    if most is None and longest is None:
        raise TaskFailed("It is not said when to stop.", fix="Give `maxRecords` or `maxDuration`.")
    return time.monotonic() + longest.total_seconds() if longest else None


async def come(waiting: asyncio.Queue[Any], most: int, patience: float) -> list[Any]:
    """What waits in a queue, `most` at once; none when nothing came for so many seconds."""
    found: list[Any] = []
    try:
        async with asyncio.timeout(patience):
            found.append(await waiting.get())
    except TimeoutError:
        return []
    while len(found) < most and not waiting.empty():
        found.append(waiting.get_nowait())
    return found


async def stored(context: RunContext, messages: Sequence[Message]) -> str:
    """The URI of a file with a row a message; TaskFailed when one of them can't be read."""
    if problem := next((one.problem for one in messages if one.problem), None):
        raise problem
    return await filed(context, (one.variables for one in messages), "messages.jsonl")
