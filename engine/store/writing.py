"""Writing to a database: one thread with group commit, whatever the database is.

`transact(work)` runs `work(unit)` in the writer thread together with whatever else waits, and returns once it is on
disk. `work` is short, synchronous and may run twice (a group with a failing unit is redone unit by unit), so it must
have no effect outside the database; what must happen once, after the commit, is registered with `unit.after_commit`.
"""

import asyncio
import fcntl
import logging
import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError

from engine.errors import StoreFailed
from engine.store.batches import Batch
from engine.tallies import GROUP_SIZE

R = TypeVar("R")
log = logging.getLogger(__name__)

GROUP = 64  # units in one commit; one that has begun ends early when something urgent comes
READERS = 4
SLICE = 0.005  # seconds of telling what is on disk before others get a turn on the loop
TRIES = 4  # of work that met something which passes, such as a deadlock


class Unit(Protocol):
    """One piece of work inside a group commit."""

    batch: Batch

    @property
    def connection(self) -> Connection:
        """The connection, to read and write at once."""

    def after_commit(self, effect: Callable[[], None]) -> None:
        """Call `effect` on the event loop once the group is on disk (not when it failed)."""


Query = Callable[[Connection], R]
Beside = Callable[[Unit], object] | None  # a caller's own writes, in the same transaction as a change


class Database(Protocol):
    """What store modules and their callers use."""

    async def transact(self, work: Callable[[Unit], R], *, urgent: bool = False) -> R:
        """Run in the writer thread; durable when it returns. Raises what `work` raised (then nothing of it is kept).
        `urgent`: a person waits; it is written before whatever else waits, and with nothing that is not as urgent."""

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


