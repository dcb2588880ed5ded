"""`io.kestra.plugin.core.execution`: tasks that change the execution they run in, answer another, count or purge."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.core.state import State
from engine.errors import ExpressionFailed
from engine.plugin import (
    Executions,
    LateProperty,
    Outputs,
    Part,
    Property,
    Records,
    Result,
    RunContext,
    RunnableTask,
    Selection,
    TaskFailed,
)
from engine.tasks.property_types import JsonMap, Moment, OptionalMoment, OptionalText, Text, TextList, is_true, pairs


class Fail(RunnableTask):
    """Fail the execution, always or when a condition holds."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stop_on_empty
type: io.kestra.plugin.core.execution.Fail
condition: "{{ outputs.fetch.code != 200 }}"
errorMessage: "The service answered {{ outputs.fetch.code }}."
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.execution.Fail", "io.kestra.core.tasks.executions.Fail"]
    condition: Property[OptionalText] = None
    error_message: Property[Text] = "Task failure"

    async def run(self, context: RunContext) -> None:
        if self.condition is None:
            raise TaskFailed(self.error_message)
        if is_true(self.condition):
            context.log(self.error_message, "ERROR")
            raise TaskFailed("Fail on a condition")


class Assert(RunnableTask):
    """Fail unless every condition holds; one that cannot be rendered does not hold."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: check
type: io.kestra.plugin.core.execution.Assert
conditions:
  - "{{ inputs.amount > 0 }}"
  - "{{ inputs.amount < 1000 }}"
errorMessage: "Amounts are between 1 and 999."
""",
    )
    is_pure: ClassVar[bool] = True
    sees: ClassVar[frozenset[str] | None] = frozenset()
    type: Literal["io.kestra.plugin.core.execution.Assert"]
    conditions: LateProperty[list[Any]] = Field(
        description="Rendered one by one by the task, so that each failure is told."
    )
    error_message: Property[OptionalText] = None

    async def run(self, context: RunContext) -> None:
        failed = 0
        for condition in self.conditions:
            try:
                held = is_true(await context.render(condition))
                reason = ""
            except ExpressionFailed as error:
                held, reason = False, f": {error.message}"
            if not held:
                failed += 1
                context.log(f"Assertion `{condition}` failed!{reason}", "ERROR")
        context.metric("success", len(self.conditions) - failed)
        context.metric("failed", failed)
        if failed:
            count = f"{failed} assertion{'s' if failed > 1 else ''} failed!"
            raise TaskFailed(f"{count}\n{self.error_message}" if self.error_message else count)


class Labels(RunnableTask):
    """Add labels to the execution; a label that is there already gets the new value."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: mark
type: io.kestra.plugin.core.execution.Labels
labels:
  customer: "{{ inputs.customer }}"
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.execution.Labels", "io.kestra.core.tasks.executions.Labels"]
    labels: Property[Any]

    async def run(self, context: RunContext) -> Result:
        try:
            labels = pairs(self.labels)
        except ValueError as error:
            raise TaskFailed(str(error)) from error
        if empty := [key for key, value in labels.items() if not key or not value]:
            raise TaskFailed(
                f"The label {empty[0]!r} has no value." if empty[0] else "A label has no name.",
                fix="Leave it out, or give it another value where it may be empty: `{{ … ?? 'none' }}`.",
            )
        if reserved := [key for key in labels if key.startswith("system.")]:
            offending = f"{reserved[0]}={labels[reserved[0]]}"
            raise TaskFailed(
                f"System labels can only be set by the engine itself, offending label: {offending}",
                fix="Use a name that does not begin with `system.`.",
            )
        return Result(effects={"labels": labels})


class SetVariables(RunnableTask):
    """Change the execution's variables (`vars`): maps are merged to any depth, items of a list are added to it."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: remember
type: io.kestra.plugin.core.execution.SetVariables
variables:
  channel: "{{ inputs.channel }}"
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.execution.SetVariables"]
    variables: Property[JsonMap]
    overwrite: Property[bool] = True

    async def run(self, context: RunContext) -> Result:
        present = context.variables.get("vars") or {}
        if not self.overwrite and (taken := [name for name in self.variables if name in present]):
            names = ",".join(taken)
            raise TaskFailed(f"`overwrite` is set to false and the following variables already exist: {names}")
        return Result(effects={"variables": self.variables})


