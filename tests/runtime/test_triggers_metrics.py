"""Webhooks, flow triggers, metrics, and a flow that this program can not read any more."""

import asyncio
import json
import logging
import threading

import pytest
from sqlalchemy import update

from engine.aside import is_long
from engine.core import request_triggers
from engine.core.state import State
from engine.errors import InputInvalid, NotFound, Refused
from engine.runtime import Engine, creation
from engine.store import commands, tables
from engine.store.documents import plain
from tests.runtime.marks import marks, registry
from tests.runtime.test_executions import until

HOOK = """
tasks:
  - id: t
    type: tests.Mark
    text: "{{ trigger.body.n }} {{ trigger.headers['x-a'][0] }} {{ trigger.parameters.q[0] }}"
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: "{{ secret('HOOK') }}"
    conditions:
      - {type: io.kestra.plugin.core.condition.Expression, expression: "{{ trigger.body.n > 0 }}"}
"""


async def test_a_webhook_starts_an_execution_for_whoever_knows_its_key(engine, deploy, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_HOOK", "the-key-of-the-hook")
    await deploy(HOOK)
    fire = engine.webhooks.fire
    more = {"headers": {"x-a": ["b"]}, "parameters": {"q": ["1"]}}
    made = await fire("company.team", "f", "the-key-of-the-hook", body='{"n": 3}', **more)
    assert (await engine.wait(made.id, timeout=10)).state is State.SUCCESS
    assert marks(engine.settings.data)[0].endswith(" 3 b 1")
    assert await fire("company.team", "f", "the-key-of-the-hook", body='{"n": 0}', **more) is None
    for key in ("wrong", "", "the-key-of-the-hoo"):
        with pytest.raises(NotFound):
            await fire("company.team", "f", key, body='{"n": 3}')
    with pytest.raises(NotFound):
        await fire("company.team", "none", "the-key-of-the-hook")
    assert len(await engine.executions()) == 1


async def test_a_webhook_of_a_disabled_flow_is_refused(engine, deploy, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_HOOK", "the-key-of-the-hook")
    await deploy("disabled: true\n" + HOOK)
    with pytest.raises(Refused, match="disabled flow"):
        await engine.webhooks.fire("company.team", "f", "the-key-of-the-hook", body='{"n": 3}')


BARE = """
inputs:
  - {id: payload, type: JSON}
  - {id: word, type: STRING, defaults: hello}
tasks:
  - {id: t, type: tests.Mark, text: "{{ trigger.body.n ?? inputs.payload.n }} {{ inputs.word }}"}
triggers:
  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: k%s}
"""


async def test_a_webhook_without_inputs_starts_a_flow_that_asks_for_some(engine, deploy):
    await deploy(BARE % "")
    made = await engine.webhooks.fire("company.team", "f", "k", body='{"n": 3}')
    assert (await engine.wait(made.id, timeout=10)).state is State.SUCCESS
    assert marks(engine.settings.data)[0].endswith(" 3 hello")


async def test_a_webhook_with_inputs_gives_all_that_its_flow_asks_for(engine, deploy):
    await deploy(BARE % ", inputs: {word: x}")
    with pytest.raises(InputInvalid, match="missing required input"):
        await engine.webhooks.fire("company.team", "f", "k", body='{"n": 3}')


STORED = """
tasks:
  - {id: t, type: tests.Mark, text: "%s"}
triggers:
  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: k, fetchType: %s}
"""


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("STORE", "{{ trigger.body ?? 'none' }} {{ read(trigger.uri) }}", " none hi"),
        ("NONE", "{{ trigger.body ?? 'none' }} {{ trigger.uri ?? 'nowhere' }}", " none nowhere"),
        ("FETCH", "{{ trigger.body }} {{ trigger.uri ?? 'nowhere' }}", " hi nowhere"),
    ],
)
async def test_the_body_of_a_webhook_goes_where_it_says(engine, deploy, kind, text, said):
    await deploy(STORED % (text, kind))
    made = await engine.webhooks.fire("company.team", "f", "k", body="hi")
    assert (await engine.wait(made.id, timeout=10)).state is State.SUCCESS
    assert marks(engine.settings.data)[0].endswith(said)


LISTENER = """
inputs:
  - {id: word, type: STRING}
tasks:
  - {id: t, type: tests.Mark, text: "{{ inputs.word }} {{ trigger.flowId }} {{ trigger.state }}"}
triggers:
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    inputs: {word: "{{ outputs.say.text }}"}
    conditions:
      - {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: source}
"""
SOURCE = "tasks:\n  - {id: say, type: tests.Mark, text: hello}\n"


