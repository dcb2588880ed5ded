"""If and Switch: which tasks run depends on a value."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from engine.core.execution import TaskRun
from engine.core.flowable import Body, FlowableTask, Opened, Section, Wanted, enabled, truthy
from engine.core.property import Property
from engine.core.task import AnyTask, Task


def _case_names(cases: Any) -> Any:
    """`true:` and `1:` are cases for the texts "true" and "1"."""
    if not isinstance(cases, Mapping):
        return cases
    return {str(key).lower() if isinstance(key, bool) else str(key): tasks for key, tasks in cases.items()}


class If(FlowableTask):
    """Run `then` or `else`, whichever the condition says."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: check
type: io.kestra.plugin.core.flow.If
condition: "{{ inputs.ship }}"
then:
  - id: ship
    type: io.kestra.plugin.core.log.Log
    message: shipped
else:
  - id: keep
    type: io.kestra.plugin.core.log.Log
    message: kept
""",
    )
    type: Literal["io.kestra.plugin.core.flow.If", "io.kestra.core.tasks.flows.If"]
    condition: str | bool | int | float | None = Field(
        default="true", description='False when it renders to "", "0", "-0", "false" or null; else true.'
    )
    then: tuple[AnyTask, ...] = Field(min_length=1)
    else_: tuple[AnyTask, ...] = Field(
        default=(), alias="else", validation_alias=AliasChoices("else", "_else", "else_")
    )

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        yield "tasks", self.then
        yield "tasks", self.else_
        yield "errors", self.errors
        yield "finally", self.finally_

    def wanted(self) -> Wanted:
        return {"condition": (self.condition, "text")}

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        return Opened({"evaluationResult": truthy(rendered["condition"])})

    def body(self, run: TaskRun) -> Body:
        return Body(enabled(self.then if truthy(run.rendered["condition"]) else self.else_))


class Switch(FlowableTask):
    """Run the tasks of the case that equals a value, else those of `defaults`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: by_size
type: io.kestra.plugin.core.flow.Switch
value: "{{ inputs.size }}"
cases:
  small:
    - id: one
      type: io.kestra.plugin.core.log.Log
      message: one box
defaults:
  - id: many
    type: io.kestra.plugin.core.log.Log
    message: many boxes
""",
    )
    type: Literal["io.kestra.plugin.core.flow.Switch", "io.kestra.core.tasks.flows.Switch"]
    value: Property[str]
    cases: Annotated[dict[str, tuple[AnyTask, ...]], BeforeValidator(_case_names)] = Field(default_factory=dict)
    defaults: tuple[AnyTask, ...] = ()

    @model_validator(mode="after")
    def _has_tasks(self) -> "Switch":
        if not self.defaults and not any(self.cases.values()):
            raise ValueError("No task defined, neither cases or default have any tasks")
        return self

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        for tasks in self.cases.values():
            yield "tasks", tasks
        yield "tasks", self.defaults
        yield "errors", self.errors
        yield "finally", self.finally_

    def wanted(self) -> Wanted:
        return {"value": (self.value, "text")}

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        value = str(rendered["value"])
        return Opened({"value": value, "defaults": value not in self.cases})

    def body(self, run: TaskRun) -> Body | None:
        tasks = self.cases.get(str(run.rendered["value"]), self.defaults)
        return Body(enabled(tasks)) if tasks else None
