"""Conditions made of others, and conditions on an expression."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from engine.core.conditions import AnyCondition, Condition, ConditionContext
from engine.core.time_windows import TimeWindow


class Not(Condition):
    """None of the conditions is met."""

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

    type: Literal[
        "io.kestra.plugin.core.condition.Expression",
        "io.kestra.plugin.core.condition.ExpressionCondition",
        "io.kestra.core.models.conditions.types.ExpressionCondition",
        "io.kestra.core.models.conditions.types.VariableCondition",
    ]
    expression: str

    def holds(self, context: ConditionContext) -> bool:
        return context.text(self.expression).strip() not in ("", "false")


class MultipleCondition(Condition):
    """Several conditions, each met by some execution within a window of time; whoever keeps the window decides."""

    type: Literal[
        "io.kestra.plugin.core.condition.MultipleCondition",
        "io.kestra.core.models.conditions.types.MultipleCondition",
    ]
    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$")
    conditions: dict[str, AnyCondition] = Field(min_length=1)
    window: timedelta | None = None
    window_advance: timedelta | None = None
    time_window: TimeWindow | None = None
    reset_on_success: bool = True

    def holds(self, context: ConditionContext) -> bool:
        """Whether this one execution meets every part."""
        return all(condition.holds(context) for condition in self.conditions.values())

    def met(self, context: ConditionContext) -> frozenset[str]:
        """Names of the parts that this one execution meets."""
        return frozenset(name for name, condition in self.conditions.items() if condition.holds(context))

    @property
    def span(self) -> TimeWindow:
        """The window in which all parts must be met."""
        if self.time_window is not None:
            return self.time_window
        return TimeWindow(window=self.window, window_advance=self.window_advance)
