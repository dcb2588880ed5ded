"""`io.kestra.plugin.azure.monitoring`: what Azure measures of its resources."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from engine.core import durations
from engine.plugin import Outputs, PollingTrigger, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import rest_service
from engine.tasks.entra import Asks
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, TextList
from engine.tasks.trigger_fields import fields_of

METRICS, INGESTION = "https://metrics.monitor.azure.com/.default", "https://monitor.azure.com/.default"
VERSION = "2024-02-01"


class Monitored(Asks):
    """Where the metrics are, and who asks."""

    endpoint: Property[Text] = Field(description="Such as `https://westeurope.metrics.monitor.azure.com`.")

    async def ask(self, context: RunContext, path: str, scope: str, **given: Any) -> Any:
        """The JSON of one call; TaskFailed when Azure refuses."""
        token = await self.token(context, scope)
        url = f"{self.endpoint.rstrip('/')}/{path.lstrip('/')}"
        headers = {"Authorization": f"Bearer {token}"}
        return await rest_service.document(context, "Azure Monitor", "POST", url, headers=headers, **given)


class Queried(Outputs):
    """How many values of how many metrics of how many resources there are; and of each resource its `resourceId`,
    `namespace`, `granularity` and `metrics` with their `timeSeries` of `values`."""

    datapoints: int
    metrics: int
    resources: int
    results: list[dict[str, Any]]


class QueryFields(Monitored):
    """Which metrics of which resources, and since when."""

    resource_ids: Property[TextList]
    metric_names: Property[TextList]
    metrics_namespace: Property[Text]
    window: Property[timedelta] = timedelta(minutes=5)
    aggregations: Property[TextList] = Field(
        default_factory=list, description="`Average`, `Total`, `Maximum`, `Minimum` or `Count`."
    )
    filter: Property[OptionalText] = None
    top: Property[OptionalInteger] = None
    order_by: Property[OptionalText] = None
    rollup_by: Property[OptionalText] = None

    async def queried(self, context: RunContext, grain: timedelta | None) -> Queried:
        """The values of the window, one for each `grain` of time; TaskFailed."""
        for name, value in (("resourceIds", self.resource_ids), ("metricNames", self.metric_names)):
            if not value:
                raise TaskFailed(f"`{name}` is empty.", fix="Name at least one.")
        now = datetime.now(UTC)
        asked = {
            "starttime": _moment(now - self.window),
            "endtime": _moment(now),
            "interval": durations.to_iso(grain) if grain else None,
            "metricnamespace": self.metrics_namespace,
            "metricnames": ",".join(self.metric_names),
            "aggregation": ",".join(self.aggregations) or None,
            "top": None if self.top is None else str(self.top),
            "orderby": self.order_by,
            "filter": self.filter,
            "rollupby": self.rollup_by,
            "api-version": VERSION,
        }
        params = {name: value for name, value in asked.items() if value is not None}
        path = f"subscriptions/{quote(subscription(self.resource_ids[0]), safe='')}/metrics:getBatch"
        answer = await self.ask(context, path, METRICS, params=params, json={"resourceids": self.resource_ids})
        told = rest_service.mapped(answer, "Azure Monitor")
        results = [_result(one) for one in told.get("values") or ()]
        metrics = [metric for one in results for metric in one["metrics"]]
        points = sum(len(series["values"]) for metric in metrics for series in metric["timeSeries"])
        context.log(f"There are {points} values of {len(metrics)} metrics of {len(results)} resources.")
        return Queried(datapoints=points, metrics=len(metrics), resources=len(results), results=results)


class Query(QueryFields, RunnableTask):
    """Read metrics of resources."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.azure.monitoring.Query
tenantId: "{{ secret('AZURE_TENANT') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
clientSecret: "{{ secret('AZURE_CLIENT_SECRET') }}"
endpoint: https://westeurope.metrics.monitor.azure.com
resourceIds:
  - "/subscriptions/{{ vars.subscription }}/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/web"
