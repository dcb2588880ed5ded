"""What expressions see, and the mapping of task runs it is read from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.execution import Execution, Origin, TaskRun, TaskRuns
from engine.core.outputs import outputs_of, settled, states_of
from engine.core.state import State
from engine.core.variables import labels_map, variables
from tests.core.driver import START, Driver, run_of
from tests.core.flows import each, flow, log, ret, sequential, task


def run(number: int, task_id: str = "t", parent: int | None = None, value: str | None = None, **outputs) -> TaskRun:
    return TaskRun(
        f"X.{number}",
        task_id,
        State.SUCCESS,
        ((State.SUCCESS, START),),
        f"X.{parent}" if parent else None,
        value,
        outputs=outputs or None,
    )


def seen(*tasks, **more) -> str:
    """What the task `z` of a flow rendered."""
    execution = Driver().run(flow(*tasks, **more))
    return next(r.outputs["value"] for r in execution.task_runs.values() if r.task_id == "z")


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.lists(st.integers(1, 400), max_size=4)),
            st.tuples(st.just("remove"), st.lists(st.integers(1, 400), max_size=4)),
        ),
        max_size=12,
    )
)
def test_task_runs_are_a_dict_that_never_changes(steps):
    runs, model, versions = TaskRuns(), {}, []
    for turn, (what, numbers) in enumerate(steps):
        older, old_model = runs, dict(model)
        if what == "put":
            new = [run(number, f"t{turn}") for number in dict.fromkeys(numbers)]
            runs = runs.changed(new)
            model |= {one.id: one for one in new}
        else:
            gone = {f"X.{number}" for number in numbers} & model.keys()
            runs = runs.changed((), gone)
            model = {key: one for key, one in model.items() if key not in gone}
        changed, removed = runs.changed_since(older)
        assert {one.id: one for one in changed} == {k: v for k, v in model.items() if old_model.get(k) is not v}
        assert set(removed) == old_model.keys() - model.keys()
        versions.append((runs, dict(model)))
    for version, wanted in versions:
        assert dict(version) == wanted
        assert len(version) == len(wanted)
        assert list(version) == sorted(wanted, key=lambda key: int(key[2:]))


def test_an_id_of_another_execution_is_not_found():
    runs = TaskRuns([run(1)])
    assert "Y.1" not in runs
    assert "X.1" in runs
    assert runs.get("nonsense") is None


def test_two_futures_of_one_version_do_not_see_each_other():
    base = TaskRuns([run(1, "each"), run(2, "a", 1, "v", x=1)])
    left = base.changed([run(3, "left", 1, "v", x=2)])
    right = base.changed([run(3, "right", 1, "v", x=3)])
    assert settled(outputs_of(left)) == {"a": {"v": {"x": 1}}, "left": {"v": {"x": 2}}}
    assert settled(outputs_of(right)) == {"a": {"v": {"x": 1}}, "right": {"v": {"x": 3}}}
    assert settled(outputs_of(base)) == {"a": {"v": {"x": 1}}}


def test_outputs_of_runs_that_are_gone_are_gone():
    runs = TaskRuns([run(1, "each"), run(2, "a", 1, "v", x=1), run(3, "a", 1, "w", x=2)])
    assert settled(outputs_of(runs)) == {"a": {"v": {"x": 1}, "w": {"x": 2}}}
    fewer = runs.changed((), ["X.2"])
    assert settled(outputs_of(fewer)) == {"a": {"w": {"x": 2}}}
    assert "v" not in outputs_of(fewer)["a"]
    assert not outputs_of(runs.changed((), ["X.2", "X.3"]))


def test_lists_of_two_runs_at_one_path_are_joined():
    runs = TaskRuns(
        [run(1, "p"), run(2, "p2"), run(3, "t", 1, None, rows=[1], one="a"), run(4, "t", 2, None, rows=[2])]
    )
    assert outputs_of(runs)["t"] == {"rows": [1, 2], "one": "a"}


def test_states_nest_by_value():
    runs = TaskRuns([run(1, "each"), run(2, "a", 1, "v")])
    assert settled(states_of(runs)) == {"each": {"state": "SUCCESS"}, "a": {"v": {"state": "SUCCESS"}}}


def test_outputs_read_in_a_loop():
    inner = [ret("r", "{{ taskrun.value }}!"), ret("z", "{{ outputs.r[taskrun.value].value }} {{ taskrun.iteration }}")]
    assert seen(each("e", ["v"], *inner)) == "v! 0"
    inside = sequential(
        "s", ret("r", "in"), ret("z", "{{ outputs.r[parent.taskrun.value].value }} {{ parents | length }}")
    )
    assert seen(each("e", ["v"], inside)) == "in 1"


@pytest.mark.parametrize("call", ["parentOutput()", "parentOutput(0)"])
def test_parent_output_is_what_the_task_around_gave(call):
    asks = ret("z", f"{{{{ {call} }}}}")
    source = flow(task("flow.If", "i", condition="true", then=[each("e", ["a"], asks)]))
    assert run_of(Driver().run(source), "z", "a").outputs["value"] == '{"evaluationResult":true}'


def test_parents_leave_out_those_without_value_and_outputs():
    source = task("flow.If", "i", condition="true", then=[ret("z", "{{ parents | length }} {{ parent.outputs }}")])
    assert seen(sequential("s", source)) == '1 {"evaluationResult":true}'


def test_labels_nest_and_the_first_counts():
    assert labels_map([("a", "1"), ("a", "2"), ("system.correlationId", "x"), ("a.b", "3")]) == {
        "a": "1",
        "system": {"correlationId": "x"},
    }


def test_a_schedule_is_seen_twice():
    flow_ = Driver().deploy(flow(log("a")))
    origin = Origin("daily", "io.kestra.plugin.core.trigger.Schedule", {"date": "2026-01-01T00:00:00Z"})
    execution = Execution("X", "tests", "f", 3, State.CREATED, ((State.CREATED, START),), origin=origin)
    names = variables(flow_, execution)
    assert names["schedule"] == names["trigger"] == {"date": "2026-01-01T00:00:00Z"}
    assert names["flow"]["revision"] == 3
    assert "taskrun" not in names


def test_what_a_task_run_sees_of_itself():
    driver = Driver()
    driver.held_tasks = {"a"}
    execution = driver.start(driver.deploy(flow(sequential("s", log("a")))))
    driver.work()
    names = driver.variables(execution.id, "X1.2")
    assert names["taskrun"] == {"id": "X1.2", "startDate": START, "attemptsCount": 0, "parentId": "X1.1"}
    assert names["task"] == {"id": "a", "type": "io.kestra.plugin.core.log.Log"}
    assert (names["execution"]["state"], names["parents"]) == ("RUNNING", [])
