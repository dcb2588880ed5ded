"""Executions through the engine: running, failing, pausing, killing, replaying."""

import asyncio
import socket
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from engine.core.events import KillAsked
from engine.core.state import State
from engine.errors import InputInvalid, NotFound, Refused
from engine.files import Scope
from engine.runtime import Engine
from engine.store import commands as outbox
from engine.store import events as inbox
from engine.store.tables import executions, flows
from engine.tasks.digitalocean.domain.record import Record
from tests.runtime.marks import marks, registry

HELLO = """
inputs:
  - id: name
    type: STRING
tasks:
  - id: greet
    type: io.kestra.plugin.core.debug.Return
    format: "hello {{ inputs.name }}"
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.greet.value }}!"
outputs:
  - id: said
    type: STRING
    value: "{{ outputs.greet.value }}"
"""
ASK = """
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: ok, type: BOOLEAN}
      - {id: why, type: STRING}
  - id: after
    type: tests.Mark
    text: "{{ outputs.ask.onResume.ok }} {{ outputs.ask.onResume.why }}"
"""
HANG = "tasks:\n  - {id: stuck, type: tests.Mark, hang: true}\n  - {id: never, type: tests.Mark}\n"


async def until(condition, patience=20):
    """Wait for something that is about to happen."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


async def test_half_of_a_character_from_outside_ends_no_run(engine, deploy, run):
    await deploy(
        """
inputs: [{id: said, type: JSON}]
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: "{{ inputs.said.half }} {{ fromJson(inputs.said.text) }}"}
  - {id: made, type: io.kestra.plugin.core.debug.Return, format: "{{ fromJson(inputs.said.text) }}"}
  - {id: kept, type: io.kestra.plugin.core.storage.Write, content: "{{ fromJson(inputs.said.text) }}"}
"""
    )
    done = await run(inputs={"said": '{"half": "a\\ud83d", "text": "\\"b\\\\ud83d\\""}'})
    assert (done.state, done.inputs["said"]["half"]) == (State.SUCCESS, "a?")
    assert [line.message for line in await engine.logs(done.id)][:1] == ["a? b?"]
    assert [(one.outputs or {}).get("value") for one in done.task_runs.values()] == [None, "b?", None]
    kept = [one.outputs["uri"] for one in done.task_runs.values() if "uri" in (one.outputs or {})]
    assert engine.files.path(kept[0], Scope(done.namespace, done.id)).read_text("utf-8") == "b?"


async def test_outputs_with_parts_are_handed_on_to_a_flow_that_calls(engine, deploy, run):
    await deploy(
        """
inputs: [{id: host, type: OBJECT, properties: [{id: name, type: STRING}, {id: port, type: INT}]}]
tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: "{{ inputs.host.port }}"}]
outputs:
  - {id: host, type: OBJECT, value: "{{ inputs.host }}"}
  - {id: rows, type: TABLE, value: [{port: "{{ outputs.t.value }}"}, {port: "2"}]}
  - {id: both, type: FORM, value: {name: "{{ inputs.host.name }}"}}
""",
        "inner",
    )
    await deploy(
        """
tasks:
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: inner
    inputs: {host: {name: db, port: 5432}}
outputs:
  - {id: seen, value: "{{ outputs.call.outputs.host.port + 1 }} {{ outputs.call.outputs.rows[1].port }}"}
"""
    )
    done = await run()
    assert done.outputs == {"seen": "5433 2"}
    (inner,) = await engine.executions(flow_id="inner")
    assert (await engine.execution(inner.id)).outputs == {
        "host": {"name": "db", "port": 5432},
        "rows": [{"port": "5432"}, {"port": "2"}],
        "both": {"name": "db"},
    }


async def test_a_flow_runs_from_input_to_output(engine, deploy, run):
    await deploy(HELLO)
    done = await run({"name": "ann"})
    assert done.state is State.SUCCESS
    assert done.outputs == {"said": "hello ann"}
    assert [line.message for line in await engine.logs(done.id)] == ["hello ann!"]
    assert done.started_by == "local:ann"


async def test_what_failed_is_told_to_who_handles_it(engine, deploy, run, monkeypatch):
    monkeypatch.setenv("SECRET_WORD", "c2VzYW1lLTEyMw==")
    await deploy(
        """
