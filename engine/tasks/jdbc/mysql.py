"""`io.kestra.plugin.jdbc.mysql`: MySQL, through PyMySQL."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.property_types import JsonMap
from engine.tasks.sql_task import (
    BatchTask,
    Connected,
    Database,
    QueriesTask,
    QueryTask,
    SqlTrigger,
    opened,
    reachable,
)
from engine.tasks.sql_text import statements
from engine.tasks.working_files import place

SECURE = frozenset({"REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY", "true"})


class MySqlConnected(Connected):
    """A connection to MySQL or MariaDB."""

    driver: ClassVar[str] = "jdbc:mysql:"
    product: ClassVar[str] = "MySQL"
    input_files: Property[JsonMap | None] = None

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        pymysql = extra("pymysql", "mysql")
        await place(context, self.input_files or {})
        given, secure = address(self.url, self.driver)
        self.hide(context, given.get("password"))
        given |= {name: value for name, value in (("user", self.username), ("password", self.password)) if value}
        await reachable(context, given["host"])
        security = {"ssl": {"check_hostname": False}} if secure else {}
        where = f"{given['host']}:{given['port']}"

        def connect() -> Any:
            return pymysql.connect(**given, **security, autocommit=autocommit, connect_timeout=10, charset="utf8mb4")

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


class Query(MySqlConnected, QueryTask):
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


class Queries(MySqlConnected, QueriesTask):
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


def _split(text: str) -> list[str]:
    return statements(text, backslashes=True)


def _stopper(connect: Callable[[], Any], thread: int) -> Callable[[], None]:
    def stop() -> None:
        with connect() as other, other.cursor() as cursor:
            cursor.execute(f"KILL {int(thread)}")

    return stop
