"""The record as the desk writes it: what came in, what was done, what was refused, which messages stand where."""

import asyncio
import base64
import csv
import hashlib
import io
import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from bot.approvals.policy import ApprovalRule
from bot.audit import records
from bot.cli import app
from bot.cli.audit import cell
from bot.people.roles import Role
from bot.tallies import DECISION, FIRST_CLICK
from engine.audit_keys import AuditKey, pem
from engine.errors import NotFound
from engine.plugin import Selection
from engine.store import audit_chain, chat_audit
from engine.store.audit_proof import CHECKPOINT
from engine.store.tables import instant
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


async def test_a_decision_is_called_the_same_by_whichever_door_it_came(tmp_path):
    """An auditor finds every yes and every no by one word each; older rows say `resume` of what came by the API."""
    rig = await Rig(tmp_path).start(ASKING)

    async def by_button(card, run, *, yes):
        given = await rig.press(card, "Approve" if yes else "Reject…")
        if not yes:
            await rig.fill(given, feedback="no")

    async def by_form(card, run, *, yes):
        await rig.fill(await rig.press(card, "Answer in form"), approve="yes" if yes else "no")

    async def by_command(card, run, *, yes):
        await rig.say(f"{'approve' if yes else 'reject'} {run} because")

    async def by_program(card, run, *, yes):
        await rig.engine.resume(run, {"approve": yes, "feedback": ""}, by="token:ci")

    try:
        for door in (by_button, by_form, by_command, by_program):
            for yes in (True, False):
                card = await rig.asked("run picture prompt='a fox'")
                run = (await rig.engine.pause_row(card.entity)).execution_id
                await door(card, run, yes=yes)
                told = await rig.engine.database.read(lambda c, at=card.entity: chat_audit.about(c, at))
                assert [deed.action for deed in told] == ["approve" if yes else "reject"], door.__name__
    finally:
        await rig.stop()


def counted(spread):
    return sum(spread.counts), spread.sum


async def test_how_long_people_let_a_question_wait_is_measured(tmp_path):
    """To the first press of a button, whoever presses it, and to what decides; each once a question."""
    rules = (ApprovalRule.model_validate({"approvers": ["slack:U1"]}),)
    rig = await Rig(tmp_path, approvals=rules).start(PLAIN)
    before = [counted(FIRST_CLICK), counted(DECISION)]
    try:
        card = await rig.asked()
        rig.clock.jump(timedelta(seconds=20))
        assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
        rig.clock.jump(timedelta(seconds=40))
        await rig.press(card, "Approve")
        assert (await rig.press(card, "Approve")).code == "E21"
        card = await rig.asked()
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.engine.resume(run, {}, by="slack:U1")
        await rig.press(card, "Approve")  # too late to be a first one
    finally:
        await rig.stop()
    after = [counted(FIRST_CLICK), counted(DECISION)]
    (presses, pressed), (decisions, decided) = (
        (late[0] - early[0], late[1] - early[1]) for early, late in zip(before, after, strict=True)
    )
    assert (presses, decisions) == (1, 2)
    assert 20 <= pressed < 40
    assert 60 <= decided < 120


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
    run = next(line["execution_id"] for line in lines if line["action"] == "run")
    of_run = call("export", "--run", run).stdout
    assert of_run == call("export", "--run", run).stdout
    own = [json.loads(line) for line in of_run.splitlines()]
    assert [line for line in lines if line in own] == own
    assert {line["action"] for line in own} == {"run", "posted"}
    assert isinstance(call("export", "--run", "0" * 26).exception, NotFound)
    assert "Signed up to row" in call("verify").stdout
    assert call("forget", "slack:U1").exit_code == 0
    again = call("forget", "slack:U1")
    assert (again.exit_code, "under way" in again.stderr) == (0, True)  # its approval must know who asked
    assert call("forget", "slack:U404").exit_code == 1
    assert call("verify", "--head", head).exit_code == 0
    assert call("verify", "--head", "0123").exit_code == 1
    assert not any("slack:U1" in line or "Ann" in line for line in call("export").stdout.splitlines())


