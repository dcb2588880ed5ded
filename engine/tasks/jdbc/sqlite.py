"""`io.kestra.plugin.jdbc.sqlite`: a database in one file."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.fetched_rows import Fetched
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.runners import own_file
from engine.tasks.sql_task import (
    AllFetched,
    BatchTask,
    Connected,
    Database,
    Inserted,
    QueriesTask,
    QueryTask,
    SqlTrigger,
    opened,
)
from engine.tasks.sql_text import sqlite_statements
from engine.tasks.working_files import STORAGE

DRIVER = "jdbc:sqlite:"


class SqliteConnected(Connected):
    """A SQLite file: on this machine, or one of internal storage that is copied for this task."""

    url: Property[Text] = DRIVER
    sqlite_file: Property[OptionalText] = Field(default=None, description="A file of internal storage.")
    output_db_file: Property[bool] = Field(default=False, description="Store the file after the statements.")

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        path = await self.place(context)

        def connect() -> sqlite3.Connection:
            made = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            if not autocommit:
                made.execute("BEGIN")
            return made

        connection = await opened("SQLite", path, (sqlite3.Error,), connect)
        return Database(
            connection,
            (sqlite3.Error, sqlite3.Warning),
            percent="%",
            split=sqlite_statements,
            stop=connection.interrupt,
            commits=not autocommit,
        )

    async def place(self, context: RunContext) -> str:
        """The path of the file to open."""
        named = self.url.strip().removeprefix(DRIVER).removeprefix("file:").partition("?")[0]
        source = self.sqlite_file or (named if named.startswith(STORAGE) else None)
        if source:
            target = own_file(context, "sqlite", ".db")
            if not target.exists():
                await asyncio.to_thread(shutil.copyfile, context.files.path(source), target)
            return str(target)
        if named in ("", ":memory:"):
            return str(own_file(context, "sqlite", ".db")) if self.output_db_file else ":memory:"
        return named if Path(named).is_absolute() else str(context.working_dir / named)

    async def kept(self, context: RunContext) -> dict[str, str]:
        """The file after the work, stored when that was asked for."""
        if not self.output_db_file:
            return {}
        path = Path(await self.place(context))
        if not await asyncio.to_thread(path.is_file):
            raise TaskFailed("There is no database file to store.", fix="Leave out `outputDbFile`.")
        return {"databaseUri": await context.files.put(path, "database.db")}


class OneFetched(Fetched):
    """With the file, if asked for."""

    databaseUri: str | None = None  # noqa: N815 - appears as written


class ManyFetched(AllFetched):
    """With the file, if asked for."""

    databaseUri: str | None = None  # noqa: N815 - appears as written


class Query(SqliteConnected, QueryTask):
    """Run one statement in a SQLite file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: top
type: io.kestra.plugin.jdbc.sqlite.Query
url: jdbc:sqlite:shop.db
sqliteFile: "{{ inputs.database }}"
sql: SELECT name, price FROM products ORDER BY price DESC LIMIT 10
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.sqlite.Query"]

    async def run(self, context: RunContext) -> OneFetched:
        found = await super().run(context)
        return OneFetched(**found.model_dump(), **await self.kept(context))


class Queries(SqliteConnected, QueriesTask):
    """Run several statements in a SQLite file, in one transaction unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: prepare
type: io.kestra.plugin.jdbc.sqlite.Queries
sql: |
  CREATE TABLE days (day TEXT, sold INTEGER);
  INSERT INTO days VALUES ('2026-01-01', 12);
  SELECT sum(sold) AS sold FROM days;
fetchType: FETCH_ONE
outputDbFile: true
""",
    )
    type: Literal["io.kestra.plugin.jdbc.sqlite.Queries"]

    async def run(self, context: RunContext) -> ManyFetched:
        found = await super().run(context)
        return ManyFetched(**found.model_dump(), **await self.kept(context))


class Batch(SqliteConnected, BatchTask):
    """Insert the rows of a file into a table of a SQLite file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.sqlite.Batch
url: jdbc:sqlite:/data/shop.db
from: "{{ outputs.to_rows.uri }}"
table: products
""",
    )
    type: Literal["io.kestra.plugin.jdbc.sqlite.Batch"]

    async def run(self, context: RunContext) -> Inserted:
        return await super().run(context)


class Trigger(SqliteConnected, SqlTrigger):
    """Start an execution when a statement in a SQLite file gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.sqlite.Trigger
interval: PT1M
url: jdbc:sqlite:/data/shop.db
sql: SELECT * FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.sqlite.Trigger"]
