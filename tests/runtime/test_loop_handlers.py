"""What `errors` and `finally` of a Loop do: they belong to each iteration, as its tasks do."""

import pytest

from engine.core.state import State


def said(execution, task_id):
    return [run.outputs["value"] for run in execution.task_runs.values() if run.task_id == task_id]


def states(execution, task_id):
    found = [run for run in execution.task_runs.values() if run.task_id == task_id]
    return {run.value: run.state for run in found}


def flow(values, condition, more="", finally_="{{ item.value }}:{{ outputs.first.value }}", transmits="true"):
    return f"""
tasks:
  - id: loop
    type: io.kestra.plugin.core.flow.Loop
    values: {values}
    concurrencyLimit: 1
    transmitFailed: {transmits}
{more}    tasks:
      - id: first
        type: io.kestra.plugin.core.debug.Return
        format: "did {{{{ item.value }}}}"
      - id: check
        type: io.kestra.plugin.core.execution.Fail
        condition: "{condition}"
      - id: second
        type: io.kestra.plugin.core.debug.Return
        format: "{{{{ item.value }}}}"
    errors:
      - id: alarm
        type: io.kestra.plugin.core.debug.Return
        format: "{{{{ item.index }}}}:{{{{ item.value }}}}:{{{{ outputs.first.value }}}}"
      - id: after_alarm
        type: io.kestra.plugin.core.debug.Return
        format: "{{{{ outputs.alarm.value }}}}!"
    finally:
      - id: tidy
        type: io.kestra.plugin.core.debug.Return
        format: "{finally_}"
"""


BAD = "{{ item.value == 'b' or item.value == 'd' }}"
OUTPUTS = '    outputs: [{id: x, value: "{{ outputs.second.value }}"}]\n'


@pytest.mark.parametrize(
    ("limit", "transmits", "state"),
    [("", "true", State.FAILED), ("    concurrencyLimit: 2\n", "false", State.SUCCESS)],
)
async def test_handlers_run_in_each_iteration_and_see_its_item_and_outputs(deploy, run, limit, transmits, state):
    source = flow("[a, b, c, d]", BAD, OUTPUTS, transmits=transmits)
    await deploy(source.replace("    concurrencyLimit: 1\n", limit))
    done = await run()
    assert done.state is state
    assert sorted(said(done, "second")) == ["a", "c"]
    assert sorted(said(done, "alarm")) == ["1:b:did b", "3:d:did d"]
    assert sorted(said(done, "after_alarm")) == ["1:b:did b!", "3:d:did d!"]
    assert sorted(said(done, "tidy")) == [f"{one}:did {one}" for one in "abcd"]
    (whole,) = [one for one in done.task_runs.values() if one.task_id == "loop"]
    assert [one["outputs"] for one in whole.outputs["outputs"]] == [{"x": "a"}, {}, {"x": "c"}, {}]
    assert whole.outputs["terminatedIterations"] == {"SUCCESS": 2, "FAILED": 2}


async def test_the_handlers_of_an_iteration_have_run_before_the_next_begins(deploy, run):
    await deploy(flow("[a, b, c]", BAD, transmits="false"))
    done = await run()
    order = [f"{one.task_id}{one.value}" for one in done.task_runs.values() if one.value is not None]
    assert order == [
        *("first0", "check0", "second0", "tidy0"),
        *("first1", "check1", "alarm1", "after_alarm1", "tidy1"),
        *("first2", "check2", "second2", "tidy2"),
    ]


async def test_no_items_no_handlers(deploy, run):
    await deploy(flow("[]", BAD))
    done = await run()
    assert (done.state, [one.task_id for one in done.task_runs.values()]) == (State.SUCCESS, ["loop"])


async def test_a_finally_that_fails_fails_its_iteration_but_not_the_others(deploy, run):
    source = flow("[a, b, c]", "false", OUTPUTS, finally_="{{ item.value == 'b' ? nothing.here : item.value }}")
    await deploy(source.replace("concurrencyLimit: 1", "concurrencyLimit: 0"))
    done = await run()
    assert done.state is State.FAILED
    assert states(done, "tidy") == {"0": State.SUCCESS, "1": State.FAILED, "2": State.SUCCESS}
    assert said(done, "alarm") == []
    assert sorted(said(done, "second")) == ["a", "b", "c"]


