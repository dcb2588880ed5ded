"""`io.kestra.plugin.jdbc.mysql`: MySQL, through PyMySQL."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field

from engine.plugin import LateProperty, Property, RunContext, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.fetched_rows import Fetched
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.sql_task import (
    AllFetched,
    BatchTask,
    Connected,
    Database,
    QueriesTask,
    QueryTask,
    SqlFields,
    SqlTrigger,
    opened,
    reachable,
)
from engine.tasks.sql_text import statements
from engine.tasks.working_files import place

INPUT = "inputFile"
SECURE = frozenset({"REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY", "true"})


class MySqlConnected(Connected):
    """A connection to MySQL or MariaDB."""

    driver: ClassVar[str] = "jdbc:mysql:"
    product: ClassVar[str] = "MySQL"

    def offered(self, context: RunContext) -> Path | None:
        """The one file that the server may ask for, if any."""
        return None

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        pymysql = extra("pymysql", "mysql")
        given, secure = address(self.url, self.driver)
        self.hide(context, given.get("password"))
        given |= {name: value for name, value in (("user", self.username), ("password", self.password)) if value}
        await reachable(context, given["host"])
        security = {"ssl": {"check_hostname": False}} if secure else {}
        file = self.offered(context)
        kind = _offering(pymysql, file)
        where = f"{given['host']}:{given['port']}"

        def connect() -> Any:
            return kind(
                **given, **security, autocommit=autocommit, connect_timeout=10, charset="utf8mb4",
                local_infile=file is not None,
            )  # fmt: skip

        connection = await opened(self.product, where, (pymysql.Error,), connect)
        return Database(
            connection,
            (pymysql.Error,),
            mark=lambda number: "%s",
            percent="%%",
            backslashes=True,
            split=_split,
            stop=_stopper(connect, connection.thread_id()),
            commits=not autocommit,
        )


class MySqlFields(MySqlConnected, SqlFields):
    """A statement, which may load a file: `LOAD DATA LOCAL INFILE '{{ inputFile }}' INTO TABLE …`."""

    sees: ClassVar[frozenset[str] | None] = frozenset({INPUT})
    sql: LateProperty[Text]
    input_file: Property[OptionalText] = Field(default=None, description="Its path is `{{ inputFile }}` in `sql`.")

    def offered(self, context: RunContext) -> Path | None:
        return None if self.input_file is None else context.working_dir / INPUT

    async def prepared(self, context: RunContext) -> Self:
        """The same with its file in place and `sql` rendered."""
        await place(context, {} if self.input_file is None else {INPUT: self.input_file})
        return self.model_copy(
            update={"sql": await context.render(self.sql, inputFile=str(context.working_dir / INPUT))}
        )


class Query(MySqlFields, QueryTask):
    """Run one statement in MySQL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: overdue
type: io.kestra.plugin.jdbc.mysql.Query
url: jdbc:mysql://db.example.com:3306/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, customer FROM invoices WHERE NOT paid
fetchType: STORE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.mysql.Query"]

    async def run(self, context: RunContext) -> Fetched:
        return await super(Query, await self.prepared(context)).run(context)


class Queries(MySqlFields, QueriesTask):
    """Run several statements in MySQL, in one transaction unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: close
type: io.kestra.plugin.jdbc.mysql.Queries
url: jdbc:mysql://db.example.com:3306/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  UPDATE invoices SET state = 'closed' WHERE paid;
  SELECT count(*) AS open FROM invoices WHERE state = 'open';
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.mysql.Queries"]

    async def run(self, context: RunContext) -> AllFetched:
        return await super(Queries, await self.prepared(context)).run(context)


class Batch(MySqlConnected, BatchTask):
    """Insert the rows of a file into a table of MySQL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.mysql.Batch
url: jdbc:mysql://db.example.com:3306/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.to_rows.uri }}"
table: products
""",
    )
    type: Literal["io.kestra.plugin.jdbc.mysql.Batch"]


class Trigger(MySqlConnected, SqlTrigger):
    """Start an execution when a statement in MySQL gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.mysql.Trigger
interval: PT5M
url: jdbc:mysql://db.example.com:3306/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT * FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.mysql.Trigger"]


def address(url: str, driver: str) -> tuple[dict[str, Any], bool]:
    """Where a JDBC URL leads, in the driver's words, and whether it asks for TLS."""
    if not url.strip().startswith(driver):
        raise TaskFailed(f"`url` does not begin with {driver}//.", fix=f"Write {driver}//host:3306/database.")
    parts = urlsplit(url.strip().removeprefix("jdbc:"))
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    found: dict[str, Any] = {"host": parts.hostname or "localhost", "port": parts.port or 3306}
    found |= {"database": unquote(parts.path.strip("/"))} if parts.path.strip("/") else {}
    found |= {name: options[name] for name in ("user", "password") if name in options}
    return found, bool(SECURE & {options.get("sslMode", ""), options.get("useSSL", ""), options.get("requireSSL", "")})


def _offering(pymysql: Any, file: Path | None) -> Any:
    """A connection that hands its server this file when asked for it, and no other: servers name what they want."""
    offered = None if file is None else os.fsencode(file)

    class Offering(pymysql.connections.Connection):  # type: ignore[misc]
        _is_answer = False  # rows may begin with the same byte as a wish for a file; what answers a statement may not

        def _read_query_result(self, unbuffered: bool = False) -> Any:
            self._is_answer = True
            return super()._read_query_result(unbuffered)

        def _read_packet(self, *kind: Any) -> Any:
            packet = super()._read_packet(*kind)
            is_answer, self._is_answer = self._is_answer, False
            if is_answer and packet.is_load_local_packet() and packet.get_all_data()[1:] != offered:
                raise pymysql.err.OperationalError("The server asked for a file that `inputFile` does not give.")
            return packet

    return Offering


def _split(text: str) -> list[str]:
    return statements(text, backslashes=True)


def _stopper(connect: Callable[[], Any], thread: int) -> Callable[[], None]:
    def stop() -> None:
        with connect() as other, other.cursor() as cursor:
            cursor.execute(f"KILL {int(thread)}")

    return stop
