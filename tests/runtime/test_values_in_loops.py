"""Where `taskrun.value` is that of a task further out: what is advised is what a real engine finds there."""

import re

import pytest

from engine.core.flow_scope import Scope
from engine.core.state import State
from tests.core.language import flow, problems

EACH = "{id: ID, type: io.kestra.plugin.core.flow.ForEach, values: VALUES, tasks: [INSIDE]}"
IF = "{id: ID, type: io.kestra.plugin.core.flow.If, condition: '{{ true }}', then: [INSIDE]}"
SWITCH = "{id: ID, type: io.kestra.plugin.core.flow.Switch, value: x, cases: {x: [INSIDE]}}"
IN_TURN = "{id: ID, type: io.kestra.plugin.core.flow.Sequential, tasks: [INSIDE]}"
AT_ONCE = "{id: ID, type: io.kestra.plugin.core.flow.Parallel, tasks: [INSIDE]}"
DAG = "{id: ID, type: io.kestra.plugin.core.flow.Dag, tasks: [{task: INSIDE}]}"
DIRECTORY = "{id: ID, type: io.kestra.plugin.core.flow.WorkingDirectory, tasks: [INSIDE]}"
READS = '{id: reads, type: io.kestra.plugin.core.debug.Return, format: "{{ TEMPLATE }}"}'


def nested(template, *around):
    """A flow with one task inside of some others, the outermost first."""
    text = "INSIDE"
    for number, one in enumerate(around):
        values = f"[{number}a, {number}b]"
        text = text.replace("INSIDE", one.replace("ID", f"t{number}", 1).replace("VALUES", values))
    return f"tasks:\n  - {text.replace('INSIDE', READS.replace('TEMPLATE', template))}\n"


@pytest.mark.parametrize(
    ("around", "advice"),
    [
        ((EACH, IF), "parent.taskrun.value"),
        ((EACH, IN_TURN), "parent.taskrun.value"),
        ((EACH, DAG), "parent.taskrun.value"),
        ((EACH, IF, IF), "parents[1].taskrun.value"),
        ((EACH, IN_TURN, IF, AT_ONCE), "parents[1].taskrun.value"),
        ((EACH, AT_ONCE, IN_TURN), "parent.taskrun.value"),
        ((EACH, SWITCH, SWITCH, IF), "parents[2].taskrun.value"),
    ],
)
async def test_a_value_that_is_further_out_is_found_where_the_advice_says(deploy, run, around, advice):
    found = [(one.severity, one.code, one.suggestion) for one in problems(nested("taskrun.value", *around))]
    assert found == [("warning", "not-in-a-loop", f"Write `{advice}`.")]
    await deploy(nested(advice, *around))
    assert await values(run) == ["0a", "0b"]


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ((EACH, IF, EACH), ("parent.taskrun.value", "taskrun.value")),
        ((EACH, EACH), ("parent.taskrun.value", "taskrun.value")),
        ((EACH, EACH, IF), ("parents[1].taskrun.value", "parent.taskrun.value")),
        ((EACH, SWITCH, EACH, SWITCH), ("parents[1].taskrun.value", "parent.taskrun.value")),
        ((EACH, IF, IF, EACH), ("parents[1].taskrun.value", "taskrun.value")),
    ],
)
async def test_each_of_two_loops_has_its_value(deploy, run, around, expected):
    scope = Scope(flow(nested("1", *around)))
    place = (*scope.places["reads"], "format")
    loops = [one for one in scope.around(place) if scope.kind(one) == "ForEach"]
    assert tuple(scope.value_at(place, one) for one in loops) == expected
    await deploy(nested(" ~ '-' ~ ".join(expected), *around))
    inner = len(around) - 1 - around[::-1].index(EACH)
    assert await values(run) == [f"0{one}-{inner}{other}" for one in "ab" for other in "ab"]


@pytest.mark.parametrize(
    ("template", "around"),
    [
        ("taskrun.value", (EACH,)),
        ("taskrun.value ?? parent.taskrun.value", (EACH, IF)),
        ("taskrun.value", (EACH, IF, EACH)),
        ("taskrun.value", (EACH, DIRECTORY)),
    ],
)
def test_nothing_is_said_where_the_value_is_there_or_may_be(template, around):
    assert problems(nested(template, *around)) == []


def test_a_key_of_a_value_further_out():
    [found] = problems(nested("taskrun.value.name", EACH, IF))
    assert found.suggestion == "Write `fromJson(parent.taskrun.value).name`."


FIRST = "{id: first, type: io.kestra.plugin.core.debug.Return, format: x}"