class UnsetVariables(RunnableTask):
    """Remove variables from `vars`; a dotted path removes inside a map."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: forget
type: io.kestra.plugin.core.execution.UnsetVariables
variables: [channel, customer.name]
ignoreMissing: true
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.execution.UnsetVariables"]
    variables: Property[TextList]
    ignore_missing: Property[bool] = False

    async def run(self, context: RunContext) -> Result:
        present = context.variables.get("vars") or {}
        if not self.ignore_missing and (missing := [path for path in self.variables if not _has(present, path)]):
            raise TaskFailed(
                f"There is no variable {missing[0]!r} to unset.", fix="Set `ignoreMissing: true` if that is fine."
            )
        return Result(effects={"unset": self.variables})


class Exit(RunnableTask):
    """End the execution, or the iteration of a Loop that it is in, now, in the given state."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: nothing_to_do
type: io.kestra.plugin.core.execution.Exit
runIf: "{{ outputs.list.size == 0 }}"
state: SUCCESS
""",
    )
    type: Literal["io.kestra.plugin.core.execution.Exit"]
    state: Property[Literal["SUCCESS", "WARNING", "KILLED", "FAILED", "CANCELED", "CANCELLED"]] = "SUCCESS"

    async def run(self, context: RunContext) -> Result:
        return Result(effects={"exit": "CANCELLED" if self.state == "CANCELED" else self.state})


class Resume(RunnableTask):
    """Answer the first pause of another execution, which `vars.resumedExecution` then names."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: approve
type: io.kestra.plugin.core.execution.Resume
executionId: "{{ trigger.executionId }}"
inputs:
  approve: true
""",
    )
    type: Literal["io.kestra.plugin.core.execution.Resume"]
    execution_id: Property[OptionalText] = None
    namespace: Property[OptionalText] = None
    flow_id: Property[OptionalText] = None
    inputs: Property[JsonMap | None] = None

    async def run(self, context: RunContext) -> Result:
        if (self.namespace is None) != (self.flow_id is None):
            raise TaskFailed("`namespace` and `flowId` go together.", fix="Give both, or only `executionId`.")
        if self.namespace is not None and self.execution_id is None:
            raise TaskFailed("`namespace` and `flowId` stand without `executionId`.", fix="Say which execution.")
        identity = self.execution_id or context.execution_id
        namespace, flow_id = await executions_of(context).resume(identity, self.inputs or {}, by=by_flow(context))
        resumed = {"id": identity, "namespace": namespace, "flowId": flow_id}
        return Result(effects={"variables": {"resumedExecution": resumed}})


class Kill(RunnableTask):
    """Stop this execution, with the executions its tasks wait for."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: stop
type: io.kestra.plugin.core.execution.Kill
runIf: "{{ outputs.validation.body == 'stop' }}"
""",
    )
    type: Literal["io.kestra.plugin.core.execution.Kill"]
    propagate_kill: Property[bool] = Field(
        default=False, description="Executions that a task of this one waits for are stopped with it either way."
    )

    async def run(self, context: RunContext) -> Result:
        return Result(effects={"exit": "KILLED"})


class FlowName(Part):
    """One flow."""

    namespace: Property[Text]
    flow_id: Property[Text]


class Counted(Outputs):
    """A number for every flow (or namespace) whose number was kept, and their sum."""

    results: list[dict[str, Any]]
    total: int


class Count(RunnableTask):
    """Count executions of flows or namespaces between two dates; `expression` says which counts are kept."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: silent_flows
type: io.kestra.plugin.core.execution.Count
flows:
  - namespace: company.team
    flowId: backup
