"""Log lines and metrics on their way to the store: kept a moment, so that they go with a commit that happens anyway."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from engine.errors import StoreFailed
from engine.store import logs, metrics
from engine.store.database import Database, Unit
from engine.store.logs import LogLine
from engine.store.metrics import Metric

log = logging.getLogger(__name__)

Note = LogLine | Metric
Unkept = tuple[int, Note]

FLUSH_SECONDS = 0.25
AGAIN_SECONDS = 1.0
MANY = 10_000  # lines that are written at once
WAITING = 100_000  # lines kept while the database can't be written; what else comes is counted, and that is said


class LogBook:
    """Collects lines; whoever writes an execution takes its lines along, the rest is written four times a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[str, list[Note]] = {}
        self._count = 0
        self._some, self._many = asyncio.Event(), asyncio.Event()
        self._is_stuck = False  # the database can't be written
        self._unkept: dict[str, Unkept] = {}  # by execution: how many there was no room for, and the last of them
        self._task: asyncio.Task[None] | None = None

    def add(self, line: Note) -> None:
        """Keep a line or a metric of an execution; secrets must be masked by now.

        How many lines there may be is for whoever says them (`log_lines_per_task`)."""
        if self._is_stuck and self._count >= WAITING:
            self._leave_out(line, 1)
            return
        self._lines.setdefault(line.execution_id, []).append(line)
        self._count += 1
        self._some.set()
        if self._count >= MANY:
            self._many.set()

    def take(self, execution_id: str) -> tuple[Note, ...]:
        """What of an execution nobody has written yet; the caller writes it."""
        lines = self._lines.pop(execution_id, [])
        self._count -= len(lines)
        return tuple(lines)

    def waiting(self, execution_id: str) -> list[LogLine]:
        """The lines of an execution that nobody has written yet."""
        return [note for note in self._lines.get(execution_id, ()) if isinstance(note, LogLine)]

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._work(), name="log lines")

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def flush(self) -> None:
        """Write everything that waits; what can't be written now goes on waiting (StoreFailed)."""
        taken = {key: list(self.take(key)) for key in tuple(self._lines)}
        unkept, self._unkept = self._unkept, {}
        lines = [*(line for lines in taken.values() for line in lines), *(left_out(*one) for one in unkept.values())]
        if not lines:
            return
        try:
            await self._database.transact(write_of(lines))
        except StoreFailed:
            self._is_stuck = True
            for key, kept in taken.items():
                self._lines[key] = kept + self._lines.get(key, [])
                self._count += len(kept)
            for count, last in unkept.values():
                self._leave_out(last, count)
            raise
        self._is_stuck = False

    def _leave_out(self, last: Note, count: int) -> None:
        before, _ = self._unkept.get(last.execution_id, (0, last))
        self._unkept[last.execution_id] = (before + count, last)

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._many.wait()
            self._some.clear()
            self._many.clear()
            try:
                await self.flush()
            except StoreFailed as error:
                log.error("Log lines can't be written, and wait: %s", error)
                await asyncio.sleep(AGAIN_SECONDS)
                self._some.set()


def left_out(count: int, last: Note) -> LogLine:
    """The line that says how many are missing, up to the last of them."""
    said = f"{count} more lines could not be kept: the database could not be written for too long."
    return LogLine(last.at, "WARN", None, None, None, said, execution_id=last.execution_id)


def write_of(notes: Sequence[Note]) -> Callable[[Unit], None]:
    """The work that writes some lines and metrics."""
    return lambda unit: write_notes(unit, notes)


def write_notes(unit: Unit, notes: Sequence[Note]) -> None:
    """Write lines and metrics."""
    logs.write(unit.batch, [note for note in notes if isinstance(note, LogLine)])
    metrics.write(unit.batch, [note for note in notes if isinstance(note, Metric)])
