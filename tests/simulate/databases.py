"""The real stores, written and read on the simulated loop: the same statements, groups and redo, no threads."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Engine, event, inspect

from engine.store import database, postgres
from engine.store.database import SqliteDatabase
from engine.store.migrations import migrate
from engine.store.postgres import PostgresDatabase
from engine.store.writing import GROUP, GroupWriter, Order, Unit
from tests.simulate.loop import Died, SimulatedLoop

R = TypeVar("R")


@contextmanager
def eased() -> Iterator[None]:
    """A database is brought up to date when it is opened first, nothing is new in its later lives; and a server lets
    whoever is slow take their time: the simulated clock may stand still for long."""
    patience = postgres.IDLE_SECONDS

    def first(connection: Connection, name: str) -> None:
        if not inspect(connection).has_table("schema_version"):
            migrate(connection, name)

    database.migrate = postgres.migrate = first
    postgres.IDLE_SECONDS = 0
    try:
        yield
    finally:
        database.migrate = postgres.migrate = migrate
        postgres.IDLE_SECONDS = patience
        _engines.clear()


_engines: dict[tuple[str, bool], Engine] = {}  # address, whether it only reads → kept over lives, with its statements


class Line:
    """Takes the place of the queue in front of the writer: a while after something is put in, a group is written."""

    def __init__(self, loop: SimulatedLoop, commit: Callable[[list[Order]], object]) -> None:
        self.loop = loop
        self.commit = commit
        self.orders: list[Order] = []
        self.asked = False
        self.is_writing = False

    def put(self, entry: Order | Literal["urgent"] | None) -> None:
        if entry is None:
            return
        if entry != "urgent":
            self.orders.append(entry)
        if not self.asked:
            self.asked = True
            self.loop.call_later(self.loop.delay(), self.write)

    def write(self) -> None:
        """What the writer does once. The loop may go on meanwhile; and die, which ends a transaction half done."""
        group, self.orders = ([], self.orders) if self.is_writing else (self.orders[:GROUP], self.orders[GROUP:])
        self.asked = bool(self.orders) or self.is_writing
        if self.asked:
            self.loop.call_later(self.loop.delay(), self.write)
        if self.is_writing:
            return
        self.is_writing = True
        try:
            with suppress(Died):  # the loop dies at its next step, in the eyes of who runs it
                self.commit(group)
        finally:
            self.is_writing = False


class Stepwise(GroupWriter):
    """A store whose every commit and read is a step of the loop."""

    _loop: SimulatedLoop

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self._loop = loop
        self._queue: Any = Line(loop, self._commit_all)
        self._open()

    async def transact(self, work: Callable[[Unit], R], *, urgent: bool = False) -> R:
        return await super().transact(self._meanwhile(work), urgent=urgent)

    def submit(self, work: Callable[[Unit], object], told: Callable[[BaseException | None], None]) -> None:
        super().submit(self._meanwhile(work), told)

    def _meanwhile(self, work: Callable[[Unit], R]) -> Callable[[Unit], R]:
        """The same work; when the writer has done it the loop has gone on, and something urgent may have come."""

        def done(unit: Unit) -> R:
            result = work(unit)
            if not self._closing:
                self._loop.go_on()
            return result

        return done

    async def read(self, query: Callable[[Connection], R]) -> R:
        await asyncio.sleep(self._loop.delay())
        found = self.read_now(query)
        await asyncio.sleep(self._loop.delay())
        return found

    async def close(self) -> None:
        while self._queue.is_writing:
            await asyncio.sleep(self._loop.delay())
        self._closing = True
        while self._queue.orders or self._urgent:
            self._queue.write()
        self.let_go()

    def let_go(self) -> None:
        """Drop the connections; what is committed stays."""
        self._closing = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._reader.dispose()
        self._writer.dispose()
        self._release()


class SteppedSqlite(Stepwise, SqliteDatabase):
    """SQLite."""

    @classmethod
    async def at(cls, path: Path) -> "SteppedSqlite":
        """The database in a file."""
        database = cls(path, synchronous="OFF")  # only the process dies here, never the machine
        await database._begin()
        return database

    def _engine(self, uri: str, *, readers: int) -> Engine:
        key = uri, readers > 1
        if key not in _engines:
            _engines[key] = super()._engine(uri, readers=readers)
        return _engines[key]


class SteppedPostgres(Stepwise, PostgresDatabase):
    """PostgreSQL."""

    @classmethod
    async def at(cls, address: str) -> "Alone":
        """The database on a server."""
        database = cls(address)
        await database._begin()
        return Alone(database)

    def _engine(self, size: int, isolation: Any, *, reads_only: bool) -> Engine:
        """As the product's. But a read is one step, in which nobody writes: it needs no snapshot, nor a look at whether
        its connection is alive, each a way to the server and back."""
        key = self.address, reads_only
        if key not in _engines:
            made = super()._engine(size, "AUTOCOMMIT" if reads_only else isolation, reads_only=reads_only)
            if reads_only:
                made.pool._pre_ping = False
                event.listen(made, "connect", lambda raw, _: raw.execute("SET default_transaction_read_only = on"))
            _engines[key] = made
        return _engines[key]


class Alone:
    """A database as an engine sees it that is the only one there: what several engines say to each other needs sockets,
    and the simulated loop has none. All that is asked of it the database itself answers."""

    def __init__(self, database: SteppedPostgres) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
