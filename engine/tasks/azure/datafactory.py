"""`io.kestra.plugin.azure.datafactory`: pipelines of Azure Data Factory."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import rest_service
from engine.tasks.entra import Asks
from engine.tasks.fetched_rows import filed
from engine.tasks.pages import Pages
from engine.tasks.property_types import JsonMap, Text

API, SCOPE = "https://management.azure.com", "https://management.azure.com/.default"
VERSION = {"api-version": "2018-06-01"}
EVERY, MOST = timedelta(seconds=5), timedelta(hours=1)
ENDED = frozenset({"Succeeded", "Failed", "Cancelled"})


class Ran(Outputs):
    """The run, and a file with a row for each of its activities if the task waited."""

    runId: str  # noqa: N815 - appears as written
    uri: StoredUri | None = None


class CheckFrequency(Part):
    """How often a run is looked at, and how long it is waited for."""

    interval: Property[timedelta] = EVERY
    max_duration: Property[timedelta | None] = Field(
        default=None, description="An hour, or the `timeout` of the task, unless given."
    )


class CreateRun(Asks, RunnableTask):
    """Run a pipeline, and wait for its end; a run that is waited for is cancelled with the task."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pipeline
type: io.kestra.plugin.azure.datafactory.CreateRun
subscriptionId: "{{ secret('AZURE_SUBSCRIPTION') }}"
resourceGroupName: data
factoryName: shop
pipelineName: nightly
tenantId: "{{ secret('AZURE_TENANT') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
clientSecret: "{{ secret('AZURE_CLIENT_SECRET') }}"
parameters:
  day: "{{ now() | date('yyyy-MM-dd') }}"
""",
    )
    type: Literal["io.kestra.plugin.azure.datafactory.CreateRun"]
    subscription_id: Property[Text]
    resource_group_name: Property[Text]
    factory_name: Property[Text]
    pipeline_name: Property[Text]
    parameters: Property[JsonMap] = Field(default_factory=dict)
    wait: Property[bool] = True
    check_frequency: CheckFrequency = Field(default_factory=CheckFrequency)

    async def run(self, context: RunContext) -> Ran:
        token = await self.token(context, SCOPE)
        base = (context.settings.provider("azure_management").base_url or API).rstrip("/")
        steps = ["subscriptions", self.subscription_id, "resourceGroups", self.resource_group_name]
        steps += ["providers", "Microsoft.DataFactory", "factories", self.factory_name]
        factory = "/".join((base, *(quote(step, safe="") for step in steps)))

        async def ask(method: str, path: str, body: Any = None) -> dict[str, Any]:
            given: dict[str, Any] = {} if body is None else {"json": body}
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{factory}/{path}"
            return await rest_service.mapping(
                context, "Azure Data Factory", method, url, headers=headers, params=VERSION, **given
            )

        began = datetime.now(UTC)
        made = await ask("POST", f"pipelines/{quote(self.pipeline_name, safe='')}/createRun", self.parameters)
        run = str(rest_service.held(made, "Azure Data Factory", "runId"))
        context.log(f"The run {run} is begun.")
        if not self.wait:
            return Ran(runId=run)

        async def look() -> dict[str, Any] | None:
            found = await ask("GET", f"pipelineruns/{run}")
            return found if found.get("status") in ENDED else None

        limit = timedelta(seconds=context.time_limit) if context.time_limit else MOST
        done = await rest_service.waited(
            context, look, every=self.check_frequency.interval, most=self.check_frequency.max_duration or limit,
            what=f"The run {run}", fix="Raise `checkFrequency.maxDuration`, or the task's `timeout`.",
            stop=lambda: ask("POST", f"pipelineruns/{run}/cancel"),
        )  # fmt: skip
        if done["status"] != "Succeeded":
            why = done.get("message") or "nothing more is said"
            raise TaskFailed(f"The run {run} ended as {done['status']}: {why}", outputs={"runId": run})
        since, until = began - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
        period = {"lastUpdatedAfter": since.isoformat(), "lastUpdatedBefore": until.isoformat()}
        rows, pages = list[Any](), Pages("Azure Data Factory")
        while True:
            page = await ask("POST", f"pipelineruns/{run}/queryActivityruns", period)
            rows += page.get("value") or []
            if not (following := pages.after(page.get("continuationToken"))):
                break
            period["continuationToken"] = following
        context.metric("activities.count", len(rows))
        context.metric("pipeline.duration.ms", (done.get("durationInMs") or 0) / 1000, "timer")
        return Ran(runId=run, uri=await filed(context, rows, "activities.jsonl"))
