"""Log lines and metrics on their way to the store: kept a moment, so that they go with a commit that happens anyway."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from engine.errors import StoreFailed
from engine.store import logs, metrics
from engine.store.database import Database, Unit
from engine.store.logs import LogLine
from engine.store.metrics import Metric

log = logging.getLogger(__name__)

Note = LogLine | Metric

FLUSH_SECONDS = 0.25
WAITING = 100_000  # lines kept while the database can't be written; older ones are dropped then


class LogBook:
    """Collects lines; whoever writes an execution takes its lines along, the rest is written four times a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[str, list[Note]] = {}
        self._count = 0
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, line: Note) -> None:
        """Keep a line or a metric of an execution; secrets must be masked by now."""
        if self._count >= WAITING:
            return
        self._lines.setdefault(line.execution_id, []).append(line)
        self._count += 1
        self._some.set()

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
        """Write everything that waits."""
        lines = [line for key in tuple(self._lines) for line in self.take(key)]
        if lines:
            await self._database.transact(write_of(lines))

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._some.clear()
            try:
                await self.flush()
            except StoreFailed as error:
                log.error("Some log lines could not be written: %s", error)


def write_of(notes: Sequence[Note]) -> Callable[[Unit], None]:
    """The work that writes some lines and metrics."""
    return lambda unit: write_notes(unit, notes)


def write_notes(unit: Unit, notes: Sequence[Note]) -> None:
    """Write lines and metrics."""
    logs.write(unit.batch, [note for note in notes if isinstance(note, LogLine)])
    metrics.write(unit.batch, [note for note in notes if isinstance(note, Metric)])
