"""The database in a file: SQLite, written by one thread with group commit, with read-only connections beside it."""

import sqlite3
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DatabaseError

from engine.errors import StoreFailed
from engine.store.driver_text import WholeTextConnection
from engine.store.migrations import migrate
from engine.store.writing import READERS, Beside, Database, GroupWriter, Query, Unit, take

__all__ = ["Beside", "Database", "Query", "SqliteDatabase", "Unit"]

BUSY_SECONDS = 15.0  # how long a write waits for an outside program (a backup, a shell) to let go of the file


class SqliteDatabase(GroupWriter):
    """A SQLite file in WAL mode. `open` it, `transact` and `read`, `close` it."""

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        super().__init__()
        self.path = path
        self._synchronous = synchronous

    _lock: IO[str]

    @classmethod
    async def open(cls, path: Path, *, synchronous: str = "FULL") -> "SqliteDatabase":
        """Take the file for this process and bring its schema up to date; StoreFailed says why it can't be had."""
        database = cls(path, synchronous=synchronous)
        await database._begin()
        return database

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = take(self.path)
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
            creator=lambda: sqlite3.connect(
                uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, factory=WholeTextConnection
            ),
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

    def _release(self) -> None:
        self._lock.close()

    def _is_shut(self, error: Exception) -> bool:
        return isinstance(error, DatabaseError) and "locked" in str(error.orig)

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
