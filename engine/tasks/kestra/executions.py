"""`io.kestra.plugin.kestra.executions`: executions of this bot or of another server, counted, found and changed."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from engine.core.state import State
from engine.plugin import (
    Instead,
    LateProperty,
    Outputs,
    Property,
    Result,
    RunContext,
    RunnableTask,
    Selection,
    StoredUri,
    TaskFailed,
)
from engine.tasks.core.execution import by_flow, executions_of, records_of
from engine.tasks.fetched_rows import FetchType, stored
from engine.tasks.http_bodies import multipart
from engine.tasks.kestra_service import KestraFields, Server, Total, filters
from engine.tasks.property_types import JsonMap, OptionalMoment, OptionalText, Text, TextList, is_true
from engine.tasks.rest_service import held

MOST = 1_000  # executions that one output may hold
SYSTEM = "system"  # the namespace of flows that look after the installation
PARTS = {"delete_logs": "log", "delete_metrics": "metric", "delete_storage": "storage"}


class Counted(Outputs):
    """How many there are, 0 when the expression does not hold."""

    count: int


class Count(KestraFields, RunnableTask):
    """Count executions of namespaces, of a flow, in some states, that began between two dates."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: failures_of_a_week
type: io.kestra.plugin.kestra.executions.Count
namespaces: [company.team]
states: [FAILED]
startDate: "{{ now() | dateAdd(-7, 'DAYS') }}"
expression: "{{ count >= 3 }}"
""",
    )
    sees: ClassVar[frozenset[str] | None] = frozenset({"count"})
    type: Literal["io.kestra.plugin.kestra.executions.Count"]
    namespaces: Property[TextList | None] = None
    flow_id: Property[OptionalText] = None
    states: Property[list[State] | None] = None
    start_date: Property[OptionalMoment] = None
    end_date: Property[OptionalMoment] = None
    expression: LateProperty[OptionalText] = Field(
        default=None, description="Sees `count`; unless it holds, the count is 0."
    )

    async def run(self, context: RunContext) -> Counted:
        server, count = self.elsewhere(context), 0
        chosen = Selection(None, self.flow_id, tuple(self.states or ()), self.start_date, self.end_date)
        for namespace in dict.fromkeys(self.namespaces) if self.namespaces else (None,):
            one = replace(chosen, namespace=namespace)
            count += await (_counted(server, one) if server else records_of(context).count(one))
        context.log(f"{count} executions.")
        if self.expression is not None and not is_true((await context.render(self.expression, count=count)).strip()):
            count = 0
        return Counted(count=count)


class Delete(KestraFields, RunnableTask):
    """Delete an execution that has ended, with its log, metrics and files. Nothing brings it back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.kestra.executions.Delete
executionId: "{{ inputs.execution }}"
""",
    )
    type: Literal["io.kestra.plugin.kestra.executions.Delete"]
    execution_id: Property[Text]
    delete_logs: Property[bool] = True
    delete_metrics: Property[bool] = True
    delete_storage: Property[bool] = True

    async def run(self, context: RunContext) -> None:
        identity, server = self.execution_id.strip(), self.elsewhere(context)
        if not identity:
            raise TaskFailed("It is not said which execution.", fix="Give `executionId`.")
        if identity == context.execution_id:
            raise TaskFailed("An execution can't delete itself.", fix="Let another flow do it once this one has ended.")
        found = await (
            server.document("GET", "executions", identity) if server else records_of(context).execution(identity)
        )
        state = str(held(found, "Kestra", "state", "current"))
        if state not in State.__members__ or not State(state).is_terminal:
            raise TaskFailed(f"The execution {identity} has not ended: it is {state}.", fix="Kill it first, or wait.")
        if server:
            flags = {"deleteLogs": self.delete_logs, "deleteMetrics": self.delete_metrics}
            flags["deleteStorage"] = self.delete_storage
            params = {name: "true" if wanted else "false" for name, wanted in flags.items()}
            await server.call("DELETE", "executions", identity, params=params)
            return
        parts = frozenset({"execution", *(part for name, part in PARTS.items() if getattr(self, name))})
        gone = await records_of(context).delete(identity, parts, by_flow(context))
        if not gone.executions:
            raise TaskFailed(f"Something of the execution {identity} is still under way.", fix="Try again later.")


class Kill(KestraFields, RunnableTask):
    """Stop an execution: this one, or another that has not ended."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stop_the_import
