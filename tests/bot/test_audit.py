"""The record as the desk writes it: what came in, what was done, what was refused, which messages stand where."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from bot.approvals.policy import ApprovalRule
from bot.cli import app
from bot.cli.audit import cell
from engine.store import audit_chain, chat_audit
from tests.bot.rig import ASKING, BOB, DEV, PLAIN, Rig

SECRET = """
id: deploy
namespace: company.team
inputs:
  - {id: token, type: SECRET}
  - {id: env, type: STRING}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ inputs.env }}"}
"""


async def rows(rig):
    return await rig.engine.database.read(lambda connection: list(audit_chain.export(connection)))


async def whole(rig):
    return (await rig.engine.database.read(audit_chain.verify)).is_whole


async def test_everything_that_happens_to_a_run(tmp_path):
    rules = (ApprovalRule.model_validate({"approvers": ["slack:U1"]}),)
    rig = await Rig(tmp_path, approvals=rules).start(PLAIN)
    try:
        card = await rig.asked()
        assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
        await rig.press(card, "Approve")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.engine.wait(run, timeout=20)
        told = await rig.engine.database.read(lambda c: chat_audit.about(c, run, heard=True))
        done = [(deed.action, deed.name) for deed in told if deed.action != "posted"]
        assert done == [("run", "Ann"), ("click", "Bob"), ("refused", "Bob"), ("click", "Ann"), ("approve", "Ann")]
        refused = next(deed for deed in told if deed.action == "refused")
        assert refused.details["code"] == "E20"
        posted = [deed.details["message"] for deed in told if deed.action == "posted"]
        assert {message["channel"] for message in posted} == {"C1"}
        assert (await rows(rig))[0]["details"] == {"room": "slack:T1:C1:", "text": "run ship"}
        shown = await rig.say(f"audit {run}", BOB, DEV)
        assert [line.split(": ")[1].split(" ")[0] for line in shown.lines if "posted" not in line] == [
            "run", "click", "refused", "click", "approve",
        ]  # fmt: skip
        assert await whole(rig)
    finally:
        await rig.stop()


async def test_a_form_is_recorded_and_a_secret_is_not(tmp_path):
    rig = await Rig(tmp_path).start(ASKING, SECRET)
    try:
        form = await rig.say("run picture")
        await rig.fill(form, prompt="a cat")
        for typed in ("run deploy", "rnu deploy", "run nothing", "answer last", "approve last", "nonsense"):
            await rig.say(f"{typed} token=hunter2 env=prod")
        await rig.say("run 'never closed token=hunter2")
        await rig.say("kv set company.team KEY hunter2 --secret")
        await rig.say("kv set company.team KEY word")
        await rig.say("kv delete company.team KEY")
        found = await rows(rig)
        by = {row["action"]: row for row in found}
        assert by["form"]["details"]["values"] == {"prompt": "a cat"}
        assert by["kv set"]["entity"] == by["kv delete"]["entity"] == "company.team/KEY"
        assert "hunter2" not in json.dumps(found)
        assert await whole(rig)
    finally:
        await rig.stop()


async def test_a_delivery_that_comes_twice_is_recorded_once(tmp_path):
    rig = await Rig(tmp_path).start(PLAIN)
    try:
        for _ in range(2):
            await rig.say("list", receipt="same")
        assert [row["action"] for row in await rows(rig)] == ["command"]
    finally:
        await rig.stop()


@pytest.fixture
async def kept(tmp_path):
    """A data folder with a record in it, of a bot that is stopped."""
    rig = await Rig(tmp_path).start(PLAIN)
    await rig.say("run ship")
    await rig.say("nonsense", BOB, DEV)
    await rig.stop()
    return tmp_path / "data"


def test_the_command_line_checks_exports_and_forgets(kept, monkeypatch):
    monkeypatch.chdir(kept.parent)
    runner = CliRunner()

    def call(*words):
        return runner.invoke(app, ["audit", *words, "--data", str(kept)])

    checked = call("verify")
    assert checked.exit_code == 0
    head = checked.stdout.rsplit(" ", 1)[1].strip()
    lines = [json.loads(line) for line in call("export").stdout.splitlines()]
    assert {line["person"] for line in lines} - {""} == {"slack:U1", "discord:7"}
    table = list(csv.DictReader(io.StringIO(call("export", "--format", "csv").stdout)))
    assert [row["hash"] for row in table] == [line["hash"] for line in lines]
    assert call("export", "--since", "2999-01-01").stdout == ""
    assert call("forget", "slack:U1").exit_code == 0
    again = call("forget", "slack:U1")
    assert (again.exit_code, "under way" in again.stderr) == (0, True)  # its approval must know who asked
    assert call("forget", "slack:U404").exit_code == 1
    assert call("verify", "--head", head).exit_code == 0
    assert call("verify", "--head", "0123").exit_code == 1
    assert not any("slack:U1" in line or "Ann" in line for line in call("export").stdout.splitlines())


def test_a_cell_is_no_formula():
    assert cell("=1+1") == "'=1+1"
    assert cell({"a": 1}) == '{"a": 1}'
