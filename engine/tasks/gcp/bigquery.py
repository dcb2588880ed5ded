"""`io.kestra.plugin.gcp.bigquery`: queries, loads, tables and datasets of BigQuery."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.bigquery_datasets import Dataset, DatasetTask, seen
from engine.tasks.bigquery_definitions import milliseconds
from engine.tasks.bigquery_jobs import BigQueryConnected, table_of
from engine.tasks.bigquery_loads import Loaded, LoadFields
from engine.tasks.bigquery_queries import Queried, QueryFields
from engine.tasks.bigquery_tables import (
    Copied,
    ExtractTask,
    Gone,
    GoneDataset,
    JobTask,
    Table,
    TableTask,
    WrittenTable,
    is_missing,
    table_told,
)
from engine.tasks.bigquery_transfers import TransferTask
from engine.tasks.gcp_objects import resumable
from engine.tasks.gcp_service import is_conflict
from engine.tasks.property_types import JsonMap, Text, TextList
from engine.tasks.rest_service import held, present
from engine.tasks.trigger_fields import task_of


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


class Made(Dataset):
    """The dataset, and whether it is new."""

    created: bool


class CreateDataset(DatasetTask):
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
    if_exists: Property[Literal["ERROR", "UPDATE", "SKIP"]] = "ERROR"

    async def run(self, context: RunContext) -> Made:
        body = self.told(context)
        try:
            return Made(**seen(await self.dataset(context, "POST", body)), created=True)
        except TaskFailed as error:
            if not is_conflict(error) or self.if_exists == "ERROR":
                raise
        asked = self.dataset(context, "PATCH", body) if self.if_exists == "UPDATE" else self.dataset(context, "GET")
        return Made(**seen(await asked), created=False)


class UpdateDataset(DatasetTask):
    """Change a dataset: what is given."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: dataset
type: io.kestra.plugin.gcp.bigquery.UpdateDataset
projectId: my-project
name: shop
friendlyName: The shop
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.UpdateDataset"]

    async def run(self, context: RunContext) -> Dataset:
        return Dataset(**seen(await self.dataset(context, "PATCH", self.told(context))))


class CreateTable(WrittenTable):
    """Create a table or a view."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.gcp.bigquery.CreateTable
projectId: my-project
dataset: shop
table: orders
tableDefinition:
  type: TABLE
  schema:
    fields:
      - {name: id, type: INT64, mode: REQUIRED}
      - {name: day, type: DATE}
  standardTableDefinition:
    clustering: [id]
    timePartitioning: {type: DAY, field: day}
""",
        """
id: today
type: io.kestra.plugin.gcp.bigquery.CreateTable
projectId: my-project
dataset: shop
table: orders_of_today
tableDefinition:
  type: VIEW
  viewDefinition:
    query: SELECT * FROM shop.orders WHERE day = CURRENT_DATE()
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.CreateTable"]

    async def run(self, context: RunContext) -> Table:
        place = {"projectId": self.project(context), "datasetId": self.dataset, "tableId": self.table}
        body = {"tableReference": place, **self.written()}
        return table_told(await self.gcp(context, "POST", self.tables(context), json=body))


class UpdateTable(WrittenTable):
    """Change what a table is called, who finds it, how long it stays, or its columns."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: mark
type: io.kestra.plugin.gcp.bigquery.UpdateTable
projectId: my-project
dataset: shop
table: orders
labels: {team: sales}
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.UpdateTable"]

    async def run(self, context: RunContext) -> Table:
        return table_told(await self.gcp(context, "PATCH", f"{self.tables(context)}/{self.table}", json=self.written()))


class TableMetadata(TableTask):
    """What BigQuery knows of a table: its columns, its size, its age."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.gcp.bigquery.TableMetadata
projectId: my-project
dataset: shop
table: orders
ifNotExists: SKIP
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.TableMetadata"]
    if_not_exists: Property[Literal["ERROR", "SKIP"]] = "ERROR"

    async def run(self, context: RunContext) -> Table:
        try:
            return table_told(await self.gcp(context, "GET", f"{self.tables(context)}/{self.table}"))
        except TaskFailed as error:
            if self.if_not_exists == "ERROR" or not is_missing(error):
                raise
            return Table()


class DeleteTable(TableTask):
    """Delete a table, or a part of one (`orders$20260131`)."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.gcp.bigquery.DeleteTable
projectId: my-project
dataset: shop
table: orders$20260131
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.DeleteTable"]

    async def run(self, context: RunContext) -> Gone:
        await self.gcp(context, "DELETE", f"{self.tables(context)}/{self.table}")
        return Gone(projectId=self.project(context), datasetId=self.dataset, table=self.table)


class DeleteDataset(BigQueryConnected, RunnableTask):
    """Delete a dataset, with what is in it if told so."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.gcp.bigquery.DeleteDataset
projectId: my-project
name: shop
deleteContents: true
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.DeleteDataset"]
    name: Property[Text]
    delete_contents: Property[bool] = False

    async def run(self, context: RunContext) -> GoneDataset:
        params = {"deleteContents": "true"} if self.delete_contents else {}
        await self.gcp(context, "DELETE", f"projects/{self.project(context)}/datasets/{self.name}", params=params)
        return GoneDataset(dataset=self.name)


class Copy(JobTask):
    """Copy tables into one, or make a snapshot of one."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: keep
type: io.kestra.plugin.gcp.bigquery.Copy
projectId: my-project
operationType: SNAPSHOT
sourceTables: [my-project.shop.orders]
destinationTable: my-project.archive.orders_{{ now() | date('yyyyMMdd') }}
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.Copy"]
    source_tables: Property[TextList]
    destination_table: Property[Text]
    operation_type: Property[Literal["COPY", "SNAPSHOT", "RESTORE", "CLONE"] | None] = None
    write_disposition: Property[
        Literal["WRITE_TRUNCATE", "WRITE_TRUNCATE_DATA", "WRITE_APPEND", "WRITE_EMPTY"] | None
    ] = None
    create_disposition: Property[Literal["CREATE_IF_NEEDED", "CREATE_NEVER"] | None] = None
    job_timeout: Property[timedelta | None] = None
    dry_run: Property[bool] = False

    async def run(self, context: RunContext) -> Copied:
        copy = present(
            sourceTables=[table_of(name) for name in self.source_tables],
            destinationTable=table_of(self.destination_table),
            operationType=self.operation_type,
            writeDisposition=self.write_disposition,
            createDisposition=self.create_disposition,
        )
        timeout = milliseconds(self.job_timeout)
        job = await self.ended(context, int(timeout) if timeout else None, copy=copy, dryRun=self.dry_run or None)
        return Copied(jobId=held(job, "Google Cloud", "jobReference", "jobId"))


class ExtractToGcs(ExtractTask):
    """Export a table to Cloud Storage."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: export
type: io.kestra.plugin.gcp.bigquery.ExtractToGcs
projectId: my-project
sourceTable: my-project.shop.orders
destinationUris: ["gs://reports/orders-*.csv"]
format: CSV
fieldDelimiter: ";"
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.ExtractToGcs"]


class RunTransferConfig(TransferTask):
    """Run a transfer of BigQuery's Data Transfer Service, or wait for the run of it that is under way."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: transfer
type: io.kestra.plugin.gcp.bigquery.RunTransferConfig
transferConfigName: projects/my-project/locations/eu/transferConfigs/615123456789012345
""",
    )
    type: Literal["io.kestra.plugin.gcp.bigquery.RunTransferConfig"]
