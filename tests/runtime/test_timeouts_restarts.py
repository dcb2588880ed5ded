"""Time limits of flowables and Subflows, what a restart does to a Subflow, and newer defaults."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from engine.core.commands import SetTimer
from engine.core.flow_source import check
from engine.core.state import State
from engine.errors import Refused
from engine.runtime import Engine
from engine.store import records
from engine.store.tables import flows
from engine.tasks import catalogue
from tests.runtime.marks import marks, registry

CHILD = """
inputs:
  - {id: ok, type: BOOLEAN, defaults: false}
tasks:
  - {id: first, type: tests.Mark, text: first}
  - id: second
    type: io.kestra.plugin.core.execution.Fail
    runIf: "{{ kv('repaired', errorOnMissing=false) != 'yes' }}"
"""
PARENT = """
tasks:
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: child
"""


def states(execution):
    return {run.task_id: run.state for run in execution.task_runs.values()}


async def running(engine, execution_id, task_id, state=State.RUNNING):
    """The execution once a task run is in a state."""
    async with asyncio.timeout(10):
        while True:
            found = await engine.execution(execution_id)
            if states(found).get(task_id) is state:
                return found
            await asyncio.sleep(0.01)


async def started(engine, flow_id="f"):
    return await engine.create("company.team", flow_id, {}, started_by="local:ann")


@pytest.mark.parametrize(
    "inner",
    [
        "{id: work, type: tests.Mark, hang: true}",
        "{id: work, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}",
        "{id: work, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: slow}",
    ],
)
@pytest.mark.parametrize("timeout", ["PT1M", "{{ 'PT' ~ 1 ~ 'M' }}"])
async def test_a_flowable_that_takes_too_long_fails_and_its_handlers_run(deploy, engine, clock, inner, timeout):
    await deploy("tasks:\n  - {id: hang, type: tests.Mark, hang: true}\n", "slow")
    await deploy(f"""
tasks:
  - id: group
    type: io.kestra.plugin.core.flow.Sequential
    timeout: "{timeout}"
    tasks:
      - {{id: before, type: io.kestra.plugin.core.log.Log, message: x}}
      - id: nested
        type: io.kestra.plugin.core.flow.Parallel
        tasks:
          - {inner}
      - {{id: never, type: io.kestra.plugin.core.log.Log, message: x}}
    errors:
      - {{id: handler, type: io.kestra.plugin.core.log.Log, message: x}}
    finally:
      - {{id: last, type: io.kestra.plugin.core.log.Log, message: x}}
""")
    made = await started(engine)
    await running(engine, made.id, "work")
    clock.jump(timedelta(minutes=2))
    done = await engine.wait(made.id, until="ended_or_paused", timeout=20)
    assert done.state is State.FAILED
    assert states(done) == {
        "group": State.FAILED,
        "before": State.SUCCESS,
        "nested": State.KILLED,
        "work": State.KILLED,
        "handler": State.SUCCESS,
        "last": State.SUCCESS,
    }
    assert any("Timeout after PT1M" in line.message for line in await engine.logs(made.id, level="ERROR"))
    for child in await engine.executions(flow_id="slow"):
        assert (await engine.wait(child.id, timeout=10)).state is State.KILLED
    assert engine.timers.due() == []


async def test_one_that_ends_in_time_leaves_no_timer(deploy, run, engine):
    await deploy("""
tasks:
  - id: group
    type: io.kestra.plugin.core.flow.Sequential
    timeout: PT1M
    tasks:
      - {id: a, type: io.kestra.plugin.core.log.Log, message: x}
""")
    assert (await run()).state is State.SUCCESS
    assert engine.timers.due() == []


async def test_a_sleep_that_takes_too_long_is_tried_again_and_fails(deploy, engine, clock):
    await deploy("""
inputs:
  - {id: limit, type: DURATION, defaults: PT1M}
tasks:
  - id: nap
    type: io.kestra.plugin.core.flow.Sleep
    duration: PT1H
    timeout: "{{ inputs.limit }}"
    retry: {type: constant, interval: PT10M, maxAttempts: 2}
