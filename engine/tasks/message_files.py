"""Messages that are taken from a broker until it is enough, and the file of rows they become."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from engine.core.json_text import read_json
from engine.plugin import Message, Outputs, RunContext, Taken, TaskFailed
from engine.tasks.rows import lines_of
from engine.tasks.runners import own_file

F = TypeVar("F", bound=Outputs)
HELD = 100  # messages in hand until they are written


def held(given: str | bytes) -> Any:
    """The JSON that a message holds; TaskFailed when it holds none."""
    try:
        return read_json(given)
    except ValueError as error:
        text = given if isinstance(given, str) else given.decode("utf-8", "replace")
        said = f"A message is not JSON: {text[:100]!r}: {error}."
        raise TaskFailed(said, fix="Use `serdeType: STRING`.") from error


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


class MessageFile:
    """A file with a row a message, written as they come: few are held at once."""

    def __init__(self, context: RunContext, path: Path) -> None:
        self.count = 0
        self._context, self._path = context, path
        self._waiting: list[Message] = []
        path.write_bytes(b"")

    async def add(self, *messages: Message) -> None:
        """Put messages behind the others; TaskFailed when one of them can't be read."""
        if problem := next((one.problem for one in messages if one.problem), None):
            raise problem
        self._waiting += messages
        self.count += len(messages)
        if len(self._waiting) >= HELD:
            await self._written()

    def write(self, rows: Iterable[Any]) -> None:
        """Put rows behind the others, at once; blocks."""
        with self._path.open("a", encoding="utf-8") as file:
            for line in lines_of(rows):
                file.write(line)
                self.count += 1

    async def kept(self, name: str = "messages.jsonl") -> str:
        """The URI of the file, which has all of them."""
        await self._written()
        return await self._context.files.put(self._path, name)

    async def _written(self) -> None:
        some, self._waiting = self._waiting, []
        if some:
            await asyncio.to_thread(_append, self._path, some)


@asynccontextmanager
async def message_file(context: RunContext) -> AsyncIterator[MessageFile]:
    """An empty file for messages; it is gone afterwards."""
    path = own_file(context, "messages", ".jsonl")
    try:
        yield MessageFile(context, path)
    finally:
        path.unlink(missing_ok=True)


async def consumed(taking: AsyncGenerator[F, None]) -> F:
    """What was taken, and by now is given up where it came from."""
    async with aclosing(taking):
        found = await anext(taking)
        await anext(taking, None)
    return found


async def taken(taking: AsyncGenerator[F, None], count: Callable[[F], int]) -> Taken | None:
    """What a look took, given up where it came from once its execution is written; None when it is no message."""
    found = await anext(taking)
    if count(found):
        return Taken(found, taking)
    async with aclosing(taking):
        await anext(taking, None)  # what was passed over need not come again
    return None


def _append(path: Path, messages: list[Message]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines_of(one.variables for one in messages))
    messages.clear()  # a thread holds what it was given until it has other work
