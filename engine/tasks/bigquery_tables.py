"""Tables of BigQuery: as a flow names them, as BigQuery tells of them, and jobs that read no rows."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.bigquery_definitions import Encryption, TableDefinition
from engine.tasks.bigquery_jobs import BigQueryConnected, table_of
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList, scalar_to_text
from engine.tasks.rest_service import held, present


class Table(Outputs):
    """The table as BigQuery has it; nothing in it when there is none."""

    projectId: str | None = None  # noqa: N815 - appears as written
    datasetId: str | None = None  # noqa: N815
    table: str | None = None
    etag: str | None = None
    generatedId: str | None = None  # noqa: N815
    selfLink: str | None = None  # noqa: N815
    friendlyName: str | None = None  # noqa: N815
    description: str | None = None
    creationTime: str | None = None  # noqa: N815
    expirationTime: str | None = None  # noqa: N815
    lastModifiedTime: str | None = None  # noqa: N815
    numBytes: int | None = None  # noqa: N815
    numLongTermBytes: int | None = None  # noqa: N815
    numRows: int | None = None  # noqa: N815
    definition: dict[str, Any] | None = None
    labels: dict[str, str] | None = None
    requirePartitionFilter: bool | None = None  # noqa: N815


class TableTask(BigQueryConnected, RunnableTask):
    """Which table."""

    dataset: Property[Text]
    table: Property[Text]

    def tables(self, context: RunContext) -> str:
        """The path of the dataset's tables."""
        return f"projects/{self.project(context)}/datasets/{self.dataset}/tables"


class WrittenTable(TableTask):
    """A table, and what it is to be."""

    table_definition: TableDefinition | None = None
    friendly_name: Property[OptionalText] = None
    labels: Property[JsonMap | None] = None
    require_partition_filter: Property[bool | None] = None
    encryption_configuration: Property[Encryption | None] = None
    expiration_duration: Property[timedelta | None] = Field(default=None, description="The table goes then.")

    def written(self) -> dict[str, Any]:
        """The table in Google's JSON."""
        until = datetime.now(UTC) + self.expiration_duration if self.expiration_duration else None
        key = self.encryption_configuration
        return present(
            friendlyName=self.friendly_name,
            description=self.description,
            labels={name: str(scalar_to_text(value)) for name, value in self.labels.items()} if self.labels else None,
            requirePartitionFilter=self.require_partition_filter,
            encryptionConfiguration=key.told() if key else None,
            expirationTime=str(round(until.timestamp() * 1000)) if until else None,
            **(self.table_definition.told() if self.table_definition else {}),
        )


class Gone(Outputs):
    """The table that is gone."""

    projectId: str  # noqa: N815 - appears as written
    datasetId: str  # noqa: N815
    table: str


class GoneDataset(Outputs):
    """The dataset that is gone."""

    dataset: str


class JobTask(BigQueryConnected, RunnableTask):
    """A job that reads no rows."""

    labels: Property[JsonMap | None] = None

    async def ended(self, context: RunContext, timeout_ms: int | None, **configuration: Any) -> dict[str, Any]:
        """The job once it has ended well."""
        labels = {name: str(scalar_to_text(value)) for name, value in (self.labels or {}).items()}
        timeout = str(timeout_ms) if timeout_ms else None
        return await self.job(context, present(labels=labels or None, jobTimeoutMs=timeout, **configuration))


class Copied(Outputs):
    """The job."""

    jobId: str  # noqa: N815 - appears as written


class Extracted(Outputs):
    """The job, and how many files it wrote for each URI."""

    jobId: str  # noqa: N815 - appears as written
    sourceTable: str  # noqa: N815
    destinationUris: list[str]  # noqa: N815
    fileCounts: list[int]  # noqa: N815


class ExtractTask(JobTask):
    """Which table goes where, and how it is written."""

    source_table: Property[Text]
    destination_uris: Property[TextList]
    compression: Property[OptionalText] = None
    field_delimiter: Property[OptionalText] = None
    format: Property[OptionalText] = Field(default=None, description="CSV, JSON, AVRO or PARQUET.")
    use_avro_logical_types: Property[bool | None] = None
    print_header: Property[bool | None] = None
    job_timeout_ms: Property[OptionalInteger] = None

    async def run(self, context: RunContext) -> Extracted:
        extract = present(
            sourceTable=table_of(self.source_table),
            destinationUris=self.destination_uris,
            compression=self.compression,
            fieldDelimiter=self.field_delimiter,
            destinationFormat={"JSON": "NEWLINE_DELIMITED_JSON"}.get(self.format, self.format) if self.format else None,
            useAvroLogicalTypes=self.use_avro_logical_types,
            printHeader=self.print_header,
        )
        job = await self.ended(context, self.job_timeout_ms, extract=extract)
        counts = [
            int(one)
            for one in ((job.get("statistics") or {}).get("extract") or {}).get("destinationUriFileCounts") or ()
        ]
        context.metric("output.file_counts", sum(counts))
        return Extracted(
            jobId=held(job, "Google Cloud", "jobReference", "jobId"),
            sourceTable=table_of(self.source_table)["tableId"],
            destinationUris=self.destination_uris,
            fileCounts=counts,
        )


def is_missing(error: TaskFailed) -> bool:
    """Whether Google knows no such thing."""
    return "answered 404" in error.message


def table_told(told: Mapping[str, Any]) -> Table:
    """A table in Google's JSON as a flow sees it."""
    names = ("projectId", "datasetId", "tableId")
    project, dataset, table = (held(told, "Google Cloud", "tableReference", name) for name in names)
    return Table(
        projectId=project,
        datasetId=dataset,
        table=table,
        generatedId=told.get("id"),
        creationTime=_moment(told.get("creationTime")),
        expirationTime=_moment(told.get("expirationTime")),
        lastModifiedTime=_moment(told.get("lastModifiedTime")),
        definition=_definition(told),
        **{name: int(told[name]) for name in ("numBytes", "numLongTermBytes", "numRows") if told.get(name) is not None},
        **{name: told[name] for name in ("etag", "selfLink", "friendlyName", "description") if name in told},
        **{name: told[name] for name in ("labels", "requirePartitionFilter") if name in told},
    )


def _definition(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a table is, by the names with which a flow makes one."""
    fields = (told.get("schema") or {}).get("fields")
    partitions, view = told.get("timePartitioning"), told.get("view") or told.get("materializedView")
    standard = present(clustering=(told.get("clustering") or {}).get("fields"), timePartitioning=partitions)
    return present(
        type=told.get("type", "TABLE"),
        schema={"fields": [_column(one) for one in fields]} if fields is not None else None,
        standardTableDefinition=standard or None,
        viewDefinition={"query": view["query"]} if view else None,
    )


def _column(told: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: told[name] for name in ("name", "type", "mode", "description") if name in told}
    return kept | ({"subFields": [_column(one) for one in told["fields"]]} if told.get("fields") else {})


def _moment(milliseconds: str | None) -> str | None:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).isoformat() if milliseconds else None
