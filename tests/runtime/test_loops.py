"""The Loop of newer flows, on a real engine."""

import json

import pytest

from engine.core.state import State
from engine.errors import FlowInvalid


def runs(execution, task_id):
    return [run for run in execution.task_runs.values() if run.task_id == task_id]


def said(execution, task_id):
    return [run.outputs["value"] for run in runs(execution, task_id)]


def loop(values, tasks, more=""):
    return f"""
tasks:
  - id: loop
    type: io.kestra.plugin.core.flow.Loop
    values: {values}
{more}    tasks:
{tasks}"""


SAY = """
      - id: say
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.index }}:{{ item.value }}"
"""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("[a, b, a]", ["0:a", "1:b", "2:a"]),
        ("[1, true, {x: 1}]", ["0:1", "1:true", '2:{"x":1}']),
        ("'[\"a\", 2]'", ["0:a", "1:2"]),
        ('"{{ range(1, 3) }}"', ["0:1", "1:2", "2:3"]),
        ("\"{{ ['x', 'y'] }}\"", ["0:x", "1:y"]),
        ("[]", []),
    ],
)
async def test_what_it_goes_through(deploy, run, values, expected):
    await deploy(loop(values, SAY, "    concurrencyLimit: 1\n"))
    done = await run()
    assert done.state is State.SUCCESS
    assert said(done, "say") == expected
    ended = {"SUCCESS": len(expected)} if expected else {}
    assert runs(done, "loop")[0].outputs == {
        "iterationCount": len(expected),
        "runningIterations": 0,
        "terminatedIterations": ended,
    }


async def test_a_map_has_keys(deploy, run):
    say = SAY.replace("item.index", "item.key")
    await deploy(loop("{north: 1, south: {deep: 2}}", say))
    assert sorted(said(await run(), "say")) == ["north:1", 'south:{"deep":2}']


async def test_the_lines_of_a_file_are_items_and_no_templates(deploy, run):
    source = """
tasks:
  - id: file
    type: io.kestra.plugin.core.storage.Write
    content: "{% raw %}one\\n\\n{{ secret('X') }}\\n{% endraw %}"
"""
    text = loop('"{{ outputs.file.uri }}"', SAY, "    concurrencyLimit: 1\n").replace("tasks:\n", "", 1).lstrip("\n")
    await deploy(source + text)
    assert said(await run(), "say") == ["0:one", "1:{{ secret('X') }}"]


@pytest.mark.parametrize("values", ["'nothing'", '"{{ 5 }}"', "[a, null]"])
async def test_values_that_are_none(deploy, run, values, engine):
    await deploy(loop(values, SAY))
    done = await run()
    assert done.state is State.FAILED
    assert runs(done, "say") == []
    assert any("values" in line.message for line in await engine.logs(done.id, level="ERROR"))


async def test_each_iteration_sees_its_own_outputs_and_hands_on_what_it_declares(deploy, run):
    tasks = """
      - id: made
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}!"
      - id: inner
        type: io.kestra.plugin.core.flow.If
        condition: "{{ item.value == 'b' }}"
        then:
          - id: deep
            type: io.kestra.plugin.core.debug.Return
            format: "{{ outputs.made.value }} {{ outputs.before.value }} {{ item.value }}"
"""
    more = """    outputs:
      - {id: label, type: STRING, value: "{{ outputs.made.value }}"}
      - {id: length, type: INT, value: "{{ item.index }}"}
"""
    before = "tasks:\n  - {id: before, type: io.kestra.plugin.core.debug.Return, format: ahead}\n"
    after = """
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: "{{ loopOutputs(outputs.loop.outputs, 'label') }} {{ outputs.loop.outputs[1].outputs.length + 1 }}"
"""
    await deploy(before + loop("[a, b]", tasks, more).replace("\ntasks:\n", "", 1) + after)
    done = await run()
    assert done.state is State.SUCCESS
    assert said(done, "deep") == ["b! ahead b"]
    assert runs(done, "loop")[0].outputs == {
        "iterationCount": 2,
        "runningIterations": 0,
        "terminatedIterations": {"SUCCESS": 2},
        "outputs": [
            {"item": {"value": "a", "iteration": 0}, "outputs": {"label": "a!", "length": 0}},
            {"item": {"value": "b", "iteration": 1}, "outputs": {"label": "b!", "length": 1}},
        ],
    }
    assert said(done, "after") == ['["a!","b!"] 2']


