"""`io.kestra.plugin.jdbc.postgresql`: PostgreSQL, through psycopg."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.runners import own_file
from engine.tasks.secret_files import kept
from engine.tasks.sql_task import (
    BatchTask,
    Connected,
    Database,
    QueriesTask,
    QueryTask,
    SqlTrigger,
    opened,
    reachable,
    worked,
)

READS = re.compile(r"\s*(?:select|values|table)\b", re.IGNORECASE)
# What a JDBC URL may say, in libpq's words; everything else of its options is the Java driver's own business.
OPTIONS = {
    "user": "user",
    "password": "password",
    "sslmode": "sslmode",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "sslrootcert": "sslrootcert",
    "ApplicationName": "application_name",
    "options": "options",
    "targetServerType": "target_session_attrs",
    "connectTimeout": "connect_timeout",
}
SERVER_TYPES = {"primary": "read-write", "master": "read-write", "secondary": "standby", "any": "any"}


class PostgresConnected(Connected):
    """A connection to PostgreSQL."""

    driver: ClassVar[str] = "jdbc:postgresql:"
    ssl: Property[bool] = False
    ssl_mode: Property[Literal["DISABLE", "ALLOW", "PREFER", "REQUIRE", "VERIFY_CA", "VERIFY_FULL"] | None] = None
    ssl_root_cert: Property[OptionalText] = Field(default=None, description="The certificate itself, in PEM.")
    ssl_cert: Property[OptionalText] = None
    ssl_key: Property[OptionalText] = None
    ssl_key_password: Property[OptionalText] = None
    socket_timeout: Property[OptionalInteger] = None

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        psycopg = extra("psycopg", "postgres")
        given = {**address(self.url, self.driver), **self._security(context)}
        self.hide(context, given.get("password"))
        given |= {name: value for name, value in (("user", self.username), ("password", self.password)) if value}
        for host in str(given.get("host", "")).split(","):
            await reachable(context, host)
        where = f"{given.get('host') or 'localhost'}:{given.get('port') or 5432}"
        connection = await opened(
            "PostgreSQL", where, (psycopg.Error,), lambda: psycopg.connect(**given, autocommit=autocommit)
        )

        def cursor(statement: str, stream: bool) -> Any:
            on_server = stream and not autocommit and READS.match(statement)
            return connection.cursor("parley") if on_server else connection.cursor()

        return Database(
            connection,
            (psycopg.Error,),
            mark=lambda number: "%s",
            percent="%%",
            stop=connection.cancel_safe,
            commits=not autocommit,
            cursor=cursor,
        )

    def _security(self, context: RunContext) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.ssl_mode:
            found["sslmode"] = self.ssl_mode.lower().replace("_", "-")
        elif self.ssl:
            found["sslmode"] = "require"
        for name, pem in (("sslrootcert", self.ssl_root_cert), ("sslcert", self.ssl_cert), ("sslkey", self.ssl_key)):
            if pem:
                found[name] = str(_kept(context, name, pem))
        if self.ssl_key_password:
            context.mask(self.ssl_key_password)
            found["sslpassword"] = self.ssl_key_password
        return found


class Query(PostgresConnected, QueryTask):
    """Run one statement in PostgreSQL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: overdue
type: io.kestra.plugin.jdbc.postgresql.Query
url: jdbc:postgresql://db.example.com:5432/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, customer FROM invoices WHERE due < :day
parameters:
  day: "{{ now() | date('yyyy-MM-dd') }}"
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.postgresql.Query"]


class Queries(PostgresConnected, QueriesTask):
    """Run several statements in PostgreSQL, in one transaction unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: close
type: io.kestra.plugin.jdbc.postgresql.Queries
url: jdbc:postgresql://db.example.com:5432/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  UPDATE invoices SET state = 'closed' WHERE paid;
  SELECT count(*) AS open FROM invoices WHERE state = 'open';
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.postgresql.Queries"]


class Batch(PostgresConnected, BatchTask):
    """Insert the rows of a file into a table of PostgreSQL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.postgresql.Batch
url: jdbc:postgresql://db.example.com:5432/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.to_rows.uri }}"
sql: INSERT INTO products (id, name) VALUES (?, ?)
""",
    )
    type: Literal["io.kestra.plugin.jdbc.postgresql.Batch"]


class Trigger(PostgresConnected, SqlTrigger):
    """Start an execution when a statement in PostgreSQL gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.postgresql.Trigger
interval: PT5M
url: jdbc:postgresql://db.example.com:5432/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT * FROM orders WHERE NOT seen
afterSQL: UPDATE orders SET seen = true
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.postgresql.Trigger"]


