"""Tasks that talk to a database: what all of them have, whatever the database."""

import asyncio
import json
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError

from engine.core.property import marker
from engine.core.triggers import ZoneName
from engine.plugin import Outputs, Part, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.address_guard import check_host
from engine.tasks.fetched_rows import Fetched, FetchFields
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text
from engine.tasks.rows import lines_of, values_of
from engine.tasks.runners import own_file
from engine.tasks.sql_rows import json_value, row_of
from engine.tasks.sql_text import bound, statements
from engine.tasks.threads import in_own_thread

R = TypeVar("R")


@dataclass(slots=True)
class Database:
    """An open connection by a driver's DB-API, and how this driver differs from others."""

    connection: Any
    errors: tuple[type[Exception], ...]
    mark: Callable[[int], str] = lambda number: "?"
    percent: str = "%"  # how a plain percent sign is written in a statement with parameters
    backslashes: bool = False  # whether `\\'` stands for a quote in a text
    split: Callable[[str], list[str]] = statements
    stop: Callable[[], None] = lambda: None  # ends a statement that runs in another thread
    commits: bool = True
    cursor: Callable[[str, bool], Any] | None = None  # (statement, whether rows are streamed) → cursor

    @contextmanager
    def executed(self, statement: str, parameters: dict[str, Any] | None, *, stream: bool = False) -> Iterator[Any]:
        """The cursor of a statement that has run, until the block ends."""
        text, values = bound(statement, parameters, self.mark, backslashes=self.backslashes, percent=self.percent)
        cursor = self.cursor(statement, stream) if self.cursor else self.connection.cursor()
        try:
            if values:
                cursor.execute(text, [_parameter(value) for value in values])
            else:
                cursor.execute(statement)
            yield cursor
        finally:
            cursor.close()

    def execute(self, statement: str, parameters: dict[str, Any] | None) -> None:
        """Run a statement for what it does."""
        with self.executed(statement, parameters):
            pass

    def commit(self) -> None:
        """End the transaction, where there is one."""
        if self.commits:
            self.connection.commit()


class AllFetched(Outputs):
    """What each statement with rows gave, in order."""

    outputs: list[Fetched]


class Connected(Part):
    """Which database, and as whom."""

    url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    time_zone_id: Property[ZoneName | None] = None

    def hide(self, context: RunContext, *in_url: str | None) -> None:
        """Keep the password out of logs and errors, also one that the URL holds."""
        for secret in (self.password, *in_url):
            if secret:
                context.mask(secret)

    @property
    def zone(self) -> tzinfo | None:
        """In which time zone moments are told."""
        return ZoneInfo(self.time_zone_id) if self.time_zone_id else None


class SqlFields(FetchFields, Connected):
    """A statement, and what becomes of its rows."""

    sql: Property[Text]
    after_sql: Property[OptionalText] = Field(default=None, alias="afterSQL")
    parameters: Property[JsonMap | None] = None
    fetch_size: Property[OptionalInteger] = 10_000


@dataclass(slots=True)
class Taken:
    """The rows of one statement, before a file of them is stored."""

    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    file: Path | None = None
    size: int = 0


@dataclass(slots=True)
class Reading:
    """Takes rows from cursors as a task asks for them."""

    fields: SqlFields
    context: RunContext
    count: int = 0
    taken: list[Taken] = field(default_factory=list)

    def run(self, database: Database, statement: str) -> None:
        """Run a statement and take its rows, if it has any."""
        stream = self.fields.fetching == "STORE"
        with database.executed(statement, self.fields.parameters, stream=stream) as cursor:
            if cursor.description is not None:
                self._take(cursor)

    def _take(self, cursor: Any) -> None:
        names = [column[0] for column in cursor.description]
        kind, batch = self.fields.fetching, max(self.fields.fetch_size or 10_000, 1)
        if kind == "FETCH_ONE":
            first = cursor.fetchone()
            row = None if first is None else row_of(names, first, self.fields.zone)
            self.taken.append(Taken(row=row, size=0 if row is None else 1))
        elif kind == "FETCH":
            rows = list(_rows(cursor, names, batch, self.fields.zone))
            self.taken.append(Taken(rows=rows, size=len(rows)))
        elif kind == "STORE":
            self.count += 1
            path = own_file(self.context, "rows", f"-{self.count}.jsonl")
            size = 0
            with path.open("w", encoding="utf-8") as file:
                for row in _rows(cursor, names, batch, self.fields.zone):
                    file.writelines(lines_of([row]))
                    size += 1
            self.taken.append(Taken(file=path, size=size))
        else:
            self.taken.append(Taken())

    async def stored(self) -> list[Fetched]:
        """The same as outputs."""
        found = []
        for n, taken in enumerate(self.taken, 1):
            uri = await self.context.files.put(taken.file, f"rows-{n}.jsonl") if taken.file else None
            found.append(Fetched(rows=taken.rows, row=taken.row, uri=uri, size=taken.size))
        self.context.metric("fetch.size", sum(taken.size for taken in self.taken))
        return found


