"""The same tasks for every value of a list."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.execution import TaskRun
from engine.core.flowable import Body, FlowableTask, Opened, Wanted, compact, enabled
from engine.core.task import AnyTask


def distinct_values(rendered: Any, written: Any = None) -> Opened:
    """Values as texts, each once, frozen for the whole run; a null is an error. `written`: the flow's text for them."""
    if not isinstance(rendered, list | tuple):
        source = f" (from `{written.strip()[:200]}`)" if isinstance(written, str) else ""
        found = compact(rendered)[:200]
        return Opened(error=f"The values{source} are no list but {found}: write a list or JSON text of one.")
    nulls = sum(value is None for value in rendered)
    if nulls:
        return Opened(error=f"Found '{nulls}' null values on Each, with values={compact(list(rendered))}")
    return Opened(remembered={"values": list(dict.fromkeys(compact(value) for value in rendered))})


class EachTask(FlowableTask):
    """Base of tasks that run others for every value."""

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        return distinct_values(rendered["values"], self.wanted()["values"][0])

    def values_of(self, run: TaskRun) -> tuple[str, ...]:
        """The values, as they were when the run began."""
        return tuple(run.rendered["values"])


class ForEach(EachTask):
    """Run tasks for every value: the tasks of one value one after another, `concurrencyLimit` values at once."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: each
type: io.kestra.plugin.core.flow.ForEach
values: ["red", "green"]
concurrencyLimit: 0
tasks:
  - id: paint
    type: io.kestra.plugin.core.log.Log
    message: "painting {{ taskrun.value }}"
""",
    )
    type: Literal["io.kestra.plugin.core.flow.ForEach"]
    values: str | list[Any] = Field(description="A list, or text that renders to a JSON list; a value counts once.")
    concurrency_limit: int = Field(default=1, ge=0, description="Values at once; 0: all.")
    tasks: tuple[AnyTask, ...] = Field(min_length=1)
    child_failure_policy: Any = Field(default=None, description="Accepted and without effect.")

    def wanted(self) -> Wanted:
        return {"values": (self.values, "list")}

    def body(self, run: TaskRun) -> Body:
        order: Literal["flat", "groups"] = "flat" if self.concurrency_limit == 1 else "groups"
        return Body(enabled(self.tasks), order, self.concurrency_limit, self.values_of(run))


class EachSequential(EachTask):
    """Run tasks for one value after the other (ForEach is the newer name)."""

    instead: ClassVar[str] = "io.kestra.plugin.core.flow.ForEach"
    instead_how: ClassVar[str] = "with `values` for `value`"
    examples: ClassVar[tuple[str, ...]] = (
        """
id: each
type: io.kestra.plugin.core.flow.EachSequential
value: ["red", "green"]
tasks:
  - id: paint
    type: io.kestra.plugin.core.log.Log
    message: "painting {{ taskrun.value }}"
""",
    )
    type: Literal["io.kestra.plugin.core.flow.EachSequential", "io.kestra.core.tasks.flows.EachSequential"]
    value: str | list[Any] = Field(description="A list, or text that renders to a JSON list; a value counts once.")
    tasks: tuple[AnyTask, ...] = Field(min_length=1)

    def wanted(self) -> Wanted:
        return {"values": (self.value, "list")}

    def body(self, run: TaskRun) -> Body:
        return Body(enabled(self.tasks), values=self.values_of(run))


class EachParallel(EachTask):
    """Run every task for every value at once (ForEach with a `concurrencyLimit` is the newer form)."""

    instead: ClassVar[str] = "io.kestra.plugin.core.flow.ForEach"
    instead_how: ClassVar[str] = "with `values` for `value`, and `concurrencyLimit: 0` to run all at once"
    examples: ClassVar[tuple[str, ...]] = (
        """
id: each
type: io.kestra.plugin.core.flow.EachParallel
value: ["red", "green"]
tasks:
  - id: paint
    type: io.kestra.plugin.core.log.Log
    message: "painting {{ taskrun.value }}"
""",
    )
    type: Literal["io.kestra.plugin.core.flow.EachParallel", "io.kestra.core.tasks.flows.EachParallel"]
    value: str | list[Any] = Field(description="A list, or text that renders to a JSON list; a value counts once.")
    concurrent: int = Field(default=0, ge=0, description="How many run at once; 0: all.")
    tasks: tuple[AnyTask, ...] = Field(min_length=1)

    def wanted(self) -> Wanted:
        return {"values": (self.value, "list")}

    def body(self, run: TaskRun) -> Body:
        return Body(enabled(self.tasks), limit=self.concurrent, values=self.values_of(run))