async def test_whether_a_loop_ends_early_is_asked_after_the_handlers(deploy, run):
    ends = "    breakWhen: \"{{ iteration.state == 'FAILED' }}\"\n"
    await deploy(flow("[a, b, c, d]", BAD, ends))
    done = await run()
    assert (said(done, "tidy"), said(done, "alarm")) == (["a:did a", "b:did b"], ["1:b:did b"])


async def test_what_is_not_transmitted_has_handlers_too(deploy, run):
    await deploy(flow("[a, b]", BAD, transmits="false"))
    done = await run()
    assert (done.state, said(done, "alarm")) == (State.SUCCESS, ["1:b:did b"])


async def test_a_restart_runs_the_handlers_of_what_comes_again_and_of_nothing_else(deploy, run, engine):
    source = flow("[a, b, c]", "{{ item.value == 'b' and taskrun.attemptsCount == 0 }}", OUTPUTS)
    await deploy(source.replace("concurrencyLimit: 1", "concurrencyLimit: 0"))
    done = await run()
    assert (done.state, said(done, "alarm")) == (State.FAILED, ["1:b:did b"])
    tidied = {one.value: one.id for one in done.task_runs.values() if one.task_id == "tidy"}
    await engine.restart(done.id, by="local:ann")
    again = await engine.wait(done.id, until="ended_or_paused", timeout=20)
    assert (again.state, said(again, "alarm"), sorted(said(again, "second"))) == (State.SUCCESS, [], ["a", "b", "c"])
    now = {one.value: one.id for one in again.task_runs.values() if one.task_id == "tidy"}
    assert (now["0"], now["2"]) == (tidied["0"], tidied["2"])
    assert now["1"] != tidied["1"]
    (whole,) = [one for one in again.task_runs.values() if one.task_id == "loop"]
    assert [one["outputs"] for one in whole.outputs["outputs"]] == [{"x": "a"}, {"x": "b"}, {"x": "c"}]


async def test_a_restart_after_a_finally_failed_runs_it_and_what_follows_it(deploy, run, engine):
    fails = "{{ item.value == 'b' and taskrun.attemptsCount == 0 ? nothing.here : outputs.second.value }}"
    await deploy(flow("[a, b]", "false", OUTPUTS, finally_=fails))
    done = await run()
    assert done.state is State.FAILED
    await engine.restart(done.id, by="local:ann")
    again = await engine.wait(done.id, until="ended_or_paused", timeout=20)
    assert (again.state, said(again, "tidy"), said(again, "second")) == (State.SUCCESS, ["a", "b"], ["a", "b"])
    (whole,) = [one for one in again.task_runs.values() if one.task_id == "loop"]
    assert [one["outputs"] for one in whole.outputs["outputs"]] == [{"x": "a"}, {"x": "b"}]


async def test_a_loop_that_takes_too_long_handles_what_it_began(deploy, run):
    source = flow("[a, b, c]", "false", "    timeout: PT0.3S\n").replace(
        """      - id: check
        type: io.kestra.plugin.core.execution.Fail
        condition: "false"
""",
        """      - id: nap
        type: io.kestra.plugin.core.flow.Sleep
        duration: "{{ item.value == 'b' ? 'PT30S' : 'PT0.01S' }}"
""",
    )
    await deploy(source)
    done = await run()
    assert done.state is State.FAILED
    assert (said(done, "first"), said(done, "second")) == (["did a", "did b"], ["a"])
    assert (said(done, "alarm"), said(done, "tidy")) == (["1:b:did b"], ["a:did a", "b:did b"])


async def test_a_replay_from_inside_an_iteration_leaves_the_others_as_they_are(deploy, run, engine):
    await deploy(flow("[a, b]", BAD))
    done = await run()
    target = next(one.id for one in done.task_runs.values() if (one.task_id, one.value) == ("check", "1"))
    again = await engine.replay(done.id, from_task_run=target, by="local:ann")
    ended = await engine.wait(again.id, until="ended_or_paused", timeout=20)
    assert (ended.state, said(ended, "alarm")) == (State.FAILED, ["1:b:did b"])
    assert said(ended, "tidy") == ["a:did a", "b:did b"]
