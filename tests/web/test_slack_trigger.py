"""Slack's requests to a flow's own trigger: judged by their signature, counted once."""

import asyncio
import json
import subprocess
import sys

import httpx
import pytest

from engine.runtime import Engine
from engine.runtime.execution_json import execution_json
from engine.settings import Settings
from tests.shared import ROOT
from tests.wire.slack_requests import FORM, JSON, SIGNING_SECRET, event, pressed, signed, slash

HEARS = f"""
id: hears
namespace: web.tests
tasks:
  - {{id: say, type: io.kestra.plugin.core.debug.Return, format: "{{{{ trigger.body.text ?? trigger.body.type }}}}"}}
triggers:
  - id: mentioned
    type: io.kestra.plugin.slack.app.core.Trigger
    signingSecret: {SIGNING_SECRET}
    botToken: xoxb-of-the-flow
  - id: pressed
    type: io.kestra.plugin.slack.app.Trigger
    key: buttons
    signingSecret: {SIGNING_SECRET}
    when: "{{{{ (trigger.body.type ?? '') == 'block_actions' }}}}"
"""


@pytest.fixture
async def send(parley):
    await parley.engine.deploy(HEARS)
    where = f"{parley.url}/api/v1/executions/webhook/web.tests/hears"
    async with httpx.AsyncClient(base_url=where) as client:

        async def post(body: str, media: str = JSON, key: str = "mentioned", **how) -> httpx.Response:
            return await client.post(f"/{key}", content=body, headers=signed(body, media, **how))

        yield post


async def runs(parley):
    return [one for one in await parley.engine.executions() if one.flow_id == "hears"]


async def test_an_event_starts_one_execution_however_often_it_comes(parley, send):
    body = event("Ev1", type="app_mention", text="<@U0BOT> deploy")
    answers = await asyncio.gather(*(send(body) for _ in range(3)))
    assert [(one.status_code, one.text) for one in answers] == [(200, "")] * 3
    (run,) = await runs(parley)
    seen = run.origin.variables
    assert seen["body"] == {"type": "app_mention", "text": "<@U0BOT> deploy", "user": "U1", "channel": "C1"}
    assert "x-slack-signature" in seen["headers"]
    assert seen["token"] == "xoxb-of-the-flow"
    done = await parley.engine.wait(run.id, timeout=20)
    assert [task.outputs["value"] for task in done.task_runs.values()] == ["<@U0BOT> deploy"]
    await send(event("Ev2", type="app_mention", text="again"))
    assert len(await runs(parley)) == 2


ANSWERS = f"""
id: answers
namespace: web.tests
tasks:
  - id: tell
    type: io.kestra.plugin.core.log.Log
    message: "{{{{ trigger.token | length }}}} of {{{{ trigger.token }}}}"
triggers:
  - id: said
    type: io.kestra.plugin.slack.app.core.Trigger
    signingSecret: {SIGNING_SECRET}
    botToken: "{{{{ secret('SLACK_APP') }}}}"
    fetchType: FETCH
"""


async def test_tasks_have_the_app_s_token_and_nobody_reads_it(parley, tmp_path, monkeypatch):
    """As in Kestra, where `trigger.token` is encrypted: a task may answer with it."""
    monkeypatch.setenv("PARLEY_SECRET_SLACK_APP", "xoxb-of-the-app")
    await parley.engine.deploy(ANSWERS)
    where = f"{parley.url}/api/v1/executions/webhook/web.tests/answers/said"
    body = event("Ev1", type="app_mention", text="hi")
    async with httpx.AsyncClient() as client:
        assert (await client.post(where, content=body, headers=signed(body, JSON))).status_code == 200
    (run,) = [one for one in await parley.engine.executions() if one.flow_id == "answers"]
    done = await parley.engine.wait(run.id, timeout=20)
    assert [line.message for line in await parley.engine.logs(run.id) if " of " in line.message] == [
        "15 of **masked*******"
    ]
    assert done.origin.variables["token"] == "xoxb-of-the-app"
    shown = execution_json(done, parley.engine.masker.mask)
    assert shown["trigger"]["variables"]["token"] == "**masked*******"
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"xoxb-of-the-app" in file.read_bytes()]


async def test_what_is_not_signed_is_refused(parley, send):
    body = event("Ev1", type="message")
    assert (await send(body, secret="another")).status_code == 401
    assert (await send(body, age=299)).status_code == 200
    assert (await send(body, age=302)).status_code == 401
    assert (await send(body, age=-302)).status_code == 401
    async with httpx.AsyncClient() as client:
        where = f"{parley.url}/api/v1/executions/webhook/web.tests/hears/mentioned"
        assert (await client.post(where, content=body)).status_code == 401
        assert (await client.post(where, content="x", headers=signed("y", JSON))).status_code == 401
    assert (await send(body, key="another")).status_code == 404
    assert len(await runs(parley)) == 1


async def test_slack_s_own_questions_start_nothing(parley, send):
    asked = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a", "token": "x"})
    answer = await send(asked)
    assert (answer.status_code, answer.text) == (200, "3eZbrw1a")
    assert (await send("ssl_check=1&token=x", FORM)).status_code == 200
    assert (await send("[]")).status_code == 400
    assert (await send("nonsense")).status_code == 400
    assert await runs(parley) == []


async def test_commands_and_buttons(parley, send):
    assert (await send(slash(command="/deploy", text="prod"), FORM)).status_code == 200
    assert (await send(slash(command="/deploy", text="prod"), FORM, key="buttons")).status_code == 204  # `when` says no
    assert (await send(pressed(actions=[{"action_id": "go"}]), FORM, key="buttons")).status_code == 200
    by_trigger = {run.origin.id: run.origin.variables["body"] for run in await runs(parley)}
    assert (by_trigger["mentioned"]["command"], by_trigger["mentioned"]["user_id"]) == ("/deploy", "U1")
    assert by_trigger["pressed"]["actions"] == [{"action_id": "go"}]
    assert not any("token" in body for body in by_trigger.values())
    assert [run.origin.id for run in await runs(parley) if "token" in run.origin.variables] == ["mentioned"]


async def test_a_kill_loses_no_event_and_counts_none_twice(tmp_path):
    flow, data = tmp_path / "hears.yaml", tmp_path / "data"
    flow.write_text(HEARS)

    def live(moment: str, number: int) -> tuple[int, bool]:
        """How the process ended, and whether Slack was answered."""
        body = event(f"Ev{number}", type="app_mention", text=str(number))
        headers = {name: [value] for name, value in signed(body, JSON).items()}
        done = subprocess.run(
            [sys.executable, "-m", "tests.runtime.dying_request", str(data), str(flow), moment],
            input=json.dumps({"key": "mentioned", "body": body, "headers": headers}),
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, "answered" in done.stdout

    for number, moment in enumerate(["before:1", "after:1"]):
        assert live(moment, number) == (-9, False)
        assert live("never", number) == (0, True)  # Slack was not answered, and sends it again
    engine = await Engine.open(Settings(data=data, flows=()))
    try:
        found = await engine.executions(limit=100)
    finally:
        await engine.database.close()
    assert sorted(run.origin.variables["body"]["text"] for run in found) == ["0", "1"]
