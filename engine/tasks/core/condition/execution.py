"""Conditions on the execution a Flow trigger looks at."""

from typing import Literal

from pydantic import Field

from engine.core.conditions import Condition, ConditionContext, Upstream
from engine.core.labels import Labels
from engine.core.state import State
from engine.errors import ExpressionFailed

Comparison = Literal["EQUALS", "PREFIX", "SUFFIX"]


class ExecutionCondition(Condition):
    """A condition that needs an upstream execution."""

    def upstream(self, context: ConditionContext) -> Upstream:
        """The execution; ExpressionFailed when the trigger has none to look at."""
        if context.execution is None:
            name = self.type.rpartition(".")[2]
            raise ExpressionFailed(f"{name} looks at another execution.", fix="Use it in a Flow trigger only.")
        return context.execution


class ExecutionFlow(ExecutionCondition):
    """The execution is one of a given flow."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.ExecutionFlow
        namespace: company.team
        flowId: import
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.ExecutionFlow",
        "io.kestra.plugin.core.condition.ExecutionFlowCondition",
        "io.kestra.core.models.conditions.types.ExecutionFlowCondition",
        "io.kestra.plugin.core.condition.FlowCondition",
        "io.kestra.core.models.conditions.types.FlowCondition",
    ]
    namespace: str
    flow_id: str

    def holds(self, context: ConditionContext) -> bool:
        execution = self.upstream(context)
        return (execution.namespace, execution.flow_id) == (context.text(self.namespace), context.text(self.flow_id))


class ExecutionNamespace(ExecutionCondition):
    """The execution is in a namespace, or in one that starts or ends with a text."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.ExecutionNamespace
        namespace: company
        comparison: PREFIX
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.ExecutionNamespace",
        "io.kestra.plugin.core.condition.ExecutionNamespaceCondition",
        "io.kestra.core.models.conditions.types.ExecutionNamespaceCondition",
        "io.kestra.plugin.core.condition.FlowNamespaceCondition",
        "io.kestra.core.models.conditions.types.FlowNamespaceCondition",
    ]
    namespace: str
    comparison: Comparison | None = None
    prefix: bool = Field(default=False, description="Short for `comparison: PREFIX`; a `comparison` goes before it.")

    def holds(self, context: ConditionContext) -> bool:
        actual, wanted = self.upstream(context).namespace, context.text(self.namespace)
        match self.comparison or ("PREFIX" if self.prefix else "EQUALS"):
            case "PREFIX":
                return actual.startswith(wanted)
            case "SUFFIX":
                return actual.endswith(wanted)
            case _:
                return actual == wanted


class ExecutionStatus(ExecutionCondition):
    """The execution is in one of some states, and in none of others."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.ExecutionStatus
        in: [FAILED, WARNING]
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.ExecutionStatus",
        "io.kestra.plugin.core.condition.ExecutionStatusCondition",
        "io.kestra.core.models.conditions.types.ExecutionStatusCondition",
    ]
    in_: tuple[State, ...] | None = Field(default=None, alias="in")
    not_in: tuple[State, ...] | None = None

    def holds(self, context: ConditionContext) -> bool:
        state = self.upstream(context).state
        return (self.in_ is None or state in self.in_) and (self.not_in is None or state not in self.not_in)


class ExecutionLabels(ExecutionCondition):
    """The execution has all of some labels."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.ExecutionLabels
        labels:
          team: red
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.ExecutionLabels",
        "io.kestra.plugin.core.condition.ExecutionLabelsCondition",
        "io.kestra.core.models.conditions.types.ExecutionLabelsCondition",
    ]
    labels: Labels

    def holds(self, context: ConditionContext) -> bool:
        actual = self.upstream(context).labels
        return all(actual.get(key) == context.text(value) for key, value in self.labels)


class ExecutionOutputs(ExecutionCondition):
    """The execution has outputs, and an expression over `trigger.outputs` gives neither blank nor `false`."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.ExecutionOutputs
        expression: "{{ trigger.outputs.rows > 1000 }}"
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.ExecutionOutputs",
        "io.kestra.plugin.core.condition.ExecutionOutputsCondition",
        "io.kestra.core.models.conditions.types.ExecutionOutputsCondition",
    ]
    expression: str

    def holds(self, context: ConditionContext) -> bool:
        outputs = self.upstream(context).outputs
        if not outputs:
            return False
        trigger = {**context.extra.get("trigger", {}), "outputs": outputs}
        rendered = context.render(self.expression, {**context.extra, "trigger": trigger}, False)
        return str(rendered).strip() not in ("", "false")


class HasRetryAttempt(ExecutionCondition):
    """Some task was tried more than once and one of its attempts ended in one of some states."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.HasRetryAttempt
        in: [FAILED]
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.HasRetryAttempt",
        "io.kestra.plugin.core.condition.HasRetryAttemptCondition",
        "io.kestra.core.models.conditions.types.HasRetryAttemptCondition",
    ]
    in_: tuple[State, ...] | None = Field(default=None, alias="in")
    not_in: tuple[State, ...] | None = None

    def holds(self, context: ConditionContext) -> bool:
        return any(
            (self.in_ is None or state in self.in_) and (self.not_in is None or state not in self.not_in)
            for states in self.upstream(context).attempts
            if len(states) > 1
            for state in states
        )
