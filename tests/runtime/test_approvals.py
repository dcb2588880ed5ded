"""What an Approval says of itself while it waits and afterwards."""

import pytest

from engine.core.state import State
from engine.errors import InputInvalid
from engine.runtime import Engine
from engine.settings import Settings
from tests.runtime.marks import registry

TEXT = """
id: release
namespace: company.team
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Approval
    timeout: PT1H
    onWait: [{id: tell, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.ask.url ?? 'nowhere' }}"}]
  - {id: said, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.ask.due }} {{ kestra.url ?? '-' }}"}
"""


@pytest.mark.parametrize("public", ["https://bot.example.com/", None])
async def test_its_page_and_its_deadline_are_known(tmp_path, clock, public):
    settings = Settings(data=tmp_path / "data", flows=(), public_url=public)
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    await engine.start(watch=False)
    try:
        await engine.deploy(TEXT)
        made = await engine.create("company.team", "release", {}, started_by="local:ann")
        paused = await engine.wait(made.id, until="ended_or_paused", timeout=20)
        runs = {run.task_id: run for run in paused.task_runs.values()}
        page = f"https://bot.example.com/ui/executions/company.team/release/{made.id}" if public else None
        due = (await engine.pauses())[0].deadline
        assert runs["tell"].outputs["value"] == (page or "nowhere")
        assert runs["ask"].outputs == {"url": page, "due": due.isoformat()}
        await engine.resume(made.id, {"approve": True}, by="local:bob")
        done = await engine.wait(made.id, timeout=20)
        assert done.state is State.SUCCESS
        runs = {run.task_id: run for run in done.task_runs.values()}
        told = runs["ask"].outputs
        assert (told["url"], told["due"], told["decision"], told["by"]) == (
            page,
            due.isoformat(),
            "APPROVED",
            "local:bob",
        )
        assert runs["said"].outputs["value"] == f"{due.isoformat()} {'https://bot.example.com' if public else '-'}"
    finally:
        await engine.stop(grace=0)


ASKED = """
id: release
namespace: company.team
inputs: [{id: how, type: STRING}]
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Approval
    commentRequired: "{{ inputs.how }}"
    decisions: {approve: "Ship {{ inputs.how }}", deny: "Stop"}
"""


async def test_what_it_asks_may_hang_on_values(engine):
    await engine.deploy(ASKED)
    made = await engine.create("company.team", "release", {"how": "ON_APPROVE"}, started_by="local:ann")
    await engine.wait(made.id, until="ended_or_paused", timeout=20)
    (pause,) = await engine.pauses()
    assert (await engine.check_answers(pause.id, {"approve": True})).enabled == {"approve": True, "comment": True}
    assert (await engine.check_answers(pause.id, {"approve": False})).enabled == {"approve": True, "comment": False}
    with pytest.raises(InputInvalid, match="comment"):
        await engine.resume(made.id, {"approve": True}, by="local:bob")
    await engine.resume(made.id, {"approve": False}, by="local:bob")
    assert (await engine.wait(made.id, timeout=20)).state is State.CANCELLED
    failed = await engine.create("company.team", "release", {"how": "SOMETIMES"}, started_by="local:ann")
    assert (await engine.wait(failed.id, timeout=20)).state is State.FAILED
