"""`io.kestra.plugin.aws.athena`: SQL over files in S3."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

from engine.plugin import Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected, asked
from engine.tasks.fetched_rows import Fetched, FetchType, fetched
from engine.tasks.property_types import OptionalText, Text

SERVICE = "AWS athena"
EVERY = timedelta(seconds=0.5)  # between two looks
WHOLE = frozenset({"tinyint", "smallint", "int", "integer", "bigint"})
BROKEN = frozenset({"double", "float", "real", "decimal"})
METRICS = {
    "DataScannedInBytes": "data.scanned.bytes",
    "EngineExecutionTimeInMillis": "engine.execution.duration",
    "QueryPlanningTimeInMillis": "query.planning.duration",
    "QueryQueueTimeInMillis": "query.queue.duration",
    "ServiceProcessingTimeInMillis": "service.processing.duration",
    "TotalExecutionTimeInMillis": "total.execution.duration",
}


class Queried(Fetched):
    """The rows as asked for, and Athena's id of the query."""

    queryExecutionId: str  # noqa: N815 - appears as written


class Query(AwsConnected, RunnableTask):
    """Run a query and take its rows; with `fetchType: NONE` it is not waited for."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: visits
type: io.kestra.plugin.aws.athena.Query
region: eu-central-1
database: weblogs
outputLocation: s3://company-athena
query: SELECT path, count(*) AS visits FROM requests GROUP BY path
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.aws.athena.Query"]
    catalog: Property[OptionalText] = None
    database: Property[Text]
    output_location: Property[Text]
    query: Property[Text]
    fetch_type: Property[FetchType] = "STORE"
    skip_header: Property[bool] = True

    async def run(self, context: RunContext) -> Queried:
        place = {"Database": self.database, **({"Catalog": self.catalog} if self.catalog else {})}
        given = {
            "QueryString": self.query,
            "QueryExecutionContext": place,
            "ResultConfiguration": {"OutputLocation": self.output_location},
        }
        client = await self.client(context, "athena")
        try:
            made = await asked("athena", lambda: client.start_query_execution(**given))
            number = str(rest_service.held(made, SERVICE, "QueryExecutionId"))
            context.log(f"The query {number} was started.")
            if self.fetch_type == "NONE":
                return Queried(queryExecutionId=number)
            await self._ended(context, client, number)
            rows = await asked("athena", lambda: self._rows(client, number))
        finally:
            client.close()
        context.metric("total.rows", len(rows))
        return Queried(**(await fetched(context, rows, self.fetch_type)).model_dump(), queryExecutionId=number)

    async def _ended(self, context: RunContext, client: Any, number: str) -> None:
        """Wait until the query has ended well; one that is waited for no more is stopped."""

        async def look() -> dict[str, Any] | None:
            found = await asked("athena", lambda: client.get_query_execution(QueryExecutionId=number))
            said: dict[str, Any] = rest_service.held(found, SERVICE, "QueryExecution")
            return None if rest_service.held(said, SERVICE, "Status", "State") in ("QUEUED", "RUNNING") else said

        about = await rest_service.waited(
            context,
            look,
            every=EVERY,
            what=f"The query {number}",
            stop=lambda: asked("athena", lambda: client.stop_query_execution(QueryExecutionId=number)),
        )
        if (state := about["Status"]["State"]) != "SUCCEEDED":
            said = about["Status"].get("StateChangeReason") or ""
            raise TaskFailed(f"The query {number} ended as {state}. {said}".strip())
        for name, metric in METRICS.items():
            if (value := (about.get("Statistics") or {}).get(name)) is not None:
                context.metric(metric, float(value))

    def _rows(self, client: Any, number: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        skips = self.skip_header
        for page in client.get_paginator("get_query_results").paginate(QueryExecutionId=number):
            columns = rest_service.held(page, SERVICE, "ResultSet", "ResultSetMetadata", "ColumnInfo")
            rows = rest_service.held(page, SERVICE, "ResultSet", "Rows")[1 if skips else 0 :]
            found += [row_of(columns, row.get("Data") or []) for row in rows]
            skips = False
        return found


def row_of(columns: list[dict[str, Any]], cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A row by the names of its columns; Athena writes every value as text."""
    texts = (cell.get("VarCharValue") for cell in cells)
    names = [rest_service.held(column, SERVICE, "Name") for column in columns]
    kinds = (column.get("Type") for column in columns)
    return {name: _value(kind, text) for name, kind, text in zip(names, kinds, texts, strict=True)}


def _value(kind: str | None, text: str | None) -> Any:
    if text is None:
        return None
    if kind in WHOLE:
        return int(text)
    if kind in BROKEN:
        return float(text)
    return text == "true" if kind == "boolean" else text
