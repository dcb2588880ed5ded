"""`io.kestra.plugin.core.metric`: numbers that a flow records, and purging them."""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, Selection, TaskFailed
from engine.tasks.core.execution import records_of
from engine.tasks.metrics import record
from engine.tasks.property_types import JsonMap, Moment, OptionalMoment, OptionalText, Text, document_from_text


class Counter(Part):
    """A number that adds up, or (a gauge) one that stands as it is."""

    type: Literal["counter", "gauge"]
    name: Property[Text]
    value: Property[float]
    tags: Property[JsonMap | None] = None


class Timer(Part):
    """A length of time."""

    type: Literal["timer"]
    name: Property[Text]
    value: Property[timedelta]
    tags: Property[JsonMap | None] = None


class Published(Outputs):
    """What was recorded; timers in seconds."""

    metrics: list[dict[str, Any]]


class Publish(RunnableTask):
    """Record metrics of this execution."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: publish
type: io.kestra.plugin.core.metric.Publish
metrics:
  - type: counter
    name: orders
    value: "{{ outputs.import.vars.orders }}"
    tags:
      shop: berlin
  - type: timer
    name: import
    value: PT12S
""",
    )
    type: Literal["io.kestra.plugin.core.metric.Publish"]
    metrics: Property[Annotated[list[Counter | Timer], BeforeValidator(document_from_text)]] = Field(
        description="`counter`, `gauge` or `timer`, each with `name`, `value` (a duration for a timer) and `tags`."
    )

    async def run(self, context: RunContext) -> Published:
        told: list[dict[str, Any]] = []
        for one in self.metrics:
            value = one.value.total_seconds() if isinstance(one, Timer) else one.value
            record(context, one.type, one.name, value, one.tags)
            told.append({"type": one.type, "name": one.name, "value": value, "tags": dict(one.tags or {})})
        return Published(metrics=told)


class Purged(Outputs):
    """How many metrics were deleted."""

    count: int


class PurgeMetrics(RunnableTask):
    """Delete metrics that were recorded between two dates. Nothing brings them back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.metric.PurgeMetrics
namespace: company.team
endDate: "{{ now() | dateAdd(-1, 'MONTHS') }}"
""",
    )
    type: Literal["io.kestra.plugin.core.metric.PurgeMetrics"]
    namespace: Property[OptionalText] = Field(
        default=None, description="With its child namespaces, unless `flowId` is given too; none: all namespaces."
    )
    flow_id: Property[OptionalText] = None
    start_date: Property[OptionalMoment] = None
    end_date: Property[Moment]

    async def run(self, context: RunContext) -> Purged:
        if self.flow_id and not self.namespace:
            raise TaskFailed("`flowId` stands without its namespace.", fix="Give `namespace` too.")
        below = self.flow_id is None
        chosen = Selection(self.namespace, self.flow_id, since=self.start_date, until=self.end_date, below=below)
        return Purged(count=await records_of(context).purge_metrics(chosen))
