"""`io.kestra.plugin.databricks.sql`: statements for a SQL warehouse of Databricks."""

import json
import re
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.triggers import ZoneName
from engine.plugin import Outputs, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.databricks_service import Authentication, Workspace, opened
from engine.tasks.fetched_rows import filed
from engine.tasks.pages import Pages
from engine.tasks.property_types import JsonMap, OptionalText, Text

WAREHOUSE = re.compile(r"/?sql/1\.0/(?:warehouses|endpoints)/([\w-]+)/?")
STATEMENTS = "api/2.0/sql/statements"
EVERY = timedelta(seconds=1)  # between two looks
WHOLE = frozenset({"BYTE", "SHORT", "INT", "LONG", "TINYINT", "SMALLINT", "BIGINT"})
BROKEN = frozenset({"FLOAT", "DOUBLE", "DECIMAL"})


class Stored(Outputs):
    """A file of rows, and how many."""

    uri: StoredUri | None = None
    size: int = 0


class Query(RunnableTask):
    """Run a statement; its rows are stored in a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.databricks.sql.Query
accessToken: "{{ secret('DATABRICKS_TOKEN') }}"
host: dbc-1234.cloud.databricks.com
httpPath: /sql/1.0/warehouses/abc123
sql: SELECT id, total FROM shop.orders
""",
    )
    type: Literal["io.kestra.plugin.databricks.sql.Query"]
    host: Property[Text]
    http_path: Property[Text]
    access_token: Property[OptionalText] = None
    catalog: Property[OptionalText] = None
    schema_: Property[OptionalText] = Field(default=None, alias="schema")
    properties: Property[JsonMap | None] = None
    sql: Property[Text]
    time_zone_id: Property[ZoneName | None] = None

    async def run(self, context: RunContext) -> Stored:
        found = WAREHOUSE.fullmatch(self.http_path.strip())
        if found is None:
            raise TaskFailed(
                f"`httpPath` {self.http_path!r} is no SQL warehouse.",
                fix="Copy it from the warehouse's connection details: /sql/1.0/warehouses/…",
            )
        workspace = await opened(context, self.host, Authentication(token=self.access_token))
        sql = f"SET TIME ZONE '{self.time_zone_id}'; {self.sql}" if self.time_zone_id else self.sql
        given = {"warehouse_id": found[1], "statement": sql, "catalog": self.catalog, "schema": self.schema_}
        body = {name: value for name, value in given.items() if value is not None}
        told = await workspace.ask("POST", STATEMENTS, json={**body, "wait_timeout": "10s"})
        told = await _ended(workspace, told)
        if not (columns := ((told.get("manifest") or {}).get("schema") or {}).get("columns")):
            return Stored()
        rows = [row_of(columns, values) for values in await _values(workspace, told)]
        context.metric("fetch.size", len(rows))
        return Stored(uri=await filed(context, rows, "rows.jsonl"), size=len(rows))


async def _ended(workspace: Workspace, told: dict[str, Any]) -> dict[str, Any]:
    """What is said of a statement once it has ended well; one that is waited for no more is cancelled."""
    number = rest_service.held(told, "Databricks", "statement_id")
    path = f"{STATEMENTS}/{number}"

    def ended(said: dict[str, Any]) -> dict[str, Any] | None:
        return None if rest_service.held(said, "Databricks", "status", "state") in ("PENDING", "RUNNING") else said

    async def look() -> dict[str, Any] | None:
        return ended(await workspace.ask("GET", path))

    if (done := ended(told)) is None:
        done = await rest_service.waited(
            workspace.context, look, every=EVERY, what=f"The statement {number}",
            stop=lambda: workspace.ask("POST", f"{path}/cancel"),
        )  # fmt: skip
    if (state := done["status"]["state"]) != "SUCCEEDED":
        said = (done["status"].get("error") or {}).get("message") or state
        raise TaskFailed(f"Databricks could not run the statement: {said}")
    return done


async def _values(workspace: Workspace, told: dict[str, Any]) -> list[list[Any]]:
    found: list[list[Any]] = []
    chunk, pages = told.get("result") or {}, Pages("Databricks")
    while True:
        found += chunk.get("data_array") or []
        if not (more := pages.after(chunk.get("next_chunk_internal_link"))):
            return found
        chunk = await workspace.ask("GET", more)


def row_of(columns: list[dict[str, Any]], values: list[Any]) -> dict[str, Any]:
    """A row by the names of its columns; the API writes every value as text."""
    return {
        column["name"]: _value(str(column.get("type_name")), value)
        for column, value in zip(columns, values, strict=True)
    }


def _value(kind: str, text: Any) -> Any:
    if text is None or not isinstance(text, str):
        return text
    if kind in WHOLE:
        return int(text)
    if kind in BROKEN:
        return float(text)
    if kind == "BOOLEAN":
        return text == "true"
    return json.loads(text) if kind in ("ARRAY", "MAP", "STRUCT") else text
