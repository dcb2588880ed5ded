"""Whether a database can be had, without opening it for work: what `parley doctor` asks."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from engine.errors import SettingInvalid
from engine.store.members import Member
from engine.store.parts import ENCRYPTION_KEY
from engine.store.postgres import plain_address
from engine.store.presence import LIVING, MEMBERS

PATIENCE = 5  # seconds
KEY = "SELECT version FROM schema_part WHERE name = %s"
QUEUES = "SELECT DISTINCT queue_name FROM procrastinate_jobs WHERE status = 'todo' ORDER BY 1"


@dataclass(frozen=True, slots=True)
class Health:
    """What was found. `problem` and `fix` are empty when all is well. `members`: the processes at work on a server;
    `now`: the server's own clock; `key`: the fingerprint of the encryption key that they share; `waiting`: the queues
    in which tasks wait."""

    name: str
    problem: str = ""
    fix: str = ""
    members: tuple[Member, ...] = ()
    now: datetime | None = None
    is_busy: bool = False
    key: str | None = None
    waiting: tuple[str, ...] = ()


def of_file(file: Path) -> Health:
    """A database file; one that is not there yet is no problem."""
    if not file.is_file() or not file.stat().st_size:
        return Health(f"{file} (made at the first start)")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=1)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        said = str(error)
        if "locked" in said:
            return Health(str(file), is_busy=True)
        if "readonly" in said or "unable to open" in said:
            fix = "Check the owner and permissions of the file and of its folder."
            return Health(str(file), f"{file} can't be written: {said}.", fix)
        return Health(str(file), f"{file} is no SQLite database: {said}.", "Restore a backup, or move the file away.")
    return Health(str(file))


def of_server(database: str) -> Health:
    """A PostgreSQL server: whether it can be reached and written, and who works on it."""
    try:
        import psycopg  # noqa: PLC0415 - a bot on a file needs no driver
    except ImportError:
        fix = "Install it with `pip install 'parley-bot[postgres]'`."
        return Health("PostgreSQL", "`database` names a PostgreSQL server, and its driver is not installed.", fix)
    try:
        address = plain_address(database)
    except SettingInvalid as error:
        return Health("PostgreSQL", error.message, error.fix)
    try:
        with psycopg.connect(address, connect_timeout=PATIENCE, autocommit=True) as connection:
            connection.execute(f"SET statement_timeout = '{PATIENCE}s'")
            row = connection.execute(
                "SELECT current_database(), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', "
                "has_schema_privilege(current_user, current_schema(), 'CREATE'), now(), to_regclass('member') IS NULL, "
                "to_regclass('procrastinate_jobs') IS NULL"
            ).fetchone()
            assert row is not None  # noqa: S101 - a SELECT without FROM gives one row
            name, only_reads, may_create, now, is_new, has_no_jobs = row
            found = [] if is_new else connection.execute(LIVING, (MEMBERS,)).fetchall()
            key = None if is_new else connection.execute(KEY, (ENCRYPTION_KEY,)).fetchone()
            queues = [] if has_no_jobs else connection.execute(QUEUES).fetchall()
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        fix = "Check address, name, password and firewall; the server must let this machine in (pg_hba.conf)."
        return Health("PostgreSQL", f"The database can't be reached: {said}", fix)
    if only_reads:
        return Health(name, f"The database {name} takes no writes: it is a copy.", "Name the server it copies from.")
    if not may_create:
        fix = f"GRANT ALL ON DATABASE {name} and on its schema to the user of `database`."
        return Health(name, f"The user may not make tables in {name}.", fix)
    members = tuple(map(Member.of, found))
    waiting = tuple(queue for (queue,) in queues)
    return Health(name, members=members, now=now, key=None if key is None else key[0], waiting=waiting)
