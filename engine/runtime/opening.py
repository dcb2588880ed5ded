"""Opens the database that the settings name."""

from pathlib import Path

from engine.errors import SettingInvalid
from engine.settings import Settings
from engine.store.database import Database, SqliteDatabase
from engine.store.postgres import PostgresDatabase, is_postgres


async def open_database(settings: Settings) -> Database:
    """The file or the server; StoreFailed, SettingInvalid."""
    named = settings.database
    if is_postgres(named):
        assert named is not None  # noqa: S101 - it is an address
        try:
            return await PostgresDatabase.open(named, settings.data)
        except ImportError as error:
            raise SettingInvalid(
                "`database` names a PostgreSQL server, and its driver is not installed.",
                fix="Install it with `pip install 'parley-bot[postgres]'`.",
            ) from error
    if settings.role != "all":
        raise SettingInvalid(
            f"The role {settings.role!r} needs a database that processes can share.",
            fix="Set `database` to postgresql://user:password@host/name, or leave out `role`.",
        )
    if named is not None and "://" in named:
        kind = named.split("://")[0]
        raise SettingInvalid(
            f"`database` names a {kind} address; Parley keeps its data in a file or on PostgreSQL.",
            fix="Give the path of a file, or postgresql://user:password@host/name.",
        )
    return await SqliteDatabase.open(settings.data / "parley.db" if named is None else Path(named))
