"""The shared conformance cases about running flows, on the executor alone (the engine runs them too, on a store)."""

from collections import Counter
from typing import Any

import pytest
import yaml

from engine.core import events as e
from engine.core.execution import Execution, TaskRun
from engine.core.executor import find_task, replayed, restarted_as, status_changed
from engine.core.inputs import resolve
from engine.core.outputs import outputs_of
from engine.core.state import State
from engine.errors import Refused
from tests.core.driver import START, Driver
from tests.shared import shared


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    loaded = yaml.safe_load(shared("conformance/engine_cases.yaml").read_text("utf-8"))
    return loaded["cases"]  # type: ignore[no-any-return]


def of_kind(cases: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    found = [case for case in cases if case["kind"] == kind]
    assert found
    return found


def values_above(execution: Execution, run: TaskRun) -> list[str]:
    values: list[str] = []
    above = execution.task_runs.get(run.parent_id or "")
    while above is not None:
        values = [above.value, *values] if above.value is not None else values
        above = execution.task_runs.get(above.parent_id or "")
    return values


def facts(execution: Execution) -> list[tuple[Any, ...]]:
    return [
        (run.task_id, run.state.value, run.value, tuple(values_above(execution, run)))
        for run in execution.task_runs.values()
    ]


class Case:
    """One case and what came of it, as texts."""

    def __init__(self, case: dict[str, Any], inputs: dict[str, Any] | None = None) -> None:
        self.case, self.driver = case, Driver()
        self.wrong: list[str] = []
        for other in case.get("other_flows", ()):
            self.driver.deploy(other)
        self.flow = self.driver.deploy(case["flow"])
        labels = tuple((case.get("execution_labels") or {}).items())
        self.id = self.driver.start(self.flow, inputs or case.get("inputs"), labels).id
        self.driver.rest()

    @property
    def execution(self) -> Execution:
        return self.driver.executions[self.id]

    def expect(self, what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            self.wrong.append(f"{self.case['id']}: {what} is {got}, not {wanted}")

    def step(self, step: dict[str, Any]) -> None:
        if "expect_state" in step:
            self.expect("state before the step", self.execution.state.value, step["expect_state"])
        if "expect_task_runs" in step:
            self.expect("count before the step", len(self.execution.task_runs), step["expect_task_runs"])
        match step["do"]:
            case "resume":
                before = self.execution
                paused = [run for run in before.task_runs.values() if run.state is State.PAUSED]
                task = find_task(self.flow, paused[0].task_id) if paused else None
                asked = getattr(task, "on_resume", ())
                given = resolve(asked, step.get("inputs") or {}, self.driver._render_input)
                if "expect_error" in step:
                    self.expect("refused", bool(given.problems) or not paused, True)
                    return
                self.driver.resume(before, given.values)
            case "kill":
                self.driver.kill(self.execution)
            case "restart":
                self.driver.post(self.id, e.RestartAsked(self.driver.now))
            case _:
                self.driver.fire_pause()
        self.driver.rest()

    def check(self) -> list[str]:
        for step in self.case.get("steps", ()):
            self.step(step)
        wanted, after = self.case["expect"], self.execution
        if "state" in wanted:
            self.expect("state", after.state.value, wanted["state"])
        if "task_run_count" in wanted:
            self.expect("count", len(after.task_runs), wanted["task_run_count"])
        if "task_runs" in wanted:
            runs = [
                (one["task"], one["state"], one.get("value"), tuple(one.get("parent_values", ())))
                for one in wanted["task_runs"]
            ]
            strict = wanted.get("order") == "strict"
            self.expect(
                "task runs", facts(after) if strict else Counter(facts(after)), runs if strict else Counter(runs)
            )
        for task_id, count in wanted.get("attempts", {}).items():
            attempts = [len(run.attempts) for run in after.task_runs.values() if run.task_id == task_id]
            self.expect(f"attempts of {task_id}", attempts[0], count)
        present = {run.task_id for run in after.task_runs.values()}
        self.expect("absent", present & set(wanted.get("task_runs_absent", ())), set())
        if "flow_outputs" in wanted:
            self.expect("outputs", after.outputs, wanted["flow_outputs"])
        for key, value in wanted.get("labels_include", {}).items():
            self.expect(f"label {key}", dict(after.labels).get(key), value.replace("<execution.id>", self.id))
        for one in wanted.get("outputs", ()):
            self.output(one)
        if "executions_of" in wanted:
            self.others(wanted["executions_of"])
        return self.wrong

    def output(self, wanted: dict[str, Any]) -> None:
        after = self.execution
        for run in after.task_runs.values():
            own = [*values_above(after, run), *([run.value] if run.value is not None else [])]
            if run.task_id == wanted["task"] and own == wanted.get("values", own):
                value: Any = run.outputs
                for key in wanted["path"].split("/"):
                    value = value[key]
                if "equals" in wanted:
                    self.expect(wanted["path"], value, wanted["equals"])
                elif "startswith" in wanted:
                    self.expect(wanted["path"], str(value)[: len(wanted["startswith"])], wanted["startswith"])
                else:
                    self.expect(wanted["path"], wanted["contains"] in value, True)
                return
        self.wrong.append(f"{self.case['id']}: no run of {wanted}")

    def others(self, wanted: dict[str, Any]) -> None:
        found = [one for one in self.driver.executions.values() if one.flow_id == wanted["flow_id"]]
        if "states" in wanted:
            self.expect("states", [one.state.value for one in found], wanted["states"])
        for key, value in wanted.get("labels_include", {}).items():
            value = value.replace("<root.execution.id>", self.id)
            self.expect(f"label {key}", dict(found[0].labels).get(key), value)
        if "task_run_count" in wanted:
            self.expect("count", len(found[0].task_runs), wanted["task_run_count"])


def test_every_run(cases):
    assert [problem for case in of_kind(cases, "run") for problem in Case(case).check()] == []


def test_every_foreach_item(cases):
    wrong: list[str] = []
    for case in of_kind(cases, "foreach_item"):
        one = Case.__new__(Case)
        one.case, one.driver, one.wrong = case, Driver(), []
        for other in case["other_flows"]:
            one.driver.deploy(other)
        uri = "kestra:///rows.txt"
        one.driver.files[uri] = "".join(f"row {number}\n" for number in range(case["file_lines"])).encode()
        one.id = one.driver.start(one.driver.deploy(case["flow"]), {"file": uri}).id
        one.driver.rest()
        wrong += one.check()
    assert wrong == []


def test_every_outputs_shape(cases):
    for case in of_kind(cases, "outputs_shape"):
        runs = {
            one["id"]: TaskRun(
                one["id"],
                one["task"],
                State.SUCCESS,
                ((State.SUCCESS, START),),
                one.get("parent"),
                one.get("value"),
                outputs=one["outputs"],
            )
            for one in case["task_runs"]
        }
        assert outputs_of(runs) == case["expect"]


def test_every_replay(cases):
    for case in of_kind(cases, "replay"):
        one = Case(case)
        old, driver = one.execution, one.driver
        task_id = case["from_task"]
        run = next((run.id for run in old.task_runs.values() if run.task_id == task_id), None)
        new = replayed(one.flow, old, "NEW", driver.now, from_task_run=run)
        wanted = case["expect"]["new_execution_at_creation"]
        one.expect("state", new.state.value, wanted["state"])
        if "history_count" in wanted:
            one.expect("history", len(new.histories), wanted["history_count"])
        one.expect("count", len(new.task_runs), wanted["task_run_count"])
        have = [{"task": run.task_id, "state": run.state.value} for run in new.task_runs.values()]
        if "task_runs" in wanted:
            one.expect("task runs", have, wanted["task_runs"])
        one.expect("included", [w for w in wanted.get("task_runs_include", ()) if w not in have], [])
        driver.executions["NEW"] = new
        driver.post("NEW", e.Started(driver.now))
        driver.rest()
        final = driver.executions["NEW"]
        one.expect("final state", final.state.value, case["expect"]["final"]["state"])
        one.expect("final count", len(final.task_runs), case["expect"]["final"]["task_run_count"])
        assert one.wrong == []


def test_restart_under_a_revision_and_changed_status(cases):
    for case in of_kind(cases, "restart_revision"):
        one = Case(case)
        new = restarted_as(one.flow, one.execution, "NEW", one.driver.now)
        assert (new.state.value, len(new.histories), len(new.task_runs)) == (
            case["expect"]["state"],
            case["expect"]["history_count"],
            case["expect"]["task_run_count"],
        )
    for case in of_kind(cases, "change_status"):
        one = Case(case)
        assert status_changed(one.execution, State(case["to"]), one.driver.now).state.value == case["expect"]["state"]
        for target in case["expect"]["refused_targets"]:
            with pytest.raises(Refused):
                status_changed(one.execution, State(target), one.driver.now)
