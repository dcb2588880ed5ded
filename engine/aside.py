"""Rendering that holds nobody up: what may wait or take long is done in threads beside the event loop."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any, TypeVar

from engine import expressions
from engine.core.property import has_template
from engine.errors import ExpressionFailed
from engine.expressions.allowance import TooLong, shortly

# Functions and names that may wait for a disk or a network: a text that has one is rendered in a thread.
WAITING = frozenset({
    "kv", "read", "fileSize", "fileExists", "isFileEmpty", "errorLogs", "http", "render", "renderOnce", "fromIon",
    "subflow",
})  # fmt: skip
WAITING_NAMES = frozenset({"error"})
# Threads for texts that wait: a service that is slow to answer http() keeps one, and no thread that others need.
WAITING_ROOM = ThreadPoolExecutor(64, thread_name_prefix="expressions")

LONG = 100_000  # characters and values: reading or keeping what has more takes long
Found = TypeVar("Found")


async def aside(value: Any, work: Callable[[], Found]) -> Found:
    """What some rendering of a value gives; it is done in a thread when it may wait or take long."""
    return await (in_a_thread(work) if waits(value) else promptly(work))


async def promptly(work: Callable[[], Found]) -> Found:
    """What some rendering gives: here when that takes a moment, else in a thread. The work may be begun twice."""
    try:
        return shortly(work)
    except TooLong:
        return await in_a_thread(work)


async def in_a_thread(work: Callable[[], Found]) -> Found:
    """What some rendering gives that may wait."""
    return await asyncio.get_running_loop().run_in_executor(WAITING_ROOM, copy_context().run, work)


def waits(value: Any) -> bool:
    """Whether rendering a value may wait for a disk, a network or a process, or take seconds itself."""
    return any(_text_waits(text) for text in texts(value))


@lru_cache(maxsize=4096)
def _text_waits(text: str) -> bool:
    if not has_template(text):
        return False
    try:
        template = expressions.parse(text)
    except ExpressionFailed:
        return False
    if template.may_take_long or not WAITING.isdisjoint(template.functions()):
        return True
    return any(path[0] in WAITING_NAMES for path in template.names())


def texts(value: Any) -> Iterator[str]:
    """Every text inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def is_long(given: Any) -> bool:
    """Whether a value is so long that reading, checking or keeping it may hold others up."""
    left, waiting = LONG, [given]
    while waiting and left > 0:
        one = waiting.pop()
        left -= len(one) if isinstance(one, str | list | tuple | Mapping) else 0
        if isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return left <= 0
