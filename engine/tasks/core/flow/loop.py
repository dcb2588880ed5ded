"""Loop: the same tasks for every item of a list, a map or a file."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.core.execution import TaskRun
from engine.core.flowable import Body, End, ItemsTask, Opened, Section, Wanted, enabled, truthy
from engine.core.inputs import FlowOutput, coerce_outputs, secrets_of
from engine.core.loop_items import STORAGE, items_of
from engine.core.property import has_template
from engine.core.state import State
from engine.core.task import AnyTask, Task
from engine.errors import ExpressionFailed, InputInvalid
from engine.expressions.printing import to_text
from engine.plugin import Property, RunContext, RunnableTask, TaskFailed


class CollectOutputs(RunnableTask):
    """The last step of each iteration: what it hands on, typed. Of one that was left what can be told."""

    of: Any = Field(exclude=True)
    stores: bool = False

    async def run(self, context: RunContext) -> Mapping[str, Any]:
        is_left = context.variables.get("iteration", {}).get("left", False)
        given: dict[str, Any] = {}
        for output in self.of:
            try:
                given[output.id] = await context.render(output.value)
            except ExpressionFailed as error:
                if output.required and not is_left:
                    raise
                kind = "optional output" if not output.required else "output"
                context.log(f"Failed to render {kind} '{output.id}'. Output is ignored. {error}", "WARN")
        known = [output for output in self.of if output.id in given or not output.required]
        try:
            found = coerce_outputs(known, given)
        except InputInvalid as error:
            raise TaskFailed(f"The outputs of the iteration do not fit: {error.message}") from error
        for secret in secrets_of(self.of, found):
            context.mask(secret)
        if not self.stores:
            return found
        text = json.dumps(found, ensure_ascii=False, default=to_text)
        return {"uri": await context.files.put(text.encode(), "outputs.json")}


class CheckBreak(RunnableTask):
    """What stands at the end of each iteration when a loop may end early."""

    asked: Property[str]
    is_pure: ClassVar[bool] = True

    async def run(self, context: RunContext) -> Mapping[str, Any]:
        return {"breaks": truthy(self.asked)}


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
    transmit_failed: bool = Field(
        default=True,
        description="When an item ends FAILED, KILLED or CANCELLED no further one begins, and one that FAILED fails "
        "the loop. False: every item has its turn, and the loop is a success.",
    )
    outputs: tuple[FlowOutput, ...] = Field(
        default=(), description="What each iteration hands on: `outputs.<id>.outputs[n].outputs.<name>`."
    )
    fetch_type: Literal["AUTO", "FETCH", "STORE"] = Field(
        default="AUTO",
        description="STORE: each iteration's outputs are a file of JSON, and `outputs.<id>.outputs[n].outputs.uri` "
        "names it. AUTO: STORE when `values` is the URI of a file, else FETCH.",
    )
    break_when: Property[str] | None = Field(
        default=None,
        description="Looked at when an item's tasks have ended, also when one failed: when it is true no further item "
        "begins. It sees `item`, `iteration.state` and `iteration.outputs` beside what the tasks see.",
    )
    tasks: tuple[AnyTask, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _secrets_are_in_no_file(self) -> "Loop":
        if self.fetch_type == "STORE" and self._has_secret:
            raise ValueError("`fetchType: STORE` writes outputs to files: a SECRET can't be among them")
        return self

    @property
    def _has_secret(self) -> bool:
        return any(output.type == "SECRET" for output in self.outputs)

    def _ways(self) -> tuple[bool, ...]:
        """Whether outputs are stored; both ways when only the values can tell."""
        if self.fetch_type != "AUTO" or self._has_secret or not isinstance(self.values, str):
            return (self.fetch_type == "STORE",)
        return (False, True) if has_template(self.values) else (self.values.strip().startswith(STORAGE),)

    @cached_property
    def _collectors(self) -> Mapping[bool, Task]:
        """The last step of each iteration, by whether it stores."""
        last = {"type": self.type, "of": self.outputs}
        return {
            stores: CollectOutputs(id=f"{self.id}_{'stored' if stores else 'outputs'}", stores=stores, **last)
            for stores in (self._ways() if self.outputs else ())
        }

    @cached_property
    def closing(self) -> Task | None:
        if self.break_when is None:
            return None
        return CheckBreak(id=f"{self.id}_break", type=self.type, asked=self.break_when)

    @cached_property
    def _ends(self) -> Mapping[str, End]:
        handlers: dict[str, End] = {task.id: "errors" for task in self.errors}
        handlers |= {task.id: "finally" for task in self.finally_}
        collectors: dict[str, End] = {task.id: "outputs" for task in self._collectors.values()}
        return {**handlers, **collectors, **({self.closing.id: "closing"} if self.closing is not None else {})}

    def _collector(self, run: TaskRun) -> Task | None:
        ways = self._collectors
        return ways.get("lines" in run.rendered) if len(ways) > 1 else next(iter(ways.values()), None)

    @property
    def last(self) -> tuple[Task, ...]:
        closing = (self.closing,) if self.closing is not None else ()
        return (*self.errors, *self.finally_, *self._collectors.values(), *closing)

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        yield "tasks", (*self.tasks, *self.last)

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
        unused = {task.id for task in self._collectors.values()} - {self.collector(run)}
        steps = enabled(tuple(task for task in (*self.tasks, *self.last) if task.id not in unused))
        goes_on = not self.transmit_failed
        return Body(steps, "groups", self.concurrency_limit, numbers, isolated=True, goes_on=goes_on, ends=self._ends)

    def collected(
        self, run: TaskRun, given: Mapping[int, Mapping[str, Any] | None], states: Mapping[str, int]
    ) -> Mapping[str, Any]:
        counts = {"runningIterations": 0, "terminatedIterations": dict(states)}
        found = []
        for number, one in given.items():
            value, key = run.rendered["items"][number]
            item = {"value": value, "iteration": number, **({} if key is None else {"key": key})}
            found.append({"item": item, "outputs": dict(one or {})})
        return {**counts, "outputs": found} if self.outputs else counts

    def collector(self, run: TaskRun) -> str | None:
        last = self._collector(run)
        return last.id if last is not None else None

    def outcome(self, state: State) -> State:
        return State.SUCCESS if state in (State.FAILED, State.KILLED) and not self.transmit_failed else state