tasks:
  - id: first
    type: io.kestra.plugin.core.flow.Sequential
    tasks:
      - {id: fine, type: tests.Mark, text: "{{ error.taskId ?? 'nothing failed' }}"}
      - {id: bad, type: io.kestra.plugin.core.execution.Fail, errorMessage: "No {{ secret('WORD') }}"}
errors:
  - {id: told, type: tests.Mark, text: "{{ error.taskId }}: {{ error.message }}{{ error.stackTrace }}"}
  - {id: whole, type: tests.Mark, text: "{{ error | json }}"}
finally:
  - {id: last, type: tests.Mark, text: "{{ tasks.told.state }} {{ error.message | upper }}"}
"""
    )
    assert (await run()).state is State.FAILED
    assert [line.partition(" ")[2] for line in marks(engine.settings.data)] == [
        "nothing failed",
        "bad: No **masked**",
        '{"taskId":"bad","message":"No **masked**","stackTrace":""}',
        "SUCCESS NO **MASKED**",
    ]


async def test_an_output_that_is_a_secret_is_seen_by_nobody(engine, deploy, run):
    await deploy(
        """
tasks: [{id: made, type: io.kestra.plugin.core.debug.Return, format: "{{ 'open' ~ '-sesame' }}"}]
outputs: [{id: word, type: SECRET, value: "{{ outputs.made.value }}"}, {id: size, type: INT, value: 11}]
afterExecution: [{id: told, type: io.kestra.plugin.core.log.Log, message: "{{ execution.outputs.word }}"}]
""",
        "maker",
    )
    await deploy(
        """
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: maker}
  - {id: used, type: tests.Mark, text: "{{ outputs.call.outputs.word }}"}
"""
    )
    done = await run()
    assert done.state is State.SUCCESS
    assert marks(engine.settings.data)[0].endswith(" open-sesame")
    (child,) = await engine.executions(flow_id="maker")
    assert (await engine.wait(child.id, until="settled", timeout=20)).outputs == {"word": "**masked***", "size": 11}
    assert [line.message for line in await engine.logs(child.id)] == ["**masked***"]
    kept = await engine.database.read(lambda c: c.execute(select(executions.c.doc)).scalars().all())
    assert len(kept) == 2
    assert not any("open-sesame" in one for one in kept)


async def test_a_port_that_a_flow_asks_for_is_free(deploy, run):
    await deploy(
        """
