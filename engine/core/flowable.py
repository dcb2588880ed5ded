"""Tasks the executor carries out by itself: they decide which tasks run next, start other executions or wait.

A task says what it needs rendered before it starts (`wanted`), what it is once that is known (`opened`), and which
tasks it runs in which order (`body`). It never sees the execution: the executor keeps count.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.core.durations import LONGEST, to_iso
from engine.core.durations import parse as parse_duration
from engine.core.execution import TaskRun
from engine.core.json_text import read_json
from engine.core.property import has_template
from engine.core.state import State
from engine.core.task import AnyTask, Task

Section = Literal["tasks", "errors", "finally", "after", "onPause"]
Mode = Literal["text", "typed", "list"]
End = Literal["errors", "finally", "outputs", "closing"]
Wanted = Mapping[str, tuple[Any, Mode]]  # key → template or value holding templates, and what it gives

FALSY = frozenset({"", "0", "-0", "false"})


@dataclass(frozen=True, slots=True)
class Body:
    """Tasks to run, and in which order.

    `flat` runs every task (for every value) in order, at most `limit` at once; `graph` starts a task when those it
    needs have ended; `groups` runs the tasks of a value one after another, at most `limit` values at once. 0: no limit.
    When one of a value has failed no further one of it runs but its `ends`: `errors` only then, the others always.
    """

    tasks: tuple[Task, ...]
    order: Literal["flat", "graph", "groups"] = "flat"
    limit: int = 1
    values: tuple[str, ...] | None = None
    isolated: bool = False  # groups: the failure of one value does not stop the others that have begun
    goes_on: bool = True  # groups: further values begin after one that ended FAILED, KILLED or CANCELLED
    ends: Mapping[str, End] = field(default_factory=dict)  # groups: what stands at the end of each value, by task id
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many task runs there will be when all have run."""
        return len(self.tasks) * (1 if self.values is None else len(self.values))


@dataclass(frozen=True, slots=True)
class Opened:
    """What a flowable is once its expressions are known: outputs its children see, a memory, or why it failed."""

    outputs: Mapping[str, Any] | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def number(self) -> int:
        """How many values its tasks run for; 0 when it has none."""
        return len(self.remembered.get("items") or self.remembered.get("values") or ())


# What a pause does to its own run (RESUME, WARN, FAIL) or to the whole execution (the others).
Behavior = Literal["RESUME", "WARN", "FAIL", "SUCCEED", "CANCEL", "KILL"]


@dataclass(frozen=True, slots=True)
class PauseTerms:
    """How long a pause waits, and what it becomes when nobody answered."""

    deadline: timedelta | None = None
    behavior: Behavior = "RESUME"


@dataclass(frozen=True, slots=True)
class LoopTerms:
    """How often a loop looks again, and when it gives up."""

    interval: timedelta
    max_iterations: int | None = None
    max_duration: timedelta | None = None
    fails_at_limit: bool = False


@dataclass(frozen=True, slots=True)
class ChildCall:
    """The execution a task asks for."""

    namespace: str
    flow_id: str
    revision: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[tuple[str, str], ...] = ()
    inherits_labels: bool = False
    waits: bool = True
    transmits_failed: bool = True
    schedule_date: datetime | None = None
    restarts_failed: bool = True  # when the caller is restarted: the execution that failed, or a new one
    outputs: Mapping[str, Any] | None = (
        None  # rendered with the variables of the child when its flow declares no outputs
    )


class FlowableTask(Task):
    """A task that runs other tasks."""

    errors: tuple[AnyTask, ...] = Field(
        default=(), description="Run when one of the tasks has failed; the failure stays."
    )
    finally_: tuple[AnyTask, ...] = Field(default=(), alias="finally", description="Run at the end, whatever happened.")

    def lists(self) -> Iterator[tuple[Section, tuple[Task, ...]]]:
        """Every task that may run under this one, by section; several lists of one section are alternatives."""
        yield "tasks", getattr(self, "tasks", ())
        yield "errors", self.errors
        yield "finally", self.finally_

    def wanted(self) -> Wanted:
        """What is rendered before the task starts."""
        return {}

    def opened(self, rendered: Mapping[str, Any]) -> Opened:
        """What the rendered values say."""
        return Opened()

    def body(self, run: TaskRun) -> Body | None:
        """The tasks to run; None when no branch fits, which fails the task."""
        return Body(enabled(getattr(self, "tasks", ())))

    def interrupts(self, run: TaskRun) -> State | None:
        """The state in which tasks that are under way end as soon as one has failed; None lets them go on."""
        return None

    def outcome(self, state: State) -> State:
        """The state the task takes when its tasks ended in a state; before its own allowances."""
        return state