states: [SUCCESS]
startDate: "{{ now() | dateAdd(-1, 'DAYS') }}"
expression: "{{ count == 0 }}"
""",
    )
    sees: ClassVar[frozenset[str] | None] = frozenset({"count"})
    type: Literal[
        "io.kestra.plugin.core.execution.Count",
        "io.kestra.plugin.core.execution.Counts",
        "io.kestra.core.tasks.executions.Counts",
    ]
    flows: Property[list[FlowName] | None] = None
    namespaces: Property[TextList | None] = None
    states: Property[list[State] | None] = None
    start_date: Property[Moment]
    end_date: Property[OptionalMoment] = None
    expression: LateProperty[Text] = Field(default="true", description="Rendered for each count, which is `count`.")

    @model_validator(mode="after")
    def _something_is_counted(self) -> "Count":
        if self.flows is None and self.namespaces is None:
            raise ValueError("needs `flows` or `namespaces`: whose executions are counted?")
        return self

    async def run(self, context: RunContext) -> Counted:
        records, results, total = records_of(context), [], 0
        names: list[tuple[str, str | None]] = [(flow.namespace, flow.flow_id) for flow in self.flows or ()]
        names += [(namespace, None) for namespace in self.namespaces or ()]
        for namespace, flow_id in names:
            chosen = Selection(namespace, flow_id, tuple(self.states or ()), self.start_date, self.end_date)
            count = await records.count(chosen)
            if is_true((await context.render(self.expression, count=count)).strip()):
                results.append({"namespace": namespace, "flowId": flow_id, "count": count})
                total += count
        context.log(f"{total} executions in {len(results)} of {len(names)} counts.")
        return Counted(results=results, total=total)


class PurgedCounts(Outputs):
    """How much was deleted."""

    executionsCount: int  # noqa: N815 - appears as written
    taskOutputsCount: int  # noqa: N815
    logsCount: int  # noqa: N815
    storagesCount: int  # noqa: N815
    metricsCount: int  # noqa: N815


class PurgeExecutions(RunnableTask):
    """Delete executions that have ended, with their logs, metrics and files. Nothing brings them back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.execution.PurgeExecutions
namespace: company
endDate: "{{ now() | dateAdd(-1, 'MONTHS') }}"
states: [SUCCESS, WARNING, FAILED, KILLED]
""",
    )
    type: Literal[
        "io.kestra.plugin.core.execution.PurgeExecutions",
        "io.kestra.plugin.core.storage.Purge",
        "io.kestra.core.tasks.storages.Purge",
    ]
    namespace: Property[OptionalText] = Field(
        default=None, description="With its child namespaces, unless `flowId` is given too; none: all namespaces."
    )
    flow_id: Property[OptionalText] = None
    start_date: Property[OptionalMoment] = None
    end_date: Property[Moment] = Field(description="Executions that began later are kept.")
    states: Property[list[State] | None] = None
    purge_execution: Property[bool] = True
    purge_log: Property[bool] = True
    purge_metric: Property[bool] = True
    purge_storage: Property[bool] = True
    batch_size: Property[int] = Field(default=100, ge=1)

    async def run(self, context: RunContext) -> PurgedCounts:
        if self.flow_id and not self.namespace:
            raise TaskFailed("`flowId` stands without its namespace.", fix="Give `namespace` too.")
        asked = {
            "execution": self.purge_execution,
            "log": self.purge_log,
            "metric": self.purge_metric,
            "storage": self.purge_storage,
        }
        chosen = Selection(
            self.namespace,
            self.flow_id,
            tuple(self.states or ()),
            self.start_date,
            self.end_date,
            below=self.flow_id is None,
        )
        parts = frozenset(part for part, wanted in asked.items() if wanted)
        gone = await records_of(context).purge(chosen, parts, self.batch_size, by_flow(context))
        context.log(f"Purged {gone.executions} executions, {gone.logs} log lines and {gone.files} files.")
        return PurgedCounts(
            executionsCount=gone.executions,
            taskOutputsCount=gone.outputs,
            logsCount=gone.logs,
            storagesCount=gone.files,
            metricsCount=gone.metrics,
        )


def executions_of(context: RunContext) -> Executions:
    """Other executions; TaskFailed where a task runs without them."""
    if context.executions is None:
        raise TaskFailed("This run cannot reach other executions.", fix="Run the flow with `parley up`.")
    return context.executions


def by_flow(context: RunContext) -> str:
    """Who asks when a flow does."""
    return f"flow:{context.namespace}.{context.flow_id}"


def records_of(context: RunContext) -> Records:
    """What the engine keeps; TaskFailed where a task runs without one."""
    if context.records is None:
        raise TaskFailed("This run cannot reach what the engine keeps.", fix="Run the flow with `parley up`.")
    return context.records


def _has(variables: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(variables, dict) or name not in variables:
            return False
        variables = variables[name]
    return True
