"""`io.kestra.plugin.microsoft.fabric.data.engineering`: pipelines, notebooks and Spark jobs of Microsoft Fabric."""

from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.entra import token_of
from engine.tasks.property_types import JsonMap, OptionalText, Text

API, SCOPE = "https://api.fabric.microsoft.com/v1", "https://api.fabric.microsoft.com/.default"
MOST = timedelta(hours=1)
ENDED = frozenset({"Completed", "Failed", "Cancelled", "Deduped"})
KINDS: tuple[tuple[type, str], ...] = ((bool, "bool"), (int, "int"), (float, "float"))  # a bool is an int to Python


class FabricTask(RunnableTask):
    """A job of an item in a workspace; one that is waited for is cancelled with the task."""

    kind: ClassVar[str]  # as Fabric calls such jobs
    tenant_id: Property[OptionalText] = None
    client_id: Property[OptionalText] = None
    client_secret: Property[OptionalText] = None
    workspace_id: Property[Text]
    parameters: Property[JsonMap] = Field(default_factory=dict)
    wait: Property[bool] = True
    poll_frequency: Property[timedelta] = timedelta(seconds=5)

    async def done(self, context: RunContext, item: str) -> tuple[str, str]:
        """The id of a new job, and how it ended if the task waited; TaskFailed when it did not end well."""
        token = await token_of(context, self.tenant_id, self.client_id, self.client_secret, SCOPE)
        base = (context.settings.provider("fabric").base_url or API).rstrip("/")
        jobs = f"{base}/workspaces/{quote(self.workspace_id, safe='')}/items/{quote(item, safe='')}/jobs/instances"
        given: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}"}}
        body = {"executionData": {"parameters": self.told(self.parameters)}}
        begun = await rest_service.call(
            context, "Microsoft Fabric", "POST", jobs, params={"jobType": self.kind}, json=body, **given
        )
        job = begun.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not job:
            raise TaskFailed("Microsoft Fabric does not say which job it began.", fix="Look at the item's runs.")
        context.log(f"The job {job} is begun.")
        if not self.wait:
            return job, "Running"

        async def look() -> dict[str, Any] | None:
            found = await rest_service.mapping(context, "Microsoft Fabric", "GET", f"{jobs}/{job}", **given)
            return found if found.get("status") in ENDED else None

        most = timedelta(seconds=context.time_limit) if context.time_limit else MOST
        ended = await rest_service.waited(
            context, look, every=self.poll_frequency, most=most, what=f"The job {job}", fix="Give a longer `timeout`.",
            stop=lambda: rest_service.call(context, "Microsoft Fabric", "POST", f"{jobs}/{job}/cancel", **given),
        )  # fmt: skip
        if ended["status"] != "Completed":
            why = (ended.get("failureReason") or {}).get("message") or "nothing more is said"
            raise TaskFailed(f"The job {job} ended as {ended['status']}: {why}")
        return job, ended["status"]

    def told(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters in Fabric's words."""
        return parameters


class Job(Outputs):
    """The job, and how it ended; `Running` when the task did not wait."""

    jobInstanceId: str  # noqa: N815 - appears as written
    status: str


class RunPipeline(FabricTask):
    """Run a data pipeline."""

    class Run(Outputs):
        """The run, and how it ended; `Running` when the task did not wait."""

        runId: str  # noqa: N815 - appears as written
        status: str

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.microsoft.fabric.data.engineering.RunPipeline
tenantId: "{{ secret('FABRIC_TENANT_ID') }}"
clientId: "{{ secret('FABRIC_CLIENT_ID') }}"
clientSecret: "{{ secret('FABRIC_CLIENT_SECRET') }}"
workspaceId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
pipelineId: 6fa459ea-ee8a-3ca4-894e-db77e160355e
parameters:
  load_date: "{{ now() | date('yyyy-MM-dd') }}"
""",
    )
    kind: ClassVar[str] = "Pipeline"
    type: Literal["io.kestra.plugin.microsoft.fabric.data.engineering.RunPipeline"]
    pipeline_id: Property[Text]

    async def run(self, context: RunContext) -> Run:
        job, status = await self.done(context, self.pipeline_id)
        return self.Run(runId=job, status=status)


class RunNotebook(FabricTask):
    """Run a notebook."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: transform
type: io.kestra.plugin.microsoft.fabric.data.engineering.RunNotebook
tenantId: "{{ secret('FABRIC_TENANT_ID') }}"
clientId: "{{ secret('FABRIC_CLIENT_ID') }}"
clientSecret: "{{ secret('FABRIC_CLIENT_SECRET') }}"
workspaceId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
notebookId: 16fd2706-8baf-433b-82eb-8c7fada847da
parameters:
  layer: silver
timeout: PT2H
""",
    )
    kind: ClassVar[str] = "RunNotebook"
    type: Literal["io.kestra.plugin.microsoft.fabric.data.engineering.RunNotebook"]
    notebook_id: Property[Text]

    async def run(self, context: RunContext) -> Job:
        job, status = await self.done(context, self.notebook_id)
        return Job(jobInstanceId=job, status=status)

    def told(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Fabric wants to know of what type each parameter of a notebook is."""
        return {name: _typed(value) for name, value in parameters.items()}


class RunSparkJob(FabricTask):
    """Run a Spark job that is defined in the workspace."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: totals
type: io.kestra.plugin.microsoft.fabric.data.engineering.RunSparkJob
tenantId: "{{ secret('FABRIC_TENANT_ID') }}"
clientId: "{{ secret('FABRIC_CLIENT_ID') }}"
clientSecret: "{{ secret('FABRIC_CLIENT_SECRET') }}"
workspaceId: 3f2504e0-4f89-11d3-9a0c-0305e82c3301
sparkJobDefinitionId: 886313e1-3b8a-5372-9b90-0c9aee199e5d
""",
    )
    kind: ClassVar[str] = "sparkjob"
    type: Literal["io.kestra.plugin.microsoft.fabric.data.engineering.RunSparkJob"]
    spark_job_definition_id: Property[Text]

    async def run(self, context: RunContext) -> Job:
        job, status = await self.done(context, self.spark_job_definition_id)
        return Job(jobInstanceId=job, status=status)


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and {"value", "type"} <= value.keys():
        return value
    return {"value": value, "type": next((name for kind, name in KINDS if isinstance(value, kind)), "string")}