async def test_what_an_iteration_need_not_hand_on_is_null_when_it_cannot_be_rendered(deploy, run):
    more = """    outputs:
      - {id: had, type: STRING, required: false, value: "{{ outputs.say.value }}"}
      - {id: lacks, type: STRING, required: false, value: "{{ outputs.never.value }}"}
"""
    await deploy(loop("[a]", SAY, more))
    done = await run()
    assert done.state is State.SUCCESS
    assert runs(done, "loop")[0].outputs["outputs"][0]["outputs"] == {"had": "0:a", "lacks": None}


async def test_loops_in_loops_know_those_around_them(deploy, run):
    tasks = """
      - id: year
        type: io.kestra.plugin.core.flow.Loop
        values: [1, 2]
        tasks:
          - id: name
            type: io.kestra.plugin.core.debug.Return
            format: "{{ item.parent.value }}{{ item.parents[0].index }}-{{ item.value }}"
          - id: again
            type: io.kestra.plugin.core.debug.Return
            format: "{{ outputs.name.value }}"
"""
    await deploy(loop("[x, y]", tasks))
    done = await run()
    assert sorted(said(done, "again")) == ["x0-1", "x0-2", "y1-1", "y1-2"]


async def test_what_reads_the_same_iteration_does_so_inside_a_loop_too(deploy, run):
    tasks = """
      - id: make
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}"
      - id: same
        type: io.kestra.plugin.core.debug.Return
        format: "{{ currentEachOutput(outputs.make).value }} {{ taskrun.value ?? 'none' }} {{ parents | length }}"
      - id: each
        type: io.kestra.plugin.core.flow.ForEach
        values: [p, q]
        tasks:
          - id: inner
            type: io.kestra.plugin.core.debug.Return
            format: "{{ item.value }}{{ taskrun.value }}"
          - id: read
            type: io.kestra.plugin.core.debug.Return
            format: "{{ currentEachOutput(outputs.inner).value }}"
"""
    await deploy(loop("[x, y]", tasks))
    done = await run()
    assert done.state is State.SUCCESS
    assert sorted(said(done, "same")) == ["x none 0", "y none 0"]
    assert sorted(said(done, "read")) == ["xp", "xq", "yp", "yq"]


@pytest.mark.parametrize("around", ["ForEach", "Loop"])
async def test_batches_of_a_file_are_merged_in_each_iteration(deploy, run, engine, around):
    await deploy(
        """
inputs: [{id: n, type: INT}]
tasks: [{id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.n }}"}]
outputs: [{id: n, type: INT, value: "{{ inputs.n }}"}]
""",
        "child",
    )
    tasks = """
      - id: both
        type: io.kestra.plugin.core.flow.Sequential
        tasks:
          - id: file
            type: io.kestra.plugin.core.storage.Write
            content: "1\\n2\\n"
          - id: items
            type: io.kestra.plugin.core.flow.ForEachItem
            items: "{{ FILE.uri }}"
            namespace: company.team
            flowId: child
            inputs: {n: "{{ taskrun.iteration }}"}
      - id: read
        type: io.kestra.plugin.core.debug.Return
        format: "{{ read(MERGED.subflowOutputs) }}"
"""
    for name, task in (("FILE", "file"), ("MERGED", "items_merge")):
        tasks = tasks.replace(name, f"currentEachOutput(outputs.{task})")
    await deploy(loop("[x, y]", tasks).replace("flow.Loop", f"flow.{around}"))
    done = await run()
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id, level="ERROR")]
    assert said(done, "read") == ['{"n": 0}\n{"n": 1}\n'] * 2


async def test_how_many_iterations_ended_how(deploy, run):
    """Of six items one is cut short by the end of the loop, and what runs on behind a failure is none of it."""
    tasks = """
      - id: kind
        type: io.kestra.plugin.core.flow.Switch
        value: "{{ item.value }}"
        cases:
          fails:
            - {id: boom, type: io.kestra.plugin.core.execution.Fail}
          warns:
            - {id: soft, type: io.kestra.plugin.core.execution.Fail, allowFailure: true}
        defaults:
          - {id: fine, type: io.kestra.plugin.core.debug.Return, format: fine}
"""
    more = "    concurrencyLimit: 1\n    transmitFailed: false\n    breakWhen: \"{{ item.value == 'last' }}\"\n"
    read = """
  - id: told
    type: io.kestra.plugin.core.debug.Return
    format: "{{ outputs.loop.terminatedIterations }}"
"""
    await deploy(loop("[ok, fails, warns, fails, last, never]", tasks, more) + read)
    done = await run()
    assert done.state is State.SUCCESS
    counts = {"FAILED": 2, "SUCCESS": 2, "WARNING": 1}
    given = runs(done, "loop")[0].outputs
    assert given == {"iterationCount": 6, "runningIterations": 0, "terminatedIterations": counts}
    assert json.loads(said(done, "told")[0]) == counts


