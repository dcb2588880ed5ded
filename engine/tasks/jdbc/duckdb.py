"""`io.kestra.plugin.jdbc.duckdb`: SQL over files, in this process."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from engine.plugin import LateProperty, Property, RunContext, StoredUri, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.fetched_rows import Fetched
from engine.tasks.property_types import JsonMap, OptionalText, Text, TextList
from engine.tasks.runners import own_file
from engine.tasks.sql_task import (
    AllFetched,
    Connected,
    Database,
    QueriesTask,
    QueryTask,
    SqlFields,
    SqlTrigger,
    opened,
)
from engine.tasks.threads import in_own_thread
from engine.tasks.working_files import inside, place

DRIVER = "jdbc:duckdb:"
EXTENSION = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class DuckDbConnected(Connected):
    """DuckDB in memory, in a file, or at MotherDuck (`jdbc:duckdb:md:…`)."""

    url: Property[Text] = DRIVER
    database_uri: Property[OptionalText] = Field(default=None, description="A database file of internal storage.")
    output_db_file: Property[bool] = Field(default=False, description="Store the database file afterwards.")
    community_extensions: Property[TextList] = Field(
        default=[], description="Extensions of the community's repository to install and load first."
    )

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        duckdb = extra("duckdb", "duckdb")
        self.hide(context)
        named = self.url.strip().removeprefix(DRIVER)
        path = await self._path(context, named)
        connection = await opened("DuckDB", path, (duckdb.Error,), lambda: duckdb.connect(path))
        folder = str(context.working_dir).replace("'", "''")
        connection.execute(f"SET file_search_path = '{folder}'")
        if self.time_zone_id:
            connection.execute(f"SET TimeZone = '{self.time_zone_id}'")
        await self._extended(connection, (duckdb.Error,))
        if not autocommit:
            connection.begin()
        return Database(
            connection,
            (duckdb.Error,),
            stop=connection.interrupt,
            commits=not autocommit,
            cursor=lambda statement, stream: _Cursor(connection),
        )

    async def _extended(self, connection: Any, errors: tuple[type[Exception], ...]) -> None:
        """The community's extensions, installed and loaded; TaskFailed for one that can't be had."""
        for name in self.community_extensions:
            if not EXTENSION.fullmatch(name):
                raise TaskFailed(
                    f"{name!r} is no name of a DuckDB extension.",
                    fix="Write letters, digits and `_` only in `communityExtensions`.",
                )
            try:
                await in_own_thread(partial(connection.execute, f"INSTALL {name} FROM community; LOAD {name}"))
            except errors as error:
                raise TaskFailed(
                    f"DuckDB can't load the extension {name}: {error}",
                    fix="Correct its name, or let this machine reach community-extensions.duckdb.org.",
                ) from None

    async def _path(self, context: RunContext, named: str) -> str:
        if self.database_uri:
            target = self.file(context)
            await asyncio.to_thread(shutil.copyfile, context.files.path(self.database_uri), target)
            return str(target)
        if not named or named == ":memory:":
            return str(self.file(context)) if self.output_db_file else ":memory:"
        if named.startswith(("md:", "motherduck:")):
            return named
        if not Path(named).is_absolute():
            return str(inside(context.working_dir, named))
        await asyncio.to_thread(Path(named).parent.mkdir, parents=True, exist_ok=True)
        return named

    def file(self, context: RunContext) -> Path:
        """Where a database of this task lies."""
        return own_file(context, "duckdb", ".db")

    async def kept(self, context: RunContext) -> dict[str, str]:
        """The database file, stored when that was asked for."""
        if not self.output_db_file:
            return {}
        named = self.url.strip().removeprefix(DRIVER)
        path = self.file(context)
        if not path.exists() and named:
            path = Path(named) if Path(named).is_absolute() else context.working_dir / named
        if not path.is_file():
            raise TaskFailed("There is no database file to store.", fix="Leave out `outputDbFile`.")
        return {"databaseUri": await context.files.put(path, "database.db")}


class _Cursor:
    """A cursor on the connection itself (the driver's own are other connections), without the counts of changes."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.fetchone, self.fetchmany = connection.fetchone, connection.fetchmany
        self.description: Any = None

    def close(self) -> None:
        """Nothing: the connection goes on."""

    def execute(self, statement: str, parameters: Any = None) -> None:
        """Run a statement."""
        kinds = {
            kind.name for part in self.connection.extract_statements(statement) for kind in part.expected_result_type
        }
        self.connection.execute(statement, parameters) if parameters else self.connection.execute(statement)
        columns = [column[0] for column in self.connection.description or []]
        only_counts = columns == ["Count"] and "CHANGED_ROWS" in kinds
        self.description = self.connection.description if "QUERY_RESULT" in kinds and not only_counts else None


class DuckDbFields(DuckDbConnected, SqlFields):
    """Files in and out, which `sql` reaches by name, `{{ workingDir }}` or `{{ outputFiles.name }}`."""

    sees: ClassVar[frozenset[str] | None] = frozenset({"workingDir", "outputFiles", "dbFilePath"})
    sql: LateProperty[Text]
    input_files: Property[JsonMap | None] = None
    output_files: Property[TextList | None] = None

    async def prepared(self, context: RunContext) -> Self:
        """The same with its files in place and `sql` rendered."""
        await place(context, self.input_files or {})
        seen: Mapping[str, Any] = {
            "workingDir": str(context.working_dir),
            "outputFiles": {name: str(self._target(context, name)) for name in self.output_files or []},
            "dbFilePath": str(self.file(context)),
        }
        return self.model_copy(update={"sql": await context.render(self.sql, **seen)})

    async def stored_files(self, context: RunContext) -> dict[str, str]:
        """The output files that the statements wrote."""
        found = {}
        for name in self.output_files or []:
            path = self._target(context, name)
            if not path.is_file():
                raise TaskFailed(
                    f"The statements wrote no file {name!r}.",
                    fix=f"Write to '{{{{ outputFiles.{name} }}}}' or '{name}'.",
                )
            found[name] = await context.files.put(path, path.name)
        return found

    def _target(self, context: RunContext, name: str) -> Path:
        path = inside(context.working_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class OneFetched(Fetched):
    """With the files that were written."""

    outputFiles: dict[str, StoredUri]  # noqa: N815 - appears as written
    databaseUri: str | None = None  # noqa: N815


class ManyFetched(AllFetched):
    """With the files that were written."""

    outputFiles: dict[str, StoredUri]  # noqa: N815 - appears as written
    databaseUri: str | None = None  # noqa: N815


class Query(DuckDbFields, QueryTask):
    """Run a statement in DuckDB, for instance over CSV or Parquet files; those before it prepare (`LOAD …`)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: average
type: io.kestra.plugin.jdbc.duckdb.Query
inputFiles:
  data.csv: "{{ outputs.download.uri }}"
sql: |
  SELECT job_title, round(avg(salary), 2) AS average
  FROM read_csv_auto('{{ workingDir }}/data.csv', header = true)
  GROUP BY job_title
fetchType: STORE
""",
    )
    takes_several: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.jdbc.duckdb.Query"]

    async def run(self, context: RunContext) -> OneFetched:
        prepared = await self.prepared(context)
        found = await super(Query, prepared).run(context)
        files = await self.stored_files(context)
        return OneFetched(**found.model_dump(), outputFiles=files, **await self.kept(context))


class Queries(DuckDbFields, QueriesTask):
    """Run several statements in DuckDB."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: products
type: io.kestra.plugin.jdbc.duckdb.Queries
inputFiles:
  in.csv: "{{ inputs.file }}"
sql: |
  CREATE TABLE products AS SELECT * FROM read_csv_auto('in.csv');
  COPY (SELECT name FROM products) TO '{{ outputFiles.names }}' (HEADER);
  SELECT count(*) AS number FROM products;
outputFiles: [names]
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.duckdb.Queries"]

    async def run(self, context: RunContext) -> ManyFetched:
        prepared = await self.prepared(context)
        found = await super(Queries, prepared).run(context)
        files = await self.stored_files(context)
        return ManyFetched(**found.model_dump(), outputFiles=files, **await self.kept(context))


class Trigger(DuckDbFields, SqlTrigger):
    """Start an execution when a statement in DuckDB gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_rows
type: io.kestra.plugin.jdbc.duckdb.Trigger
interval: PT5M
url: jdbc:duckdb:/data/shop.db
sql: SELECT * FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.duckdb.Trigger"]