metricNames: [Percentage CPU]
metricsNamespace: Microsoft.Compute/virtualMachines
aggregations: [Average, Maximum]
""",
    )
    type: Literal["io.kestra.plugin.azure.monitoring.Query"]
    interval: Property[timedelta | None] = Field(default=None, description="The time that one value stands for.")

    async def run(self, context: RunContext) -> Queried:
        return await self.queried(context, self.interval)


class WatchFields(QueryFields):
    """The same for a trigger, whose `interval` is the wait between two looks."""

    subscription_id: Property[OptionalText] = Field(default=None, description="Of no effect: resources name theirs.")
    granularity: Property[timedelta | None] = Field(default=None, description="The time that one value stands for.")


class Trigger(WatchFields, PollingTrigger):
    """Start an execution whenever metrics have values in the window."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: busy
type: io.kestra.plugin.azure.monitoring.Trigger
interval: PT5M
tenantId: "{{ secret('AZURE_TENANT') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
clientSecret: "{{ secret('AZURE_CLIENT_SECRET') }}"
endpoint: https://westeurope.metrics.monitor.azure.com
resourceIds:
  - "/subscriptions/{{ vars.subscription }}/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/web"
metricNames: [Percentage CPU]
metricsNamespace: Microsoft.Compute/virtualMachines
aggregations: [Average]
filter: Average gt 80
""",
    )
    type: Literal["io.kestra.plugin.azure.monitoring.Trigger"]

    async def poll(self, context: RunContext) -> Queried | None:
        fields = await fields_of(self, WatchFields, context)
        found = await fields.queried(context, fields.granularity)
        return found if found.datapoints else None


class Pushed(Outputs):
    """What Azure said, which is mostly nothing."""

    body: dict[str, Any] | None = None


class Push(Monitored, RunnableTask):
    """Send metrics of your own."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: told
type: io.kestra.plugin.azure.monitoring.Push
tenantId: "{{ secret('AZURE_TENANT') }}"
clientId: "{{ secret('AZURE_CLIENT_ID') }}"
clientSecret: "{{ secret('AZURE_CLIENT_SECRET') }}"
endpoint: https://shop-a1b2.westeurope-1.ingest.monitor.azure.com
path: /dataCollectionRules/dcr-000a/streams/Custom-Orders?api-version=2023-01-01
metrics:
  orders: "{{ outputs.count.value }}"
""",
    )
    type: Literal["io.kestra.plugin.azure.monitoring.Push"]
    path: Property[Text]
    metrics: Property[JsonMap]

    async def run(self, context: RunContext) -> Pushed:
        told = await self.ask(context, self.path, INGESTION, json=self.metrics)
        return Pushed(body=told if isinstance(told, dict) else None)


def subscription(resource: str) -> str:
    """The subscription that a resource's id names; TaskFailed when it names none."""
    steps = resource.strip("/").split("/")
    if len(steps) < 2 or steps[0].lower() != "subscriptions" or not steps[1]:
        fix = "Write it as `/subscriptions/…/resourceGroups/…/providers/…`."
        raise TaskFailed(f"{resource!r} is no id of a resource.", fix=fix)
    return steps[1]


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _result(told: dict[str, Any]) -> dict[str, Any]:
    """What flows see of one resource, named as Azure's own library names it."""
    found = {
        "resourceId": told.get("resourceid"),
        "namespace": told.get("namespace"),
        "resourceRegion": told.get("resourceregion"),
        "granularity": told.get("interval"),
        "timeInterval": {"startTime": told.get("starttime"), "endTime": told.get("endtime")},
        "metrics": [_metric(one) for one in told.get("value") or ()],
    }
    return {name: value for name, value in found.items() if value is not None}


def _metric(told: dict[str, Any]) -> dict[str, Any]:
    found = {
        "id": told.get("id"),
        "resourceType": told.get("type"),
        "unit": told.get("unit"),
        "metricName": _name(told),
        "description": told.get("displayDescription"),
        "timeSeries": [
            {
                "values": one.get("data") or [],
                "metadata": {_name(about): about.get("value") for about in one.get("metadatavalues") or ()},
            }
            for one in told.get("timeseries") or ()
        ],
    }
    if told.get("errorCode") not in (None, "Success"):
        found["error"] = {"code": told["errorCode"], "message": told.get("errorMessage")}
    return {name: value for name, value in found.items() if value is not None}


def _name(told: dict[str, Any]) -> str:
    return str((told.get("name") or {}).get("value"))
