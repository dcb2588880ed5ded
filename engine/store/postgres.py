"""The database on a server: PostgreSQL, shared by many processes.

Each process writes through one thread with group commit, as with a file, and reads on a pool in snapshots. What happens
in one process reaches the others by notifications that the database's own triggers send (`engine.store.sharing`).
"""

from pathlib import Path
from typing import IO, Any

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from engine.errors import SettingInvalid, StoreFailed
from engine.store.migrations import migrate
from engine.store.writing import GroupWriter, take
from engine.whole_text import writable

READERS = 8
CONNECT_SECONDS = 10
IDLE_SECONDS = 30  # a process that stalls inside a transaction is cut off after this, so that others go on
PASSING = ("40001", "40P01", "55P03", "57P01", "57P02", "57P03")  # conflicts, deadlocks, a server that restarts
MIGRATING = 0x5041_524C  # key of the advisory lock under which the schema is changed


def is_postgres(database: str | None) -> bool:
    """Whether a `database` setting means a server."""
    return database is not None and database.startswith(("postgresql://", "postgres://", "postgresql+psycopg://"))


def parse(database: str) -> URL:
    """The address of a server; SettingInvalid."""
    try:
        url = make_url(database.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError) as error:
        raise SettingInvalid(
            "`database` is no address of a PostgreSQL server.", fix="Write postgresql://user:password@host/name."
        ) from error
    return url.set(drivername="postgresql+psycopg")


def plain_address(database: str) -> str:
    """The address as the driver itself takes it, password and all; not to be shown."""
    return parse(database).set(drivername="postgresql").render_as_string(hide_password=False)


class PostgresDatabase(GroupWriter):
    """A PostgreSQL database. `open` it, `transact` and `read`, `close` it."""

    def __init__(self, database: str, folder: Path | None = None) -> None:
        super().__init__(READERS)
        self._folder = folder
        self._lock: IO[str] | None = None
        self.address = database
        self.backend = 0  # the server's id of the writer's connection: what it says we know already
        self._url = parse(database)
        self.name = f"{self._url.host or self._url.query.get('host', 'localhost')}/{self._url.database or ''}"

    @classmethod
    async def open(cls, database: str, folder: Path | None = None) -> "PostgresDatabase":
        """Connect and bring the schema up to date, one process at a time; StoreFailed says why it can't be had. A data
        folder is taken for this process."""
        opened = cls(database, folder)
        await opened._begin()
        return opened

    def _open(self) -> None:
        if self._folder is not None:
            self._lock = take(self._folder / "process")
        self._writer = self._engine(1, "READ COMMITTED", reads_only=False)
        try:
            with self._writer.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
                migrate(connection, f"The database {self.name}")
            self._reader = self._engine(READERS + 8, "REPEATABLE READ", reads_only=True)
        except DatabaseError as error:
            self._writer.dispose()
            self._release()
            raise self._failed(error) from error
        except BaseException:
            self._writer.dispose()
            self._release()
            raise

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _engine(self, size: int, isolation: Any, *, reads_only: bool) -> Engine:
        arguments = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "parley",
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "options": f"-c idle_in_transaction_session_timeout={IDLE_SECONDS}s -c timezone=UTC",
        }
        engine = create_engine(
            self._url,
            isolation_level=isolation,
            pool_size=size,
            max_overflow=0,
            pool_pre_ping=reads_only,
            use_native_hstore=False,
            connect_args=arguments,
        )

        def connected(raw: Any, _record: object) -> None:
            raw.adapters.register_dumper(str, _dumper())
            raw.read_only = reads_only
            if not reads_only:  # one at a time: after a restart of the server an earlier id may be anybody's
                self.backend = raw.info.backend_pid

        event.listen(engine, "connect", connected)
        return engine

    def _is_lost(self, error: Exception) -> bool:
        held = self._connection
        if held is None or not isinstance(error, DatabaseError):
            return False
        driver = None if held.invalidated else held.connection.driver_connection
        return driver is None or bool(driver.closed)

    def _passes(self, error: Exception) -> bool:
        if not isinstance(error, DatabaseError):
            return False
        state = getattr(error.orig, "sqlstate", None)
        return state in PASSING or (state is None and isinstance(error, OperationalError))

    def _failed(self, error: DatabaseError) -> StoreFailed:
        """The sentence for what PostgreSQL said."""
        said = str(error.orig).strip().splitlines()
        first = said[0] if said else type(error.orig).__name__
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if state.startswith("28") or "password authentication failed" in first:
            return StoreFailed(f"{self.name} does not let us in: {first}", fix="Check user and password in `database`.")
        if state == "3D000" or ("does not exist" in first and "database" in first and not state):
            return StoreFailed(f"{self.name} is not there: {first}", fix="Create the database first (`createdb`).")
        if state.startswith("53"):
            return StoreFailed(f"{self.name} has no room: {first}", fix="Free space or connections; nothing was lost.")
        if state.startswith(("08", "57")) or (isinstance(error, OperationalError) and not state):
            return StoreFailed(
                f"{self.name} can't be reached: {first}", fix="Is PostgreSQL up, and `database` its address?"
            )
        return StoreFailed(f"The database refused a statement: {first}")


def _dumper() -> Any:
    """Text without the NUL that PostgreSQL can't keep, and without halves of characters."""
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415 - the driver is loaded by who uses it

    class Clean(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            text = writable(obj)
            return super().dump(text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text)

    return Clean