type: io.kestra.plugin.kestra.executions.Kill
executionId: "{{ inputs.execution }}"
propagateKill: true
""",
    )
    type: Literal["io.kestra.plugin.kestra.executions.Kill"]
    execution_id: Property[Text] = Field(description="`{{ execution.id }}` is this one.")
    propagate_kill: Property[bool] = Field(
        default=True, description="Executions it waits for are stopped with it; always so when it is this one."
    )

    async def run(self, context: RunContext) -> Result | None:
        if (server := self.elsewhere(context)) is not None:
            params = {"isOnKillCascade": "true" if self.propagate_kill else "false"}
            await server.call("DELETE", "executions", self.execution_id, "kill", params=params)
            return None
        if self.execution_id == context.execution_id:
            return Result(effects={"exit": "KILLED"})
        await executions_of(context).kill(
            self.execution_id,
            by=by_flow(context),
            cascade=self.propagate_kill,
            dedupe=f"{context.task_run_id}:kill:{self.execution_id}",
        )
        return None


class Resume(KestraFields, RunnableTask):
    """Answer the first pause of an execution."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: approve
type: io.kestra.plugin.kestra.executions.Resume
executionId: "{{ trigger.executionId }}"
inputs:
  comment: Approved by the nightly check
""",
    )
    type: Literal["io.kestra.plugin.kestra.executions.Resume"]
    execution_id: Property[OptionalText] = Field(default=None, description="This one, if left out.")
    inputs: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> None:
        identity, given = self.execution_id or context.execution_id, self.inputs or {}
        if (server := self.elsewhere(context)) is None:
            await executions_of(context).resume(identity, given, by=by_flow(context))
            return
        with ExitStack() as stack:
            body = multipart(given, context, stack) if given else {}
            await server.call("POST", "executions", identity, "resume", **body)


class Queried(Outputs):
    """The executions, as asked for: a file of them, one list in `rows`, or the first as `row['0']`; and how many."""

    uri: StoredUri | None = None
    rows: list[list[dict[str, Any]]] | None = None
    row: dict[str, dict[str, Any]] | None = None
    size: int = 0


class Query(KestraFields, RunnableTask):
    """Find executions by namespace, flow, state, label or date, the newest first."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: failed_today