@pytest.mark.parametrize(
    ("limit", "transmit", "state"),
    [(0, "true", State.FAILED), (0, "false", State.SUCCESS), (1, "false", State.SUCCESS)],
)
async def test_the_failure_of_one_item_does_not_stop_the_others(deploy, run, limit, transmit, state):
    tasks = """
      - id: check
        type: io.kestra.plugin.core.execution.Fail
        condition: "{{ item.value == 'b' }}"
      - id: then
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}"
"""
    more = f"    concurrencyLimit: {limit}\n    transmitFailed: {transmit}\n"
    more += '    outputs: [{id: x, value: "{{ outputs.then.value }}"}]\n'
    await deploy(loop("[a, b, c]", tasks, more))
    done = await run()
    assert done.state is state
    assert said(done, "then") == ["a", "c"]
    assert [one["outputs"] for one in runs(done, "loop")[0].outputs["outputs"]] == [{"x": "a"}, {}, {"x": "c"}]


async def test_no_further_item_begins_after_one_that_failed_until_it_is_restarted(deploy, run, engine):
    """An item that a limit keeps waiting; what has begun goes on, and its handlers run before the loop has failed."""
    tasks = """
      - id: check
        type: io.kestra.plugin.core.execution.Fail
        condition: "{{ item.value == 'b' and taskrun.attemptsCount == 0 }}"
      - id: then
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}"
    errors:
      - {id: alarm, type: io.kestra.plugin.core.debug.Return, format: "{{ item.value }}!"}
"""
    await deploy(loop("[a, b, c, d]", tasks, "    concurrencyLimit: 1\n"))
    done = await run()
    assert (done.state, said(done, "then"), said(done, "alarm")) == (State.FAILED, ["a"], ["b!"])
    (whole,) = runs(done, "loop")
    assert (whole.outputs["iterationCount"], whole.outputs["terminatedIterations"]) == (4, {"SUCCESS": 1, "FAILED": 1})
    await engine.restart(done.id, by="local:ann")
    again = await engine.wait(done.id, until="ended_or_paused", timeout=20)
    assert (again.state, sorted(said(again, "then"))) == (State.SUCCESS, ["a", "b", "c", "d"])


async def test_a_hundred_items_a_few_at_once(deploy, run):
    await deploy(loop('"{{ range(1, 100) }}"', SAY, "    concurrencyLimit: 7\n"))
    done = await run()
    assert len(said(done, "say")) == 100


STORED = """    outputs:
      - {id: label, type: STRING, value: "{{ outputs.say.value }}"}
      - {id: day, type: DATE, value: "2026-03-0{{ item.index + 1 }}"}
"""
READ = """
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: "{{ read(outputs.loop.outputs[1].outputs.uri) }}"
"""
FILE = """
tasks:
  - id: file
    type: io.kestra.plugin.core.storage.Write
    content: "x\\ny\\n"
"""


async def test_outputs_of_iterations_may_be_files(deploy, run):
    await deploy(loop("[x, y]", SAY, "    fetchType: STORE\n" + STORED) + READ)
    done = await run()
    assert said(done, "after") == ['{"label": "1:y", "day": "2026-03-02"}']
    (first, _) = runs(done, "loop")[0].outputs["outputs"]
    assert first["item"] == {"value": "x", "iteration": 0}
    assert list(first["outputs"]) == ["uri"]


@pytest.mark.parametrize("kind", ["AUTO", "FETCH"])
async def test_the_items_of_a_file_give_files_unless_told_otherwise(deploy, run, kind):
    tail = (
        loop('"{{ outputs.file.uri }}"', SAY, f"    fetchType: {kind}\n{STORED}")
        .replace("tasks:\n", "", 1)
        .lstrip("\n")
    )
    await deploy(FILE + tail)
    entries = runs(await run(), "loop")[0].outputs["outputs"]
    assert [sorted(one["outputs"]) for one in entries] == [["uri"] if kind == "AUTO" else ["day", "label"]] * 2


async def test_a_template_that_gives_a_list_gives_outputs_at_hand(deploy, run):
    await deploy(loop('"{{ range(1, 2) }}"', SAY, STORED))
    entries = runs(await run(), "loop")[0].outputs["outputs"]
    assert [one["outputs"]["label"] for one in entries] == ["0:1", "1:2"]


