"""Tasks one after another, side by side, or by what each depends on."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.core.execution import TaskRun
from engine.core.finding import Breach
from engine.core.flowable import Body, FlowableTask, Mode, Opened, Section, Wanted, enabled, truthy
from engine.core.property import Property, has_template
from engine.core.state import State
from engine.core.task import AnyTask, Part, Task


class Sequential(FlowableTask):
    """Run tasks one after another."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: steps
type: io.kestra.plugin.core.flow.Sequential
tasks:
  - id: first
    type: io.kestra.plugin.core.log.Log
    message: one
  - id: second
    type: io.kestra.plugin.core.log.Log
    message: two
""",
    )
    type: Literal["io.kestra.plugin.core.flow.Sequential", "io.kestra.core.tasks.flows.Sequential"]
    tasks: tuple[AnyTask, ...] = ()


class AllowFailure(FlowableTask):
    """Run tasks one after another; when one fails, the flow goes on with a WARNING."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: try
type: io.kestra.plugin.core.flow.AllowFailure
tasks:
  - id: may_fail
    type: io.kestra.plugin.core.execution.Fail
""",
    )
    type: Literal["io.kestra.plugin.core.flow.AllowFailure", "io.kestra.core.tasks.flows.AllowFailure"]
    tasks: tuple[AnyTask, ...] = ()

    def outcome(self, state: State) -> State:
        return State.WARNING if state is State.FAILED else state


ENDS = {"CANCEL": State.CANCELLED, "CANCELLED": State.CANCELLED, "FAIL": State.FAILED, "FAILED": State.FAILED}


class SideBySide(FlowableTask):
    """Tasks that run at the same time, and what becomes of the others when one fails."""

    concurrent: Property[Annotated[int, Field(ge=0)]] = Field(default=0, description="How many run at once; 0: all.")
    fail_fast: Property[bool] = Field(default=False, description="Kill what still runs as soon as one fails.")
    on_child_failure: Property[Literal["CONTINUE", "CANCEL", "FAIL", "CANCELLED", "FAILED"]] = Field(
        default="CONTINUE",
        description="What becomes of tasks under way when one fails: they go on, or end CANCELLED or FAILED.",
    )

    def wanted(self) -> Wanted:
        asked: dict[str, tuple[Any, Mode]] = {}
        if has_template(self.concurrent):
            asked["concurrent"] = (self.concurrent, "text")
        if self.fail_fast is not False:
            asked["failFast"] = (self.fail_fast, "text")
        if self.on_child_failure != "CONTINUE":
            asked["onChildFailure"] = (self.on_child_failure, "text")
        return asked

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        given = str(rendered.get("concurrent", "0")).strip()
        if given.isdecimal():
            return Opened()
        return Opened(error=f"`concurrent` is {given!r}: write a whole number, 0 for all at once.")

    def limit(self, run: TaskRun) -> int:
        """How many run at once; 0: all."""
        return int(run.rendered.get("concurrent", self.concurrent))

    def interrupts(self, run: TaskRun) -> State | None:
        wanted = ENDS.get(str(run.rendered.get("onChildFailure")).upper())
        return wanted or (State.KILLED if truthy(run.rendered.get("failFast")) else None)


class Parallel(SideBySide):
    """Run tasks side by side."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: together
type: io.kestra.plugin.core.flow.Parallel
concurrent: 2
tasks:
  - id: left
    type: io.kestra.plugin.core.log.Log
    message: left
  - id: right
    type: io.kestra.plugin.core.log.Log
    message: right
""",
    )
    type: Literal["io.kestra.plugin.core.flow.Parallel", "io.kestra.core.tasks.flows.Parallel"]
    tasks: tuple[AnyTask, ...] = Field(min_length=1)

    def body(self, run: TaskRun) -> Body:
        return Body(enabled(self.tasks), limit=self.limit(run))


class DagTask(Part):
    """A task of a Dag, and which others must have ended before it starts."""

    task: AnyTask
    depends_on: tuple[str, ...] = ()


class Dag(SideBySide):
    """Run every task as soon as those it depends on have ended."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: graph
type: io.kestra.plugin.core.flow.Dag
tasks:
  - task:
      id: fetch
      type: io.kestra.plugin.core.log.Log
      message: fetched
  - task:
      id: report
      type: io.kestra.plugin.core.log.Log
      message: reported
    dependsOn: [fetch]
""",
    )
    type: Literal["io.kestra.plugin.core.flow.Dag", "io.kestra.core.tasks.flows.Dag"]
    tasks: tuple[DagTask, ...] = ()

    @model_validator(mode="after")
    def _check_graph(self) -> "Dag":
        if not self.tasks:
            raise ValueError("No task defined")
        needs = {entry.task.id: set(entry.depends_on) for entry in self.tasks}
        unknown = sorted({need for wanted in needs.values() for need in wanted if need not in needs})
        if unknown:
            at = next(index for index, entry in enumerate(self.tasks) if unknown[0] in entry.depends_on)
            message = f"Not existing task id in dependency: {', '.join(unknown)}"
            raise Breach(message, ("tasks", at, "dependsOn"), f"The tasks of this Dag are {', '.join(needs)}.")
        circle = _in_circles(needs)
        if circle:
            at = next(index for index, entry in enumerate(self.tasks) if entry.task.id in circle)
            message = f"Cyclic dependency detected: {', '.join(circle)}"
            raise Breach(message, ("tasks", at, "dependsOn"), "One of them must not wait for the others.")
        return self

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        yield "tasks", tuple(entry.task for entry in self.tasks)
        yield "errors", self.errors
        yield "finally", self.finally_

    def body(self, run: TaskRun) -> Body:
        tasks = enabled(tuple(entry.task for entry in self.tasks))
        there = {task.id for task in tasks}
        needs = {entry.task.id: frozenset(entry.depends_on) & there for entry in self.tasks}
        return Body(tasks, "graph", self.limit(run), needs=needs)


def _in_circles(needs: Mapping[str, set[str]]) -> list[str]:
    """Ids that wait for themselves, directly or through others."""
    left = {task: set(wanted) for task, wanted in needs.items()}
    while True:
        free = {task for task, wanted in left.items() if not wanted}
        if not free:
            break
        left = {task: wanted - free for task, wanted in left.items() if task not in free}
    return [task for task in left if _reaches(left, task)]


def _reaches(needs: Mapping[str, set[str]], start: str) -> bool:
    seen: set[str] = set()
    todo = list(needs[start])
    while todo:
        task = todo.pop()
        if task == start:
            return True
        if task not in seen:
            seen.add(task)
            todo.extend(needs.get(task, ()))
    return False
