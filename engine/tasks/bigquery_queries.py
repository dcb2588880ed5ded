"""Queries of BigQuery: what is asked, and where it is written."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from engine.plugin import Instead, Outputs, Property, RunContext, StoredUri
from engine.tasks.bigquery_jobs import BigQueryConnected, rows_of, table_of
from engine.tasks.fetched_rows import FetchType, filed
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList


class Destination(BigQueryConnected):
    """Where a job writes."""

    clustering_fields: Property[TextList | None] = None
    schema_update_options: Property[TextList | None] = None
    time_partitioning_field: Property[OptionalText] = None
    time_partitioning_type: Property[Literal["HOUR", "DAY", "MONTH", "YEAR"]] = "DAY"
    write_disposition: Property[
        Literal["WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA", "WRITE_APPEND", "WRITE_EMPTY"] | None
    ] = None
    create_disposition: Property[Literal["CREATE_IF_NEEDED", "CREATE_NEVER"] | None] = None

    def written(self, destination: str | None) -> dict[str, Any]:
        """The part of a job's configuration that says where it writes."""
        field = self.time_partitioning_field
        given = {
            "destinationTable": table_of(destination) if destination else None,
            "clustering": {"fields": self.clustering_fields} if self.clustering_fields else None,
            "schemaUpdateOptions": self.schema_update_options,
            "timePartitioning": {"type": self.time_partitioning_type, "field": field} if field else None,
            "writeDisposition": self.write_disposition,
            "createDisposition": self.create_disposition,
        }
        return {name: value for name, value in given.items() if value is not None}


class Queried(Outputs):
    """What a query found."""

    jobId: str  # noqa: N815 - appears as written
    rows: list[dict[str, Any]] | None = None
    row: dict[str, Any] | None = None
    size: int | None = None
    uri: StoredUri | None = None
    destinationTable: dict[str, str] | None = None  # noqa: N815


class QueryFields(Destination):
    """A query."""

    sql: Property[Text]
    destination_table: Property[OptionalText] = None
    fetch_type: Property[FetchType] = "NONE"
    fetch: Annotated[Property[bool], Instead("fetchType: FETCH")] = False
    fetch_one: Annotated[Property[bool], Instead("fetchType: FETCH_ONE")] = False
    store: Annotated[Property[bool], Instead("fetchType: STORE")] = False
    legacy_sql: Property[bool] = False
    use_legacy_sql: Property[bool] = False
    default_dataset: Property[OptionalText] = None
    priority: Property[Literal["INTERACTIVE", "BATCH"]] = "INTERACTIVE"
    allow_large_results: Property[bool | None] = None
    use_query_cache: Property[bool | None] = None
    flatten_results: Property[bool] = True
    dry_run: Property[bool] = False
    job_timeout: Property[timedelta | None] = None
    maximum_billing_tier: Property[OptionalInteger] = None
    maximum_bytes_billed: Property[OptionalInteger] = None
    max_results: Property[OptionalInteger] = None
    create_session: Property[bool | None] = None

    async def queried(self, context: RunContext) -> Queried:
        """The outcome of the query; TaskFailed with what BigQuery says when it fails."""
        job = await self.job(context, {"query": self.query(), **self.around()})
        reference = job["jobReference"]
        found = Queried(
            jobId=reference["jobId"], destinationTable=job["configuration"]["query"].get("destinationTable")
        )
        statistics = job.get("statistics") or {}
        context.metric("total.bytes.processed", float(statistics.get("totalBytesProcessed") or 0))
        kind = "FETCH" if self.fetch else "STORE" if self.store else "FETCH_ONE" if self.fetch_one else self.fetch_type
        if kind == "NONE" or self.dry_run:
            return found
        rows = await rows_of(self, context, reference, self.max_results)
        context.metric("fetch.rows", len(rows))
        found.size = len(rows)
        if kind == "STORE":
            found.uri = await filed(context, rows, "rows.jsonl")
        elif kind == "FETCH":
            found.rows = rows
        else:
            found.row = rows[0] if rows else {}
            found.size = min(len(rows), 1)
        return found

    def around(self) -> dict[str, Any]:
        """What is said of a job beside its query."""
        given = {
            "dryRun": self.dry_run or None,
            "labels": self.job_labels(),
            "jobTimeoutMs": str(round(self.job_timeout.total_seconds() * 1000)) if self.job_timeout else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def job_labels(self) -> Mapping[str, Any] | None:
        """Labels of the job, which are not those of an execution."""
        return None

    def query(self) -> dict[str, Any]:
        """The query in Google's JSON."""
        project, dot, dataset = (self.default_dataset or "").rpartition(".")
        default = {"datasetId": dataset, **({"projectId": project} if dot else {})} if self.default_dataset else None
        given = {
            "query": self.sql,
            "useLegacySql": self.legacy_sql or self.use_legacy_sql,
            "defaultDataset": default,
            "priority": self.priority,
            "allowLargeResults": self.allow_large_results,
            "useQueryCache": self.use_query_cache,
            "flattenResults": self.flatten_results if self.legacy_sql or self.use_legacy_sql else None,
            "maximumBillingTier": self.maximum_billing_tier,
            "maximumBytesBilled": str(self.maximum_bytes_billed) if self.maximum_bytes_billed else None,
            "createSession": self.create_session,
            **self.written(self.destination_table),
        }
        return {name: value for name, value in given.items() if value is not None}
