"""`io.kestra.plugin.jdbc.snowflake`: statements for Snowflake, without a driver."""

from contextlib import AbstractAsyncContextManager
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import snowflake_stage
from engine.tasks.fetched_rows import fetched
from engine.tasks.property_types import OptionalText, Text
from engine.tasks.snowflake_session import Session, signed_in, signed_key
from engine.tasks.sql_http import HttpConnected, HttpQueriesTask, HttpQueryTask, HttpSqlFields, HttpSqlTrigger, Row
from engine.tasks.sql_task import AllFetched
from engine.tasks.sql_text import statements
from engine.tasks.working_files import inside


class SnowflakeAccount(HttpConnected):
    """An account of Snowflake, who we are there, and where statements run."""

    service: ClassVar[str] = "Snowflake"
    driver: ClassVar[str] = "jdbc:snowflake:"
    default_port: ClassVar[int] = 443
    private_key: Property[OptionalText] = None
    private_key_password: Property[OptionalText] = None
    private_key_file: Property[OptionalText] = Field(default=None, description="A file in the working directory.")
    private_key_file_password: Property[OptionalText] = None
    warehouse: Property[OptionalText] = None
    database: Property[OptionalText] = None
    db_schema: Property[OptionalText] = Field(default=None, alias="schema")
    role: Property[OptionalText] = None
    query_tag: Property[OptionalText] = None

    def session(self, context: RunContext, *, autocommit: bool = True) -> AbstractAsyncContextManager[Session]:
        """A session for the statements of this task; what is not committed in the end is rolled back."""
        at, _, options = self.place
        if self.url.strip().startswith(self.driver):
            at = at.replace("http://", "https://", 1)
        host = at.partition("://")[2].rpartition(":")[0]
        account = options.get("account") or host.partition(".")[0]
        user = self.username or options.get("user", "")
        who: dict[str, Any] = {"ACCOUNT_NAME": account, "LOGIN_NAME": user}
        if key := self._key(context):
            context.mask(key)
            password = self.private_key_password or self.private_key_file_password
            who |= {"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": signed_key(account, user, key, password)}
        elif self.password:
            context.mask(self.password)
            who["PASSWORD"] = self.password
        else:
            raise TaskFailed("It is not said who asks Snowflake.", fix="Give `password` or `privateKey`.")
        settings: dict[str, Any] = {"QUERY_TAG": self.query_tag} if self.query_tag else {}
        settings |= {} if autocommit else {"AUTOCOMMIT": False}
        if settings:
            who["SESSION_PARAMETERS"] = settings
        given = {
            "warehouse": self.warehouse or options.get("warehouse"),
            "databaseName": self.database or options.get("db") or options.get("database"),
            "schemaName": self.db_schema or options.get("schema"),
            "roleName": self.role or options.get("role"),
        }
        place = {name: value for name, value in given.items() if value}
        return signed_in(context, at, who, place, ZoneInfo(self.time_zone_id) if self.time_zone_id else None)

    def _key(self, context: RunContext) -> str | None:
        if self.private_key or not self.private_key_file:
            return self.private_key
        try:
            return inside(context.working_dir, self.private_key_file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TaskFailed(f"{self.private_key_file} can't be read.", fix="Bring it along.") from error


class SnowflakeConnected(SnowflakeAccount, HttpSqlFields):
    """A statement for an account of Snowflake."""

    backslashes: ClassVar[bool] = True

    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        async with self.session(context) as session:
            return await session.rows(statement) or []

    async def each(self, context: RunContext, found: list[str]) -> list[list[Row]]:
        """The rows of each statement; of several all are kept, or none."""
        async with self.session(context, autocommit=len(found) < 2) as session:
            rows = [await session.rows(one) or [] for one in found]
            if len(found) > 1:
                await session.rows("COMMIT")
        return rows


class Query(SnowflakeConnected, HttpQueryTask):
    """Run one statement in Snowflake."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.jdbc.snowflake.Query
url: jdbc:snowflake://myorg-account.snowflakecomputing.com
username: flows
password: "{{ secret('SNOWFLAKE_PASSWORD') }}"
warehouse: COMPUTE_WH
database: SHOP
schema: PUBLIC
sql: SELECT id, total FROM orders WHERE city = :city
parameters:
  city: Lyon
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.jdbc.snowflake.Query"]


class Queries(SnowflakeConnected, HttpQueriesTask):
    """Run several statements in one session of Snowflake, in one transaction unless told otherwise."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.jdbc.snowflake.Queries
url: jdbc:snowflake://myorg-account.snowflakecomputing.com/?warehouse=COMPUTE_WH&db=SHOP
username: flows
privateKey: "{{ secret('SNOWFLAKE_KEY') }}"
sql: |
  CREATE TEMPORARY TABLE fresh AS SELECT * FROM orders WHERE NOT seen;
  SELECT count(*) AS n FROM fresh;
fetchType: FETCH_ONE
""",
    )
    type: Literal["io.kestra.plugin.jdbc.snowflake.Queries"]

    async def run(self, context: RunContext) -> AllFetched:
        found = []
        async with self.session(context, autocommit=not self.transaction) as session:
            after = statements(self.after_sql or "", backslashes=True)
            for statement in [*statements(self.sql, backslashes=True), *after]:
                rows = await session.rows(self.written(statement))
                if rows is not None:
                    found.append(await fetched(context, rows, self.fetching))
            if self.transaction:
                await session.rows("COMMIT")
        return AllFetched(outputs=found)


class Staged(Outputs):
    """Where in the stage the file is."""

    uri: str


class Fetched(Outputs):
    """The file."""

    uri: StoredUri


class Upload(SnowflakeAccount, RunnableTask):
    """Put a file into a stage of Snowflake, over what is there."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stage
type: io.kestra.plugin.jdbc.snowflake.Upload
url: jdbc:snowflake://myorg-account.snowflakecomputing.com
username: flows
password: "{{ secret('SNOWFLAKE_PASSWORD') }}"
from: "{{ outputs.extract.uri }}"
stageName: "@shop.public.%orders"
prefix: raw
fileName: orders.csv
""",
    )
    type: Literal["io.kestra.plugin.jdbc.snowflake.Upload"]
    from_: Property[Text] = Field(alias="from")
    stage_name: Property[Text]
    prefix: Property[Text] = ""
    file_name: Property[Text]
    compress: Property[bool] = True

    async def run(self, context: RunContext) -> Staged:
        source = context.files.path(self.from_)
        name = f"{self.file_name}.gz" if self.compress else self.file_name
        stage = snowflake_stage.place(self.stage_name, self.prefix)
        with snowflake_stage.scratch(context) as folder:
            async with self.session(context) as session:
                await snowflake_stage.put(context, session, source, stage, name, folder, compress=self.compress)
        return Staged(uri=f"{self.prefix.rstrip('/')}/{name}")


class Download(SnowflakeAccount, RunnableTask):
    """Fetch a file from a stage of Snowflake."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fetch
type: io.kestra.plugin.jdbc.snowflake.Download
url: jdbc:snowflake://myorg-account.snowflakecomputing.com
username: flows
password: "{{ secret('SNOWFLAKE_PASSWORD') }}"
stageName: "@shop.public.%orders"
fileName: raw/orders.csv.gz
""",
    )
    type: Literal["io.kestra.plugin.jdbc.snowflake.Download"]
    stage_name: Property[Text]
    file_name: Property[Text]
    compress: Property[bool] = Field(default=True, description="Unpack it when it is a gzip.")

    async def run(self, context: RunContext) -> Fetched:
        stage = snowflake_stage.place(self.stage_name)
        with snowflake_stage.scratch(context) as folder:
            async with self.session(context) as session:
                found = await snowflake_stage.get(
                    context, session, stage, self.file_name.lstrip("/"), folder, decompress=self.compress
                )
            name = PurePosixPath(self.file_name).name
            plain = name.removesuffix(".gz") if self.compress else name
            return Fetched(uri=await context.files.put(found, plain))


class Trigger(SnowflakeConnected, HttpSqlTrigger):
    """Start an execution when a statement in Snowflake gives rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fresh
type: io.kestra.plugin.jdbc.snowflake.Trigger
interval: PT5M
url: jdbc:snowflake://myorg-account.snowflakecomputing.com
username: flows
password: "{{ secret('SNOWFLAKE_PASSWORD') }}"
database: SHOP
sql: SELECT * FROM orders WHERE NOT seen
fetchType: FETCH
""",
    )
    asks: ClassVar[type[HttpSqlFields]] = SnowflakeConnected
    type: Literal["io.kestra.plugin.jdbc.snowflake.Trigger"]