tasks: [{id: port, type: io.kestra.plugin.core.output.OutputValues, values: {port: "{{ randomPort() }}"}}]
outputs: [{id: port, type: INT, value: "{{ outputs.port.values.port }}"}]
"""
    )
    done = await run()
    assert done.state is State.SUCCESS
    with socket.create_server(("127.0.0.1", done.outputs["port"])):
        pass


async def test_what_is_not_there_names_what_is(deploy, run):
    await deploy(HELLO, "greeting")
    with pytest.raises(NotFound, match=r"no flow company\.team\.greting.*company\.team\.greeting"):
        await run(flow_id="greting")


async def test_wrong_inputs_start_nothing(engine, deploy, run):
    await deploy(HELLO)
    with pytest.raises(InputInvalid, match="missing required input"):
        await run({})
    assert await engine.executions() == []


async def test_the_same_dedupe_key_starts_one_execution(engine, deploy):
    await deploy(HELLO)
    made = await asyncio.gather(
        *(engine.create("company.team", "f", {"name": "x"}, started_by="a", dedupe="click") for _ in range(5))
    )
    assert len({one.id for one in made}) == 1
    await engine.wait(made[0].id, timeout=10)
    assert len(await engine.executions()) == 1


async def test_many_executions_at_once(engine, deploy):
    await deploy(HELLO)
    made = [await engine.create("company.team", "f", {"name": str(n)}, started_by="a") for n in range(50)]
    done = await asyncio.gather(*(engine.wait(one.id, timeout=30) for one in made))
    assert [one.outputs for one in done] == [{"said": f"hello {n}"} for n in range(50)]


async def test_an_exception_nobody_expected_is_a_failed_attempt_with_a_sentence(
    engine, deploy, run, monkeypatch, caplog
):
    async def broken(self, context):
        raise KeyError("oops")

    monkeypatch.setattr("tests.runtime.marks.Mark.run", broken)
    await deploy("tasks:\n  - {id: bad, type: tests.Mark}\n")
    done = await run()
    assert done.state is State.FAILED
    lines = await engine.logs(done.id)
    assert any(line.level == "ERROR" and "broke with KeyError" in line.message for line in lines)
    assert any(line.level == "TRACE" and "Traceback" in line.message for line in lines)
    assert not any("Traceback" in line.message for line in lines if line.level != "TRACE")


async def test_an_answer_that_is_no_output_is_told_by_what_is_wrong_with_it(engine, deploy, run, monkeypatch, caplog):
    async def broken(self, context):
        return Record.of({"domain_record": {"id": "no number"}})

    monkeypatch.setattr("tests.runtime.marks.Mark.run", broken)
    await deploy("tasks:\n  - {id: bad, type: tests.Mark}\n")
    lines = [line.message for line in await engine.logs((await run()).id) if line.level == "ERROR"]
    assert any("broke with ValidationError: `id` of Record: Input should be a valid integer" in line for line in lines)


async def test_a_task_knows_how_long_it_may_take(deploy, run, monkeypatch):
    limits = []

    async def looks(self, context):
        limits.append(context.time_limit)

    monkeypatch.setattr("tests.runtime.marks.Mark.run", looks)
    limited = "  - {id: limited, type: tests.Mark, timeout: \"{{ 'PT5M' }}\"}\n"
    await deploy(f"tasks:\n  - {{id: free, type: tests.Mark}}\n{limited}")
    assert (await run()).state is State.SUCCESS
    assert limits == [None, 300]


async def test_outputs_have_a_bound(engine, deploy, run):
    flow = "tasks:\n  - id: big\n    type: io.kestra.plugin.core.debug.Return\n    format: " + "y" * 1_100_000 + "\n"
    await deploy(flow)
    done = await run()
    assert done.state is State.FAILED
    errors = [line.message for line in await engine.logs(done.id, level="ERROR")]
    assert any("too large" in line and "Write large data to a file" in line for line in errors)


async def test_a_timeout_interrupts_an_attempt(engine, deploy, run):
    await deploy("tasks:\n  - {id: slow, type: tests.Mark, hang: true, timeout: PT0.1S}\n")
    done = await run()
    assert done.state is State.FAILED
    assert any("Timeout after PT0.1S" in line.message for line in await engine.logs(done.id, level="ERROR"))


async def test_a_retry_waits_for_its_time(engine, deploy, clock):
    await deploy(
        "tasks:\n  - id: flaky\n    type: io.kestra.plugin.core.execution.Fail\n"
        "    retry: {type: constant, interval: PT1H, maxAttempts: 2}\n"
    )
    made = await engine.create("company.team", "f", {}, started_by="a")
    await until(lambda: any(":retry:" in key for _, key in engine.timers.due()))
    assert (await engine.execution(made.id)).state is State.RETRYING
    clock.jump(timedelta(hours=1))
    done = await engine.wait(made.id, timeout=10)
    assert done.state is State.FAILED
    assert [len(run.attempts) for run in done.task_runs.values()] == [2]


@pytest.mark.parametrize(
    "work",
    [
        "type: io.kestra.plugin.core.execution.Fail",
        "type: io.kestra.plugin.core.flow.Subflow\n    namespace: company.team\n    flowId: nowhere",
        'type: io.kestra.plugin.core.flow.Sleep\n    duration: "{{ vars.missing }}"',
    ],
)
async def test_a_retry_asks_run_if_again(deploy, run, work):
    await deploy(
        f"tasks:\n  - id: flaky\n    {work}\n"
        '    runIf: "{{ taskrun.attemptsCount < 2 }}"\n'
        "    retry: {type: constant, interval: PT0.01S, maxAttempts: 5}\n"
    )
    done = await run()
    (flaky,) = done.task_runs.values()
    assert (done.state, flaky.state) == (State.SUCCESS, State.SKIPPED)
    assert [attempt.state for attempt in flaky.attempts] == [State.FAILED, State.FAILED]


async def test_a_retry_calls_a_subflow_with_inputs_rendered_again(engine, deploy, run):
    await deploy(
        "inputs: [{id: n, type: INT}]\n"
        "tasks:\n  - {id: a, type: io.kestra.plugin.core.execution.Fail, condition: '{{ inputs.n < 1 }}'}\n",
        "child",
    )
    await deploy(
        "tasks:\n  - id: call\n    type: io.kestra.plugin.core.flow.Subflow\n"
        "    namespace: company.team\n    flowId: child\n"
        "    inputs: {n: '{{ taskrun.attemptsCount }}'}\n"
        "    retry: {type: constant, interval: PT0.01S, maxAttempts: 3}\n"
    )
    done = await run()
    assert done.state is State.SUCCESS
    given = sorted(child.inputs["n"] for child in await engine.executions(flow_id="child"))
    assert given == [0, 1]


async def test_an_answer_resumes_a_pause(engine, deploy, run):
    await deploy(ASK)
    paused = await run()
    assert paused.state is State.PAUSED
    row = (await engine.pauses(execution_id=paused.id))[0]
    assert (row.task_id, row.state) == ("ask", "WAITING")
    with pytest.raises(InputInvalid, match="why"):
        await engine.resume(paused.id, {"ok": True}, by="local:bob")
    await engine.resume(paused.id, {"ok": True, "why": "fine"}, by="local:bob")
    done = await engine.wait(paused.id, timeout=10)
    assert done.state is State.SUCCESS
    assert marks(engine.settings.data)[0].endswith(" true fine")
    decided = await engine.pause_row(row.id)
    assert (decided.state, decided.decided_by, decided.inputs) == ("RESUMED", "local:bob", {"ok": True, "why": "fine"})
    with pytest.raises(Refused, match="is not paused, can't resume it"):
        await engine.resume(paused.id, {"ok": True, "why": ""}, by="local:cid")


async def test_of_many_answers_one_counts(engine, deploy, run):
    await deploy(ASK)
    paused = await run()
    answers = [engine.resume(paused.id, {"ok": True, "why": str(n)}, by=f"local:{n}") for n in range(8)]
    came = await asyncio.gather(*answers, return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in came) == 1
    assert all(isinstance(one, Refused) for one in came if isinstance(one, Exception))
    await engine.wait(paused.id, timeout=10)
    assert len(marks(engine.settings.data)) == 1


async def test_an_answer_inside_somebodys_transaction(engine, deploy, run):
    await deploy(ASK)
    paused = await run()
    row = (await engine.pauses())[0]
    resolved = await engine.check_answers(row.id, {"ok": False, "why": "no"})
    given = {"by": "local:ann", "now": engine.clock.now()}

    def undone(unit, give):
        assert give(unit)
        raise Refused("something else in the transaction failed")

    with pytest.raises(Refused):
        await engine.answers.transact(row, resolved, undone, **given)
    assert (await engine.pause_row(row.id)).state == "WAITING"
    answer = lambda unit, give: give(unit)  # noqa: E731
    assert [await engine.answers.transact(row, resolved, answer, **given) for _ in range(2)] == [True, False]
    assert (await engine.wait(paused.id, timeout=10)).state is State.SUCCESS


async def test_a_pause_is_nothing_in_memory_and_survives_a_restart(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(f"id: f\nnamespace: company.team\n{ASK}")
    made = await first.create("company.team", "f", {}, started_by="a")
    await first.wait(made.id, until="ended_or_paused", timeout=10)
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await second.resume(made.id, {"ok": True, "why": "later"}, by="b")
        assert (await second.wait(made.id, timeout=10)).state is State.SUCCESS
    finally:
        await second.stop()


async def test_killing_interrupts_what_runs(engine, deploy):
    await deploy(HANG)
    made = await engine.create("company.team", "f", {}, started_by="a")
    await until(lambda: marks(engine.settings.data))
    await engine.kill(made.id, by="local:ann", reason="enough")
    done = await engine.wait(made.id, timeout=10)
    assert done.state is State.KILLED
    assert [(run.task_id, run.state) for run in done.task_runs.values()] == [("stuck", State.KILLED)]
    with pytest.raises(Refused, match="already finished"):
        await engine.kill(made.id, by="local:ann")


async def test_killing_reaches_subflows(engine, deploy):
    await deploy(HANG, "child")
    call = "tasks:\n  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: child}\n"
    await deploy(call)
    made = await engine.create("company.team", "f", {}, started_by="a")
    await until(lambda: marks(engine.settings.data))
    await engine.kill(made.id, by="local:ann")
    assert (await engine.wait(made.id, timeout=10)).state is State.KILLED
    child = (await engine.executions(flow_id="child"))[0]
    assert (await engine.wait(child.id, timeout=10)).state is State.KILLED


async def test_killing_reaches_what_took_the_place_of_a_subflow(engine, deploy, tmp_path):
    """The first execution of the child fails and is tried again as another one, which hangs."""
    await deploy(
        f"""
