"""Conditions of triggers: what one is, and what it may look at."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from engine.core.dates import parse_date, parse_datetime
from engine.core.execution import Execution
from engine.core.inputs.resolution import RenderFn
from engine.core.property import has_template
from engine.core.state import State
from engine.core.task import ByType, Typed
from engine.errors import ExpressionFailed

DayOfWeek = Literal["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
WEEK: tuple[DayOfWeek, ...] = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
TRIGGER_DATE = "{{ trigger.date }}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The execution a Flow trigger looks at: `outputs` of its flow, `attempts` as states for each task run."""

    namespace: str
    flow_id: str
    state: State
    labels: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Any] | None = None
    attempts: tuple[tuple[State, ...], ...] = ()

    @classmethod
    def of(cls, execution: Execution) -> "Upstream":
        """What conditions see of an execution."""
        labels: dict[str, str] = {}
        for key, value in execution.labels:
            labels.setdefault(key, value)
        return cls(
            namespace=execution.namespace,
            flow_id=execution.flow_id,
            state=execution.state,
            labels=labels,
            outputs=execution.outputs,
            attempts=tuple(tuple(a.state for a in run.attempts) for run in execution.task_runs.values()),
        )


@dataclass(frozen=True, slots=True)
class ConditionContext:
    """`render(template, extra variables, typed)`, names added for it, and the upstream execution if there is one."""

    render: RenderFn
    extra: Mapping[str, Any] = field(default_factory=dict)
    execution: Upstream | None = None

    def text(self, template: str) -> str:
        """A template as text; text without a template as it is."""
        return str(self.render(template, self.extra, False)) if has_template(template) else template

    def moment(self, template: str) -> datetime:
        """The date a template gives; a day alone is its midnight. ExpressionFailed when it is no date."""
        text = self.text(template)
        try:
            return parse_datetime(text, zoned=False)
        except ValueError:
            try:
                return datetime.combine(parse_date(text), datetime.min.time())
            except ValueError as error:
                raise ExpressionFailed(f"{template!r} gives {text!r}, which is not a date.") from error


class Condition(Typed):
    """Something a trigger demands before it starts an execution."""

    is_of_flow = True
    noun = "a condition"
    stands_in = "`conditions` of a trigger"
    id: str | None = None
    description: str | None = None

    @abstractmethod
    def holds(self, context: ConditionContext) -> bool:
        """Whether it is met; ExpressionFailed when a template in it can't be rendered."""

    @property
    def by_day(self) -> bool:
        """Whether the answer is the same for all of a day, so that a refused day can be skipped."""
        return False


class DateCondition(Condition):
    """A condition on a date, the trigger's own unless another is named."""

    date: str = TRIGGER_DATE


class DayCondition(DateCondition):
    """A condition on a day."""

    @property
    def by_day(self) -> bool:
        return self.date == TRIGGER_DATE


def is_true(text: Any) -> bool:
    """The engine's truth of a rendered value: nothing, `0`, `-0` and `false` are false."""
    rendered = "" if text is None else str(text).lower() if isinstance(text, bool) else str(text)
    return rendered not in ("", "0", "-0", "false")


AnyCondition = Annotated[Condition, ByType("AnyCondition", "a condition", lambda: Condition)]