@pytest.fixture
def away(kept, tmp_path, monkeypatch):
    """What an auditor gets: an export and the public key; and a way to check it where no bot ever was."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()

    def call(*words, data=kept):
        return runner.invoke(app, ["audit", *map(str, words), "--data", str(data)])

    shown = call("key")
    (tmp_path / "key.pem").write_text(shown.stdout)
    (tmp_path / "record.jsonl").write_text(call("export").stdout)
    nowhere = tmp_path / "nowhere"

    def verify(*words, rows=None):
        if rows is not None:
            text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
            (tmp_path / "record.jsonl").write_text(text)
        done = call("verify", tmp_path / "record.jsonl", *words, data=nowhere)
        assert not nowhere.exists(), "checking makes neither a database nor a key"
        return done

    lines = (tmp_path / "record.jsonl").read_text().splitlines()
    return verify, call, tmp_path / "key.pem", [json.loads(line) for line in lines], shown.stderr.split()[-1]


def test_an_export_is_checked_with_the_public_key_alone(away):
    verify, _, key, rows_, finger = away
    checked = verify("--key", key)
    assert (checked.exit_code, f"by key {finger}." in checked.stdout) == (0, True), checked.output
    assert rows_[-1]["facts"]["key"] == finger, "the export itself says which key signed"
    assert "No key was given: compare" in verify().stdout
    assert verify("--head", rows_[0]["hash"]).exit_code == 0
    assert verify("--head", "0123").exit_code == 1
    other = key.with_name("other.pem")
    other.write_text(pem(AuditKey(b"9" * 32).public))
    assert "nobody vouches for" in verify("--key", other).stdout
    assert verify("--key", other, "--key", key).exit_code == 0
    part = verify("--key", key, rows=rows_[2:])
    assert (part.exit_code, "Rows before 3 are not here." in part.stdout) == (0, True)
    assert verify("--key", key, rows=rows_[:-1]).exit_code == 1, "without its last seal nothing of it is signed"
    assert verify(rows=[]).stdout == "There are no rows.\n"
    assert verify("--key", key.with_name("none")).exit_code == 1


def test_openssl_agrees_with_the_fingerprint_and_the_signature(away, tmp_path):
    _, _, key, rows_, finger = away
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", key, "-outform", "DER"], capture_output=True, check=True)
    assert hashlib.sha256(der.stdout).hexdigest() == finger
    seal = rows_[-1]
    facts, at = seal["facts"], instant(datetime.fromisoformat(seal["at"]))
    signed = ["parley audit seal", 1, seal["number"], at, seal["prev"], facts["public"], facts["previous"], facts["of"]]
    (tmp_path / "text").write_text(json.dumps(signed, separators=(",", ":")))
    (tmp_path / "signature").write_bytes(base64.urlsafe_b64decode(facts["signature"] + "=="))
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", tmp_path / "text"]
    subprocess.run([*words, "-sigfile", tmp_path / "signature"], check=True, capture_output=True)


CHANGES = {
    "who": lambda row: row.update(person="slack:U9"),
    "their name": lambda row: row.update(name="Eve"),
    "what was said": lambda row: row.update(details={"text": "approve"}),
    "its salt": lambda row: row["proof"]["details"].__setitem__(1, "00"),
    "what proves it": lambda row: row.update(proof={}),
    "what was done": lambda row: row.update(action="approve"),
    "when": lambda row: row.update(at="2026-01-01T00:00:00+00:00"),
    "facts": lambda row: row.update(facts={"keys": []}),
    "its hash": lambda row: row.update(hash="0" * 64),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_line_of_an_export_that_was_changed(away, change):
    verify, _, key, rows_, _ = away
    CHANGES[change](rows_[0])
    done = verify("--key", key, rows=rows_)
    assert (done.exit_code, done.stdout.startswith("Row 1: ")) == (1, True), done.output


def test_lines_of_an_export_that_are_missing_or_none(away):
    verify, _, key, rows_, _ = away
    assert verify("--key", key, rows=[rows_[0], *rows_[2:]]).stdout.startswith(
        "Row 3: the row before it, 2, is missing"
    )
    for bad in ([{**rows_[0], "proof": None}], [{"number": 1}], [7], [{**rows_[0], "at": "soon"}]):
        done = verify(rows=bad)
        assert (done.exit_code, "Line 1 is no row" in str(done.exception)) == (1, True), done.output


def test_somebody_who_was_taken_out_is_missing_by_right_in_an_export_too(away):
    verify, call, key, rows_, _ = away
    assert call("forget", "slack:U1").exit_code == 0
    after = [json.loads(line) for line in call("export").stdout.splitlines()]
    assert verify("--key", key, rows=after).exit_code == 0
    blamed = [dict(row) for row in after]
    blamed[0]["person"] = "slack:U9"
    assert verify("--key", key, rows=blamed).exit_code == 1, "nor can another be put in their place"
    kept_back = [row | {"person": "", "name": "", "details": {}} for row in rows_]
    for row in kept_back:
        row["proof"] = {what: [one, ""] for what, (one, _) in row["proof"].items()}
    assert "its person was removed" in verify("--key", key, rows=kept_back).stdout
    of_ann = [row for row in rows_ if row["person"] == "slack:U1"]
    assert len(of_ann) > 1
    of_ann[-1] |= {"person": "", "name": ""}
    of_ann[-1]["proof"]["person"][1] = ""
    assert "its person was changed" in verify("--key", key, rows=rows_).stdout, "nor one of their rows be made nobody's"


def test_keys_by_the_command_line(away):
    verify, call, key, _, finger = away
    turned = call("rotate")
    assert (turned.exit_code, finger in turned.stderr) == (0, False), turned.output
    assert call("key").stdout == turned.stdout
    rows_ = [json.loads(line) for line in call("export").stdout.splitlines()]
    assert verify("--key", key, rows=rows_).exit_code == 0, "who has the former key alone"
    assert "it is not lost" in str(call("rotate", "--lost").exception)
    assert len(call("key", "--new").stdout.strip()) == 43


def test_old_rows_are_taken_out_and_the_record_still_verifies(away, monkeypatch):
    verify, call, key, rows_, _ = away
    monkeypatch.setattr(records, "BATCH", 2)
    noted, soon = rows_[-1], datetime.now(UTC).isoformat()
    assert "How old?" in str(call("purge").exception)
    assert "yet to come" in str(call("purge", "--before", "2100-01-01").exception)
    assert call("purge", "--older-than", "P730D").stdout.startswith("0 rows")
    assert call("purge", "--before", soon, "--dry-run").stdout.startswith(f"{len(rows_)} rows")
    assert [json.loads(line)["hash"] for line in call("export").stdout.splitlines()] == [row["hash"] for row in rows_]
    assert call("purge", "--before", soon).stdout.startswith(f"{len(rows_)} rows")
    left = [json.loads(line) for line in call("export").stdout.splitlines()]
    assert [row["number"] for row in left] == [noted["number"] + one for one in range(1, len(left) + 1)]
    assert left[0]["action"] == "audit purge"
    assert left[0]["details"]["before"] == soon
    assert [row["action"] for row in left[1:]] == [CHECKPOINT, "seal"] * ((len(rows_) + 1) // 2)
    told = call("verify", "--head", noted["hash"])
    assert (told.exit_code, f"Rows before {left[0]['number']} are not here." in told.stdout) == (0, True), told.output
    assert verify("--key", key, rows=left).exit_code == 0
    assert verify("--key", key, rows=left[2:]).exit_code == 0


def test_nothing_is_taken_out_of_a_signed_record_without_its_key(away, kept):
    _, call, _, rows_, _ = away
    (kept / "audit.key").unlink()
    assert "without the key that signs it" in str(call("purge", "--before", datetime.now(UTC).isoformat()).exception)
    assert [json.loads(line)["hash"] for line in call("export").stdout.splitlines()] == [row["hash"] for row in rows_]


def test_a_cell_is_no_formula():
    assert cell("=1+1") == "'=1+1"
    assert cell({"a": 1}) == '{"a": 1}'
