"""`io.kestra.plugin.kestra.triggers`: triggers of this bot or of another server, switched and watched over."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.dates import parse_datetime
from engine.errors import NotFound
from engine.plugin import (
    Outputs,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
    TriggerStanding,
)
from engine.tasks.core.execution import records_of
from engine.tasks.core.trigger.schedule import Schedule
from engine.tasks.core.trigger.toggle import switched
from engine.tasks.kestra_service import KestraFields, Server
from engine.tasks.property_types import OptionalText
from engine.tasks.trigger_fields import fields_of

PAGE = 100


class Toggle(KestraFields, RunnableTask):
    """Switch a trigger of this flow, or of another, on or off; without `trigger` all that the flow has."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: pause_reports
type: io.kestra.plugin.kestra.triggers.Toggle
trigger: every_morning
enabled: false
""",
    )
    type: Literal["io.kestra.plugin.kestra.triggers.Toggle"]
    namespace: Property[OptionalText] = Field(default=None, description="Of the flow; this one's, if left out.")
    flow_id: Property[OptionalText] = Field(default=None, description="This flow, if left out.")
    trigger: Property[OptionalText] = None
    enabled: Property[bool] = False

    async def run(self, context: RunContext) -> None:
        namespace, flow_id = self.namespace or context.namespace, self.flow_id or context.flow_id
        if (server := self.elsewhere(context)) is not None:
            asked = [("filters[namespace][EQUALS]", namespace), ("filters[flowId][EQUALS]", flow_id)]
            if self.trigger:
                asked.append(("filters[triggerId][EQUALS]", self.trigger))
            params = [("disabled", "false" if self.enabled else "true"), *asked]
            await server.call("POST", "triggers", "set-disabled", "by-query", params=params)
            return
        names = [self.trigger] if self.trigger else []
        if not names:
            names = [one.trigger_id for one in await records_of(context).triggers(namespace, flow_id)]
        if not names:
            raise TaskFailed(f"The flow {namespace}.{flow_id} has no trigger.", fix="Check `namespace` and `flowId`.")
        for name in names:
            await switched(context, namespace, flow_id, name, enabled=self.enabled)
        context.log(f"{len(names)} triggers of {namespace}.{flow_id} are {'on' if self.enabled else 'off'}.")


class Unhealthy(Outputs):
    """Schedules that need a look: `namespace`, `flowId`, `triggerId`, `lastExecution` and `expectedNext` of each."""

    data: list[dict[str, Any]]


class MonitorFields(KestraFields):
    """Which schedules are watched, and what is too late."""

    namespace: Property[OptionalText] = Field(default=None, description="With its child namespaces; none: all.")
    flow_id: Property[OptionalText] = None
    include_disabled: Property[bool] = False
    allowed_delay: Property[timedelta] = Field(default=timedelta(minutes=1), description="After the date that is next.")
    max_execution_duration: Property[timedelta | None] = Field(
        default=None, description="What a schedule started may run that long."
    )
    max_execution_interval: Property[timedelta | None] = Field(
        default=None, description="Since the last date of a schedule."
    )

    def is_unhealthy(self, one: TriggerStanding, running_since: datetime | None, now: datetime) -> bool:
        """Whether a schedule needs a look. Pure."""
        if one.disabled:
            return self.include_disabled
        if one.is_filling:
            return False
        if self.max_execution_duration and running_since and now - running_since > self.max_execution_duration:
            return True
        if self.max_execution_interval and one.last_date and now - one.last_date > self.max_execution_interval:
            return True
        return one.next_date is None or now > one.next_date + self.allowed_delay

    async def found(self, context: RunContext, now: datetime) -> list[TriggerStanding]:
        """Those that need a look."""
        server, found = self.elsewhere(context), []
        async for one in schedules(context, server, self.namespace, self.flow_id):
            since = None
            if self.max_execution_duration and one.execution_id:
                since = await _running_since(context, server, one.execution_id)
            if self.is_unhealthy(one, since, now):
                found.append(one)
        return found


class ScheduleMonitor(MonitorFields, PollingTrigger):
    """Start an execution when schedules are overdue, have no next date, or what they started runs too long."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stuck_schedules
