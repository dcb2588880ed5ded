"""`io.kestra.plugin.gcp.bigquery`: queries, loads and datasets of BigQuery."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.bigquery_jobs import BigQueryConnected, rows_of, table_of
from engine.tasks.fetched_rows import FetchType
from engine.tasks.gcp_objects import resumable
from engine.tasks.gcp_service import is_conflict
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList
from engine.tasks.rows import lines_of
from engine.tasks.trigger_fields import task_of


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
    uri: str | None = None
    destinationTable: dict[str, str] | None = None  # noqa: N815


class QueryFields(Destination):
    """A query."""

    sql: Property[Text]
    destination_table: Property[OptionalText] = None
    fetch_type: Property[FetchType] = "NONE"
    fetch: Property[bool] = False
    fetch_one: Property[bool] = False
    store: Property[bool] = False
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
        kind = "FETCH" if self.fetch else "FETCH_ONE" if self.fetch_one else "STORE" if self.store else self.fetch_type
        if kind == "NONE" or self.dry_run:
            return found
        rows = await rows_of(self, context, reference, self.max_results)
        context.metric("fetch.rows", len(rows))
        found.size = len(rows)
        if kind == "STORE":
            found.uri = await context.files.put("".join(lines_of(rows)).encode(), "rows.jsonl")
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


class Query(QueryFields, RunnableTask):
    """Run a query, and fetch its rows or store them in a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.gcp.bigquery.Query
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
sql: SELECT id, total FROM shop.orders WHERE day = CURRENT_DATE()
fetchType: STORE
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.Query"]
    labels: Property[JsonMap | None] = None

    def job_labels(self) -> Mapping[str, Any] | None:
        return self.labels

    async def run(self, context: RunContext) -> Queried:
        return await self.queried(context)


class Trigger(QueryFields, PollingTrigger):
    """Start an execution when a query finds rows."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: refunds
type: io.kestra.plugin.gcp.bigquery.Trigger
interval: PT5M
projectId: my-project
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
sql: SELECT * FROM shop.refunds WHERE NOT handled
fetchType: FETCH
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.Trigger"]

    async def poll(self, context: RunContext) -> Queried | None:
        found = await (await task_of(self, Query, context)).queried(context)
        return found if found.size else None


class CsvOptions(Part):
    """How a CSV file is read."""

    allow_jagged_rows: Property[bool | None] = None
    allow_quoted_new_lines: Property[bool | None] = None
    encoding: Property[OptionalText] = None
    field_delimiter: Property[OptionalText] = None
    quote: Property[OptionalText] = None
    skip_leading_rows: Property[OptionalInteger] = None


class AvroOptions(Part):
    """How an Avro file is read."""

    use_avro_logical_types: Property[bool | None] = None


class Loaded(Outputs):
    """How many rows the table got."""

    jobId: str | None = None  # noqa: N815 - appears as written
    rows: int = 0
    destinationTable: str | None = None  # noqa: N815


class LoadFields(Destination):
    """What is read, and into which table."""

    destination_table: Property[Text]
    format: Property[Literal["CSV", "JSON", "AVRO", "PARQUET", "ORC"]]
    autodetect: Property[bool | None] = None
    ignore_unknown_values: Property[bool | None] = None
    max_bad_records: Property[OptionalInteger] = None
    schema_: Property[JsonMap | None] = Field(default=None, alias="schema")
    csv_options: CsvOptions | None = None
    avro_options: AvroOptions | None = None

    def load(self) -> dict[str, Any]:
        """The load in Google's JSON."""
        if self.schema_ is not None and "fields" not in self.schema_:
            raise TaskFailed("`schema` has no `fields`.", fix="Write it as `fields: [{name: id, type: INT64}]`.")
        csv = self.csv_options or CsvOptions()
        given = {
            "sourceFormat": {"JSON": "NEWLINE_DELIMITED_JSON"}.get(self.format, self.format),
            "autodetect": self.autodetect,
            "ignoreUnknownValues": self.ignore_unknown_values,
            "maxBadRecords": self.max_bad_records,
            "schema": self.schema_,
            "allowJaggedRows": csv.allow_jagged_rows,
            "allowQuotedNewlines": csv.allow_quoted_new_lines,
            "encoding": csv.encoding,
            "fieldDelimiter": csv.field_delimiter,
            "quote": csv.quote,
            "skipLeadingRows": csv.skip_leading_rows,
            "useAvroLogicalTypes": self.avro_options.use_avro_logical_types if self.avro_options else None,
            **self.written(self.destination_table),
        }
        return {name: value for name, value in given.items() if value is not None}

    def loaded(self, context: RunContext, job: dict[str, Any]) -> Loaded:
        """The outcome of a job that has ended."""
        statistics = (job.get("statistics") or {}).get("load") or {}
        for metric, name in (
            ("output.rows", "outputRows"),
            ("output.bytes", "outputBytes"),
            ("bad.records", "badRecords"),
            ("input.bytes", "inputFileBytes"),
            ("input.files", "inputFiles"),
        ):
            if name in statistics:
                context.metric(metric, float(statistics[name]))
        rows = int(statistics.get("outputRows", 0))
        return Loaded(jobId=job["jobReference"]["jobId"], rows=rows, destinationTable=self.destination_table)


