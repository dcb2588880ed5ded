"""Flow triggers: what they ask of an execution that ended, and what becomes of one that they can't start."""

import asyncio

import pytest

from engine.core.state import State
from engine.runtime import Engine
from engine.store import commands
from tests.runtime.marks import registry
from tests.runtime.test_executions import until

COUNTS = """
inputs: [{id: n, type: INT}]
tasks: [{id: count, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.n }}"}]
outputs: [{id: n, type: INT, value: "{{ outputs.count.value }}"}]
"""
SAYS = """
tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: "{{ trigger.flowId }} {{ trigger.state }}"}]
"""
LISTENS = SAYS + "triggers:\n  - id: many\n    type: io.kestra.plugin.core.trigger.Flow\n    "
ASKED = {
    "when": """when: "{{ flow.id == 'source' and execution.outputs.n > 2 }}"
""",
    "dependsOn": """dependsOn:
      - {flowId: source, when: "{{ execution.outputs.n > 2 and outputs.count.value == '3' }}"}
""",
    "preconditions": """preconditions:
      id: many
      where: [{id: many, filters: [{field: EXPRESSION, type: IS_TRUE, value: "{{ execution.outputs.n > 2 }}"}]}]
""",
    "conditions": """conditions:
      - {type: io.kestra.plugin.core.condition.Expression, expression: "{{ execution.outputs.n > 2 }}"}
""",
}
GIVES = """
tasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: x}]
outputs: [{id: made, type: STRING, value: a}]
"""
BROKEN = """
inputs: [{id: n, type: INT}]
tasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: x}]
triggers:
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    inputs: {n: "{{ %s }}"}
    dependsOn: [{flowId: source, states: [SUCCESS]}]
"""
ALERT = SAYS + "triggers: [{id: alert, type: io.kestra.plugin.core.trigger.Flow, states: [FAILED]}]\n"
DEAF = ALERT.replace("states: [FAILED]", 'states: [FAILED], inputs: {n: "{{ nothing }}"}')
FAILS = "tasks: [{id: t, type: io.kestra.plugin.core.execution.Fail}]\n"


@pytest.mark.parametrize("way", ASKED)
async def test_a_trigger_asks_for_what_the_flow_before_gave(engine, deploy, run, way):
    await deploy(COUNTS, "source")
    await deploy(LISTENS + ASKED[way], "listener")
    made = {}
    for n in (2, 3, 1):
        made[n] = await run({"n": n}, flow_id="source")
        await until(lambda: not engine.is_busy)
    (started,) = await engine.executions(flow_id="listener")
    assert (await engine.execution(started.id)).origin.variables["executionId"] == made[3].id


@pytest.mark.parametrize(
    ("template", "said"), [("trigger.outputs.source.none", "none"), ("trigger.outputs.made", "Expected `INT`")]
)
async def test_a_start_whose_inputs_can_not_be_made_is_a_failed_execution_and_an_alarm(
    engine, deploy, run, template, said
):
    await deploy(GIVES, "source")
    await deploy(BROKEN % template, "listener")
    await deploy(ALERT, "alert")
    made = await run(flow_id="source")
    await until(lambda: not engine.is_busy)
    (row,) = await engine.executions(flow_id="listener")
    failed = await engine.execution(row.id)
    assert failed.state is State.FAILED
    assert not failed.task_runs
    assert failed.origin.variables["executionId"] == made.id
    assert dict(failed.labels)["system.correlationId"] == dict(made.labels)["system.correlationId"]
    (line,) = await engine.logs(failed.id)
    assert "The trigger 'after' could not start the flow" in line.message
    assert said in line.message
    (alarm,) = await engine.executions(flow_id="alert")
    (task_run,) = (await engine.execution(alarm.id)).task_runs.values()
    assert task_run.outputs == {"value": "listener FAILED"}


async def test_alarms_that_can_not_be_made_do_not_call_each_other_without_end(engine, deploy, run):
    await deploy(FAILS, "source")
    for name in ("one", "two"):
        await deploy(DEAF, name)
    await run(flow_id="source")
    await until(lambda: not engine.is_busy)
    for name in ("one", "two"):
        assert [found.state for found in await engine.executions(flow_id=name)] == [State.FAILED]


async def test_a_check_that_blocks_executions_lets_a_trigger_make_none(engine, deploy, run):
    await deploy(GIVES, "source")
    await deploy('checks: [{when: "{{ false }}", message: not today}]' + BROKEN % "5", "listener")
    await run(flow_id="source")
    await until(lambda: not engine.is_busy)
    assert await engine.executions(flow_id="listener") == []


async def test_the_alarm_about_an_execution_that_was_made_failed_survives_a_kill(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    first._carrier.flow_triggers.handle = lambda row: asyncio.sleep(0)  # dies before it looks
    checked = 'checks: [{when: "{{ false }}", message: not today, behavior: FAIL_EXECUTION}]\n'
    for name, text in (("alert", ALERT), ("source", checked + GIVES)):
        await first.deploy(f"id: {name}\nnamespace: company.team\n{text}")
    made = await first.create("company.team", "source", {}, started_by="x")
    assert made.state is State.FAILED
    await first.stop(grace=0)
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await until(lambda: not second.is_busy)
        (alarm,) = await second.executions(flow_id="alert")
        assert (await second.execution(alarm.id)).origin.variables["executionId"] == made.id
        assert await second.database.read(lambda c: commands.waiting(c, second.sealer)) == []
    finally:
        await second.stop()


BOTH = """id: both
        window: P1D
        conditions:
          one: {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: one}
          two: {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: two}
"""


@pytest.mark.parametrize(
    "trigger",
    [
        "multipleConditions:\n      - " + BOTH,
        "conditions:\n      - type: io.kestra.plugin.core.condition.MultipleCondition\n        " + BOTH,
    ],
)
async def test_several_flows_are_waited_for_in_each_older_spelling(engine, deploy, run, trigger):
    for name in ("one", "two", "three"):
        await deploy(GIVES, name)
    await deploy(LISTENS + trigger, "listener")
    for name, started in (("one", 0), ("one", 0), ("three", 0), ("two", 1), ("two", 1), ("one", 2)):
        await run(flow_id=name)
        await until(lambda: not engine.is_busy)
        assert len(await engine.executions(flow_id="listener")) == started