type: io.kestra.plugin.kestra.executions.Query
namespace: company.team
states: [FAILED]
timeRange: PT24H
fetchType: STORE
""",
    )
    type: Literal["io.kestra.plugin.kestra.executions.Query", "io.kestra.plugin.kestra.executions.Search"]
    page: Property[int | None] = Field(default=None, ge=1, description="Only this one; without it, all are fetched.")
    size: Property[int] = Field(default=10, ge=1, description="Executions a page.")
    fetch_type: Property[FetchType] = "STORE"
    flow_scopes: Property[list[Literal["USER", "SYSTEM"]] | None] = Field(
        default=None, description="Flows of people, or those of the namespace `system`."
    )
    namespace: Property[OptionalText] = None
    flow_id: Property[OptionalText] = None
    start_date: Property[OptionalMoment] = Field(default=None, description="Those that began then or later.")
    end_date: Property[OptionalMoment] = Field(default=None, description="Those that began then or before.")
    time_range: Property[timedelta | None] = Field(default=None, description="Counted back from `endDate`, or now.")
    states: Property[list[State] | None] = None
    state: Annotated[Property[list[State] | None], Instead("states")] = None
    labels: Property[JsonMap | None] = None
    trigger_execution_id: Property[OptionalText] = Field(default=None, description="Those that this one led to.")
    child_filter: Property[Literal["CHILD", "MAIN"] | None] = Field(
        default=None, description="Those that another execution led to, or the others."
    )

    async def run(self, context: RunContext) -> Queried:
        server, total, chosen = self.elsewhere(context), Total(), self._chosen(datetime.now(UTC))
        found = self._asked(server, chosen, total) if server else self._kept(context, chosen, total)
        async with aclosing(found) as executions:
            answer = Queried()
            if self.fetch_type == "STORE":
                answer.uri, _ = await stored(context, executions, "executions.jsonl")
            else:
                rows = [dict(one) async for one in executions]
                if self.fetch_type == "FETCH":
                    answer.rows = [rows]
                elif self.fetch_type == "FETCH_ONE" and rows:
                    answer.row = {"0": rows[0]}
        answer.size = total.count
        return answer

    def _chosen(self, now: datetime) -> Selection:
        since, until = self.start_date, self.end_date
        if self.time_range is not None:
            if since and until:
                raise TaskFailed("`timeRange` stands beside `startDate` and `endDate`.", fix="Give two of them.")
            if since:
                until = since + self.time_range
            else:
                since = (until or now) - self.time_range
        return Selection(self.namespace, self.flow_id, tuple(self.states or self.state or ()), since, until)

    @property
    def _window(self) -> tuple[int, int | None]:
        """Which of those that fit are handed on: from one number to another, or all."""
        first = ((self.page or 1) - 1) * self.size
        last = first + self.size if self.page else None
        return first, {"FETCH_ONE": first + 1, "NONE": first}.get(self.fetch_type, last)

    async def _kept(
        self, context: RunContext, chosen: Selection, total: Total
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        records, (first, last) = records_of(context), self._window
        is_counted = not (self.labels or self.trigger_execution_id or self.child_filter or self.flow_scopes)
        async for one in records.executions(chosen):
            if not self._fits(one):
                continue
            total.count += 1
            if first < total.count and (last is None or total.count <= last):
                self._bounded(total.count - first)
                yield one
            elif last is not None and total.count > last and is_counted:
                total.count = await records.count(chosen)
                return

    async def _asked(self, server: Server, chosen: Selection, total: Total) -> AsyncGenerator[Mapping[str, Any], None]:
        most, number = {"FETCH_ONE": 1, "NONE": 0}.get(self.fetch_type), 0
        page = self.page if most is None else self.page or 1
        asked = [*filters(chosen), *self._more_filters()]
        async for one in server.found("executions", "search", asked=asked, size=self.size, page=page, total=total):
            number += 1
            self._bounded(number)
            if most is None or number <= most:
                yield one

    def _bounded(self, number: int) -> None:
        if self.fetch_type == "FETCH" and number > MOST:
            raise TaskFailed(
                f"More than {MOST} executions fit.", fix="Use `fetchType: STORE`, or `page` and `size` to take some."
            )

    def _fits(self, one: Mapping[str, Any]) -> bool:
        cause = ((one.get("trigger") or {}).get("variables") or {}).get("executionId")
        labels = {label["key"]: label["value"] for label in one["labels"]}
        scope = "SYSTEM" if one["namespace"] == SYSTEM else "USER"
        return (
            all(labels.get(key) == str(value) for key, value in (self.labels or {}).items())
            and self.trigger_execution_id in (None, cause)
            and self.child_filter in (None, "CHILD" if cause else "MAIN")
            and (not self.flow_scopes or scope in self.flow_scopes)
        )

    def _more_filters(self) -> Sequence[tuple[str, str]]:
        said = [(f"filters[labels][EQUALS][{key}]", str(value)) for key, value in (self.labels or {}).items()]
        said += [("filters[scope][EQUALS]", scope) for scope in self.flow_scopes or ()]
        if self.trigger_execution_id:
            said.append(("filters[triggerExecutionId][EQUALS]", self.trigger_execution_id))
        if self.child_filter:
            said.append(("filters[childFilter][EQUALS]", self.child_filter))
        return said


async def _counted(server: Server, chosen: Selection) -> int:
    total = Total()
    async for _ in server.found("executions", "search", asked=filters(chosen), size=1, page=1, total=total):
        pass
    return total.count
