"""The trigger that other flows' executions fire."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from engine.core.conditions import ConditionContext, Upstream, is_true
from engine.core.labels import Labels
from engine.core.state import State
from engine.core.task import Part
from engine.core.time_windows import TimeWindow, Window
from engine.core.triggers import FlowPart, Trigger
from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.tasks.core.condition.combined import MultipleCondition, Parts

ENDED = tuple(state for state in State if state.is_terminal)

Operator = Literal[
    "EQUAL_TO", "NOT_EQUAL_TO", "IN", "NOT_IN", "IS_TRUE", "IS_FALSE", "IS_NULL", "IS_NOT_NULL",
    "STARTS_WITH", "ENDS_WITH", "REGEX", "CONTAINS",
]  # fmt: skip


class Filter(Part):
    """One test in `preconditions.where`."""

    field: Literal["FLOW_ID", "NAMESPACE", "STATE", "EXPRESSION", "LABEL"] = Field(
        description="A LABEL is written `key:value`, or `key` alone to ask whether there is one."
    )
    type: Operator
    value: str | bool | None = None
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _pattern_compiles(self) -> "Filter":
        if self.type == "REGEX":
            try:
                regexes.compiled(str(self.value))
            except ExpressionFailed as error:
                raise ValueError(f"invalid pattern [{self.value}]: {error.message}") from error
        return self

    def holds(self, execution: Upstream, context: ConditionContext) -> bool:
        """Whether an execution passes the test."""
        if self.field == "EXPRESSION":
            template = str(self.value or "")
            actual = context.text(template)
            if self.type in ("IS_TRUE", "IS_FALSE", "IS_NULL", "IS_NOT_NULL"):
                return _unary(self.type, actual)
            return bool(is_true(actual))
        if self.field == "LABEL":
            key = str(self.value if self.value is not None else next(iter(self.values), "")).partition(":")[0]
            there = execution.labels.get(key)
            return _compare(self.type, "" if there is None else f"{key}:{there}", str(self.value or ""), self.values)
        actual = {"FLOW_ID": execution.flow_id, "NAMESPACE": execution.namespace, "STATE": execution.state.value}[
            self.field
        ]
        return _compare(self.type, actual, "" if self.value is None else str(self.value), self.values)


class Where(Part):
    """Tests on an execution, all or any of which must pass."""

    id: str
    operand: Literal["AND", "OR"] = "AND"
    filters: tuple[Filter, ...] = Field(min_length=1)

    def holds(self, execution: Upstream, context: ConditionContext) -> bool:
        """Whether an execution passes."""
        return (all if self.operand == "AND" else any)(one.holds(execution, context) for one in self.filters)


class Preconditions(Part):
    """Which executions must have happened within a window."""

    id: str
    description: str | None = None
    flows: tuple[FlowPart, ...] = ()
    where: tuple[Where, ...] = ()
    time_window: TimeWindow = TimeWindow()
    reset_on_success: bool = True

    @field_validator("flows")
    @classmethod
    def _flows_have_namespaces(cls, flows: tuple[FlowPart, ...]) -> tuple[FlowPart, ...]:
        if any(one.namespace is None for one in flows):
            raise ValueError("`namespace` is missing: preconditions name the flows they wait for")
        return flows


class OnMiss(Part):
    """What Kestra 2.0 does when a window ends before everything was met."""

    behavior: Literal["FAIL"] = "FAIL"
    labels: Labels = ()


class Needed:
    """Parts that must be met before a Flow trigger fires, and the window for it. One part alone fires at once."""

    def __init__(self, key: str, names: tuple[str, ...], least: int, window: TimeWindow, reset: bool) -> None:
        self.key = key
        self.names = names
        self.least = least
        self.window = window
        self.reset = reset

    def enough(self, met: frozenset[str]) -> bool:
        """Whether the parts met so far suffice."""
        return len(met & set(self.names)) >= self.least


class Flow(Trigger):
    """Start an execution when executions of other flows reach a state."""

    examples = (
        """
        id: imported
        type: io.kestra.plugin.core.trigger.Flow
        preconditions:
          id: flows
          flows:
            - namespace: company.team
              flowId: import
              states: [SUCCESS]
        """,
    )
    type: Literal["io.kestra.plugin.core.trigger.Flow", "io.kestra.core.models.triggers.types.Flow"]
    states: tuple[State, ...] = Field(
        default=(*ENDED, State.PAUSED), description="What an execution must come to; by default an end or a pause."
    )
    preconditions: Preconditions | None = None
    multiple_conditions: tuple[Parts, ...] = Field(
        default=(), description="As `conditions` of the type MultipleCondition; `dependsOn` in newer flows."
    )
    depends_on: tuple[FlowPart, ...] = ()
    mode: Literal["ALL", "ANY", "AT_LEAST"] = "ALL"
    min_satisfied: int | None = Field(default=None, ge=1)
    window: Window | None = None
    on_miss: OnMiss | None = Field(default=None, description="Accepted for flows that carry it; without effect.")

    @model_validator(mode="after")
    def _mode_is_complete(self) -> "Flow":
        if self.mode != "AT_LEAST":
            return self
        if self.min_satisfied is None:
            raise ValueError("`mode: AT_LEAST` needs `minSatisfied`")
        if self.min_satisfied > (count := len(self.depends_on)):
            raise ValueError(f"`minSatisfied` is {self.min_satisfied}, but `dependsOn` has {count}: it never fires")
        return self

    def looks_at(self, upstream: Upstream, context: ConditionContext) -> bool:
        """Whether an execution in its present state concerns this trigger at all; ExpressionFailed."""
        if not self.depends_on and self.preconditions is None and upstream.state not in self.states:
            return False
        single = [one for one in self.conditions if not isinstance(one, MultipleCondition)]
        scope = _scope(upstream, context)
        if not all(condition.holds(scope) for condition in single):
            return False
        return self.when is None or is_true(scope.text(self.when) if isinstance(self.when, str) else self.when)

    def needed(self) -> tuple[Needed, ...]:
        """Groups of parts that must be met within windows; none: every execution that `looks_at` accepts fires."""
        groups = [
            Needed(one.id, tuple(one.conditions), len(one.conditions), one.span, one.reset_on_success)
            for one in self._in_parts()
        ]
        if self.preconditions is not None:
            names = tuple(
                _names(self.preconditions.flows, "flow") + [f"where:{one.id}" for one in self.preconditions.where]
            )
            window = self.preconditions.time_window
            groups.append(Needed(self.preconditions.id, names, len(names), window, self.preconditions.reset_on_success))
        if self.depends_on:
            names = tuple(_names(self.depends_on, "flow"))
            least = {"ALL": len(names), "ANY": 1, "AT_LEAST": self.min_satisfied or 1}[self.mode]
            window = self.window.as_time_window() if self.window else TimeWindow(window=timedelta(days=1))
            reset = self.window is None or self.window.fire_once
            groups.append(Needed(f"{self.id}:dependsOn", names, least, window, reset))
        return tuple(groups)

    def met(self, upstream: Upstream, context: ConditionContext) -> Mapping[str, frozenset[str]]:
        """Per group of `needed`, the parts that this one execution meets."""
        scope = _scope(upstream, context)
        found = {one.id: one.met(scope) for one in self._in_parts()}
        if self.preconditions is not None:
            names = _names(self.preconditions.flows, "flow")
            flows = {
                name
                for name, part in zip(names, self.preconditions.flows, strict=True)
                if self._matches(part, upstream, scope)
            }
            tests = {f"where:{one.id}" for one in self.preconditions.where if one.holds(upstream, scope)}
            found[self.preconditions.id] = frozenset(flows | tests)
        if self.depends_on:
            names = _names(self.depends_on, "flow")
            parts = zip(names, self.depends_on, strict=True)
            found[f"{self.id}:dependsOn"] = frozenset(
                name for name, part in parts if self._matches(part, upstream, scope)
            )
        return found

    def _in_parts(self) -> tuple[Parts, ...]:
        return (*(one for one in self.conditions if isinstance(one, MultipleCondition)), *self.multiple_conditions)

    def _matches(self, part: FlowPart, upstream: Upstream, scope: ConditionContext) -> bool:
        if part.namespace not in (None, upstream.namespace) or part.flow_id not in (None, upstream.flow_id):
            return False
        if upstream.state not in (self.states if part.states is None else part.states):
            return False
        if not all(upstream.labels.get(key) == scope.text(value) for key, value in part.labels):
            return False
        return part.when is None or is_true(scope.text(part.when) if isinstance(part.when, str) else part.when)


def _names(parts: tuple[FlowPart, ...], kind: str) -> list[str]:
    return [f"{kind}:{index}:{part.namespace or '*'}.{part.flow_id or '*'}" for index, part in enumerate(parts)]


def _scope(upstream: Upstream, context: ConditionContext) -> ConditionContext:
    """What templates of the trigger see: also the bare names by which the second version of the language asks."""
    state = upstream.state.value
    names = {
        "namespace": upstream.namespace,
        "flowId": upstream.flow_id,
        "state": state,
        "hasRetryAttempt": any(len(states) > 1 for states in upstream.attempts),
        **context.extra,
        "trigger": {**context.extra.get("trigger", {}), "executionStatus": state},
    }
    return ConditionContext(context.render, names, upstream)


def _unary(kind: str, text: str) -> bool:
    blank = text.strip() in ("", "null")
    answers = {"IS_NULL": blank, "IS_NOT_NULL": not blank, "IS_TRUE": is_true(text), "IS_FALSE": not is_true(text)}
    return answers[kind]


def _compare(kind: str, actual: str, value: str, values: tuple[str, ...]) -> bool:
    tests: dict[str, Any] = {
        "EQUAL_TO": lambda: actual == value,
        "NOT_EQUAL_TO": lambda: actual != value,
        "IN": lambda: actual in values,
        "NOT_IN": lambda: actual not in values,
        "STARTS_WITH": lambda: actual.startswith(value),
        "ENDS_WITH": lambda: actual.endswith(value),
        "REGEX": lambda: regexes.matches(actual, value),
        "CONTAINS": lambda: value in actual,
    }
    return bool(tests[kind]()) if kind in tests else _unary(kind, actual)