class CopyTask(PostgresConnected, RunnableTask):
    """What `COPY` needs to know, in either direction."""

    table: Property[OptionalText] = None
    columns: Property[TextList | None] = None
    format: Property[Literal["TEXT", "CSV", "BINARY"]] = "TEXT"
    oids: Property[bool | None] = None
    freeze: Property[bool | None] = None
    delimiter: Property[OptionalText] = None
    null_string: Property[OptionalText] = None
    header: Property[bool | None] = None
    quote: Property[OptionalText] = None
    escape: Property[OptionalText] = None
    force_quote: Property[TextList | None] = None
    force_not_null: Property[TextList | None] = None
    force_null: Property[TextList | None] = None
    encoding: Property[OptionalText] = None

    def statement(self, subject: str, direction: str) -> str:
        """The `COPY` statement."""
        given = {
            "FORMAT": self.format,
            "FREEZE": _flag(self.freeze),
            "DELIMITER": _text(self.delimiter),
            "NULL": _text(self.null_string),
            "HEADER": _flag(self.header),
            "QUOTE": _text(self.quote),
            "ESCAPE": _text(self.escape),
            "FORCE_QUOTE": _names(self.force_quote),
            "FORCE_NOT_NULL": _names(self.force_not_null),
            "FORCE_NULL": _names(self.force_null),
            "ENCODING": _text(self.encoding),
        }
        options = ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
        return f"COPY {subject} {direction} WITH ({options})"

    def target(self) -> str:
        """The table with its columns."""
        if not self.table:
            raise TaskFailed("It is not said which table.", fix="Give `table`.")
        return f"{self.table} ({', '.join(self.columns)})" if self.columns else self.table


class Copied(Outputs):
    """How many rows were copied."""

    rowCount: int  # noqa: N815 - appears as written


class CopiedOut(Copied):
    """The file they are in."""

    uri: StoredUri


class CopyIn(CopyTask):
    """Copy a file into a table of PostgreSQL."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.postgresql.CopyIn
url: jdbc:postgresql://db.example.com:5432/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.download.uri }}"
table: products
format: CSV
header: true
""",
    )
    type: Literal["io.kestra.plugin.jdbc.postgresql.CopyIn"]
    from_: Property[Text] = Field(alias="from")

    async def run(self, context: RunContext) -> Copied:
        source = context.files.path(self.from_)
        database = await self.database(context, autocommit=False)
        count = 0

        def work() -> None:
            nonlocal count
            cursor = database.connection.cursor()
            with source.open("rb") as file, cursor.copy(self.statement(self.target(), "FROM STDIN")) as copy:
                while block := file.read(1 << 16):
                    copy.write(block)
            count = cursor.rowcount
            database.commit()

        await worked(database, work)
        context.metric("rows", count)
        return Copied(rowCount=count)


class CopyOut(CopyTask):
    """Copy a table or the rows of a query out of PostgreSQL into a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: export
type: io.kestra.plugin.jdbc.postgresql.CopyOut
url: jdbc:postgresql://db.example.com:5432/shop
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, name FROM products
format: CSV
header: true
""",
    )
    type: Literal["io.kestra.plugin.jdbc.postgresql.CopyOut"]
    sql: Property[OptionalText] = None

    async def run(self, context: RunContext) -> CopiedOut:
        subject = f"({self.sql.strip().rstrip(';')})" if self.sql else self.target()
        database = await self.database(context, autocommit=False)
        path = own_file(context, "copy", ".csv" if self.format == "CSV" else ".out")
        count = 0

        def work() -> None:
            nonlocal count
            cursor = database.connection.cursor()
            with path.open("wb") as file, cursor.copy(self.statement(subject, "TO STDOUT")) as copy:
                for block in copy:
                    file.write(block)
            count = cursor.rowcount

        await worked(database, work)
        context.metric("rows", count)
        return CopiedOut(rowCount=count, uri=await context.files.put(path, path.name.replace(context.task_run_id, "")))


def address(url: str, driver: str = "jdbc:postgresql:") -> dict[str, Any]:
    """Where a JDBC URL leads, in libpq's words; TaskFailed when it is for another database."""
    text = url.strip()
    if not text.startswith((driver, "jdbc:postgresql:")):
        raise TaskFailed(f"`url` does not begin with {driver}//.", fix=f"Write {driver}//host:5432/database.")
    parts = urlsplit(text.split(":", 2)[2])
    hosts, ports = [], []
    for place in parts.netloc.rpartition("@")[2].split(","):
        host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
        hosts.append(unquote((host if colon else place).strip("[]")))
        ports.append(port if colon else "")
    found: dict[str, Any] = {"dbname": unquote(parts.path.strip("/"))}
    if any(hosts):
        found |= {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    found |= _options(given)
    return {name: value for name, value in found.items() if value}


def _options(given: Mapping[str, str]) -> dict[str, str]:
    found = {OPTIONS[name]: value for name, value in given.items() if name in OPTIONS}
    if given.get("ssl") in ("true", "") and "ssl" in given and "sslmode" not in found:
        found["sslmode"] = "require"
    if given.get("currentSchema"):
        found["options"] = f"{found.get('options', '')} -c search_path={given['currentSchema']}".strip()
    if "target_session_attrs" in found:
        found["target_session_attrs"] = SERVER_TYPES.get(found["target_session_attrs"], "any")
    return found


def _kept(context: RunContext, name: str, pem: str) -> Path:
    return Path(kept(own_file(context, name, ".pem"), pem))


def _text(value: str | None) -> str | None:
    if value is None:
        return None
    quoted = value.replace("'", "''")
    return f"E'{quoted}'" if "\\" in value and value != "\\" else f"'{quoted}'"


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).upper()


def _names(names: list[str] | None) -> str | None:
    if not names:
        return None
    return "*" if names == ["*"] else f"({', '.join(names)})"