async def test_the_end_of_one_flow_starts_another_that_asks_for_what_nobody_gives(engine, deploy, run):
    bare = LISTENER.replace('inputs: {word: "{{ outputs.say.text }}"}', "labels: {a: b}")
    await deploy(bare.replace("inputs.word", "inputs.word ?? 'none'"), "listener")
    await deploy(SOURCE, "source")
    await run(flow_id="source")
    await until(lambda: not engine.is_busy)
    assert [line.partition(" ")[2] for line in marks(engine.settings.data)] == ["hello", "none source SUCCESS"]


async def test_the_end_of_one_flow_starts_another_once(engine, deploy, run):
    await deploy(LISTENER, "listener")
    await deploy(SOURCE, "source")
    await run(flow_id="source")
    await until(lambda: not engine.is_busy)
    assert [line.partition(" ")[2] for line in marks(engine.settings.data)] == ["hello", "hello source SUCCESS"]
    assert len(await engine.executions(flow_id="listener")) == 1


async def test_what_no_trigger_can_look_at_is_not_kept_for_good(settings, clock, caplog):
    """Another version of the program can't read the flow whose execution ended as the last process died."""
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    for flow_id, text in (("listener", LISTENER), ("source", SOURCE)):
        await first.deploy(f"id: {flow_id}\nnamespace: company.team\n{text}")
    made = await first.create("company.team", "source", {}, started_by="a")
    done = await first.wait(made.id, timeout=20)
    await until(lambda: not first.is_busy)
    row = commands.stored(made.id, commands.Announcement("SUCCESS"), done.version + 1)
    text = "id: source\nnamespace: company.team\ntasks: []\n"
    broken = update(tables.flows).where(tables.flows.c.id == "source").values(source=text)

    def as_if_it_had_died(unit):
        commands.put(unit.connection, [row], first.sealer)
        unit.connection.execute(broken)

    await first.database.transact(as_if_it_had_died)
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        async with asyncio.timeout(20):
            while await second.database.read(lambda c: commands.waiting(c, second.sealer)):
                await asyncio.sleep(0.01)
        assert f"No trigger can look at execution {made.id}" in caplog.text
    finally:
        await second.stop()


async def test_what_a_flow_trigger_sees_of_the_execution(engine, deploy, run):
    await deploy(
        """
labels: {team: red}
tasks:
  - {id: first, type: io.kestra.plugin.core.execution.Fail, allowFailure: false}
errors:
  - {id: handler, type: io.kestra.plugin.core.log.Log, message: x}
""",
        "source",
    )
    await deploy(
        """
tasks:
  - id: seen
    type: io.kestra.plugin.core.output.OutputValues
    values: {seen: "{{ trigger }}"}
triggers:
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    dependsOn: [{states: [FAILED], when: "{{ namespace == trigger.namespace and state == trigger.executionStatus }}"}]
""",
        "listener",
    )
    made = await run(flow_id="source")
    await until(lambda: not engine.is_busy)
    (listened,) = await engine.executions(flow_id="listener")
    trigger = (await engine.execution(listened.id)).origin.variables
    assert trigger["executionLabels"] == {"team": "red"}
    assert (trigger["firstFailedTaskId"], trigger["lastTaskId"]) == ("first", "handler")
    assert trigger["startDate"] == plain(made.created)
    assert trigger["endDate"] == plain(made.ended)


def made_of(name):
    return f"tasks: [{{id: t, type: io.kestra.plugin.core.debug.Return, format: {name}}}]\n" + (
        f"outputs: [{{id: made, type: STRING, value: '{name}'}}, {{id: of_{name}, type: STRING, value: '{name}!'}}]"
    )


BOTH = """
inputs: [{id: a, type: STRING}, {id: b, type: STRING}, {id: flat, type: STRING}]
tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: "{{ trigger.outputs }}"}]
triggers:
  - id: both
    type: io.kestra.plugin.core.trigger.Flow
    dependsOn: [{flowId: one, states: [SUCCESS]}, {flowId: two, states: [SUCCESS]}]
    inputs:
      a: "{{ trigger.outputs.one.made }}"
      b: "{{ trigger.outputs.two.made }}"
      flat: "{{ trigger.outputs.of_one }}"
"""


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one"), ("at once",)])
async def test_a_trigger_on_two_flows_sees_the_outputs_of_both(engine, deploy, order):
    for name in ("one", "two"):
        await deploy(made_of(name), name)
    await deploy(BOTH, "both")
    together = order == ("at once",)
    names = ("one", "two") if together else order
    made = []
    for name in names:
        made.append(await engine.create("company.team", name, {}, started_by="local:ann"))
        if not together:
            await until(lambda: not engine.is_busy)
    await until(lambda: not engine.is_busy)
    (started,) = await engine.executions(flow_id="both")
    found = await engine.execution(started.id)
    assert found.inputs == {"a": "one", "b": "two", "flat": "one!"}
    correlation = dict(found.labels)["system.correlationId"]
    assert correlation in {one.id for one in made}, "what started it can be followed back"
    assert correlation == found.origin.variables["executionId"]


