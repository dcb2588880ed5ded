"""ForEachItem: cut a file into batches and run another flow for each."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.execution import TaskRun
from engine.core.flowable import BatchTask, Body, ChildCall, FlowableTask, Section, Wanted
from engine.core.property import Property
from engine.core.task import Part, Task
from engine.plugin import Result, RunContext, RunnableTask, TaskFailed
from engine.tasks.core.flow.subflow import called_flow, wanted_of
from engine.tasks.core.storage import Split


class Batch(Part):
    """Where the file is cut."""

    rows: Property[int] | None = None
    bytes: Property[str] | None = None
    partitions: Property[int] | None = None
    separator: Property[str] = "\n"
    regex_pattern: Property[str] | None = Field(
        default=None, description="Rows for which the pattern's first group is the same text make a batch."
    )


class SplitItems(Split):
    """The first step: the file is cut, every batch a file of its own."""

    async def run(self, context: RunContext) -> Result:  # type: ignore[override]
        if not self.from_.startswith("kestra://"):
            raise TaskFailed(
                f"Unable to split the items from {self.from_}, this is not an internal storage URI!",
                fix="Give `items` the URI of a file, such as `{{ outputs.download.uri }}`.",
            )
        uris = (await super().run(context)).uris
        listed = await context.files.put("".join(f"{uri}\n" for uri in uris).encode(), "splits.txt")
        return Result(outputs={"splits": listed}, effects={"batches": uris})


class CallForItems(BatchTask):
    """The second step: one execution a batch."""

    source: str
    of: Any = Field(exclude=True)

    def batches_of(self) -> str:
        return self.source

    def wanted(self) -> Wanted:
        return wanted_of(self.of)

    def call(self, rendered: Mapping[str, Any]) -> ChildCall:
        return called_flow(self.of, rendered)


class MergeOutputs(RunnableTask):
    """The last step: one file with what each execution handed on, a line each."""

    source: str

    async def run(self, context: RunContext) -> Mapping[str, Any] | None:
        found: Any = context.variables["outputs"].get(self.source, {})
        for above in reversed(context.variables.get("parents", [])):
            value = above.get("taskrun", {}).get("value")
            found = found.get(value, {}) if value is not None else found  # no batch, nothing handed on
        results = found.get("subflowOutputs")
        if not results:
            return None
        lines = [json.dumps(results[key], ensure_ascii=False, default=str) for key in sorted(results, key=int)]
        uri = await context.files.put("".join(f"{line}\n" for line in lines).encode(), "outputs.jsonl")
        return {"subflowOutputs": uri}


class ForEachItem(FlowableTask):
    """Cut a file into batches and run another flow for each batch; in `inputs`, `taskrun.items` is the batch's URI."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: orders
type: io.kestra.plugin.core.flow.ForEachItem
items: "{{ inputs.file }}"
batch:
  rows: 100
namespace: shop
flowId: import_orders
inputs:
  file: "{{ taskrun.items }}"
""",
    )
    type: Literal["io.kestra.plugin.core.flow.ForEachItem", "io.kestra.core.tasks.flows.ForEachItem"]
    items: str
    batch: Batch = Batch(rows=1)
    namespace: str
    flow_id: str
    revision: int | str | None = None
    inputs: dict[str, Any] | None = None
    labels: Any = None
    wait: bool = True
    transmit_failed: bool = True
    inherit_labels: Property[bool] = False
    schedule_date: Any = None
    restart_behavior: Literal["RETRY_FAILED", "NEW_EXECUTION"] | None = None

    @cached_property
    def steps(self) -> tuple[Task, ...]:
        """The three tasks it consists of."""
        batch = self.batch
        cut = {
            "rows": batch.rows,
            "bytes": batch.bytes,
            "partitions": batch.partitions,
            "regexPattern": batch.regex_pattern,
        }
        cut = {name: value for name, value in cut.items() if value is not None} or {"rows": 1}
        return (
            SplitItems.model_validate(
                {
                    "id": f"{self.id}_split",
                    "type": "io.kestra.plugin.core.storage.Split",
                    "from": self.items,
                    "separator": batch.separator,
                    "timeout": self.timeout,
                    **cut,
                }
            ),
            CallForItems(id=f"{self.id}_items", type=self.type, source=f"{self.id}_split", of=self),
            MergeOutputs(id=f"{self.id}_merge", type=self.type, source=f"{self.id}_items"),
        )

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        yield "tasks", self.steps
        yield "errors", self.errors
        yield "finally", self.finally_

    def body(self, run: TaskRun) -> Body:
        return Body(self.steps)
