"""`io.kestra.plugin.jdbc.clickhouse`: statements for ClickHouse, over HTTP."""

import json
import re
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.outbound import Answer
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.rows import lines_of, values_of
from engine.tasks.sql_http import (
    HttpConnected,
    HttpQueriesTask,
    HttpQueryTask,
    HttpSqlFields,
    HttpSqlTrigger,
    Row,
    literal,
    row_of,
)
from engine.tasks.threads import in_own_thread

CHUNK = 1000  # rows of one statement, unless told otherwise
MARKS = re.compile(r"(?is)^(?P<head>.*)\bvalues\s*\((?P<marks>[^()]*)\)\s*;?\s*$")


class ClickHouseReached(HttpConnected):
    """ClickHouse's HTTP interface."""

    service: ClassVar[str] = "ClickHouse"
    driver: ClassVar[str] = "jdbc:clickhouse:"
    default_port: ClassVar[int] = 8123

    async def send(self, context: RunContext, statement: str, **options: str) -> Answer:
        """What ClickHouse answers to a statement; TaskFailed when it refuses."""
        at, path, known = self.place
        asked = {**options, **{name: known[name] for name in ("database",) if name in known}}
        asked |= {"database": path[0]} if path else {}
        asked |= {"session_timezone": self.time_zone_id} if self.time_zone_id else {}
        headers = {"X-ClickHouse-User": self.username, "X-ClickHouse-Key": self.password}
        given = {name: value for name, value in headers.items() if value}
        return await self.ask(context, "POST", at, params=asked, headers=given, content=statement.encode())


class ClickHouseConnected(ClickHouseReached, HttpSqlFields):
    """A statement for ClickHouse, and what becomes of its rows."""

    backslashes: ClassVar[bool] = True

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        form = {"default_format": "JSONCompactEachRowWithNames", "output_format_json_quote_64bit_integers": "0"}
        answer = await self.send(context, statement, **form)
        lines = [line for line in answer.text.splitlines() if line.strip()]
        try:
            names, *values = [json.loads(line) for line in lines] or [[]]
            return [row_of(names, one) for one in values]
        except (ValueError, TypeError) as error:
            raise TaskFailed(
                "ClickHouse answered in another form.", fix="Leave `FORMAT` out of the statement."
            ) from error


class Query(ClickHouseConnected, HttpQueryTask):
    """Run one statement in ClickHouse."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: rows
type: io.kestra.plugin.jdbc.clickhouse.Query
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, total FROM orders
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.clickhouse.Query"]


class Queries(ClickHouseConnected, HttpQueriesTask):
    """Run several statements in ClickHouse, one after the other."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: all
type: io.kestra.plugin.jdbc.clickhouse.Queries
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  SELECT id, total FROM orders;
  SELECT id FROM orders WHERE NOT seen;
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.clickhouse.Queries"]


class Trigger(ClickHouseConnected, HttpSqlTrigger):
    """Start an execution when a statement in ClickHouse gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.clickhouse.Trigger
interval: PT5M
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = ClickHouseConnected
    type: Literal["io.kestra.plugin.jdbc.clickhouse.Trigger"]


class Inserted(Outputs):
    """How many rows were sent."""

    rowCount: int  # noqa: N815 - appears as written
    updatedCount: int  # noqa: N815 - the same: ClickHouse doesn't tell


class BulkInsert(ClickHouseReached, RunnableTask):
    """Insert the rows of a file into ClickHouse, many at a time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.clickhouse.BulkInsert
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.rows.uri }}"
table: orders
""",
        """
id: load
type: io.kestra.plugin.jdbc.clickhouse.BulkInsert
url: jdbc:clickhouse://clickhouse.example.com:8123/shop
username: flows
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.rows.uri }}"
sql: INSERT INTO orders (id, total) SETTINGS async_insert=1, wait_for_async_insert=1 VALUES (?, ?)
""",
    )
    type: Literal["io.kestra.plugin.jdbc.clickhouse.BulkInsert"]
    from_: Property[Text] = Field(alias="from")
    sql: Property[OptionalText] = Field(default=None, description="An `insert` with a `?` for every column.")
    table: Property[OptionalText] = Field(default=None, description="Insert into this one, without `sql`.")
    columns: Property[list[str] | None] = None
    chunk: Property[int] = Field(default=CHUNK, ge=1)

    async def run(self, context: RunContext) -> Inserted:
        count, values = 0, values_of(context.files.path(self.from_))
        while rows := await in_own_thread(lambda: list(islice(values, self.chunk))):
            statement = await in_own_thread(partial(self._marked if self.sql else self._named, rows))
            await self.send(context, statement, date_time_input_format="best_effort")
            context.metric("query", 1)
            count += len(rows)
        context.metric("records", count)
        return Inserted(rowCount=count, updatedCount=count)

    def _marked(self, rows: list[Any]) -> str:
        """The flow's own statement, its marks filled in for each row."""
        found = MARKS.match(self.sql or "")
        if found is None or "?" not in found["marks"]:
            raise TaskFailed("`sql` is no insert with marks.", fix="Write it as INSERT INTO orders VALUES (?, ?).")
        pieces = found["marks"].split("?")
        filled = []
        for row in rows:
            cells = _cells(row, self.columns)
            if len(cells) != len(pieces) - 1:
                raise TaskFailed(
                    f"A row has {len(cells)} values, `sql` has {len(pieces) - 1} marks: {str(row)[:80]}.",
                    fix="Say by `columns` which values are meant, or give `table` instead.",
                )
            filled.append(
                "".join(one for pair in zip(pieces, [*map(_literal, cells), ""], strict=True) for one in pair)
            )
        return f"{found['head']}VALUES {', '.join(f'({one})' for one in filled)}"

    def _named(self, rows: list[Any]) -> str:
        """An insert of rows by the names of their columns, in ClickHouse's own form for that."""
        if not self.table:
            raise TaskFailed("It is not said where the rows go.", fix="Give `sql` or `table`.")
        if not all(isinstance(row, dict) for row in rows):
            raise TaskFailed("Rows without names can't go into `table`.", fix="Give `sql` with a `?` for each column.")
        names = f" ({', '.join(self.columns)})" if self.columns else ""
        kept = [row if self.columns is None else {name: row.get(name) for name in self.columns} for row in rows]
        return f"INSERT INTO {self.table}{names} FORMAT JSONEachRow\n" + "".join(lines_of(kept))


def _cells(row: Any, columns: list[str] | None) -> list[Any]:
    if isinstance(row, dict):
        return list(row.values()) if columns is None else [row.get(name) for name in columns]
    return row if isinstance(row, list) else [row]


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return literal(value, backslashes=True)
