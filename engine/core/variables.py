"""What an expression sees: `inputs`, `outputs`, `taskrun` and the rest."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.core.execution import Execution, TaskRun
from engine.core.flow import Flow
from engine.core.flowable import DirectoryTask
from engine.core.inputs import nest
from engine.core.outputs import outputs_of, states_of


def variables(
    flow: Flow,
    execution: Execution,
    task_run: TaskRun | None = None,
    *,
    envs: Mapping[str, str] | None = None,
    globals_: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Names and values for a task run, or for the execution as a whole."""
    runs = execution.task_runs
    names: dict[str, Any] = {
        "envs": envs or {},
        "globals": globals_ or {},
        "flow": {"id": flow.id, "namespace": flow.namespace, "revision": execution.revision, "tenantId": "main"},
        "vars": flow_variables(flow, execution),
        "execution": _execution(execution),
        "inputs": inputs_with_defaults(flow, execution.inputs),
        "outputs": outputs_of(runs),
        "tasks": states_of(runs),
        "labels": labels_map(execution.labels),
    }
    if execution.origin is not None:
        names["trigger"] = execution.origin.variables
        if execution.origin.type.endswith((".Schedule", ".ScheduleOnDates")):
            names["schedule"] = execution.origin.variables
    if task_run is not None:
        names.update(_of_task_run(flow, execution, task_run))
    return names


def inputs_with_defaults(flow: Flow, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `inputs` variable: where an execution was given nothing, the flow's default stands."""
    from engine.core.executor.plans import plan_of  # noqa: PLC0415  the executor itself needs this module

    missing = {name: value for name, value in plan_of(flow).defaults.items() if not _has(given, name)}
    return laid_over(nest(missing), given) if missing else given


def _has(inputs: Any, name: str) -> bool:
    for step in name.split("."):
        if not isinstance(inputs, Mapping) or step not in inputs:
            return False
        inputs = inputs[step]
    return True


def _execution(execution: Execution) -> dict[str, Any]:
    names: dict[str, Any] = {
        "id": execution.id,
        "startDate": execution.created,
        "originalId": execution.original_id or execution.id,
        "state": execution.state.value,
    }
    if execution.ended is not None:
        names["endDate"] = execution.ended
    if execution.outputs is not None:
        names["outputs"] = execution.outputs
    return names


def _of_task_run(flow: Flow, execution: Execution, run: TaskRun) -> dict[str, Any]:
    from engine.core.executor.plans import plan_of  # noqa: PLC0415  the executor itself needs this module
    from engine.core.loop_items import ended_iteration, index_carrier, item_variables, own_outputs  # noqa: PLC0415

    places, runs = plan_of(flow).places, execution.task_runs
    place = places.get(run.task_id)
    names: dict[str, Any] = {"taskrun": task_run_variables(run)}
    if place is not None:
        names["task"] = {"id": place.task.id, "type": place.task.type}
    parents = []
    above = runs.get(run.parent_id) if run.parent_id else None
    nearest = places.get(above.task_id) if above is not None else None
    carrier = index_carrier(runs, places, run)  # an iteration of a Loop is a world of its own: `outputs` are below it
    if run is carrier:
        names["taskrun"].pop("value", None)
    if above is not None and nearest is not None and isinstance(nearest.task, DirectoryTask):
        names["workerTaskrun"] = task_run_variables(above)
        if run.value is None and above.value is not None and above is not carrier:
            names["taskrun"]["value"] = above.value
    while above is not None and carrier is not run and above is not carrier:
        entry: dict[str, Any] = {}
        if above.value is not None:
            entry["taskrun"] = {"value": above.value}
        if above.outputs:
            entry["outputs"] = above.outputs
        if entry:
            parents.append(entry)
        above = runs.get(above.parent_id) if above.parent_id else None
    names["parents"] = parents
    if parents:
        names["parent"] = parents[0]
    item = item_variables(runs, places, run)
    if item is not None:
        names["item"] = item
        iteration = ended_iteration(runs, places, run)
        if iteration is not None:
            names["iteration"] = {"executionId": execution.id, **iteration}
        names["outputs"] = own_outputs(outputs_of(runs), runs, places, run)
    return names


def task_run_variables(run: TaskRun) -> dict[str, Any]:
    """The `taskrun` variable."""
    names: dict[str, Any] = {
        "id": run.id,
        "startDate": run.histories[0][1],
        "attemptsCount": sum(attempt.ended is not None for attempt in run.attempts),
    }
    if run.parent_id is not None:
        names["parentId"] = run.parent_id
    if run.value is not None:
        names["value"] = run.value
    if run.iteration is not None:
        names["iteration"] = run.iteration
    return names


def flow_variables(flow: Flow, execution: Execution) -> Mapping[str, Any]:
    """The `vars` variable: the flow's variables, unrendered, as SetVariables and UnsetVariables left them."""
    if execution.rendered.get("vars"):
        return execution.variables
    return laid_over(flow.variables, execution.variables) if execution.variables else flow.variables


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two maps laid over each other, maps inside them too; the second wins."""
    result = dict(base)
    for key, value in over.items():
        there = result.get(key)
        both = isinstance(there, Mapping) and isinstance(value, Mapping)
        result[key] = laid_over(result[key], value) if both else value
    return result


def labels_map(labels: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The `labels` variable: of equal keys the first, dots nest."""
    result: dict[str, Any] = {}
    for key, value in labels:
        *outer, last = key.split(".")
        inner = result
        for name in outer:
            step = inner.setdefault(name, {})
            if not isinstance(step, dict):
                break
            inner = step
        else:
            inner.setdefault(last, value)
    return result
