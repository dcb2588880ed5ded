"""The record as the desk writes it: what came in, what was done, what was refused, which messages stand where."""

import asyncio
import csv
import io
import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from bot.approvals.policy import ApprovalRule
from bot.cli import app
from bot.cli.audit import cell
from bot.people.roles import Role
from engine.plugin import Selection
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


async def test_what_was_done_with_a_run_is_told_when_it_is_purged(tmp_path):
    roles = (
        Role.model_validate({"name": "all", "members": ["slack:U1"], "may": [{"do": ["run", "approve"]}]}),
        Role.model_validate({"name": "few", "members": ["discord:7"], "may": [{"do": ["run"], "flow": "other/*"}]}),
    )
    rig = await Rig(tmp_path, roles=roles).start(PLAIN)
    try:
        card = await rig.asked()
        await rig.press(card, "Approve")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.engine.wait(run, timeout=20)
        before = (await rig.say(f"audit {run}")).lines
        assert (await rig.engine.retention.purge(Selection())).executions == 1
        after = await rig.say(f"audit {run.lower()}")
        assert after.title == f"Record of ship #{run[-6:]}"
        assert [line for line in before if line not in after.lines] == []
        assert sum("click" in line for line in after.lines) == 1
        assert (await rig.say(f"audit {run}", BOB, DEV)).code == "E04"
        assert "No run" in (await rig.say(f"audit {'0' * 26}")).text
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


BY_A_FLOW = """
id: answers
namespace: company.team
inputs: [{id: run, type: STRING}]
tasks:
  - {id: go, type: io.kestra.plugin.core.execution.Resume, executionId: "{{ inputs.run }}"}
"""
RULES = [
    {"match": {"task": "quick"}, "approvers": ["slack:U1", "discord:7"], "need": 2, "four_eyes": "none"},
    {"match": {"task": "wait"}, "approvers": ["discord:7"], "escalate": [{"after": "1h", "to": ["slack:U3"]}],
     "on_timeout": "cancel"},
    {"match": {"flow": "*"}, "approvers": ["anyone"]},
]  # fmt: skip
TIMED = (
    "id: timed\nnamespace: company.team\ntasks: [{id: wait, type: io.kestra.plugin.core.flow.Pause, timeout: PT2H}]\n"
)
ONLY_WAITS = "id: naps\nnamespace: o\ntasks: [{id: nap, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT2H}]\n"
VOTED = PLAIN.replace("id: wait", "id: quick")


async def test_what_the_policy_did_is_in_the_record(tmp_path):
    """By which entry a vote counts, who may decide from when on, what silence came to, and a flow that answers."""
    rules = tuple(ApprovalRule.model_validate(one) for one in RULES)
    rig = await Rig(tmp_path, approvals=rules).start(VOTED, TIMED, BY_A_FLOW)

    async def told(run, *actions):
        deeds = await rig.engine.database.read(lambda c: chat_audit.about(c, run))
        return [deed for deed in deeds if deed.action in actions]

    try:
        card = await rig.asked("run ship")
        await rig.press(card, "Approve")
        await rig.press(card, "Approve", BOB, DEV)
        run = (await rig.engine.pause_row(card.entity)).execution_id
        policies = [deed.details["policy"] for deed in await told(run, "vote", "approve")]
        assert policies == ["entry 1, 1 of 2", "entry 1, 2 of 2"]
        card = await rig.asked("run timed")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        rig.clock.jump(timedelta(minutes=61))
        await rig.slack.until(lambda: any("You may decide it now" in said[1].text for said in rig.slack.notices))
        (wider,) = await told(run, "escalate")
        assert (wider.entity, wider.person, wider.details) == (card.entity, "", {"to": ["slack:U3"]})
        rig.clock.jump(timedelta(minutes=61))
        await rig.engine.wait(run, timeout=20)
        (silence,) = await told(run, "expire")
        assert (silence.entity, silence.details) == (card.entity, {"then": "CANCEL", "by": "policy"})
        card = await rig.asked("run timed")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.say(f"run answers run={run}")
        await rig.engine.wait(run, timeout=20)
        (flow,) = await told(run, "answer by a flow")
        assert flow.details["by"].startswith("flow:company.team.answers")
        assert await whole(rig)
    finally:
        await rig.stop()


async def test_what_only_waits_is_no_question(tmp_path):
    rig = await Rig(tmp_path).start(ONLY_WAITS, TIMED.replace("PT2H", "PT2H, behavior: FAIL"))
    try:
        await rig.say("run naps")
        await rig.say("run timed")
        async with asyncio.timeout(20):
            while len(await rig.engine.pauses()) < 2:
                await asyncio.sleep(0.01)
        runs = {run.flow_id: run.id for run in await rig.engine.executions()}
        rig.clock.jump(timedelta(hours=3))
        for run in runs.values():
            await rig.engine.wait(run, timeout=20)
        silent = [(row["flow"], row["details"]) for row in await rows(rig) if row["action"] == "expire"]
        assert silent == [("company.team/timed", {"then": "FAIL", "by": "flow"})]
    finally:
        await rig.stop()


async def test_what_broke_is_on_record_as_not_counted(tmp_path, monkeypatch):
    rig = await Rig(tmp_path).start(PLAIN)

    async def broken(event):
        raise RuntimeError("a bug")

    try:
        monkeypatch.setattr(rig.desk.deliveries, "handle", broken)
        for _ in range(2):
            assert (await rig.say("list", receipt="same")).code == "E26"
        told = [(row["action"], row["details"].get("code")) for row in await rows(rig)]
        assert told == [("command", None), ("refused", "E26")]
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