""")
    made = await started(engine)
    await running(engine, made.id, "nap")
    clock.jump(timedelta(minutes=2))
    await running(engine, made.id, "nap", State.RETRYING)
    clock.jump(timedelta(minutes=11))
    await running(engine, made.id, "nap")
    clock.jump(timedelta(minutes=2))
    done = await engine.wait(made.id, timeout=10)
    assert done.state is State.FAILED
    [nap] = done.task_runs.values()
    assert [attempt.state for attempt in nap.attempts] == [State.FAILED, State.FAILED]
    assert engine.timers.due() == []


async def test_a_time_that_is_none_fails_the_task(deploy, run):
    await deploy("""
tasks:
  - id: group
    type: io.kestra.plugin.core.flow.Sequential
    timeout: "{{ 'soon' }}"
    tasks:
      - {id: a, type: io.kestra.plugin.core.log.Log, message: x}
""")
    done = await run()
    assert states(done) == {"group": State.FAILED}


async def test_a_loop_that_waits_is_stopped(deploy, engine, clock):
    await deploy("""
tasks:
  - id: poll
    type: io.kestra.plugin.core.flow.LoopUntil
    condition: "{{ false }}"
    timeout: PT5M
    allowFailure: true
    checkFrequency: {interval: PT1H}
    tasks:
      - {id: ask, type: io.kestra.plugin.core.log.Log, message: x}
""")
    made = await started(engine)
    await running(engine, made.id, "ask", State.SUCCESS)
    clock.jump(timedelta(minutes=6))
    done = await engine.wait(made.id, until="ended_or_paused", timeout=20)
    assert done.state is State.WARNING
    assert engine.timers.due() == []


async def test_a_subflow_that_takes_too_long_is_tried_again(deploy, engine, clock):
    await deploy("tasks:\n  - {id: hang, type: tests.Mark, hang: true}\n", "child")
    await deploy(PARENT + "    timeout: PT1M\n    retry: {type: constant, interval: PT0S, maxAttempts: 2}\n")
    made = await started(engine)
    for attempt in (1, 2):
        async with asyncio.timeout(10):
            while len(marks(engine.settings.data)) < attempt:
                await asyncio.sleep(0.01)
        clock.jump(timedelta(minutes=2))
    done = await engine.wait(made.id, until="ended_or_paused", timeout=20)
    assert done.state is State.FAILED
    (call,) = done.task_runs.values()
    assert [attempt.state for attempt in call.attempts] == [State.FAILED, State.FAILED]
    for child in await engine.executions(flow_id="child"):
        assert (await engine.wait(child.id, timeout=10)).state is State.KILLED


async def test_a_restart_runs_a_stopped_flowable_again(deploy, engine, clock):
    await deploy("""
tasks:
  - id: group
    type: io.kestra.plugin.core.flow.Sequential
    timeout: PT1M
    tasks:
      - {id: work, type: tests.Mark, hang: true}