async def test_a_secret_that_an_iteration_hands_on_is_seen_by_nobody(engine, deploy, run):
    await deploy(
        loop("[abc]", SAY, '    outputs: [{id: word, type: SECRET, value: "{{ outputs.say.value }}-sesame"}]\n')
    )
    entries = runs(await engine.execution((await run()).id), "loop")[0].outputs["outputs"]
    assert [one["outputs"] for one in entries] == [{"word": "**masked****"}]


async def test_a_secret_is_written_to_no_file(deploy):
    with pytest.raises(FlowInvalid, match="a SECRET can't be among them"):
        await deploy(loop("[a]", SAY, "    fetchType: STORE\n    outputs: [{id: s, type: SECRET, value: x}]\n"))


COUNT = """
      - id: check
        type: io.kestra.plugin.core.execution.Fail
        condition: "{{ item.value == 'bad' }}"
      - id: size
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value | length }}"
"""
SIZES = '    outputs: [{id: size, type: INT, value: "{{ outputs.size.value }}"}]\n'


@pytest.mark.parametrize(
    ("values", "condition", "begun", "state"),
    [
        ("[a, bb, ccc, dddd]", "{{ iteration.outputs.size >= 2 }}", ["a", "bb"], State.SUCCESS),
        ("[a, bb, ccc]", "{{ item.value == 'bb' }}", ["a", "bb"], State.SUCCESS),
        ("[a, bb, ccc]", "{{ item.index == 9 }}", ["a", "bb", "ccc"], State.SUCCESS),
        ("[a, bad, ccc]", "{{ iteration.state == 'FAILED' }}", ["a", "bad"], State.FAILED),
        ("[a, bad, ccc]", "{{ iteration.state == 'SUCCESS' and item.index > 0 }}", ["a", "bad"], State.FAILED),
        ("[a, bb]", "{{ iteration.executionId == execution.id and outputs.size.value == '1' }}", ["a"], State.SUCCESS),
        ("[a, bb]", "true", ["a"], State.SUCCESS),
        ("[]", "true", [], State.SUCCESS),
    ],
)
async def test_a_loop_ends_early(deploy, run, values, condition, begun, state):
    await deploy(loop(values, COUNT, f'    concurrencyLimit: 1\n    breakWhen: "{condition}"\n{SIZES}'))
    done = await run()
    assert done.state is state
    (whole,) = runs(done, "loop")
    assert [one["item"]["value"] for one in whole.outputs["outputs"]] == begun
    assert len(runs(done, "check")) == len(begun)


async def test_what_is_under_way_when_a_loop_ends_early_goes_on(deploy, run):
    tasks = """
      - id: nap
        type: io.kestra.plugin.core.flow.Sleep
        duration: "PT0.{{ item.value }}S"
      - id: say
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}"
"""
    await deploy(loop("['30', '01', '02']", tasks, '    concurrencyLimit: 2\n    breakWhen: "true"\n'))
    assert sorted(said(await run(), "say")) == ["01", "30"]


async def test_a_condition_that_cannot_be_read_fails_its_iteration_and_says_so(deploy, run, engine):
    await deploy(loop("[a]", SAY, '    concurrencyLimit: 1\n    breakWhen: "{{ nothing.here }}"\n'))
    done = await run()
    assert done.state is State.FAILED
    assert any("nothing" in line.message for line in await engine.logs(done.id, level="ERROR"))


async def test_a_loop_that_ended_early_is_looked_at_again_after_a_restart(deploy, run, engine):
    tasks = """
      - id: check
        type: io.kestra.plugin.core.execution.Fail
        condition: "{{ item.value == 'b' and taskrun.attemptsCount == 0 }}"
      - id: say
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}"
"""
    broken = """    concurrencyLimit: 1
    breakWhen: "{{ iteration.state == 'FAILED' or item.value == 'c' }}"
"""
    await deploy(loop("[a, b, c, d]", tasks, broken))
    done = await run()
    assert (done.state, said(done, "say")) == (State.FAILED, ["a"])
    await engine.restart(done.id, by="local:ann")
    again = await engine.wait(done.id, until="ended_or_paused", timeout=20)
    assert (again.state, sorted(said(again, "say"))) == (State.SUCCESS, ["a", "b", "c"])


async def test_values_that_are_nested_too_deeply_fail_the_loop(engine, deploy, run):
    await deploy(
        """
inputs: [{id: given, type: STRING}]
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{ inputs.given }}"
    tasks: [{id: one, type: io.kestra.plugin.core.log.Log, message: x}]
"""
    )
    done = await run(inputs={"given": "[" * 50_000 + "]" * 50_000})
    assert done.state is State.FAILED
    assert any("Expected a JSON list" in line.message for line in await engine.logs(done.id))