class GroupWriter(ABC):
    """A Database but for how it is opened, what its errors mean, and which of them pass."""

    def __init__(self, readers: int = READERS) -> None:
        self.groups = 0  # commits so far; with `units` it says how well they are grouped
        self.units = 0
        self._queue: queue.SimpleQueue[Order | Literal["urgent"] | None] = queue.SimpleQueue()
        self._urgent: deque[Order] = deque()  # each with an entry of `_queue` that tells the writer of it
        self._untold: deque[Order] = deque()  # done, but nobody knows yet; the writer adds, the loop takes
        self._closing = False
        self._committing = False
        self._connection: Connection | None = None  # the writer's
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="parley-read")

    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread
    _writer: Engine
    _reader: Engine

    async def transact(self, work: Callable[[Unit], R], *, urgent: bool = False) -> R:
        """Run in the writer thread; durable when it returns. Raises what `work` raised (then nothing of it is kept)."""
        if self._closing:
            raise closed()
        answer: asyncio.Future[R] = self._loop.create_future()

        def told(order: Order) -> None:
            if answer.cancelled():
                return
            if order.error is not None:
                answer.set_exception(order.error)
            else:
                answer.set_result(order.result)

        order = Order(work, told)
        if urgent:
            self._urgent.append(order)
        self._queue.put("urgent" if urgent else order)
        return await answer

    def submit(self, work: Callable[[Unit], object], told: Callable[[BaseException | None], None]) -> None:
        """The same for who does not wait: `told` is called on the loop, with what went wrong if something did."""
        if self._closing:
            raise closed()
        self._queue.put(Order(work, lambda order: told(order.error)))

    async def read(self, query: Callable[[Connection], R]) -> R:
        """Run on a read-only connection in a thread."""
        if self._closing:
            raise closed()
        return await self._loop.run_in_executor(self._readers, partial(self.read_now, query))

    def read_now(self, query: Callable[[Connection], R]) -> R:
        """Run on a read-only connection in the calling thread."""
        try:
            with self._reader.connect() as connection:
                return query(connection)
        except DatabaseError as error:
            raise self._failed(error) from error

    async def close(self) -> None:
        """Finish what waits, then let go of the database."""
        if self._closing:
            return
        self._closing = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown(wait=True)
        self._reader.dispose()
        self._writer.dispose()
        self._release()

    # What each database says for itself

    @abstractmethod
    def _open(self) -> None:
        """Connect, bring the schema up to date, set `_writer` and `_reader`; StoreFailed."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of what `_open` took."""

    @abstractmethod
    def _failed(self, error: DatabaseError) -> StoreFailed:
        """The sentence for what the database said."""

    def _is_lost(self, error: Exception) -> bool:
        """Whether the connection is gone with this error."""
        return False

    def _is_shut(self, error: Exception) -> bool:
        """Whether every unit would wait as long, and as much in vain."""
        return False

    def _passes(self, error: Exception) -> bool:
        """Whether the same work may succeed when it is done again at once."""
        return False

    # The writer thread

    async def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open)
        self._thread = threading.Thread(target=self._write, name="parley-writer", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        try:
            stopping = False
            while self._urgent or not stopping:
                group: list[Order] = []
                entry = self._queue.get()
                while entry is not None:
                    if entry != "urgent":
                        group.append(entry)
                    if len(group) == GROUP:
                        break
                    try:
                        entry = self._queue.get_nowait()
                    except queue.Empty:
                        break
                stopping = stopping or entry is None
                self._commit_all(group)
        finally:
            if self._connection is not None:
                self._connection.close()
        self._refuse_rest()

    def _commit_all(self, group: list[Order]) -> None:
        """Before the group, and between its parts where it gives way, what is urgent."""
        self._commit(self._take_urgent())
        while group:
            group = self._commit(group, gives_way=True)
            self._commit(self._take_urgent() if group else [])

    def _take_urgent(self) -> list[Order]:
        taken: list[Order] = []
        while self._urgent and len(taken) < GROUP:
            taken.append(self._urgent.popleft())
        if self._urgent:
            self._queue.put("urgent")
        return taken

    def _commit(self, group: list[Order], *, gives_way: bool = False) -> list[Order]:
        """One transaction for the group; when a unit fails, each in its own, so that only the bad one fails. The rest
        of a group that `gives_way` when something urgent comes meanwhile: it is for the transaction after that."""
        rest: list[Order] = []
        if not group:
            return rest
        try:
            number = self._together(group, gives_way=gives_way)
            group, rest = group[:number], group[number:]
        except Exception as error:  # noqa: BLE001 - it belongs to the caller of transact
            if self._is_over(error):
                for order in group:
                    self._fail(order, error)
            else:
                number = self._one_by_one(group, error, gives_way=gives_way)
                group, rest = group[:number], group[number:]
        self.groups += 1
        self.units += len(group)
        GROUP_SIZE.observe(len(group))
        self._tell(group)
        return rest

    def _together(self, group: list[Order], *, gives_way: bool = False) -> int:
        """Commit a group; how many of its units. All where something urgent waited already: it had its turn."""
        self._committing, number = False, 0
        gives_way = gives_way and not self._urgent
        if self._connection is None:
            self._connection = self._writer.connect()
        with self._connection.begin():
            batch = Batch(self._connection)
            for order in group:
                order.run(batch)
                number += 1
                if gives_way and self._urgent:
                    break
            batch.flush()
            self._committing = True
        return number

    def _is_over(self, error: Exception) -> bool:
        """Whether doing it again makes no sense: nobody can be reached, all wait for somebody else, or nobody knows
        whether it was committed."""
        if self._connection is None or self._is_shut(error):
            return True
        if not self._is_lost(error):
            return False
        lost, self._connection = self._connection, None
        lost.invalidate()
        lost.close()
        return self._committing

    def _one_by_one(self, group: list[Order], first: Exception, *, gives_way: bool = False) -> int:
        """A transaction each; of how many units."""
        for number, order in enumerate(group, 1):
            tries, error = (0, None) if len(group) > 1 or self._passes(first) else (TRIES, first)
            while tries < TRIES:
                tries += 1
                try:
                    self._together([order])
                except Exception as alone:  # noqa: BLE001 - it belongs to the caller of transact
                    error = alone
                    if self._is_over(alone) or not self._passes(alone):
                        break
                else:
                    error = None
                    break
            if error is not None:
                self._fail(order, error)
            if gives_way and self._urgent:
                return number
        return len(group)

    def _fail(self, order: Order, error: Exception) -> None:
        order.effects = []
        order.error = self._failed(error) if isinstance(error, DatabaseError) else error
        if isinstance(error, DatabaseError):
            order.error.__cause__ = error

    def _tell(self, group: list[Order]) -> None:
        self._untold.extend(group)
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is gone: nobody is waiting any more, and the work is on disk
            log.debug("The event loop ended before %d results were delivered.", len(group))

    def _deliver(self) -> None:
        """Effects and answers in the order of the units; runs on the loop, and lets others have a turn."""
        began = time.monotonic()
        while self._untold:
            order = self._untold.popleft()
            for effect in order.effects:
                try:
                    effect()
                except Exception:
                    log.exception("An effect after a commit failed; the commit stands.")
            order.told(order)
            if time.monotonic() - began > SLICE and self._untold:
                self._loop.call_soon(self._deliver)
                return

    def _refuse_rest(self) -> None:
        rest = list(self._urgent)
        with suppress(queue.Empty):
            while True:
                entry = self._queue.get_nowait()
                if entry is not None and entry != "urgent":
                    rest.append(entry)
        for order in rest:
            order.error = closed()
            self._tell([order])


def closed() -> StoreFailed:
    """What is said to who writes after the end."""
    return StoreFailed("The database is closed.", fix="Start Parley again.")


def take(path: Path) -> IO[str]:
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
