"""Polling triggers against a real service on the loopback address."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core.state import State
from engine.errors import FlowInvalid
from engine.runtime import Engine
from engine.settings import LocalFileSettings
from engine.store import triggers
from tests.runtime.marks import registry
from tests.runtime.test_schedules import at_rest
from tests.wire.loopback import Answered, serving

KEY = "company.team/f/watch"


@pytest.fixture
def service():
    answers = [Answered({"state": "open"})]
    with serving(lambda request: running.slowly() if running.slowly else answers[-1]) as running:
        running.answers, running.slowly = answers, None
        yield running


def flow(service, more="", task="type: io.kestra.plugin.core.log.Log\n    message: hello"):
    return f"""
id: f
namespace: company.team
tasks:
  - id: say
    {task}
triggers:
  - id: watch
    type: io.kestra.plugin.core.http.Trigger
    uri: {service.url}/health
    interval: PT1M
{more}"""


@pytest.fixture
async def slow_flow(engine, service, slow):
    """Deployed; its trigger looks, and has not heard yet."""
    await engine.deploy(flow(service))


async def pass_minutes(engine, clock, count):
    for _ in range(count):
        clock.jump(timedelta(minutes=1))
        await at_rest(engine)


async def test_it_looks_at_once_and_then_after_each_interval(engine, clock, service):
    await engine.deploy(flow(service))
    await at_rest(engine)
    assert len(service.requests) == 1
    (made,) = await engine.executions()
    assert made.origin.type == "io.kestra.plugin.core.http.Trigger"
    assert made.origin.variables["code"] == 200
    assert made.origin.variables["body"] == '{"state": "open"}'
    await pass_minutes(engine, clock, 2)
    assert len(service.requests) == 3
    clock.jump(timedelta(hours=5))  # what passed unseen is looked at once, not three hundred times
    await at_rest(engine)
    assert len(service.requests) == 4


async def test_a_clock_that_was_set_back_does_not_keep_it_from_looking(engine, clock, service):
    await engine.deploy(flow(service))
    await at_rest(engine)
    clock.jump(timedelta(hours=-5))
    await at_rest(engine)
    assert len(service.requests) == 2
    await pass_minutes(engine, clock, 2)
    assert len(service.requests) == 4


async def test_no_overlap(engine, clock, service):
    await engine.deploy(flow(service, task="type: io.kestra.plugin.core.flow.Pause"))
    await at_rest(engine)
    await pass_minutes(engine, clock, 3)
    assert len(service.requests) == 1
    (made,) = await engine.executions()
    await engine.resume(made.id, {}, by="a")
    await engine.wait(made.id, timeout=10)
    await at_rest(engine)
    assert len(service.requests) == 2  # its minute had passed: at once


@pytest.mark.parametrize(
    ("condition", "answer", "starts"),
    [
        ("{{ response.statusCode == 404 }}", Answered("gone", 404), 1),
        ("{{ response.statusCode == 404 }}", Answered("here", 200), 0),
        ("{{ (response.body | jq('.n') | first) > 2 }}", Answered({"n": 3}), 1),
        ("{{ (response.body | jq('.n') | first) > 2 }}", Answered({"n": 2}), 0),
        ("{{ response.headers['X-Ready'] | first }}", Answered("", 200, {"X-Ready": "true"}), 1),
    ],
)
async def test_the_response_condition_decides(engine, service, condition, answer, starts):
    service.answers.append(answer)
    await engine.deploy(flow(service, f'    responseCondition: "{condition}"\n'))
    await at_rest(engine)
    assert len(service.requests) == 1
    assert len(await engine.executions()) == starts


async def test_a_refusal_starts_nothing_by_default(engine, service):
    service.answers.append(Answered("down", 503))
    await engine.deploy(flow(service))
    await at_rest(engine)
    assert await engine.executions() == []


async def test_the_request_is_the_one_of_the_request_task(engine, service, monkeypatch):
    monkeypatch.setenv("PARLEY_SECRET_TOKEN", "s3cret-token")
    more = """
    method: POST
    headers: {Authorization: "Bearer {{ secret('TOKEN') }}"}
    body: '{"flow": "{{ flow.id }}"}'
    inputs:
      seen: "{{ trigger.body }}"
