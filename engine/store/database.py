"""The database: one writer thread with group commit, and read-only connections beside it.

`transact(work)` runs `work(unit)` in the writer thread together with whatever else waits, and returns once it is on
disk. `work` is short, synchronous and may run twice (a group with a failing unit is redone unit by unit), so it must
have no effect outside the database; what must happen once, after the commit, is registered with `unit.after_commit`.
"""

import asyncio
import fcntl
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DatabaseError

from engine.errors import StoreFailed
from engine.store.batches import Batch
from engine.store.migrations import migrate

R = TypeVar("R")
log = logging.getLogger(__name__)

GROUP = 128  # units in one commit
READERS = 4
BUSY_SECONDS = 15.0  # how long a write waits for an outside program (a backup, a shell) to let go of the file


class Unit(Protocol):
    """One piece of work inside a group commit."""

    batch: Batch

    @property
    def connection(self) -> Connection:
        """The connection, to read and write at once."""

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Call `effect` on the event loop once the group is on disk (not when it failed)."""


class Database(Protocol):
    """What store modules and their callers use."""

    async def transact(self, work: Callable[[Unit], R]) -> R:
        """Run in the writer thread; durable when it returns. Raises what `work` raised (then nothing of it is kept)."""

    def submit(self, work: Callable[[Unit], object], told: Callable[[BaseException | None], None]) -> None:
        """The same for who does not wait: `told` is called on the loop, with what went wrong if something did."""

    async def read(self, query: Callable[[Connection], R]) -> R:
        """Run on a read-only connection in a thread."""

    def read_now(self, query: Callable[[Connection], R]) -> R:
        """Run on a read-only connection in the calling thread; for code that is off the loop already."""

    async def close(self) -> None:
        """Finish what waits, then let go of the file."""


@dataclass(slots=True)
class WriterUnit:
    """The unit handed to `work`."""

    batch: Batch
    effects: list[Callable[[], None]] = field(default_factory=list)

    @property
    def connection(self) -> Connection:
        """The connection, to read and write at once; what the batch holds is written first."""
        return self.batch.connection

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Call `effect` on the event loop once the group is on disk."""
        self.effects.append(effect)


@dataclass(slots=True)
class Order:
    """One call of `transact`, waiting for the writer."""

    work: Callable[[Unit], Any]
    told: Callable[["Order"], None]
    result: Any = None
    error: BaseException | None = None
    effects: list[Callable[[], None]] = field(default_factory=list)

    def run(self, batch: Batch) -> None:
        """Do the work; what it raises goes to the caller of this."""
        unit = WriterUnit(batch)
        self.result = self.work(unit)
        self.effects = unit.effects