retry: {{behavior: CREATE_NEW_EXECUTION, type: constant, interval: PT0.1S, maxAttempts: 2}}
tasks:
  - id: second_hangs
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}
    commands: ["if [ -e {tmp_path}/again ]; then touch {tmp_path}/hangs; sleep 1000; fi; touch {tmp_path}/again; false"]
""",
        "child",
    )
    await deploy(
        "tasks:\n  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: child}\n"
    )
    made = await engine.create("company.team", "f", {}, started_by="a")
    await until((tmp_path / "hangs").exists)
    await engine.kill(made.id, by="local:ann")
    assert (await engine.wait(made.id, timeout=20)).state is State.KILLED
    children = await engine.executions(flow_id="child")
    assert {one.state for one in children} == {State.KILLED, State.RETRIED}
    assert len(children) == 2


AGAIN = """
retry: {behavior: CREATE_NEW_EXECUTION, type: constant, interval: %s, maxAttempts: 2}
tasks:
  - {id: boom, type: io.kestra.plugin.core.execution.Fail}
"""
CALLS = "tasks:\n  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: child}\n"


async def there(find, patience=20):
    """What is about to be found."""
    async with asyncio.timeout(patience):
        while not (found := await find()):
            await asyncio.sleep(0.005)
    return found[0]


async def retried(engine, flow_id):
    """The execution of a flow that failed and is to be tried again as another one."""
    return await there(lambda: engine.executions(flow_id=flow_id, states=[State.RETRIED]))


async def test_a_kill_does_not_wait_for_what_takes_the_place_of_a_subflow(engine, deploy):
    await deploy(AGAIN % "PT1H", "child")
    await deploy(CALLS)
    made = await engine.create("company.team", "f", {}, started_by="a")
    child = await retried(engine, "child")
    await engine.kill(made.id, by="local:ann")
    assert (await engine.wait(made.id, timeout=20)).state is State.KILLED
    assert (await engine.wait(child.id, timeout=20)).state is State.KILLED
    await until(lambda: not engine.is_busy)
    assert not await engine.database.read(lambda c: outbox.waiting(c, engine.sealer))
    assert [one.id for one in await engine.executions(flow_id="child")] == [child.id]


async def test_a_kill_that_was_asked_as_the_process_died_reaches_what_waits_at_the_next_start(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    for flow_id, text in (("child", AGAIN % "PT1H"), ("f", CALLS)):
        await first.deploy(f"id: {flow_id}\nnamespace: company.team\n{text}")
    made = await first.create("company.team", "f", {}, started_by="a")
    child = await retried(first, "child")
    asked = KillAsked(clock.now(), "local:ann")
    await first.database.transact(
        lambda unit: inbox.post(unit.connection, made.id, asked, clock.now(), first.sealer)  # and nobody is told of it
    )
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        for one in (made, child):
            assert (await second.wait(one.id, timeout=20)).state in (State.KILLED, State.RETRIED)
        await until(lambda: not second.is_busy)
        assert {one.state for one in await second.executions()} == {State.KILLED}
        clock.jump(timedelta(hours=2))
        await until(lambda: not second.is_busy)
        assert len(await second.executions()) == 2
        assert not await second.database.read(lambda c: outbox.waiting(c, second.sealer))
    finally:
        await second.stop()


async def test_what_is_to_be_tried_again_can_be_killed_by_itself(engine, deploy):
    await deploy(AGAIN % "PT1H")
    made = await engine.create("company.team", "f", {}, started_by="a")
    await retried(engine, "f")
    assert await engine.bulk.kill([made.id], by="local:ann") == 1
    assert (await engine.execution(made.id)).state is State.KILLED
    with pytest.raises(Refused, match="already finished"):
        await engine.kill(made.id, by="local:ann")


async def test_a_kill_that_comes_as_another_takes_the_place_reaches_that_one(engine, deploy, clock):
    """The killer knew the first execution only, and that it was to be tried again."""
    await deploy((AGAIN % "PT1S").replace("tasks:", "tasks:\n  - {id: ask, type: io.kestra.plugin.core.flow.Pause}"))
    made = await engine.create("company.team", "f", {}, started_by="a")
    await engine.wait(made.id, until="ended_or_paused", timeout=20)
    await engine.resume(made.id, {}, by="b")
    old = await retried(engine, "f")
    clock.jump(timedelta(seconds=2))
    await there(engine.pauses)
    with pytest.raises(Refused, match="already finished"):
        await engine.kill(old.id, by="local:ann")
    await engine.decider.decide(old.id, KillAsked(clock.now(), "local:ann"))
    await until(lambda: not engine.is_busy)
    assert {one.state for one in await engine.executions(flow_id="f")} == {State.KILLED}
    assert len(await engine.executions(flow_id="f")) == 2


async def test_what_takes_the_place_of_an_execution_whose_text_nobody_can_read_any_more_fails_and_tells(
    settings, clock
):
    """Another version of the program does not know a task of it."""
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    for flow_id, text in (("child", AGAIN % "PT1H"), ("f", CALLS)):
        await first.deploy(f"id: {flow_id}\nnamespace: company.team\n{text}")
    made = await first.create("company.team", "f", {}, started_by="a")
    await retried(first, "child")
    source = update(flows).where(flows.c.id == "child").values(source="id: child\nnamespace: company.team\ntasks: []\n")
    await first.database.transact(lambda unit: unit.connection.execute(source))
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        clock.jump(timedelta(hours=2))
        assert (await second.wait(made.id, timeout=20)).state is State.FAILED
        states = {one.state for one in await second.executions(flow_id="child")}
        assert states == {State.RETRIED, State.FAILED}
    finally:
        await second.stop()


async def test_a_kill_before_a_worker_is_free_takes_the_task_back(engine, deploy):
    await deploy(HANG)
    busy = [await engine.create("company.team", "f", {}, started_by="a") for _ in range(8)]
    await until(lambda: len(marks(engine.settings.data)) == 8)
    last = await engine.create("company.team", "f", {}, started_by="a")
    await until(lambda: engine.dispatcher.busy == 9)
    await engine.kill(last.id, by="a")
    assert (await engine.wait(last.id, timeout=10)).state is State.KILLED
    assert len(marks(engine.settings.data)) == 8
    for one in busy:
        await engine.kill(one.id, by="a")
        await engine.wait(one.id, timeout=10)


async def test_a_task_interrupted_by_the_end_of_the_process_runs_again(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(f"id: f\nnamespace: company.team\n{HANG}")
    made = await first.create("company.team", "f", {}, started_by="a")
    await until(lambda: marks(settings.data))
    await first.stop(grace=0)
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        assert (await second.wait(made.id, timeout=10)).state is State.SUCCESS
        assert len(marks(settings.data)) == 3
    finally:
        await second.stop()


async def test_what_was_killed_after_the_end_does_not_run_again_at_the_next_start(settings, clock, monkeypatch):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy("""
id: f
namespace: company.team
tasks:
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - {id: ask, type: io.kestra.plugin.core.flow.Pause}
      - {id: out, type: io.kestra.plugin.core.execution.Exit, state: FAILED}
