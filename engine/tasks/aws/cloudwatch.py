"""`io.kestra.plugin.aws.cloudwatch`: metrics."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.plugin import Outputs, Part, PollingTrigger, Property, RunContext, RunnableTask
from engine.tasks import rest_service
from engine.tasks.aws.connection import AwsConnected
from engine.tasks.property_types import JsonMap, OptionalText, Text, scalar_to_text
from engine.tasks.trigger_fields import fields_of

SERVICE = "AWS cloudwatch"
MOST_AT_ONCE = 1000  # CloudWatch takes no more


class Metric(Part):
    """One point of a metric, of now."""

    metric_name: Property[Text]
    value: Property[float]
    unit: Property[OptionalText] = Field(default=None, description="Count, Milliseconds, Bytes, Percent …")
    dimensions: Property[JsonMap | None] = None

    def told(self, now: datetime) -> dict[str, Any]:
        """The point as CloudWatch takes it."""
        dimensions = [
            {"Name": name, "Value": str(scalar_to_text(one))} for name, one in (self.dimensions or {}).items()
        ]
        found: dict[str, Any] = {"MetricName": self.metric_name, "Value": self.value, "Timestamp": now}
        found |= {"Unit": self.unit} if self.unit else {}
        return found | ({"Dimensions": dimensions} if dimensions else {})


class Pushed(Outputs):
    """How many points were sent."""

    count: int


class Push(AwsConnected, RunnableTask):
    """Send points of own metrics."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: measure
type: io.kestra.plugin.aws.cloudwatch.Push
region: eu-central-1
namespace: Custom/Shop
metrics:
  - metricName: Orders
    value: 42
    unit: Count
    dimensions: {env: prod}
""",
    )
    type: Literal["io.kestra.plugin.aws.cloudwatch.Push"]
    namespace: Property[Text]
    metrics: Property[list[Metric]]

    async def run(self, context: RunContext) -> Pushed:
        now = datetime.now(UTC)
        points = [one.told(now) for one in self.metrics]

        def work(client: Any) -> None:
            for at in range(0, len(points), MOST_AT_ONCE):
                client.put_metric_data(Namespace=self.namespace, MetricData=points[at : at + MOST_AT_ONCE])

        await self.aws(context, "cloudwatch", work)
        return Pushed(count=len(points))


class Dimension(Part):
    """What a metric is of."""

    name: Property[Text]
    value: Property[Text]


class Queried(Outputs):
    """The points by their time: `Timestamp`, `Unit`, and the statistic by its name."""

    count: int
    series: list[dict[str, Any]]


class QueryFields(AwsConnected):
    """Which metric, over which time."""

    namespace: Property[OptionalText] = None
    metric_name: Property[Text]
    dimensions: Property[list[Dimension] | None] = None
    statistic: Property[Text] = Field(default="Average", description="Average, Sum, Maximum, Minimum or SampleCount.")
    period_seconds: Property[int] = Field(default=60, description="One point for as many seconds.")
    window: Property[timedelta] = Field(default=timedelta(minutes=5), description="From so long ago until now.")

    async def queried(self, context: RunContext) -> Queried:
        """The points there are."""
        now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)  # the end itself does not count
        asked: dict[str, Any] = {
            "MetricName": self.metric_name,
            "StartTime": now - self.window,
            "EndTime": now,
            "Period": self.period_seconds,
            "Statistics": [self.statistic],
            "Dimensions": [{"Name": one.name, "Value": one.value} for one in self.dimensions or []],
        }
        asked |= {"Namespace": self.namespace} if self.namespace else {}
        answer = await self.aws(context, "cloudwatch", lambda client: client.get_metric_statistics(**asked))
        found = rest_service.held(answer, SERVICE, "Datapoints")
        series = sorted(found, key=lambda point: rest_service.held(point, SERVICE, "Timestamp"))
        for point in series:
            point["Timestamp"] = point["Timestamp"].astimezone(UTC).isoformat().replace("+00:00", "Z")
        return Queried(count=len(series), series=series)


class Query(QueryFields, RunnableTask):
    """Read a metric."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: load
type: io.kestra.plugin.aws.cloudwatch.Query
region: eu-central-1
namespace: AWS/EC2
metricName: CPUUtilization
statistic: Maximum
window: PT15M
dimensions:
  - name: InstanceId
    value: i-0abcd1234ef567890
""",
    )
    type: Literal["io.kestra.plugin.aws.cloudwatch.Query"]

    async def run(self, context: RunContext) -> Queried:
        return await self.queried(context)


class Trigger(QueryFields, PollingTrigger):
    """Start an execution whenever a metric has points in the window."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: errors
type: io.kestra.plugin.aws.cloudwatch.Trigger
interval: PT5M
region: eu-central-1
namespace: AWS/Lambda
metricName: Errors
statistic: Sum
""",
    )
    type: Literal["io.kestra.plugin.aws.cloudwatch.Trigger"]

    async def poll(self, context: RunContext) -> Queried | None:
        found = await (await fields_of(self, QueryFields, context)).queried(context)
        return found if found.count else None
