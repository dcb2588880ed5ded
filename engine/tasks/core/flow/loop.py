"""Loop: the same tasks for every item of a list, a map or a file."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.core.execution import TaskRun
from engine.core.flowable import Body, ItemsTask, Opened, Section, Wanted, enabled
from engine.core.inputs import FlowOutput, coerce_outputs
from engine.core.loop_items import STORAGE, items_of
from engine.core.state import State
from engine.core.task import AnyTask, Task
from engine.errors import InputInvalid
from engine.plugin import Property, RunContext, RunnableTask, TaskFailed


class CollectOutputs(RunnableTask):
    """The last step of each iteration: what it hands on, typed."""

    values: Property[dict[str, Any]]
    of: Any = Field(exclude=True)

    async def run(self, context: RunContext) -> Mapping[str, Any]:
        try:
            return coerce_outputs(self.of, self.values)
        except InputInvalid as error:
            raise TaskFailed(f"The outputs of the iteration do not fit: {error.message}") from error


class Loop(ItemsTask):
    """Run tasks for every item, each item by itself; `item.value`, `item.index` and `item.key` say which it is."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: regions
type: io.kestra.plugin.core.flow.Loop
values: ["north", "south"]
concurrencyLimit: 1
outputs:
  - id: report
    type: STRING
    value: "{{ outputs.render.value }}"
tasks:
  - id: render
    type: io.kestra.plugin.core.debug.Return
    format: "{{ item.index }}: {{ item.value }}"
""",
    )
    type: Literal["io.kestra.plugin.core.flow.Loop"]
    values: str | list[Any] | dict[str, Any] = Field(
        description="A list, a map, text that renders to JSON of one, or the URI of a file whose lines are the items."
    )
    concurrency_limit: int = Field(default=0, ge=0, description="Items at once; 0: all.")
    transmit_failed: bool = Field(default=True, description="Fail when an item's tasks fail.")
    outputs: tuple[FlowOutput, ...] = Field(
        default=(), description="What each iteration hands on: `outputs.<id>.outputs[n].outputs.<name>`."
    )
    fetch_type: Literal["AUTO", "FETCH"] = "AUTO"
    tasks: tuple[AnyTask, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _outputs_are_fetched(cls, declaration: Any) -> Any:
        if isinstance(declaration, Mapping) and declaration.get("fetchType") == "STORE":
            raise ValueError(
                "`fetchType: STORE` is not there: write large values to a file in the loop, hand on its URI"
            )
        return declaration

    @cached_property
    def steps(self) -> tuple[Task, ...]:
        """The tasks of one iteration."""
        if not self.outputs:
            return self.tasks
        values = {output.id: output.value for output in self.outputs}
        last = CollectOutputs(id=f"{self.id}_outputs", type=self.type, values=values, of=self.outputs)
        return (*self.tasks, last)

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        yield "tasks", self.steps
        yield "errors", self.errors
        yield "finally", self.finally_

    def wanted(self) -> Wanted:
        return {"values": (self.values, "typed")}

    def file_of(self, rendered: Mapping[str, Any]) -> str | None:
        values = rendered.get("values")
        return values.strip() if isinstance(values, str) and values.strip().startswith(STORAGE) else None

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        try:
            items = items_of(rendered["values"], rendered.get("lines"))
        except ValueError as error:
            return Opened(error=str(error))
        known = {"items": items, "values": None, **({"lines": None} if "lines" in rendered else {})}
        return Opened({"iterationCount": len(items)}, known)

    def body(self, run: TaskRun) -> Body:
        numbers = tuple(str(number) for number in range(len(run.rendered["items"])))
        return Body(enabled(self.steps), "groups", self.concurrency_limit, numbers, isolated=True)

    def collected(self, given: Sequence[Mapping[str, Any] | None]) -> Mapping[str, Any]:
        return {"outputs": [{"outputs": dict(one or {})} for one in given]} if self.outputs else {}

    def collector(self) -> str | None:
        return f"{self.id}_outputs" if self.outputs else None

    def outcome(self, state: State) -> State:
        return State.SUCCESS if state in (State.FAILED, State.KILLED) and not self.transmit_failed else state