async def test_an_announcement_survives_a_kill(settings, clock):
    """The row that says what happened is written with it: were it lost, nobody would start the listener."""
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    first._carrier.flow_triggers.handle = lambda row: asyncio.sleep(0)  # dies before it looks
    for name, text in (("listener", LISTENER), ("source", SOURCE)):
        await first.deploy(f"id: {name}\nnamespace: company.team\n{text}")
    made = await first.create("company.team", "source", {}, started_by="x")
    await first.wait(made.id, timeout=10)
    await first.stop(grace=0)
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await until(lambda: not second.is_busy)
        found = await second.executions(flow_id="listener")
        assert [one.state for one in found] == [State.SUCCESS]
        assert await second.database.read(lambda c: commands.waiting(c, second.sealer)) == []
    finally:
        await second.stop()


async def test_metrics_are_kept_with_the_end_of_the_task(engine, deploy, run):
    await deploy("tasks:\n  - {id: r, type: io.kestra.plugin.core.debug.Return, format: four}\n")
    done = await run()
    found = {metric.name: metric for metric in await engine.metrics(done.id)}
    assert found["length"].value == 4
    assert found["length"].task_run_id == next(iter(done.task_runs))


async def test_an_execution_whose_flow_can_not_be_read_any_more_fails_with_the_reason(settings, clock, caplog):
    caplog.set_level(logging.CRITICAL)
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy("id: f\nnamespace: a\ntasks:\n  - {id: p, type: io.kestra.plugin.core.flow.Pause}\n")
    made = await first.create("a", "f", {}, started_by="x")
    await first.wait(made.id, until="ended_or_paused", timeout=10)
    gone = "id: f\nnamespace: a\ntasks:\n  - {id: p, type: no.such.Task}\n"
    await first.database.transact(lambda unit: unit.connection.execute(update(tables.flows).values(source=gone)))
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        with pytest.raises(Refused, match="invalid flow"):
            await second.create("a", "f", {}, started_by="x")
        await second.kill(made.id, by="x")
        done = await second.wait(made.id, timeout=10)
        assert done.state is State.FAILED
        assert any("no.such.Task" in line.message for line in await second.logs(made.id))
    finally:
        await second.stop()


async def test_a_log_has_a_bound_and_a_level(settings, clock):
    limits = settings.limits.model_copy(update={"log_lines_per_task": 3})
    engine = await Engine.open(settings.model_copy(update={"limits": limits}), registry=registry(), clock=clock)
    await engine.start(watch=False)
    try:
        await engine.deploy(
            "id: f\nnamespace: a\ntasks:\n  - id: l\n    type: io.kestra.plugin.core.log.Log\n"
            "    message: [a, b, c, d, e]\n  - id: quiet\n    type: io.kestra.plugin.core.log.Log\n    message: hush\n"
            "    logLevel: ERROR\n"
        )
        made = await engine.create("a", "f", {}, started_by="x")
        await engine.wait(made.id, timeout=10)
        lines = [line.message for line in await engine.logs(made.id)]
        assert lines == [
            "a",
            "b",
            "c",
            "The task wrote more than 3 lines (`limits.log_lines_per_task`); the rest is left out.",
        ]
    finally:
        await engine.stop()


@pytest.mark.parametrize("sent", [[1] * 200_000, {"a": "x" * 200_000}, [{"a": 1}] * 60_000])
async def test_what_is_long_is_read_and_kept_beside_the_loop(engine, deploy, run, monkeypatch, sent):
    threads = {"read_json": set(), "plain": set()}

    def seen(name, work):
        def noted(value):
            if is_long(value):
                threads[name].add(threading.current_thread())
            return work(value)

        return noted

    monkeypatch.setattr(request_triggers, "read_json", seen("read_json", request_triggers.read_json))
    monkeypatch.setattr(creation, "plain", seen("plain", plain))
    await deploy(
        "inputs: [{id: sent, type: JSON, required: false}]\n"
        "tasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: x}]\n"
        "triggers: [{id: w, type: io.kestra.plugin.core.trigger.Webhook, key: k}]"
    )
    made = await engine.webhooks.fire("company.team", "f", "k", body=json.dumps(sent))
    assert (await engine.wait(made.id, timeout=20)).state is State.SUCCESS
    assert (await run({"sent": sent})).state is State.SUCCESS
    assert all(threads.values())
    assert threading.main_thread() not in threads["read_json"] | threads["plain"]
