"""What execution tasks ask of the execution itself: labels, variables, Exit, batches."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.core.execution import Execution, TaskRun
from engine.core.executor.decision import Decision
from engine.core.flow import Flow
from engine.core.outputs import joined
from engine.core.variables import flow_variables


def apply(d: Decision, run: TaskRun, effects: Mapping[str, Any]) -> None:
    """Carry out what an ended task asked for, all but `exit`."""
    if "labels" in effects:
        d.execution = labelled(d.execution, effects["labels"])
    if "variables" in effects:
        now_set = joined(flow_variables(d.flow, d.execution), effects["variables"], once=True)
        d.execution = _with_variables(d.execution, now_set)
    if "unset" in effects:
        d.execution = _with_variables(d.execution, _without(d.flow, d.execution, effects["unset"]))
    if "batches" in effects:
        now = d.run(run.id) or run
        d.put(replace(now, rendered={**now.rendered, "batches": list(effects["batches"])}))


def labelled(execution: Execution, labels: Mapping[str, Any]) -> Execution:
    """The execution with labels replaced or added; labels of the system stay as they are."""
    new = {key: str(value) for key, value in labels.items() if not key.startswith("system.")}
    kept = tuple(pair for pair in execution.labels if pair[0] not in new)
    return replace(execution, labels=(*kept, *new.items()))


def _with_variables(execution: Execution, variables: Mapping[str, Any]) -> Execution:
    return replace(execution, variables=dict(variables), rendered={**execution.rendered, "vars": True})


def _without(flow: Flow, execution: Execution, paths: Any) -> dict[str, Any]:
    variables = dict(flow_variables(flow, execution))
    for path in paths:
        _drop(variables, str(path).split("."))
    return variables


def _drop(variables: dict[str, Any], names: list[str]) -> None:
    first, *rest = names
    if not rest:
        variables.pop(first, None)
    elif isinstance(variables.get(first), Mapping):
        inner = variables[first] = dict(variables[first])
        _drop(inner, rest)