class DatabaseTask(Connected, RunnableTask):
    """A task that opens a database."""

    @abstractmethod
    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        """An open connection; TaskFailed says why there is none."""


class QueryTask(SqlFields, DatabaseTask):
    """One statement."""

    takes_several: ClassVar[bool] = False  # and gives the rows of the last

    async def run(self, context: RunContext) -> Fetched:
        database = await self.database(context, autocommit=self.after_sql is None)
        found = database.split(self.sql)
        if not found or (len(found) > 1 and not self.takes_several):
            await in_own_thread(database.connection.close)
            raise TaskFailed(
                f"`sql` holds {len(found)} statements; this task runs one.", fix="Use the task `Queries` for several."
            )
        reading = Reading(self, context)

        def work() -> None:
            for statement in found[:-1]:
                database.execute(statement, self.parameters)
            reading.run(database, found[-1])
            if self.after_sql:
                for statement in database.split(self.after_sql):
                    database.execute(statement, self.parameters)
                database.commit()

        await worked(database, work)
        return (await reading.stored() or [Fetched()])[0]


class QueriesTask(SqlFields, DatabaseTask):
    """Several statements, one after the other; all or none of them, unless `transaction` is false."""

    transaction: Property[bool] = True

    @classmethod
    async def rows(
        cls, context: RunContext, sql: str, parameters: dict[str, Any] | None = None, **connected: Any
    ) -> list[list[dict[str, Any]]]:
        """The rows of each statement that gives any, for a task of another kind; `connected` is where, and as whom."""
        given = {"id": "queries", "type": cls.type_names()[0], "fetchType": "FETCH", **connected}
        task = cls.model_validate({**given, "sql": sql, "parameters": parameters}, context={"rendered": True})
        return [one.rows or [] for one in (await task.run(context)).outputs]

    async def run(self, context: RunContext) -> AllFetched:
        database = await self.database(context, autocommit=not self.transaction)
        return AllFetched(outputs=await self.all_fetched(context, database))

    async def all_fetched(self, context: RunContext, database: Database) -> list[Fetched]:
        """What each statement with rows gave."""
        reading = Reading(self, context)

        def work() -> None:
            for statement in [*database.split(self.sql), *database.split(self.after_sql or "")]:
                reading.run(database, statement)
            if self.transaction:
                database.commit()

        await worked(database, work)
        return await reading.stored()


class Inserted(Outputs):
    """How many rows were read, and how many the database says it changed."""

    rowCount: int  # noqa: N815 - appears as written
    updatedCount: int  # noqa: N815