class PausingTask(FlowableTask):
    """A flowable that waits for a person before its tasks run.

    `needs_preparation`: nobody is asked when a task that runs before the question (`onPause`) has failed.
    """

    needs_preparation: ClassVar[bool] = False

    def terms(self, rendered: Mapping[str, Any]) -> PauseTerms:
        """How long it waits; ValueError says which duration cannot be read."""
        return PauseTerms()

    def asking(self, rendered: Mapping[str, Any]) -> "PausingTask":
        """The task with what was rendered in place of the templates that its question holds."""
        return self

    def asked(self, due: str | None) -> Mapping[str, Any]:
        """Outputs that are there from the moment it waits; `due` is its deadline."""
        return {}

    def answered(self, inputs: Mapping[str, Any], by: str, at: str) -> Mapping[str, Any] | None:
        """Outputs once somebody answered."""
        return None

    def unanswered(self) -> Wanted:
        """What is rendered when the deadline passes and the flow goes on."""
        return {}

    def expired(self, inputs: Mapping[str, Any], at: str) -> Mapping[str, Any] | None:
        """Outputs once the deadline has passed."""
        return self.answered(inputs, "", at)

    def asks(self, rendered: Mapping[str, Any]) -> bool:
        """Whether anybody is asked at all."""
        return True

    def verdict(self, run: TaskRun) -> Behavior:
        """What follows when it was answered and its tasks ended well."""
        return "RESUME"


class LoopingTask(FlowableTask, ABC):
    """A flowable that runs its tasks again until a condition holds."""

    @abstractmethod
    def until(self) -> Any:
        """The condition that ends the loop."""

    @abstractmethod
    def limits(self, rendered: Mapping[str, Any]) -> LoopTerms:
        """How often and how long; ValueError says which value cannot be read."""


class ItemsTask(FlowableTask):
    """A flowable that runs its tasks for each of its items, whose number is the value of their runs."""

    def file_of(self, rendered: Mapping[str, Any]) -> str | None:
        """The file whose lines are the items, if that is what `values` names."""
        return None

    def collector(self, run: TaskRun) -> str | None:
        """The id of the task whose outputs are those of an iteration."""
        return None

    def collected(
        self, run: TaskRun, given: Mapping[int, Mapping[str, Any] | None], states: Mapping[str, int]
    ) -> Mapping[str, Any]:
        """Outputs of the whole, from those of the iterations that began, by their numbers, and how many ended how."""
        return {}

    @property
    def closing(self) -> Task | None:
        """The task at the end of each iteration that tells, as its output `breaks`, whether no further one begins."""
        return None

    @property
    def last(self) -> tuple[Task, ...]:
        """What follows the tasks of an iteration, in its order: handlers, what collects its outputs, what closes it."""
        return ()


class DirectoryTask(FlowableTask):
    """A flowable whose tasks run one after another inside one job of a worker."""


class ExecutableTask(Task, ABC):
    """A task that starts another execution and may wait for its end."""

    def wanted(self) -> Wanted:
        """What is rendered before the execution is asked for."""
        return {}

    @abstractmethod
    def call(self, rendered: Mapping[str, Any]) -> ChildCall:
        """The execution to start; ValueError says what does not fit."""

    def told(self, state: State, call: ChildCall) -> State:
        """The task's own state when the execution ended in a state; before its allowances."""
        if call.transmits_failed and state in (State.FAILED, State.KILLED, State.CANCELLED, State.WARNING):
            return State.FAILED if state is State.CANCELLED else state
        return State.SUCCESS


class BatchTask(ExecutableTask, ABC):
    """A task that starts one execution for each batch its sibling `batches_of` made."""

    @abstractmethod
    def batches_of(self) -> str:
        """The id of the task whose run holds the batches."""


class TimedTask(Task, ABC):
    """A task that only waits, without a worker."""

    def wanted(self) -> Wanted:
        """What is rendered before the wait begins."""
        return {}

    @abstractmethod
    def wait(self, rendered: Mapping[str, Any]) -> timedelta:
        """How long; ValueError says why that cannot be read."""


def enabled(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """The tasks that take part."""
    return tuple(task for task in tasks if not task.disabled) if any(task.disabled for task in tasks) else tasks


def truthy(rendered: object) -> bool:
    """Whether what an expression rendered to counts as true: all but null, "", "0", "-0" and "false"."""
    if rendered is None or rendered is False:
        return False
    return rendered is True or str(rendered) not in FALSY


def to_wait(value: Any, name: str) -> timedelta | None:
    """A duration from YAML or from a template; ValueError names the property."""
    if value is None or (isinstance(value, timedelta) and abs(value) <= LONGEST):
        return value
    if not str(value).strip():
        return None
    try:
        return parse_duration(to_iso(value) if isinstance(value, timedelta) else str(value))
    except ValueError as error:
        raise ValueError(f"`{name}`: {error}") from error


def plain(value: Any, mode: Mode) -> Any:
    """What a value without any template renders to; KeyError-free and the same as the renderer gives."""
    if mode == "text" and isinstance(value, bool):
        return "true" if value else "false"
    if mode == "text" and isinstance(value, int | float):
        return str(value)
    if mode == "list" and isinstance(value, str):
        return read_json(value)
    return value


def is_plain(value: Any, mode: Mode) -> bool:
    """Whether a value needs no rendering."""
    if mode == "list":
        return False
    return not has_template(value) and not (mode == "text" and isinstance(value, list | dict | tuple))


def compact(value: Any) -> str:
    """Text as it is, anything else as compact JSON: what `taskrun.value` holds."""
    return value if isinstance(value, str) else _compact.encode(value)


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str)
