"""`io.kestra.plugin.jdbc.sqlserver`: Microsoft SQL Server, through pymssql."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks.extras import extra
from engine.tasks.property_types import OptionalText, scalar_to_text
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

DRIVER = "jdbc:sqlserver://"
PORT = 1433


def _in_capitals(value: Any) -> Any:
    text = scalar_to_text(value)  # `encrypt: true` is YAML's boolean
    return text.upper() if isinstance(text, str) else text


class SqlServerConnected(Connected):
    """A connection to SQL Server."""

    encrypt: Property[
        Annotated[Literal["TRUE", "FALSE", "STRICT", "OPTIONAL"] | None, BeforeValidator(_in_capitals)]
    ] = Field(default=None, description="What the URL says comes before it.")
    trust_server_certificate: Property[bool | None] = Field(
        default=None, description="The certificate is not checked here, whatever this says."
    )
    host_name_in_certificate: Property[OptionalText] = None
    trust_store: Property[OptionalText] = None
    trust_store_password: Property[OptionalText] = None

    async def database(self, context: RunContext, *, autocommit: bool) -> Database:
        pymssql = extra("pymssql", "sqlserver")
        if self.host_name_in_certificate or self.trust_store:
            raise TaskFailed(
                "The certificate of SQL Server can't be checked here.",
                fix="Take out `hostNameInCertificate` and `trustStore`, or go through a tunnel that checks it.",
            )
        given = address(self.url, self.encrypt)
        self.hide(context, given.get("password"))
        given |= {name: value for name, value in (("user", self.username), ("password", self.password)) if value}
        await reachable(context, given["server"].partition("\\")[0])
        where = f"{given['server']}:{given['port']}"

        def connect() -> Any:
            return pymssql.connect(**given, autocommit=autocommit, login_timeout=10, charset="UTF-8")

        connection = await opened("SQL Server", where, (pymssql.Error,), connect)
        return Database(connection, (pymssql.Error,), mark=lambda number: "%s", percent="%%", commits=not autocommit)


def address(url: str, encrypt: str | None = None) -> dict[str, Any]:
    """Where a JDBC URL leads, in the driver's words, encrypted as it says, or else as the task does."""
    text = url.strip()
    if not text.startswith(DRIVER):
        raise TaskFailed(f"`url` does not begin with {DRIVER}.", fix=f"Write {DRIVER}host:{PORT};databaseName=shop.")
    place, *rest = text.removeprefix(DRIVER).split(";")
    options = {name.strip().lower(): value for name, _, value in (one.partition("=") for one in rest) if name.strip()}
    host, _, port = place.partition(":")
    host = host or options.get("servername", "localhost")
    instance = options.get("instancename")
    found: dict[str, Any] = {
        "server": f"{host}\\{instance}" if instance and "\\" not in host else host,
        "port": port or options.get("portnumber") or str(PORT),
    }
    names = {
        "databasename": "database",
        "database": "database",
        "user": "user",
        "username": "user",
        "password": "password",
    }
    found |= {ours: options[name] for name, ours in names.items() if name in options}
    if options.get("encrypt", encrypt or "").lower() in ("true", "strict"):
        found["encryption"] = "require"
    return found


class Query(SqlServerConnected, QueryTask):
    """Run one statement in SQL Server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: overdue
type: io.kestra.plugin.jdbc.sqlserver.Query
url: jdbc:sqlserver://db.example.com:1433;databaseName=shop;encrypt=true
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT id, customer FROM invoices WHERE paid = 0
fetchType: STORE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.sqlserver.Query"]


class Queries(SqlServerConnected, QueriesTask):
    """Run several statements in SQL Server, in one transaction unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: close
type: io.kestra.plugin.jdbc.sqlserver.Queries
url: jdbc:sqlserver://db.example.com:1433;databaseName=shop;encrypt=true
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: |
  UPDATE invoices SET state = 'closed' WHERE paid = 1;
  SELECT count(*) AS still_open FROM invoices WHERE state = 'open';
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.sqlserver.Queries"]


class Batch(SqlServerConnected, BatchTask):
    """Insert the rows of a file in SQL Server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.sqlserver.Batch
url: jdbc:sqlserver://db.example.com:1433;databaseName=shop;encrypt=true
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
from: "{{ outputs.to_rows.uri }}"
table: products
""",
    )
    type: Literal["io.kestra.plugin.jdbc.sqlserver.Batch"]


class Trigger(SqlServerConnected, SqlTrigger):
    """Start an execution when a statement in SQL Server gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: new_orders
type: io.kestra.plugin.jdbc.sqlserver.Trigger
interval: PT5M
url: jdbc:sqlserver://db.example.com:1433;databaseName=shop;encrypt=true
username: "{{ secret('DB_USER') }}"
password: "{{ secret('DB_PASSWORD') }}"
sql: SELECT * FROM orders WHERE seen = 0
fetchType: FETCH
""",
    )
    query: ClassVar[type[QueryTask]] = Query
    type: Literal["io.kestra.plugin.jdbc.sqlserver.Trigger"]
