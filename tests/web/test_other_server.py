"""Tasks of one bot that are pointed at another, which answers at Kestra's paths."""

import httpx
import pytest

from engine.core.state import State
from tests.bot.test_run_changes import LONG
from tests.web.conftest import running
from tests.web.test_changes import ROLES, TOKENS

K = "io.kestra.plugin.kestra.executions"
ASKS = """
id: asks
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: comment, type: STRING}
      - {id: amount, type: INT}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.wait.onResume.comment }} {{ outputs.wait.onResume.amount + 1 }}"}
"""


@pytest.fixture
async def bots(tmp_path):
    """Two of them; what the second has is `there`."""
    for name, flows in (("here", ()), ("there", (("asks", ASKS), ("long", LONG)))):
        (tmp_path / name / "flows").mkdir(parents=True)
        for flow, text in flows:
            (tmp_path / name / "flows" / f"{flow}.yaml").write_text(text)
    async with (
        running(tmp_path / "here", flows=tmp_path / "here" / "flows") as here,
        running(tmp_path / "there", flows=tmp_path / "there" / "flows", roles=ROLES, tokens=TOKENS) as there,
    ):
        yield here, there


async def asked(here, there, task, execution, *, who="owner", more=""):
    await here.engine.deploy(f"""
id: ask
namespace: company.here
tasks:
  - id: ask
    type: {K}.{task}
    kestraUrl: {there.url}
    auth: {{apiToken: {TOKENS[who]}}}
    executionId: {execution.id}
{more}""")
    run = await here.engine.create("company.here", "ask", {}, started_by="local:ann")
    return await here.engine.wait(run.id, timeout=20)


async def started(there, flow, until="ended_or_paused"):
    run = await there.engine.create("company.team", flow, {}, started_by="token:owner")
    return await there.engine.wait(run.id, until=until, timeout=20) if until else run


async def test_another_bot_is_asked_as_its_roles_say(bots):
    here, there = bots
    waiting, long = await started(there, "asks"), await started(there, "long", until=None)
    values = "    inputs: {comment: fine, amount: 41}\n"
    refused = await asked(here, there, "Resume", waiting, who="guest", more=values)
    assert refused.state is State.FAILED
    assert (await there.engine.execution(waiting.id)).state is State.PAUSED
    assert (await asked(here, there, "Resume", waiting, more=values)).state is State.SUCCESS
    answered = await there.engine.wait(waiting.id, timeout=20)
    assert answered.outputs == {"said": "fine 42"}
    assert (await asked(here, there, "Kill", long)).state is State.SUCCESS
    assert (await there.engine.wait(long.id, timeout=20)).state is State.KILLED
    assert (await asked(here, there, "Delete", waiting, who="guest")).state is State.FAILED
    assert (await asked(here, there, "Delete", waiting)).state is State.SUCCESS
    gone = await asked(here, there, "Delete", waiting)
    said = [line.message for line in await here.engine.logs(gone.id)]
    assert gone.state is State.FAILED
    assert any("Kestra answered 404: There is no execution" in line for line in said), said
    assert not any(TOKENS["owner"] in line for line in said)


async def test_an_answer_without_its_values_is_told(bots):
    here, there = bots
    waiting = await started(there, "asks")
    run = await asked(here, there, "Resume", waiting)
    assert run.state is State.FAILED
    assert any("Kestra answered 422" in line.message for line in await here.engine.logs(run.id))
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKENS['owner']}"}) as client:
        url = f"{there.url}/api/v1/main/executions/{waiting.id}"
        refused = await client.post(f"{url}/resume", files={"comment": ("a.txt", b"text")})
        assert (refused.status_code, refused.json()["error"]) == (400, "Files can't be sent with an answer here.")
        told = (await client.get(url)).json()
        assert (told["id"], told["state"]["current"], told["flowId"]) == (waiting.id, "PAUSED", "asks")
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(url)).status_code == 401
