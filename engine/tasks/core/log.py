"""`io.kestra.plugin.core.log`: lines in the execution's log, written, read and purged."""

from typing import ClassVar, Literal

from pydantic import Field

from engine.plugin import Level, Outputs, Part, Property, RunContext, RunnableTask, Selection, StoredUri, TaskFailed
from engine.tasks.core.execution import records_of
from engine.tasks.fetched_rows import stored
from engine.tasks.property_types import Moment, OptionalInteger, OptionalMoment, OptionalText, Text, TextList


class Log(RunnableTask):
    """Write one or several lines to the execution's log."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: hello
type: io.kestra.plugin.core.log.Log
message: "Hello, {{ inputs.name }}"
level: INFO
""",
    )
    is_pure: ClassVar[bool] = True
    type: Literal["io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log"]
    message: Property[Text | list[Text]] = Field(description="A line, or a list of them.")
    level: Property[Level] = "INFO"

    async def run(self, context: RunContext) -> None:
        for line in [self.message] if isinstance(self.message, str) else self.message:
            context.log(line, self.level)


class Fetched(Outputs):
    """The file, a JSON object a line, and how many lines it has."""

    uri: StoredUri
    size: int


class FetchFields(Part):
    """Whose log, and which of its lines."""

    level: Property[Level] = Field(default="INFO", description="Lines from this level up.")
    execution_id: Property[OptionalText] = None
    namespace: Property[OptionalText] = None
    flow_id: Property[OptionalText] = None
    tasks_id: Property[TextList | None] = Field(default=None, description="Only what these tasks wrote.")

    async def fetched(self, context: RunContext) -> Fetched:
        """The lines as a file."""
        if (self.namespace is None) != (self.flow_id is None):
            raise TaskFailed("`namespace` and `flowId` go together.", fix="Give both, or only `executionId`.")
        if self.namespace is not None and self.execution_id is None:
            raise TaskFailed("`namespace` and `flowId` stand without `executionId`.", fix="Say which execution.")
        whose = (self.execution_id or context.execution_id, self.namespace or context.namespace, self.flow_id)
        lines = records_of(context).logs(*whose, self.tasks_id or (), self.level)
        uri, size = await stored(context, lines, "log.jsonl")
        return Fetched(uri=uri, size=size)


class Fetch(FetchFields, RunnableTask):
    """Write the log of an execution (this one, unless another is named) to a file."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: what_went_wrong
type: io.kestra.plugin.core.log.Fetch
executionId: "{{ trigger.executionId }}"
namespace: "{{ trigger.namespace }}"
flowId: "{{ trigger.flowId }}"
level: WARN
""",
    )
    type: Literal["io.kestra.plugin.core.log.Fetch", "io.kestra.core.tasks.log.Fetch"]

    async def run(self, context: RunContext) -> Fetched:
        return await self.fetched(context)


class Purged(Outputs):
    """How many lines were deleted."""

    count: int
    executionLogsCount: int  # noqa: N815 - appears as written
    nonExecutionLogsCount: int = 0  # noqa: N815


class PurgeLogs(RunnableTask):
    """Delete log lines that were written between two dates. Nothing brings them back."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: tidy
type: io.kestra.plugin.core.log.PurgeLogs
logLevels: [TRACE, DEBUG]
endDate: "{{ now() | dateAdd(-7, 'DAYS') }}"
""",
    )
    type: Literal["io.kestra.plugin.core.log.PurgeLogs"]
    namespace: Property[OptionalText] = Field(
        default=None, description="With its child namespaces, unless `flowId` is given too; none: all namespaces."
    )
    flow_id: Property[OptionalText] = None
    execution_id: Property[OptionalText] = Field(default=None, description="Only what this execution wrote.")
    log_levels: Property[list[Level] | None] = None
    start_date: Property[OptionalMoment] = None
    end_date: Property[Moment]
    purge_execution_logs: Property[bool] = Field(default=True, description="False: nothing is deleted.")
    purge_non_execution_logs: Property[bool] = Field(
        default=True, description="Accepted for flows that carry it: every line here belongs to an execution."
    )
    batch_size: Property[OptionalInteger] = Field(
        default=None, description="Accepted for flows that carry it: lines are always deleted in batches."
    )

    async def run(self, context: RunContext) -> Purged:
        if self.flow_id and not self.namespace:
            raise TaskFailed("`flowId` stands without its namespace.", fix="Give `namespace` too.")
        if not self.purge_execution_logs:
            return Purged(count=0, executionLogsCount=0)
        chosen = Selection(
            self.namespace,
            self.flow_id,
            since=self.start_date,
            until=self.end_date,
            below=self.flow_id is None,
            execution_id=self.execution_id,
        )
        gone = await records_of(context).purge_logs(chosen, self.log_levels or ())
        return Purged(count=gone, executionLogsCount=gone)