""")
    made = await started(engine)
    await running(engine, made.id, "work")
    clock.jump(timedelta(minutes=2))
    assert (await engine.wait(made.id, until="ended_or_paused", timeout=20)).state is State.FAILED
    await engine.restart(made.id, by="ann")
    await running(engine, made.id, "work")
    clock.jump(timedelta(minutes=2))
    done = await engine.wait(made.id, until="ended_or_paused", timeout=20)
    assert states(done)["group"] is State.FAILED


@pytest.mark.parametrize(
    ("behavior", "executions", "first"), [("", 1, 1), ("RETRY_FAILED", 1, 1), ("NEW_EXECUTION", 2, 2)]
)
async def test_what_a_restart_does_to_a_subflow(deploy, run, engine, behavior, executions, first):
    await deploy(CHILD, "child")
    await deploy(PARENT + (f"    restartBehavior: {behavior}\n" if behavior else ""))
    failed = await run()
    assert failed.state is State.FAILED
    await engine.kv.set("company.team", "repaired", "yes")
    await engine.restart(failed.id, by="ann")
    done = await engine.wait(failed.id, timeout=20)
    assert done.state is State.SUCCESS
    children = await engine.executions(flow_id="child")
    assert len(children) == executions
    assert len([mark for mark in marks(engine.settings.data) if mark.endswith(" first")]) == first
    (call,) = done.task_runs.values()
    assert call.outputs["executionId"] == children[0].id
    assert children[0].state is State.SUCCESS


async def test_a_child_that_fails_again_fails_its_restarted_caller_again(deploy, run, engine):
    await deploy(CHILD, "child")
    await deploy(PARENT)
    failed = await run()
    for _ in range(2):
        await engine.restart(failed.id, by="ann")
        assert (await engine.wait(failed.id, timeout=20)).state is State.FAILED
    assert len(await engine.executions(flow_id="child")) == 1


async def test_a_child_that_is_gone_is_replaced(deploy, run, engine):
    await deploy(CHILD, "child")
    await deploy(PARENT)
    failed = await run()
    (child,) = await engine.executions(flow_id="child")
    gone = await engine.database.transact(lambda unit: records.purge(unit.connection, child.id, {"execution"}))
    assert gone.executions == 1
    await engine.kv.set("company.team", "repaired", "yes")
    await engine.restart(failed.id, by="ann")
    assert (await engine.wait(failed.id, timeout=20)).state is State.SUCCESS
    (other,) = await engine.executions(flow_id="child")
    assert other.id != child.id


async def test_a_restart_of_a_subflow_survives_the_end_of_the_process(deploy, settings, clock):
    own = settings.model_copy(update={"data": settings.data.parent / "other", "database": None})
    first = await Engine.open(own, registry=registry())
    await first.start(watch=False)
    try:
        await first.deploy(f"id: child\nnamespace: company.team\n{CHILD}")
        await first.deploy(f"id: f\nnamespace: company.team\n{PARENT}")
        made = await first.create("company.team", "f", {}, started_by="a")
        await first.wait(made.id, timeout=20)
        await first.kv.set("company.team", "repaired", "yes")
        await first.restart(made.id, by="ann")
    finally:
        await first.stop()
    second = await Engine.open(own, registry=registry())
    await second.start(watch=False)
    try:
        assert (await second.wait(made.id, timeout=20)).state is State.SUCCESS
        assert len(await second.executions(flow_id="child")) == 1
    finally:
        await second.stop()


async def test_a_flow_trigger_hears_of_pauses_by_default(deploy, run, engine):
    await deploy("tasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n", "asks")
    await deploy("""
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.state }}"}
triggers:
  - id: heard
    type: io.kestra.plugin.core.trigger.Flow
    conditions:
      - {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: asks}
""")
    paused = await run(flow_id="asks")
    await engine.resume(paused.id, {}, by="ann")
    async with asyncio.timeout(10):
        while len(found := await engine.executions(flow_id="f")) < 2:
            await asyncio.sleep(0.01)
    assert [one.origin.variables["state"] for one in reversed(found)] == ["PAUSED", "SUCCESS"]


def test_what_newer_flows_have_and_we_do_not_is_a_warning_where_it_stands():
    problems = check(
        """
id: f
namespace: company.team
policyRefs: [images]
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: x}
triggers:
  - id: both
    type: io.kestra.plugin.core.trigger.Flow
    dependsOn:
      - {flowId: a, namespace: n, when: "{{ labels.team == 'blue' }}"}
    window: {deadline: "09:00:00"}
    onMiss: {behavior: FAIL, labels: {sla: miss}}
""",
        catalogue(),
    )
    assert [(one.path, one.code, one.severity) for one in problems] == [
        ("policyRefs", "no-effect", "warning"),
        ("triggers[0].onMiss", "no-effect", "warning"),
    ]


@pytest.mark.parametrize(("name", "value"), [("childFailurePolicy", "STOP"), ("taskCache", "{enabled: true}")])
def test_what_has_no_effect_is_a_warning(name, value):
    problems = check(
        f"""
id: f
namespace: company.team
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [a]
    {name}: {value}
    tasks:
      - {{id: say, type: io.kestra.plugin.core.log.Log, message: x, taskCache: {{enabled: true}}}}
