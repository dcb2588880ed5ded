"""Conditions made of others, and conditions on an expression."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field

from engine.core.conditions import AnyCondition, Condition, ConditionContext
from engine.core.durations import Duration
from engine.core.property import Instead
from engine.core.task import Part
from engine.core.time_windows import TimeWindow


class Not(Condition):
    """None of the conditions is met."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.Not
        conditions:
          - type: io.kestra.plugin.core.condition.Weekend
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.Not",
        "io.kestra.plugin.core.condition.NotCondition",
        "io.kestra.core.models.conditions.types.NotCondition",
    ]
    conditions: tuple[AnyCondition, ...] = Field(min_length=1)

    def holds(self, context: ConditionContext) -> bool:
        return not any(condition.holds(context) for condition in self.conditions)

    @property
    def by_day(self) -> bool:
        return all(condition.by_day for condition in self.conditions)


class Or(Condition):
    """At least one of the conditions is met."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.Or
        conditions:
          - type: io.kestra.plugin.core.condition.Weekend
          - type: io.kestra.plugin.core.condition.PublicHoliday
            country: FR
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.Or",
        "io.kestra.plugin.core.condition.OrCondition",
        "io.kestra.core.models.conditions.types.OrCondition",
    ]
    conditions: tuple[AnyCondition, ...] = Field(min_length=1)

    def holds(self, context: ConditionContext) -> bool:
        return any(condition.holds(context) for condition in self.conditions)

    @property
    def by_day(self) -> bool:
        return all(condition.by_day for condition in self.conditions)


class Expression(Condition):
    """A {{ template }} that gives neither blank nor `false`. (`0` counts as met here, unlike in tasks.)"""

    examples = (
        """
        type: io.kestra.plugin.core.condition.Expression
        expression: "{{ trigger.body.action == 'opened' }}"
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.Expression",
        "io.kestra.plugin.core.condition.ExpressionCondition",
        "io.kestra.plugin.core.condition.VariableCondition",
        "io.kestra.core.models.conditions.types.ExpressionCondition",
        "io.kestra.core.models.conditions.types.VariableCondition",
    ]
    expression: str

    def holds(self, context: ConditionContext) -> bool:
        return context.text(self.expression).strip() not in ("", "false")


class Parts(Part):
    """Several conditions, each met by some execution within a window of time."""

    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$")
    conditions: dict[str, AnyCondition] = Field(min_length=1)
    window: Annotated[Duration | None, Instead("timeWindow.window")] = None
    window_advance: Annotated[Duration | None, Instead("timeWindow.windowAdvance")] = None
    time_window: TimeWindow | None = Field(
        default=None, validation_alias=AliasChoices("timeWindow", "timeSLA", "sla", "time_window")
    )
    reset_on_success: bool = True

    def met(self, context: ConditionContext) -> frozenset[str]:
        """Names of the parts that this one execution meets."""
        return frozenset(name for name, condition in self.conditions.items() if condition.holds(context))

    @property
    def span(self) -> TimeWindow:
        """The window in which all parts must be met."""
        if self.time_window is not None:
            return self.time_window
        return TimeWindow(window=self.window, window_advance=self.window_advance)


class MultipleCondition(Parts, Condition):
    """Several conditions, each met by some execution within a window of time; whoever keeps the window decides."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.MultipleCondition
        id: both
        timeWindow:
          window: PT12H
        conditions:
          orders:
            type: io.kestra.plugin.core.condition.ExecutionFlow
            namespace: company.team
            flowId: orders
          stock:
            type: io.kestra.plugin.core.condition.ExecutionFlow
            namespace: company.team
            flowId: stock
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.MultipleCondition",
        "io.kestra.core.models.conditions.types.MultipleCondition",
    ]

    def holds(self, context: ConditionContext) -> bool:
        """Whether this one execution meets every part."""
        return all(condition.holds(context) for condition in self.conditions.values())