class SqliteDatabase:
    """A SQLite file in WAL mode. `open` it, `transact` and `read`, `close` it."""

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        self.path = path
        self.groups = 0  # commits so far; with `units` it says how well they are grouped
        self.units = 0
        self._synchronous = synchronous
        self._queue: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._closing = False
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="parley-read")

    @classmethod
    async def open(cls, path: Path, *, synchronous: str = "FULL") -> "SqliteDatabase":
        """Take the file for this process and bring its schema up to date; StoreFailed says why it can't be had."""
        database = cls(path, synchronous=synchronous)
        database._loop = asyncio.get_running_loop()
        await asyncio.to_thread(database._open)
        database._thread = threading.Thread(target=database._write, name="parley-writer", daemon=True)
        database._thread.start()
        return database

    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread
    _lock: IO[str]
    _writer: Engine
    _reader: Engine

    async def transact(self, work: Callable[[Unit], R]) -> R:
        """Run in the writer thread; durable when it returns. Raises what `work` raised (then nothing of it is kept)."""
        if self._closing:
            raise StoreFailed("The database is closed.", fix="Start Parley again.")
        answer: asyncio.Future[R] = self._loop.create_future()

        def told(order: Order) -> None:
            if answer.cancelled():
                return
            if order.error is not None:
                answer.set_exception(order.error)
            else:
                answer.set_result(order.result)

        self._queue.put(Order(work, told))
        return await answer

    def submit(self, work: Callable[[Unit], object], told: Callable[[BaseException | None], None]) -> None:
        """The same for who does not wait: `told` is called on the loop, with what went wrong if something did."""
        if self._closing:
            raise StoreFailed("The database is closed.", fix="Start Parley again.")
        self._queue.put(Order(work, lambda order: told(order.error)))

    async def read(self, query: Callable[[Connection], R]) -> R:
        """Run on a read-only connection in a thread."""
        return await self._loop.run_in_executor(self._readers, partial(self.read_now, query))

    def read_now(self, query: Callable[[Connection], R]) -> R:
        """Run on a read-only connection in the calling thread."""
        try:
            with self._reader.connect() as connection:
                return query(connection)
        except DatabaseError as error:
            raise self._failed(error) from error

    async def close(self) -> None:
        """Finish what waits, then let go of the file."""
        if self._closing:
            return
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown(wait=True)
        self._reader.dispose()
        self._writer.dispose()
        self._lock.close()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _take(self.path)
        try:
            self._writer = self._engine(f"file:{self.path}?mode=rwc", readers=1)
            with self._writer.begin() as connection:
                migrate(connection, str(self.path))
            self._reader = self._engine(f"file:{self.path}?mode=ro", readers=READERS + 8)
        except DatabaseError as error:
            self._lock.close()
            raise self._failed(error) from error
        except BaseException:
            self._lock.close()
            raise

    def _engine(self, uri: str, *, readers: int) -> Engine:
        writes = readers == 1
        engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False),
            pool_size=readers,
            max_overflow=0,
            poolclass=QueuePool,
        )

        def connected(raw: sqlite3.Connection, _record: object) -> None:
            raw.isolation_level = None  # we say BEGIN ourselves; the driver's own is too late for reads
            if writes:
                raw.execute("PRAGMA journal_mode=WAL")
                raw.execute(f"PRAGMA synchronous={self._synchronous}")
                raw.execute("PRAGMA wal_autocheckpoint=4000")
            else:
                raw.execute("PRAGMA query_only=ON")
            raw.execute("PRAGMA cache_size=-16000")

        def begun(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", begun)
        return engine

    def _write(self) -> None:
        with self._writer.connect() as connection:
            while (order := self._queue.get()) is not None:
                group = [order]
                stopping = False
                while len(group) < GROUP:
                    try:
                        following = self._queue.get_nowait()
                    except queue.Empty:
                        break
                    if following is None:
                        stopping = True
                        break
                    group.append(following)
                self._commit(connection, group)
                if stopping:
                    break
        self._refuse_rest()

    def _commit(self, connection: Connection, group: list[Order]) -> None:
        """One transaction for the group; when a unit fails, each in its own, so that only the bad one fails."""
        try:
            self._together(connection, group)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller of transact
            if len(group) == 1:
                self._fail(group[0], error)
            else:
                for order in group:
                    try:
                        self._together(connection, [order])
                    except Exception as alone:  # noqa: BLE001 - it belongs to the caller of transact
                        self._fail(order, alone)
        self.groups += 1
        self.units += len(group)
        self._tell(group)

    def _together(self, connection: Connection, group: list[Order]) -> None:
        with connection.begin():
            batch = Batch(connection)
            for order in group:
                order.run(batch)
            batch.flush()

    def _fail(self, order: Order, error: Exception) -> None:
        order.effects = []
        order.error = self._failed(error) if isinstance(error, DatabaseError) else error
        if isinstance(error, DatabaseError):
            order.error.__cause__ = error

    def _tell(self, group: list[Order]) -> None:
        try:
            self._loop.call_soon_threadsafe(_deliver, group)
        except RuntimeError:  # the loop is gone: nobody is waiting any more, and the work is on disk
            log.debug("The event loop ended before %d results were delivered.", len(group))

    def _refuse_rest(self) -> None:
        while True:
            try:
                order = self._queue.get_nowait()
            except queue.Empty:
                return
            if order is not None:
                order.error = StoreFailed("The database is closed.", fix="Start Parley again.")
                self._tell([order])

    def _failed(self, error: DatabaseError) -> StoreFailed:
        """The sentence for what SQLite said."""
        said = str(error.orig)
        if "full" in said:
            return StoreFailed(f"The disk of {self.path} is full.", fix="Free some space; nothing was lost.")
        if "locked" in said or "busy" in said:
            return StoreFailed(
                f"{self.path} is locked by another program.",
                fix="Close whatever has it open, such as a database shell.",
            )
        if "malformed" in said or "not a database" in said:
            return StoreFailed(f"{self.path} is damaged ({said}).", fix="Restore a backup, or move the file away.")
        if "readonly" in said or "read-only" in said or "unable to open" in said:
            return StoreFailed(
                f"{self.path} can't be written ({said}).", fix="Check the folder's owner and permissions."
            )
        return StoreFailed(f"The database refused a statement: {said}.")


def _deliver(group: list[Order]) -> None:
    """Effects in the order of the units, then the callers' answers; runs on the loop."""
    for order in group:
        for effect in order.effects:
            try:
                effect()
            except Exception:
                log.exception("An effect after a commit failed; the commit stands.")
        order.told(order)


def _take(path: Path) -> IO[str]:
    """An exclusive lock on a file beside the database, held until it is closed or the process ends."""
    lock = path.with_name(path.name + ".lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        who = f" (process {owner})" if owner else ""
        raise StoreFailed(
            f"{path} is in use by another Parley{who}.",
            fix="Stop that one, or give this one its own folder with --data.",
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