afterExecution:
  - {id: stuck, type: tests.Mark, hang: true}
""")
    made = await first.create("company.team", "f", {}, started_by="a")
    await until(lambda: marks(settings.data))
    [pause] = await first.pauses(execution_id=made.id)
    monkeypatch.setattr(first.dispatcher, "withdraw", lambda _: [])  # the process ends before it can stop the work
    given = {"by": "a", "reason": "", "now": clock.now(), "pause_id": pause.id}
    assert await first.database.transact(lambda unit: first.operations.kill_in(unit, made.id, **given))
    async with asyncio.timeout(20):
        while (await first.execution(made.id)).task_runs[pause.task_run_id].state is not State.KILLED:
            await asyncio.sleep(0.01)
    await first.stop(grace=0)
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await until(lambda: not second.is_busy)
        ended = await second.execution(made.id)
        assert [run.state.value for run in ended.task_runs.values()][-2:] == ["FAILED", "KILLED"]
        assert (ended.state, len(marks(settings.data))) == (State.FAILED, 1)
    finally:
        await second.stop()


async def test_a_limit_queues_the_rest_in_order(engine, deploy):
    await deploy("concurrency: {limit: 2}\n" + ASK)
    made = [await engine.create("company.team", "f", {}, started_by="a") for _ in range(5)]
    for one in made[:2]:
        await engine.wait(one.id, until="ended_or_paused", timeout=10)
    await until(lambda: not engine.is_busy)
    assert [(await engine.execution(one.id)).state.value for one in made] == ["PAUSED"] * 2 + ["QUEUED"] * 3
    for one in made:
        await engine.wait(one.id, until="ended_or_paused", timeout=10)
        await engine.resume(one.id, {"ok": True, "why": ""}, by="a")
        await engine.wait(one.id, timeout=10)
    done = [await engine.execution(one.id) for one in made]
    assert all(one.state is State.SUCCESS for one in done)
    assert [s.value for s, _ in done[4].histories][:3] == ["CREATED", "QUEUED", "RUNNING"]


@pytest.mark.parametrize("raised", ["concurrency: {limit: 3}\n", ""], ids=["raised", "taken out"])
async def test_a_limit_that_is_raised_lets_in_at_once_those_that_wait_already(engine, deploy, raised):
    await deploy("concurrency: {limit: 1}\n" + ASK)
    made = [await engine.create("company.team", "f", {}, started_by="a") for _ in range(3)]
    await engine.wait(made[0].id, until="ended_or_paused", timeout=10)
    await until(lambda: not engine.is_busy)
    assert [(await engine.execution(one.id)).state.value for one in made] == ["PAUSED", "QUEUED", "QUEUED"]
    await deploy(raised + ASK)
    for one in made:
        assert (await engine.wait(one.id, until="ended_or_paused", timeout=10)).state is State.PAUSED


async def test_a_limit_that_is_lowered_lets_nobody_in_until_there_is_room(engine, deploy):
    await deploy("concurrency: {limit: 2}\n" + ASK)
    made = [await engine.create("company.team", "f", {}, started_by="a") for _ in range(3)]
    for one in made[:2]:
        await engine.wait(one.id, until="ended_or_paused", timeout=10)
    await deploy("concurrency: {limit: 1}\n" + ASK)
    for one in made[:2]:
        await until(lambda: not engine.is_busy)
        assert (await engine.execution(made[2].id)).state is State.QUEUED
        await engine.resume(one.id, {"ok": True, "why": ""}, by="a")
        await engine.wait(one.id, timeout=10)
    assert (await engine.wait(made[2].id, until="ended_or_paused", timeout=10)).state is State.PAUSED


async def test_a_queue_survives_a_restart(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy("id: f\nnamespace: company.team\nconcurrency: {limit: 1}\n" + ASK)
    made = [await first.create("company.team", "f", {}, started_by="a") for _ in range(2)]
    await until(lambda: not first.is_busy)
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await until(lambda: not second.is_busy)
        assert [(await second.execution(one.id)).state.value for one in made] == ["PAUSED", "QUEUED"]
        await second.resume(made[0].id, {"ok": True, "why": ""}, by="a")
        assert (await second.wait(made[1].id, until="ended_or_paused", timeout=10)).state is State.PAUSED
    finally:
        await second.stop()


async def test_an_execution_may_begin_later(engine, deploy, clock):
    await deploy(HELLO)
    later = clock.now() + timedelta(hours=3)
    made = await engine.create("company.team", "f", {"name": "x"}, started_by="a", schedule_date=later)
    await until(lambda: not engine.is_busy)
    assert (await engine.execution(made.id)).state is State.CREATED
    clock.jump(timedelta(hours=3))
    assert (await engine.wait(made.id, timeout=10)).state is State.SUCCESS


async def test_a_replay_is_a_new_execution(engine, deploy, run):
    await deploy(HELLO)
    first = await run({"name": "ann"})
    again = await engine.replay(first.id, by="local:bob")
    done = await engine.wait(again.id, timeout=10)
    assert (done.parent_id, done.original_id, done.started_by) == (first.id, first.id, "local:bob")
    assert done.outputs == first.outputs


async def test_a_restart_runs_what_failed(engine, deploy, run, tmp_path):
    await deploy(
        "tasks:\n  - {id: one, type: tests.Mark, text: one}\n"
        "  - id: two\n    type: io.kestra.plugin.core.debug.Return\n    format: \"{{ kv('answer') }}\"\n"
    )
    failed = await run()
    assert failed.state is State.FAILED
    await engine.kv.set("company.team", "answer", 42)
    await engine.restart(failed.id, by="local:ann")
    done = await engine.wait(failed.id, timeout=10)
    assert done.state is State.SUCCESS
    assert len(marks(engine.settings.data)) == 1
    assert [run.outputs for run in done.task_runs.values()][1] == {"value": "42"}


async def test_subscribers_hear_of_every_execution_and_never_hold_it_up(engine, deploy, run):
    await deploy(HELLO)
    async with engine.subscribe() as fast, engine.subscribe():  # the second never reads
        done = await run({"name": "x"})
        seen = None
        async with asyncio.timeout(10):
            while seen is not State.SUCCESS:
                change = await anext(fast)
                assert change.execution_id == done.id
                seen = change.state


async def test_waiting_has_an_end(engine, deploy):
    await deploy(ASK)
    made = await engine.create("company.team", "f", {}, started_by="a")
    with pytest.raises(TimeoutError):
        await engine.wait(made.id, timeout=0.2)
    with pytest.raises(NotFound):
        await engine.wait("no such", timeout=0.2)


async def test_a_flow_can_not_nest_without_an_end(settings, clock):
    limited = settings.model_copy(update={"limits": settings.limits.model_copy(update={"subflow_depth": 5})})
    engine = await Engine.open(limited, registry=registry(), clock=clock)
    await engine.start(watch=False)
    try:
        for here, there in (("f", "g"), ("g", "f")):
            await engine.deploy(
                f"id: {here}\nnamespace: a\ntasks:\n"
                f"  - {{id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: a, flowId: {there}}}\n"
            )
        made = await engine.create("a", "f", {}, started_by="a")
        assert (await engine.wait(made.id, timeout=20)).state is State.FAILED
        assert len(await engine.executions()) == 6  # the first, and five below each other
        lines = [line.message for one in await engine.executions() for line in await engine.logs(one.id, level="ERROR")]
        assert any("nested more than 5 deep" in line for line in lines)
    finally:
        await engine.stop()


async def test_one_flow_does_not_keep_another_waiting(engine, deploy):
    await deploy(
        "tasks:\n  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    concurrencyLimit: 0\n"
        '    values: "{{ range(1, 200) }}"\n    tasks:\n      - {id: slow, type: tests.Mark, text: big}\n',
        "big",
    )
    await deploy("tasks:\n  - {id: quick, type: tests.Mark, text: small}\n", "small")
    big = await engine.create("company.team", "big", {}, started_by="a")
    await until(lambda: engine.dispatcher.busy > 50)
    small = await engine.create("company.team", "small", {}, started_by="a")
    assert (await engine.wait(small.id, timeout=10)).state is State.SUCCESS
    await engine.wait(big.id, timeout=30)
    texts = [line.partition(" ")[2] for line in marks(engine.settings.data)]
    assert texts.index("small") < 199


async def test_a_replay_from_a_pause_asks_again(engine, deploy, run):
    await deploy(
        "tasks:\n  - {id: wait, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: ok, type: BOOLEAN}]}\n"
        '  - {id: after, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.wait.onResume.ok }}"}\n'
    )
    paused = await run()
    await engine.resume(paused.id, {"ok": True}, by="local:ann")
    ended = await engine.wait(paused.id, timeout=20)
    asked = next(one.id for one in ended.task_runs.values() if one.task_id == "wait")
    again = await engine.replay(ended.id, from_task_run=asked, by="local:bob")
    waiting = await engine.wait(again.id, until="ended_or_paused", timeout=20)
    assert waiting.state is State.PAUSED
    assert [one.task_id for one in waiting.task_runs.values()] == ["wait"]
    await engine.resume(again.id, {"ok": False}, by="local:bob")
    after = await engine.wait(again.id, timeout=20)
    assert next(one.outputs for one in after.task_runs.values() if one.task_id == "after") == {"value": "false"}


@pytest.mark.parametrize(
    "task",
    [
        "{id: t, type: io.kestra.plugin.core.flow.Pause, pauseDuration: \"{{ 'P3000000D' }}\"}",
        "{id: t, type: io.kestra.plugin.core.flow.Sleep, duration: \"{{ 'P3000000D' }}\"}",
    ],
)
async def test_a_wait_that_no_date_can_be_counted_with_is_told(engine, deploy, run, task):
    await deploy(f"tasks: [{task}]")
    done = await run()
    assert done.state is State.FAILED
    assert "longer than 1,000 years" in " ".join(line.message for line in await engine.logs(done.id))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "/" * 5000, "\ud800"])
async def test_a_name_that_no_file_can_have_is_told(engine, deploy, run, name):
    await deploy(
        "inputs: [{id: name, type: STRING}]\n"
        "tasks: [{id: t, type: io.kestra.plugin.core.storage.LocalFiles, inputs: {'{{ inputs.name }}': x}}]"
    )
    done = await run({"name": name})
    assert "broke" not in " ".join(line.message for line in await engine.logs(done.id))
    await deploy("inputs: [{id: name, type: FILE}]\ntasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: x}]")
    with pytest.raises(InputInvalid, match="Can't upload file") as refused:
        await run({"name": name})
    refused.value.message.encode()