""",
        catalogue(),
    )
    (found,) = [problem for problem in problems if problem.code == "no-effect"]
    assert (found.severity, found.line, found.path) == ("warning", 8, f"tasks[0].{name}")


def test_an_exponential_retry_without_a_longest_wait_is_a_hint_where_it_stands():
    flow = """
id: f
namespace: company.team
retry: {type: exponential, interval: PT1S}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: x, retry: {type: exponential, interval: PT10S}}
  - {id: no, type: io.kestra.plugin.core.log.Log, message: x, retry: {type: constant, interval: PT10S}}
  - id: yes
    type: io.kestra.plugin.core.log.Log
    message: x
    retry: {type: exponential, interval: PT10S, maxInterval: PT1M}
"""
    problems = check(flow, catalogue())
    told = [(one.path, one.line, one.code, one.severity) for one in problems]
    assert told == [("retry", 4, "unbounded-retry", "hint"), ("tasks[0].retry", 6, "unbounded-retry", "hint")]
    assert problems[0].suggestion == "Add one, such as `maxInterval: PT10M`."


async def test_a_deadline_that_comes_while_an_answer_is_written_does_not_overrule_it(engine, deploy, run, clock):
    await deploy("tasks: [{id: ask, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H, behavior: FAIL}]")
    paused = await run()
    [pause] = await engine.pauses(execution_id=paused.id)
    resolved = await engine.check_answers(pause.id, {})
    given = {"by": "ann", "now": clock.now()}
    writing = asyncio.create_task(engine.answers.transact(pause, resolved, lambda unit, give: give(unit), **given))
    await asyncio.sleep(0)
    clock.jump(timedelta(hours=2))
    assert await writing
    assert (await engine.wait(paused.id, until="ended", timeout=20)).state is State.SUCCESS
    assert (await engine.pause_row(pause.id)).decided_by == "ann"


async def test_an_answer_after_the_deadline_is_too_late(engine, deploy, run, clock):
    await deploy("tasks: [{id: ask, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H, behavior: FAIL}]")
    paused = await run()
    clock.jump(timedelta(hours=2))
    assert (await engine.wait(paused.id, until="ended", timeout=20)).state is State.FAILED
    with pytest.raises(Refused):
        await engine.resume(paused.id, {}, by="ann")


async def test_a_deadline_comes_also_when_the_text_of_the_flow_can_not_be_read_any_more(settings, clock):
    """Another version of the program takes over while a pause waits that goes on by itself."""
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    pausing = "tasks: [{id: ask, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H}]"
    await first.deploy(f"id: f\nnamespace: company.team\n{pausing}")
    made = await first.create("company.team", "f", {}, started_by="a")
    await first.wait(made.id, until="ended_or_paused", timeout=20)
    text = "id: f\nnamespace: company.team\ntasks: []\n"
    await first.database.transact(lambda unit: unit.connection.execute(update(flows).values(source=text)))
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        clock.jump(timedelta(hours=2))
        assert (await second.wait(made.id, timeout=20)).state is State.FAILED
    finally:
        await second.stop()


async def test_a_deadline_of_the_time_before_a_restart_leaves_the_new_pause_alone(engine, deploy, run, clock):
    await deploy("tasks: [{id: ask, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H, behavior: FAIL}]")
    paused = await run()
    [first] = await engine.pauses(execution_id=paused.id)
    clock.jump(timedelta(minutes=30))
    await engine.restart(paused.id, by="ann")
    timer = SetTimer(f"pause:{first.task_run_id}:1", first.deadline)
    await engine.answers.expire(paused.id, timer)
    [second] = await engine.pauses(execution_id=paused.id)
    assert second.id != first.id
    await engine.answers.expire(paused.id, replace(timer, at=second.deadline))  # restarted at the same moment
    assert await engine.pauses(execution_id=paused.id) == [second]
    clock.jump(timedelta(hours=2))
    assert (await engine.wait(paused.id, until="ended", timeout=20)).state is State.FAILED