class Load(LoadFields, RunnableTask):
    """Load a file into a table."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.gcp.bigquery.Load
serviceAccount: "{{ secret('GCP_SERVICE_ACCOUNT') }}"
from: "{{ outputs.orders.uri }}"
destinationTable: my-project.shop.orders
format: CSV
csvOptions:
  fieldDelimiter: ";"
  skipLeadingRows: 1
writeDisposition: WRITE_APPEND
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.Load"]
    from_: Property[Text] = Field(alias="from")
    failed_on_empty: Property[bool] = True

    async def run(self, context: RunContext) -> Loaded:
        path = context.files.path(self.from_)
        if path.stat().st_size == 0:
            if self.failed_on_empty:
                raise TaskFailed("Can't load an empty file.", fix="Set `failedOnEmpty: false` if that is fine.")
            return Loaded(rows=0)
        base = self.at(context).replace("/bigquery/v2", "/upload/bigquery/v2")

        async def begin(body: dict[str, Any]) -> dict[str, Any]:
            return await resumable(self, context, f"{base}/projects/{self.project(context)}/jobs", path, body)

        return self.loaded(context, await self.job(context, {"load": self.load()}, begin))


class LoadFromGcs(LoadFields, RunnableTask):
    """Load objects of Cloud Storage into a table."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.gcp.bigquery.LoadFromGcs
projectId: my-project
from:
  - gs://inbox/orders/*.parquet
destinationTable: my-project.shop.orders
format: PARQUET
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.LoadFromGcs"]
    from_: Property[TextList] = Field(alias="from")

    async def run(self, context: RunContext) -> Loaded:
        load = {**self.load(), "sourceUris": list(self.from_)}
        return self.loaded(context, await self.job(context, {"load": load}))


class Made(Outputs):
    """The dataset, and whether it is new."""

    dataset: str
    project: str
    created: bool


class CreateDataset(BigQueryConnected, RunnableTask):
    """Create a dataset."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dataset
type: io.kestra.plugin.gcp.bigquery.CreateDataset
projectId: my-project
name: shop
location: EU
ifExists: SKIP
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.CreateDataset"]
    name: Property[Text]
    if_exists: Property[Literal["ERROR", "UPDATE", "SKIP"]] = "ERROR"
    default_table_lifetime: Property[OptionalInteger] = None
    default_partition_expiration_ms: Property[OptionalInteger] = None
    friendly_name: Property[OptionalText] = None
    labels: Property[JsonMap | None] = None
    acl: Any = None
    default_encryption_configuration: Any = None

    async def run(self, context: RunContext) -> Made:
        project = self.project(context)
        given = {
            "datasetReference": {"projectId": project, "datasetId": self.name},
            "location": self.location,
            "friendlyName": self.friendly_name,
            "description": self.description,
            "labels": self.labels,
            "defaultTableExpirationMs": self.default_table_lifetime and str(self.default_table_lifetime),
            "defaultPartitionExpirationMs": self.default_partition_expiration_ms
            and str(self.default_partition_expiration_ms),
        }
        body = {name: value for name, value in given.items() if value is not None}
        try:
            await self.gcp(context, "POST", f"projects/{project}/datasets", json=body)
        except TaskFailed as error:
            if not is_conflict(error) or self.if_exists == "ERROR":
                raise
            if self.if_exists == "UPDATE":
                await self.gcp(context, "PATCH", f"projects/{project}/datasets/{self.name}", json=body)
            return Made(dataset=self.name, project=project, created=False)
        return Made(dataset=self.name, project=project, created=True)