@pytest.mark.parametrize(
    ("read", "around", "advice"),
    [
        ("outputs.first.value", (EACH, IF), "outputs.first[parent.taskrun.value].value"),
        ("outputs.first.value", (EACH, EACH), "outputs.first[parent.taskrun.value][taskrun.value].value"),
        (
            "outputs.first[taskrun.value].value",
            (EACH, EACH),
            "outputs.first[parent.taskrun.value][taskrun.value].value",
        ),
        (
            "outputs.first.value",
            (EACH, EACH, IF),
            "outputs.first[parents[1].taskrun.value][parent.taskrun.value].value",
        ),
        ("outputs.first.valu", (EACH,), "outputs.first[taskrun.value].value"),
        ("outputs.first[taskrun.value].valu", (EACH,), "outputs.first[taskrun.value].value"),
    ],
)
async def test_outputs_in_loops_are_found_by_the_advice(deploy, run, read, around, advice):
    *others, last = around
    text = nested(read, *others, last.replace("INSIDE", f"{FIRST}, INSIDE"))
    [found] = problems(text)
    assert re.findall("`(.+)`", found.suggestion) == [advice]
    await deploy(text.replace(read, advice))
    assert set(await values(run)) == {"x"}


LISTED_LATER = EACH.replace("VALUES", "'{{ labels.hosts ?? [] }}'").replace("INSIDE", f"{FIRST}, INSIDE")


@pytest.mark.parametrize(
    "read",
    [
        "outputs.first['0a'].value",
        "outputs.first['0a']",
        "outputs.first[taskrun.value]['value']",
        "outputs.first.other",
    ],
)
def test_outputs_in_a_loop_that_may_be_there_are_left_alone(read):
    assert problems(nested(read, LISTED_LATER)) == []


def test_an_output_without_the_value_of_the_loop_is_known_by_what_is_read_of_it():
    [found] = problems(nested("outputs.first.app.status", LISTED_LATER))
    assert (found.code, found.suggestion) == ("loop-output", "Each is `outputs.first[taskrun.value]`, and has value.")


def test_a_value_that_a_loop_never_runs_for():
    [found] = problems(nested("outputs.first.other", EACH.replace("INSIDE", f"{FIRST}, INSIDE")))
    assert (found.message, found.suggestion) == (
        "`t0` never runs for `other`.",
        "Write `outputs.first[taskrun.value]`.",
    )


ITEMS = EACH.replace("ForEach", "Loop")


@pytest.mark.parametrize(
    ("read", "around", "advice"),
    [
        ("taskrun.value", (ITEMS,), "item.value"),
        ("taskrun.value", (ITEMS, IF), "item.value"),
        ("taskrun.value", (EACH, ITEMS, IN_TURN), "item.value"),
        ("item.iteration", (ITEMS,), "item.index"),
    ],
)
async def test_what_a_loop_over_items_gives_is_found_by_the_advice(deploy, run, read, around, advice):
    text = nested(read, *around)
    [found] = problems(text)
    assert re.findall("`(.+)`", found.suggestion) == [advice]
    await deploy(text.replace(read, advice))
    assert len(await values(run)) == 2 ** sum(one in (EACH, ITEMS) for one in around)


@pytest.mark.parametrize(
    ("read", "around"),
    [
        ("taskrun.value", (ITEMS, EACH)),
        ("taskrun.value ?? item.value", (ITEMS,)),
        ("item.parent.value", (ITEMS, ITEMS)),
        ("item.index ~ item.value", (ITEMS, IF)),
    ],
)
def test_what_a_loop_over_items_may_give_is_left_alone(read, around):
    assert problems(nested(read, *around)) == []


def test_outputs_in_a_loop_over_items_are_not_there_behind_it():
    behind = "  - {id: last, type: io.kestra.plugin.core.debug.Return, format: '{{ outputs.%s.value }}'}\n"
    [found] = problems(nested("item.value", ITEMS) + behind % "reads")
    assert found.suggestion == "Declare it under `outputs` of `t0`, and write `loopOutputs(outputs.t0.outputs, '…')`."
    inside = ITEMS.replace("INSIDE", f"{FIRST}, INSIDE").replace(
        "tasks:", "outputs: [{id: v, type: STRING, value: '{{ outputs.first.value }}'}], tasks:"
    )
    assert problems(nested("outputs.first.value", inside)) == []


async def values(run):
    execution = await run()
    assert execution.state is State.SUCCESS
    return sorted(one.outputs["value"] for one in execution.task_runs.values() if one.task_id == "reads")
