"""`io.kestra.plugin.jdbc.oracle`: Oracle, through oracledb without any of Oracle's own libraries."""

import re
from typing import Any, ClassVar, Literal

from engine.plugin import RunContext, TaskFailed
from engine.tasks.extras import extra
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

DRIVER = "jdbc:oracle:thin:"
BLOCK = re.compile(r"\s*(begin|declare|create\s+(or\s+replace\s+)?(procedure|function|package|trigger|type))\b", re.I)
HOST = re.compile(r"\(\s*HOST\s*=\s*([^)\s]+)", re.IGNORECASE)


class OracleConnected(Connected):
    """A connection to Oracle."""

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        oracledb = extra("oracledb", "oracle")
        where, user, password = address(self.url)
        self.hide(context, password)
        if not (named := hosts(where)):
            raise TaskFailed("`url` names no host.", fix=f"Write {DRIVER}@//host:1521/service.")
        for host in named:
            await reachable(context, host)
        given = {"user": self.username or user, "password": self.password or password}

        def connect() -> Any:
            made = oracledb.connect(dsn=where, **given, tcp_connect_timeout=10)
            made.autocommit = autocommit
            made.outputtypehandler = _whole
            return made

        connection = await opened("Oracle", where, (oracledb.Error,), connect)
        return Database(
            connection,
            (oracledb.Error,),
            mark=lambda number: f":{number}",
            split=split,
            stop=connection.cancel,
            commits=not autocommit,
        )


def _whole(cursor: Any, about: Any) -> Any:
    """Long values as what they hold, not as something to read it from."""
    oracledb = extra("oracledb", "oracle")
    kinds = {oracledb.DB_TYPE_CLOB: oracledb.DB_TYPE_LONG, oracledb.DB_TYPE_NCLOB: oracledb.DB_TYPE_LONG_NVARCHAR}
    kinds[oracledb.DB_TYPE_BLOB] = oracledb.DB_TYPE_LONG_RAW
    kind = kinds.get(about.type_code)
    return cursor.var(kind, arraysize=cursor.arraysize) if kind is not None else None


def address(url: str) -> tuple[str, str | None, str | None]:
    """Where a JDBC URL leads, in the driver's words, and who it names."""
    text = url.strip()
    if not text.lower().startswith(DRIVER):
        raise TaskFailed(f"`url` does not begin with {DRIVER}.", fix=f"Write {DRIVER}@//host:1521/service.")
    who, found, where = text[len(DRIVER) :].partition("@")
    if not found or not where:
        raise TaskFailed("`url` names no database.", fix=f"Write {DRIVER}@//host:1521/service.")
    user, _, password = who.partition("/")
    by_sid = re.fullmatch(r"([^:/()\s]+):(\d+):([\w.$#]+)", where)  # the form before there were services
    if by_sid:
        at = f"(ADDRESS=(PROTOCOL=TCP)(HOST={by_sid[1]})(PORT={by_sid[2]}))"
        where = f"(DESCRIPTION={at}(CONNECT_DATA=(SID={by_sid[3]})))"
    return where.removeprefix("//"), user or None, password or None


def hosts(where: str) -> list[str]:
    """The hosts that an address names."""
    if where.startswith("("):
        return HOST.findall(where)
    named = where.partition("://")[2] or where
    return [one.strip("[]") for one in re.findall(r"\[[^\]]+\]|[^,:/?]+", named.partition("/")[0]) if not one.isdigit()]


def split(text: str) -> list[str]:
    """The statements of a text; a block of PL/SQL is one, up to a line with only a slash."""
    if not BLOCK.match(text):
        return statements(text)
    blocks = [one.strip() for one in re.split(r"(?m)^\s*/\s*$", text)]
    return [one for one in blocks if one]


class Query(OracleConnected, QueryTask):
    """Run one statement in Oracle."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: overdue
type: io.kestra.plugin.jdbc.oracle.Query
url: jdbc:oracle:thin:@//db.example.com:1521/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, customer FROM invoices WHERE paid = 0
fetchType: STORE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.oracle.Query"]


class Queries(OracleConnected, QueriesTask):
    """Run several statements in Oracle, in one transaction unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: close
type: io.kestra.plugin.jdbc.oracle.Queries
url: jdbc:oracle:thin:@//db.example.com:1521/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  UPDATE invoices SET state = 'closed' WHERE paid = 1;
  SELECT count(*) AS still_open FROM invoices WHERE state = 'open';
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.oracle.Queries"]


class Batch(OracleConnected, BatchTask):
    """Insert the rows of a file in Oracle."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.oracle.Batch
url: jdbc:oracle:thin:@//db.example.com:1521/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.to_rows.uri }}"
table: products
""",
    )
    type: Literal["io.kestra.plugin.jdbc.oracle.Batch"]


class Trigger(OracleConnected, SqlTrigger):
    """Start an execution when a statement in Oracle gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.oracle.Trigger
interval: PT5M
url: jdbc:oracle:thin:@//db.example.com:1521/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT * FROM orders WHERE seen = 0
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.oracle.Trigger"]