"""
    text = flow(service, more).replace("tasks:", "inputs:\n  - {id: seen, type: STRING}\ntasks:", 1)
    service.answers.append(Answered("{{ secret('TOKEN') }}"))
    await engine.deploy(text)
    await at_rest(engine)
    assert service.last.method == "POST"
    assert service.last.json == {"flow": "f"}
    assert service.last.headers["Authorization"] == "Bearer s3cret-token"
    (made,) = await engine.executions()
    assert made.inputs == {"seen": "{{ secret('TOKEN') }}"}  # what came from outside is no template


async def test_a_service_that_is_gone_is_looked_for_again(engine, clock, service):
    await engine.deploy(flow(service).replace(service.url, "http://127.0.0.1:9"))
    await at_rest(engine)
    assert await engine.executions() == []
    await engine.deploy(flow(service))  # an edit looks at once
    await at_rest(engine)
    assert len(service.requests) == 1


async def test_an_error_can_be_an_execution(engine, service):
    more = "    failOnTriggerError: true\n"
    await engine.deploy(flow(service, more).replace(service.url, "http://127.0.0.1:9"))
    await at_rest(engine)
    (made,) = await engine.executions()
    assert made.state is State.FAILED
    assert "could not be reached" in (await engine.logs(made.id))[0].message


async def test_what_was_seen_stands_in_the_execution_that_cannot_begin(engine, service):
    more = "    failOnTriggerError: true\n    inputs: {number: no}\ninputs:\n  - {id: number, type: INT}\n"
    await engine.deploy(flow(service, more))
    await at_rest(engine)
    (made,) = await engine.executions()
    assert (made.state, made.origin.variables["code"]) == (State.FAILED, 200)
    assert "number" in (await engine.logs(made.id))[0].message


async def test_switched_off_and_stop_after(engine, clock, service):
    await engine.deploy(flow(service, "    stopAfter: [SUCCESS]\n"))
    await at_rest(engine)
    await pass_minutes(engine, clock, 2)
    assert len(service.requests) == 1
    assert engine.schedules.is_disabled(KEY)
    await engine.schedules.toggle("company.team", "f", "watch", disabled=False)
    await at_rest(engine)
    assert len(service.requests) == 2


async def test_stop_after_counts_what_a_check_made_failed(engine, clock, service):
    checked = "checks: [{condition: '{{ false }}', message: no, behavior: FAIL_EXECUTION}]\n"
    await engine.deploy(flow(service, "    stopAfter: [FAILED]\n") + checked)
    await at_rest(engine)
    await pass_minutes(engine, clock, 2)
    assert [one.state for one in await engine.executions()] == [State.FAILED]
    assert engine.schedules.is_disabled(KEY)


async def test_removed_and_disabled_triggers_look_no_more(engine, clock, service):
    await engine.deploy(flow(service))
    await at_rest(engine)
    await engine.deploy(flow(service, "    disabled: true\n"))
    await pass_minutes(engine, clock, 2)
    assert len(service.requests) == 1


async def test_a_restart_keeps_the_interval_and_what_runs(settings, clock, service):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(flow(service, task="type: io.kestra.plugin.core.flow.Pause"))
    await at_rest(first)
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await at_rest(second)
        await pass_minutes(second, clock, 2)
        assert len(service.requests) == 1
        (made,) = await second.executions()
        await second.kill(made.id, by="a")
        async with asyncio.timeout(10):
            await at_rest(second)
        assert len(service.requests) == 2
    finally:
        await second.stop()


async def test_conditions_see_the_answer(engine, service):
    condition = (
        "    conditions:\n      - type: io.kestra.plugin.core.condition.Expression\n"
        '        expression: "{{ trigger.code == 201 }}"\n'
    )
    await engine.deploy(flow(service, condition))
    await at_rest(engine)
    assert await engine.executions() == []


async def test_an_interval_is_a_second_at_least(engine, service):
    with pytest.raises(FlowInvalid, match="interval"):
        await engine.deploy(flow(service).replace("PT1M", "PT0.01S"))


@pytest.fixture
def slow(service):
    """The service answers when a test lets it."""
    asked, go_on = threading.Event(), threading.Event()
    plain = service.answers[-1]

    def answer():
        asked.set()
        go_on.wait(20)
        return plain

    service.slowly = answer
    yield asked, go_on
    go_on.set()


async def test_what_is_found_after_the_trigger_was_switched_off_starts_nothing_then(engine, slow_flow, slow):
    asked, go_on = slow
    await asyncio.to_thread(asked.wait, 20)
    await engine.schedules.toggle("company.team", "f", "watch", disabled=True)
    go_on.set()
    await at_rest(engine)
    assert await engine.executions() == []
    await engine.schedules.toggle("company.team", "f", "watch", disabled=False)
    await at_rest(engine)
    assert len(await engine.executions()) == 1  # it is still to be found


async def test_what_another_process_has_looked_for_meanwhile_starts_nothing_twice(engine, clock, slow_flow, slow):
    asked, go_on = slow
    await asyncio.to_thread(asked.wait, 20)

    def looked(unit):
        there = triggers.held(unit.connection, "company.team", "f", "watch")
        triggers.save(unit.connection, replace(there, next_date=clock.now() + timedelta(minutes=1)))

    await engine.database.transact(looked)
    go_on.set()
    await at_rest(engine)
    assert await engine.executions() == []
    clock.jump(timedelta(minutes=1))
    await at_rest(engine)
    assert len(await engine.executions()) == 1


async def test_files_that_do_not_fit_keep_no_others_waiting(settings, clock, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/no.csv").write_text("no number")
    allowed = settings.model_copy(update={"local_files": LocalFileSettings(allowed_paths=(tmp_path,))})
    opened = await Engine.open(allowed, registry=registry(), clock=clock)
    await opened.start(watch=False)
    try:
        await opened.deploy(f"""
id: f
namespace: company.team
inputs: [{{id: number, type: INT}}]
tasks: [{{id: say, type: io.kestra.plugin.core.log.Log, message: hello}}]
triggers:
  - id: watch
    type: io.kestra.plugin.fs.local.Trigger
    from: {tmp_path}/in
    action: NONE
    inputs: {{number: "{{{{ trigger.files[0].name | replace({{'.csv': ''}}) }}}}"}}
""")
        await at_rest(opened)
        (tmp_path / "in/7.csv").write_text("a number")
        await pass_minutes(opened, clock, 2)
        first, second = sorted(await opened.executions(), key=lambda one: one.created)
    finally:
        await opened.stop()
    assert (first.state, first.origin.variables["files"][0]["name"]) == (State.FAILED, "no.csv")
    assert (second.state, second.inputs) == (State.SUCCESS, {"number": 7})
