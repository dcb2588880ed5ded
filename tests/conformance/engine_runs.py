"""Cases that run a flow: start it, do steps, compare what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.execution import Execution, TaskRun
from engine.errors import EngineError
from engine.store import executions
from engine.store.documents import plain
from tests.conformance.engine import Trial, Unlike, expect, only, trial

RUN = ("flow", "other_flows", "inputs", "execution_labels", "steps", "expect", "file_lines")
EXPECT = (
    "state", "task_run_count", "order", "task_runs", "attempts", "task_runs_absent", "flow_outputs", "log_equals",
    "outputs", "executions_of", "labels_include", "task_runs_include", "trigger",
)  # fmt: skip
STEP = (
    "expect_state", "expect_task_runs", "do", "inputs", "expect_error", "state_after", "after_task_runs",
)  # fmt: skip


async def run(case: Mapping[str, Any]) -> None:
    """Kinds `run` and `foreach_item`."""
    only(case, "the case", RUN)
    async with trial() as t:
        for other in case.get("other_flows", ()):
            await t.deploy(other)
        await t.deploy(case["flow"])
        inputs = dict(case.get("inputs", {}))
        if "file_lines" in case:
            path = t.engine.settings.data / "file.txt"
            path.write_text("".join(f"line {n}\n" for n in range(case["file_lines"])))
            inputs["file"] = str(path)
        made = await t.start(case["flow"], inputs, case.get("execution_labels", {}))
        await t.settle(made.id)
        for step in case.get("steps", ()):
            await do(t, made.id, step)
        await compare(t, await t.settle(made.id), case["expect"])


async def do(t: Trial, execution_id: str, step: Mapping[str, Any]) -> None:
    """One step."""
    only(step, "the step", STEP)
    before = await t.settle(execution_id)
    if "expect_state" in step:
        expect("state before the step", step["expect_state"], before.state.value)
    if "expect_task_runs" in step:
        count_or_runs(before, step["expect_task_runs"], "before the step")
    what = step.get("do")
    try:
        after = await act(t, execution_id, step)
    except EngineError as error:
        wanted = step.get("expect_error")
        if wanted is None or wanted["contains"] not in str(error):
            raise Unlike(f"{what} was refused: {error}") from error
        return
    if "expect_error" in step:
        raise Unlike(f"{what} was not refused")
    if "state_after" in step:
        expect("state after the step", step["state_after"], after.state.value)
    if "after_task_runs" in step:
        count_or_runs(after, step["after_task_runs"], "after the step")


async def act(t: Trial, execution_id: str, step: Mapping[str, Any]) -> Execution:
    """Do what a step says; the execution as it was when the operation returned."""
    engine = t.engine
    match step.get("do"):
        case "resume":
            return await engine.resume(execution_id, step.get("inputs", {}), by="case")
        case "restart":
            return await engine.restart(execution_id, by="case")
        case "kill":
            return await engine.kill(execution_id, by="case")
        case "wait_delay" | "wait_timeout":
            await t.pass_pause(execution_id)
            return await engine.decider.current(execution_id)
    raise Unlike(f"the step {step.get('do')!r} is not known")


def count_or_runs(execution: Execution, wanted: Any, when: str) -> None:
    """A number of task runs, or some of them."""
    if isinstance(wanted, int):
        expect(f"task runs {when}", wanted, len(execution.task_runs))
    else:
        include(execution, wanted, when)


async def compare(t: Trial, execution: Execution, wanted: Mapping[str, Any]) -> None:  # noqa: C901, PLR0912
    """Everything a case expects of an execution that has settled."""
    only(wanted, "expect", EXPECT)
    wanted = t.known(wanted)
    if "state" in wanted and execution.state.value != wanted["state"]:
        lines = [line.message for line in await t.engine.logs(execution.id, level="WARN")]
        raise Unlike(
            f"state: expected {wanted['state']}, came {execution.state.value}; {listing(execution)}; logs {lines}"
        )
    if "task_runs" in wanted:
        runs(execution, wanted["task_runs"], wanted.get("order"))
    if "task_run_count" in wanted and len(execution.task_runs) != wanted["task_run_count"]:
        raise Unlike(
            f"task runs: expected {wanted['task_run_count']}, came {len(execution.task_runs)}: {listing(execution)}"
        )
    for task, number in wanted.get("attempts", {}).items():
        came = [len(run.attempts) for run in execution.task_runs.values() if run.task_id == task]
        if not came or any(count != number for count in came):
            raise Unlike(f"attempts of {task}: expected {number}, came {came}")
    for task in wanted.get("task_runs_absent", ()):
        if any(run.task_id == task for run in execution.task_runs.values()):
            raise Unlike(f"{task} ran")
    if "task_runs_include" in wanted:
        include(execution, wanted["task_runs_include"], "at the end")
    if "flow_outputs" in wanted:
        expect("flow outputs", wanted["flow_outputs"], plain(execution.outputs))
    if "log_equals" in wanted:
        lines = [line.message for line in await t.engine.logs(execution.id)]
        if wanted["log_equals"] not in lines:
            raise Unlike(f"no log line is {wanted['log_equals']!r}: {lines}")
    for output in wanted.get("outputs", ()):
        compare_output(execution, output)
    if "labels_include" in wanted:
        labels_include(execution, wanted["labels_include"])
    if "trigger" in wanted:
        subset("trigger", wanted["trigger"], plain(execution.origin.variables if execution.origin else {}))
    if "executions_of" in wanted:
        await compare_executions(t, wanted["executions_of"])


def runs(execution: Execution, wanted: Sequence[Mapping[str, Any]], order: str | None) -> None:
    """All task runs of an execution: strictly in order, or as a multiset."""
    for entry in wanted:
        only(entry, "task_runs", ("task", "state", "value", "parent_values", "attempts"))
    came = [shape(execution, run, entry_for(execution, run, wanted)) for run in execution.task_runs.values()]
    asked = [{"value": None, "parent_values": []} | dict(entry) for entry in wanted]
    if order == "strict":
        if came != asked:
            raise Unlike(f"task runs: expected {[brief(e) for e in asked]}, came {[brief(e) for e in came]}")
    elif Counter(map(key_of, came)) != Counter(map(key_of, asked)):
        raise Unlike(f"task runs (any order): expected {[brief(e) for e in asked]}, came {[brief(e) for e in came]}")


def entry_for(execution: Execution, run: TaskRun, wanted: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """An expected entry about the same task, to know which optional fields it names."""
    return next((entry for entry in wanted if entry.get("task") == run.task_id), {})


def shape(execution: Execution, run: TaskRun, like: Mapping[str, Any]) -> dict[str, Any]:
    """A task run as cases write it."""
    entry: dict[str, Any] = {
        "value": run.value,
        "parent_values": parent_values(execution, run),
        "task": run.task_id,
        "state": run.state.value,
    }
    if "attempts" in like:
        entry["attempts"] = len(run.attempts)
    return entry


def parent_values(execution: Execution, run: TaskRun) -> list[str]:
    """Values of the ancestors that have one, outermost first."""
    values = []
    above = execution.task_runs.get(run.parent_id or "")
    while above is not None:
        if above.value is not None:
            values.append(above.value)
        above = execution.task_runs.get(above.parent_id or "")
    return values[::-1]


def key_of(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """A hashable form of a task run."""
    return tuple(sorted((key, str(value)) for key, value in entry.items()))


def brief(entry: Mapping[str, Any]) -> str:
    """A task run in few characters."""
    value = "" if entry.get("value") is None else f"[{entry['value']}]"
    above = "".join(f"{one}>" for one in entry.get("parent_values", ()))
    return f"{above}{entry['task']}{value}={entry['state']}"


def listing(execution: Execution) -> list[str]:
    """The task runs of an execution in few characters."""
    return [brief(shape(execution, run, {})) for run in execution.task_runs.values()]


def include(execution: Execution, wanted: Sequence[Mapping[str, Any]], when: str) -> None:
    """Task runs that must be there."""
    came = [shape(execution, run, {"attempts": 0}) for run in execution.task_runs.values()]
    for entry in wanted:
        if not any(all(one.get(key) == value for key, value in entry.items()) for one in came):
            raise Unlike(f"no task run {brief(entry)} {when}: {listing(execution)}")


def compare_output(execution: Execution, wanted: Mapping[str, Any]) -> None:
    """One output of one task run."""
    only(wanted, "outputs", ("task", "values", "path", "equals", "startswith", "contains"))
    for run in execution.task_runs.values():
        values = [*parent_values(execution, run), *([] if run.value is None else [run.value])]
        if run.task_id != wanted["task"] or ("values" in wanted and values != wanted["values"]):
            continue
        came: Any = plain(run.outputs)
        for step in str(wanted["path"]).split("/") if wanted.get("path") else ():
            try:
                came = came[int(step)] if isinstance(came, list) else came[step]
            except (KeyError, IndexError, TypeError, ValueError):
                raise Unlike(f"output {wanted['task']}/{wanted['path']} is not there: {plain(run.outputs)}") from None
        if "equals" in wanted:
            expect(f"output {wanted['task']}/{wanted.get('path')}", wanted["equals"], came)
        if "startswith" in wanted and not str(came).startswith(wanted["startswith"]):
            raise Unlike(f"output {wanted['task']}: {came!r} does not start with {wanted['startswith']!r}")
        if "contains" in wanted and wanted["contains"] not in (
            came if isinstance(came, str | list | dict) else str(came)
        ):
            raise Unlike(f"output {wanted['task']}: {came!r} does not contain {wanted['contains']!r}")
        return
    raise Unlike(f"there is no task run {wanted['task']} with values {wanted.get('values')}: {listing(execution)}")


def labels_include(execution: Execution, wanted: Mapping[str, Any]) -> None:
    """Labels that must be there; of equal keys the first counts."""
    came: dict[str, str] = {}
    for key, value in execution.labels:
        came.setdefault(key, value)
    subset("labels", {key: str(value) for key, value in wanted.items()}, came)


def subset(what: str, wanted: Mapping[str, Any], came: Mapping[str, Any]) -> None:
    """Entries that must be there."""
    for key, value in wanted.items():
        if key not in came or came[key] != value:
            raise Unlike(f"{what}: expected {key} = {value!r}, came {dict(came)!r}")


async def all_of(t: Trial, flow_id: str) -> list[Execution]:
    """All executions of a flow in order of creation."""
    sealer = t.engine.sealer
    return await t.engine.database.read(
        lambda c: executions.find(c, sealer, flow_id=flow_id, limit=1000, oldest_first=True)
    )


async def compare_executions(t: Trial, wanted: Mapping[str, Any]) -> None:
    """All executions of a flow."""
    only(wanted, "executions_of", ("flow_id", "states", "task_run_count", "labels_include"))
    found = await all_of(t, wanted["flow_id"])
    if "states" in wanted:
        expect(f"states of {wanted['flow_id']}", wanted["states"], [one.state.value for one in found])
    if not found:
        raise Unlike(f"no execution of {wanted['flow_id']}")
    if "task_run_count" in wanted:
        expect(f"task runs of {wanted['flow_id']}", wanted["task_run_count"], len(found[0].task_runs))
    if "labels_include" in wanted:
        labels_include(found[0], wanted["labels_include"])