type: io.kestra.plugin.kestra.triggers.ScheduleMonitor
interval: PT5M
namespace: company
allowedDelay: PT10M
maxExecutionDuration: PT2H
""",
    )
    type: Literal["io.kestra.plugin.kestra.triggers.ScheduleMonitor"]

    async def poll(self, context: RunContext) -> Unhealthy | None:
        fields = await fields_of(self, MonitorFields, context)
        found = await fields.found(context, datetime.now(UTC))
        return Unhealthy(data=[_told(one) for one in found]) if found else None


class Stuck(Outputs):
    """Schedules, each as `namespace.flow#trigger (why)`, and of how many flows they were looked at."""

    stuckTriggers: list[str]  # noqa: N815 - appears as written
    misconfiguredTriggers: list[str]  # noqa: N815
    totalChecked: int  # noqa: N815


class DetectStuckSchedules(KestraFields, RunnableTask):
    """Find schedules of this flow's namespace that have not fired for a while, or never will."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stuck
type: io.kestra.plugin.kestra.triggers.DetectStuckSchedules
thresholdMinutes: 90
""",
    )
    type: Literal["io.kestra.plugin.kestra.triggers.DetectStuckSchedules"]
    threshold_minutes: Property[int] = Field(default=60, ge=0)

    async def run(self, context: RunContext) -> Stuck:
        now, late, wrong, flows = datetime.now(UTC), list[str](), list[str](), set[str]()
        async for one in schedules(context, self.elsewhere(context), context.namespace, None):
            if one.namespace != context.namespace:
                continue
            flows.add(one.flow_id)
            name = f"{one.namespace}.{one.flow_id}#{one.trigger_id}"
            if one.disabled:
                continue
            if one.next_date is None:
                wrong.append(f"{name} (no next date)")
            elif one.last_date is None:
                late.append(f"{name} (never executed)")
            elif now - one.last_date > timedelta(minutes=self.threshold_minutes):
                late.append(f"{name} (last run too old)")
        return Stuck(stuckTriggers=late, misconfiguredTriggers=wrong, totalChecked=len(flows))


async def schedules(
    context: RunContext, server: Server | None, namespace: str | None, flow_id: str | None
) -> AsyncIterator[TriggerStanding]:
    """The schedules of a namespace and those below it, of this bot or of another server."""
    if server is None:
        for one in await records_of(context).triggers(namespace, flow_id, below=True):
            if one.type in Schedule.type_names():
                yield one
        return
    asked = [("filters[namespace][PREFIX]", namespace)] if namespace else []
    asked += [("filters[flowId][EQUALS]", flow_id)] if flow_id else []
    async for row in server.found("triggers", "search", asked=asked, size=PAGE):
        if (standing := standing_of(row)) is not None and standing.type in Schedule.type_names():
            yield standing


def standing_of(row: Mapping[str, Any]) -> TriggerStanding | None:
    """A trigger as a server tells of it (of 2.0 in `trigger` and `state`, before in `abstractTrigger` and
    `triggerContext`); None when it has never been looked at. Pure."""
    declared = row.get("trigger") or row.get("abstractTrigger")
    state = row.get("state") or row.get("triggerContext")
    if not isinstance(declared, Mapping) or not isinstance(state, Mapping):
        return None
    return TriggerStanding(
        str(state.get("namespace")),
        str(state.get("flowId")),
        str(state.get("triggerId")),
        str(declared.get("type")),
        bool(declared.get("disabled") or state.get("disabled")),
        _date(state.get("lastTriggeredDate") or state.get("date")),
        _date(state.get("nextEvaluationDate") or state.get("nextExecutionDate")),
        state.get("executionId"),
        bool(state.get("backfill")),
    )


async def _running_since(context: RunContext, server: Server | None, execution_id: str) -> datetime | None:
    try:
        one = await (
            server.document("GET", "executions", execution_id)
            if server
            else records_of(context).execution(execution_id)
        )
    except NotFound:
        return None  # it was purged meanwhile
    state = one.get("state") or {}
    return _date(state.get("startDate")) if state.get("current") == "RUNNING" else None


def _told(one: TriggerStanding) -> dict[str, Any]:
    last, following = one.last_date, one.next_date
    return {
        "namespace": one.namespace,
        "flowId": one.flow_id,
        "triggerId": one.trigger_id,
        "lastExecution": last and last.isoformat(),
        "expectedNext": following and following.isoformat(),
    }


def _date(text: Any) -> datetime | None:
    try:
        return parse_datetime(str(text)) if text else None
    except ValueError as error:
        raise TaskFailed(
            f"The server told a date that is none: {str(text)[:60]!r}.", fix="Check `kestraUrl`."
        ) from error
