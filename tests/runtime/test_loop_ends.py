"""Iterations of a Loop that end before their tasks are through, on a real engine: an answer, a deadline, an Exit."""

from datetime import timedelta

import pytest

from engine.core.state import State
from engine.runtime import Engine
from tests.runtime.marks import registry

SERVERS = """
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.Loop
    values: [a, b, c]
    concurrencyLimit: {limit}
    transmitFailed: false
    outputs: [{{id: did, type: STRING, value: "{{{{ outputs.do.value }}}}"}}]
    tasks:
      - {{id: ask, type: io.kestra.plugin.core.flow.Approval, timeout: PT1H}}
      - {{id: do, type: io.kestra.plugin.core.debug.Return, format: "did {{{{ item.value }}}}"}}
    finally:
      - {{id: tidy, type: io.kestra.plugin.core.debug.Return, format: "{{{{ item.value }}}}"}}
  - {{id: last, type: io.kestra.plugin.core.debug.Return, format: "{{{{ loopOutputs(outputs.each.outputs, 'did') }}}}"}}
"""


def said(execution, task_id):
    return sorted(run.outputs["value"] for run in execution.task_runs.values() if run.task_id == task_id)


def by_item(execution, task_id):
    return {run.value: run.state for run in execution.task_runs.values() if run.task_id == task_id}


async def decide(engine, execution, number, approve):
    runs = (await engine.execution(execution.id)).task_runs.values()
    (run,) = [one.id for one in runs if one.task_id == "ask" and one.value == str(number)]
    await engine.resume(execution.id, {"approve": approve}, by="local:ann", task_run_id=run)
    return await engine.wait(execution.id, until="ended_or_paused", timeout=20)


@pytest.mark.parametrize("limit", [0, 1])
async def test_a_denied_item_ends_alone(engine, deploy, run, limit):
    await deploy(SERVERS.format(limit=limit))
    execution = await run()
    for number, approve in enumerate((True, False, True)):
        after = await decide(engine, execution, number, approve)
    after = await engine.wait(execution.id, timeout=20)
    assert after.state is State.SUCCESS
    assert by_item(after, "ask") == {"0": State.SUCCESS, "1": State.CANCELLED, "2": State.SUCCESS}
    assert (said(after, "do"), said(after, "tidy")) == (["did a", "did c"], ["a", "b", "c"])
    (whole,) = [one for one in after.task_runs.values() if one.task_id == "each"]
    assert [one["outputs"] for one in whole.outputs["outputs"]] == [{"did": "did a"}, {}, {"did": "did c"}]
    assert whole.outputs["terminatedIterations"] == {"SUCCESS": 2, "CANCELLED": 1}


async def test_a_deadline_ends_each_item_it_is_about(engine, clock, deploy, run):
    await deploy(SERVERS.format(limit=0))
    execution = await run()
    await decide(engine, execution, 2, approve=True)
    clock.jump(timedelta(hours=2))
    after = await engine.wait(execution.id, timeout=20)
    assert after.state is State.SUCCESS
    assert by_item(after, "ask") == {"0": State.CANCELLED, "1": State.CANCELLED, "2": State.SUCCESS}
    assert said(after, "tidy") == ["a", "b", "c"]
    assert await engine.pauses(execution_id=execution.id) == []


BESIDE = """
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.Loop
    values: [a, b]
    concurrencyLimit: 1
    transmitFailed: false
    tasks:
      - id: both
        type: io.kestra.plugin.core.flow.Parallel
        tasks:
          - {id: gate, type: io.kestra.plugin.core.flow.Pause}
          - {id: leave, type: io.kestra.plugin.core.execution.Exit, state: CANCELED, runIf: "{{ item.value == 'a' }}"}
      - {id: do, type: io.kestra.plugin.core.debug.Return, format: "{{ item.value }}"}
"""


async def test_what_waits_beside_an_exit_asks_nobody_any_more(engine, deploy, run):
    await deploy(BESIDE)
    execution = await run()
    (pause,) = await engine.pauses(execution_id=execution.id)
    gates = [one for one in execution.task_runs.values() if one.task_id == "gate"]
    assert [one.state for one in gates] == [State.KILLED, State.PAUSED]
    assert pause.task_run_id == gates[1].id
    await engine.resume(execution.id, {}, by="local:ann")
    after = await engine.wait(execution.id, timeout=20)
    assert (after.state, said(after, "do")) == (State.SUCCESS, ["b"])


async def test_a_denial_is_still_one_after_the_bot_was_started_again(settings, clock, deploy, run, engine):
    await deploy(SERVERS.format(limit=1))
    execution = await run()
    await decide(engine, execution, 0, approve=False)
    await engine.stop(grace=0)
    again = await Engine.open(settings, registry=registry(), clock=clock)
    await again.start(watch=False)
    try:
        for number, approve in ((1, True), (2, False)):
            await decide(again, execution, number, approve)
        after = await again.wait(execution.id, timeout=20)
        assert (after.state, said(after, "do"), said(after, "tidy")) == (State.SUCCESS, ["did b"], ["a", "b", "c"])
    finally:
        await again.stop(grace=0)


async def test_a_restart_of_what_failed_elsewhere_leaves_a_denied_item_alone(engine, deploy, run):
    fails = "{id: once, type: io.kestra.plugin.core.execution.Fail, condition: '{{ taskrun.attemptsCount == 0 }}'}"
    await deploy(f"{SERVERS.format(limit=1)}  - {fails}\n")
    execution = await run()
    for number, approve in enumerate((True, False, True)):
        after = await decide(engine, execution, number, approve)
    assert (await engine.wait(execution.id, timeout=20)).state is State.FAILED
    await engine.restart(execution.id, by="local:ann")
    after = await engine.wait(execution.id, timeout=20)
    assert (after.state, said(after, "do")) == (State.SUCCESS, ["did a", "did c"])
    assert by_item(after, "ask")["1"] is State.CANCELLED