class BatchTask(DatabaseTask):
    """Insert the rows of a file, many at a time."""

    from_: Property[Text] = Field(alias="from")
    sql: Property[OptionalText] = Field(default=None, description="An `insert` with a `?` for every column.")
    table: Property[OptionalText] = Field(default=None, description="Insert into this one, without `sql`.")
    columns: Property[list[str] | None] = None
    chunk: Property[OptionalInteger] = 1000

    async def run(self, context: RunContext) -> Inserted:
        source = context.files.path(self.from_)
        database = await self.database(context, autocommit=False)
        counts = [0, 0]

        def work() -> None:
            size = max(self.chunk or 1000, 1)
            rows: list[list[Any]] = []
            for value in values_of(source):
                rows.append(self._cells(value))
                if len(rows) == size:
                    self._insert(database, value, rows, counts)
                    rows = []
            if rows:
                self._insert(database, value, rows, counts)
            database.commit()

        await worked(database, work)
        context.metric("records", counts[0])
        return Inserted(rowCount=counts[0], updatedCount=counts[1])

    def _cells(self, value: Any) -> list[Any]:
        if isinstance(value, dict):
            kept = value if self.columns is None else {name: value.get(name) for name in self.columns}
            return [_parameter(cell) for cell in kept.values()]
        return [_parameter(cell) for cell in (value if isinstance(value, list) else [value])]

    def _insert(self, database: Database, value: Any, rows: list[list[Any]], counts: list[int]) -> None:
        cursor = database.connection.cursor()
        cursor.executemany(self._statement(database, value, len(rows[0])), rows)
        counts[0] += len(rows)
        counts[1] += max(cursor.rowcount, 0)

    def _statement(self, database: Database, value: Any, width: int) -> str:
        marks = ", ".join(database.mark(n) for n in range(1, width + 1))
        if self.sql:
            pieces = self.sql.replace("%", database.percent).split("?")
            return "".join(piece + (database.mark(n) if n < len(pieces) else "") for n, piece in enumerate(pieces, 1))
        if not self.table:
            raise TaskFailed("It is not said where the rows go.", fix="Give `sql` or `table`.")
        names = self.columns or (list(value) if isinstance(value, dict) else [])
        listed = f" ({', '.join(names)})" if names else ""
        return f"INSERT INTO {self.table}{listed} VALUES ({marks})"  # noqa: S608 - the flow names its own table


class SqlTrigger(SqlFields, PollingTrigger):
    """Run a statement again and again; an execution starts when it gives rows."""

    query: ClassVar[type[QueryTask]]

    async def poll(self, context: RunContext) -> Fetched | None:
        asked = (self.model_fields_set & set(self.query.model_fields)) - set(PollingTrigger.model_fields)
        given = self.model_dump(include=asked, by_alias=True, exclude_unset=True, warnings=False)
        late = {"sql": given.pop("sql")} if _is_late(self.query) else {}
        named = {"id": self.id, "type": self.query.type_names()[0]}
        call = {**await context.render(given), **late, **named}
        try:
            query = self.query.model_validate(call, context={"rendered": True})
        except ValidationError as error:
            raise TaskFailed(f"The query can't be made: {error.errors()[0]['msg']}.") from error
        found = await query.run(context)
        return found if found.size else None


def _is_late(query: type[QueryTask]) -> bool:
    mark = marker(query.model_fields["sql"])
    return mark is not None and mark.late


async def reachable(context: RunContext, host: str) -> None:
    """TaskFailed when a host is one that flows may not call."""
    if host and not host.startswith("/"):
        await check_host(host, context.settings)


async def opened(kind: str, where: str, errors: tuple[type[Exception], ...], connect: Callable[[], R]) -> R:
    """What a driver's `connect` returns; TaskFailed says where there was nobody."""
    try:
        return await in_own_thread(connect)
    except errors as error:
        raise TaskFailed(
            f"{kind} could not be reached at {where}: {one_line(error)}",
            fix="Check `url`, `username` and `password`.",
        ) from error


async def worked(database: Database, work: Callable[[], None]) -> None:
    """Do blocking work with a connection and close it. Cancelling stops the statement that runs."""

    def done() -> None:
        with closing(database):
            work()

    try:
        await in_own_thread(done)
    except asyncio.CancelledError:
        threading.Thread(target=database.stop, daemon=True).start()  # it may have to ask the server
        raise
    except database.errors as error:
        raise TaskFailed(f"The database refused: {one_line(error)}") from error


@contextmanager
def closing(database: Database) -> Iterator[None]:
    """Close the connection at the end; what was not committed is undone."""
    try:
        yield
    finally:
        database.connection.close()


def one_line(error: Exception) -> str:
    """What a driver says, with the place it points at."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:1000] if text.endswith((".", "!")) else text[:1000] + "."


def _rows(cursor: Any, names: Sequence[str], batch: int, zone: tzinfo | None) -> Iterator[dict[str, Any]]:
    while found := cursor.fetchmany(batch):
        for row in found:
            yield row_of(names, row, zone)


def _parameter(value: Any) -> Any:
    """A value as drivers take it; a map as JSON text."""
    return json.dumps(json_value(value), ensure_ascii=False) if isinstance(value, dict) else value
