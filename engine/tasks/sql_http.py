"""Databases that answer statements over HTTP: what their tasks share, whatever the database."""

import base64
import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from engine.core.triggers import ZoneName
from engine.plugin import Part, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.fetched_rows import Fetched, FetchFields, fetched
from engine.tasks.outbound import Answer
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text
from engine.tasks.sql_task import AllFetched
from engine.tasks.sql_text import bound, statements
from engine.tasks.trigger_fields import fields_of

Row = dict[str, Any]
MARK = re.compile(r"\x00(\d+)\x00")


class HttpConnected(Part):
    """Which database, and as whom."""

    service: ClassVar[str] = ""
    driver: ClassVar[str] = ""  # what its JDBC URL begins with
    default_port: ClassVar[int] = 80
    url: Property[Text]
    username: Property[OptionalText] = None
    password: Property[OptionalText] = None
    time_zone_id: Property[ZoneName | None] = None

    @property
    def place(self) -> tuple[str, list[str], dict[str, str]]:
        """Where the database is: its address, the steps of its URL's path, and its options; TaskFailed."""
        given = self.url.strip()
        if not given.startswith((self.driver, "http://", "https://")):
            raise TaskFailed(f"`url` is no address of {self.service}.", fix=f"{self.driver}//host:{self.default_port}")
        parts = urlsplit(given if given.startswith("http") else f"http:{given.removeprefix(self.driver)}")
        options = dict(parse_qsl(parts.query))
        asked = options.get("ssl", options.get("SSL", "")).lower()
        secured = given.startswith("https") or asked == "true"
        if not asked and not given.startswith("http"):  # the drivers take that port for an encrypted one
            secured = parts.port == 443
        if not parts.hostname:
            raise TaskFailed("`url` names no host.", fix=f"{self.driver}//host:{self.default_port}")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        at = f"{'https' if secured else 'http'}://{host}:{parts.port or (443 if secured else self.default_port)}"
        return at, [step for step in parts.path.split("/") if step], options

    async def ask(self, context: RunContext, method: str, url: str, **given: Any) -> Answer:
        """One call, signed in; TaskFailed when the database refuses."""
        if self.password:
            context.mask(self.password)
        return await rest_service.call(context, self.service, method, url, **given)


class HttpSqlFields(FetchFields, HttpConnected):
    """A statement, and what becomes of its rows."""

    backslashes: ClassVar[bool] = False  # whether `\\'` stands for a quote in a text
    sql: Property[Text]
    after_sql: Property[OptionalText] = Field(
        default=None, alias="afterSQL", description="Run next; together with `sql` where the database has that."
    )
    parameters: Property[JsonMap | None] = None
    fetch_size: Property[OptionalInteger] = None

    @abstractmethod
    async def rows(self, context: RunContext, statement: str) -> list[Row]:
        """The rows of a statement, none when it gives none; TaskFailed when the database refuses."""

    async def queried(self, context: RunContext) -> Fetched:
        """The rows of the one statement."""
        found = statements(self.sql)
        if len(found) != 1:
            raise TaskFailed(
                f"`sql` holds {len(found)} statements; this task runs one.", fix="Use the task `Queries` for several."
            )
        rows, *_ = await self.each(context, [self.written(one) for one in [*found, *statements(self.after_sql or "")]])
        return await fetched(context, rows, self.fetching)

    async def each(self, context: RunContext, found: list[str]) -> list[list[Row]]:
        """The rows of each statement, one after the other; TaskFailed when the database refuses one."""
        return [await self.rows(context, one) for one in found]

    def written(self, statement: str) -> str:
        """A statement with its `:name` parameters as literals."""
        if "\x00" in statement:
            raise TaskFailed("The statement holds a zero byte.", fix="Take it out.")
        text, values = bound(
            statement, self.parameters, lambda number: f"\x00{number}\x00", backslashes=self.backslashes, percent="%"
        )
        return MARK.sub(lambda found: literal(values[int(found[1]) - 1], backslashes=self.backslashes), text)


class HttpQueryTask(HttpSqlFields, RunnableTask):
    """One statement."""

    async def run(self, context: RunContext) -> Fetched:
        return await self.queried(context)


class HttpQueriesTask(HttpSqlFields, RunnableTask):
    """Several statements, one after the other."""

    transaction: Property[bool] = Field(
        default=True, description="All or none of them, where the database has that over HTTP: Snowflake."
    )

    async def run(self, context: RunContext) -> AllFetched:
        found = []
        for statement in [*statements(self.sql), *statements(self.after_sql or "")]:
            rows = await self.rows(context, self.written(statement))
            if rows or statement.lstrip()[:6].upper() in ("SELECT", "WITH", "SHOW"):
                found.append(await fetched(context, rows, self.fetching))
        return AllFetched(outputs=found)


class HttpSqlTrigger(HttpSqlFields, PollingTrigger):
    """Run a statement again and again; an execution starts when it gives rows."""

    asks: ClassVar[type[HttpSqlFields]]

    async def poll(self, context: RunContext) -> Fetched | None:
        found = await (await fields_of(self, self.asks, context)).queried(context)
        return found if found.size else None


def literal(value: Any, *, backslashes: bool = False) -> str:
    """A value as it stands in a statement."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if backslashes:
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "''") + "'"


def row_of(names: list[str], values: list[Any]) -> Row:
    """A row by the names of its columns."""
    return dict(zip(names, values, strict=True))


def basic(user: str | None, password: str | None) -> Mapping[str, str]:
    """User and password as a header, nothing without a user."""
    pair = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    return {"Authorization": f"Basic {pair}"} if user else {}
