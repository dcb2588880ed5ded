"""The process dies between two steps of a decision, and the delivery comes again: exactly one effect."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bot.conversation import Click, Submission
from bot.frontend import Unreachable
from engine.core.state import State
from engine.store import audit_chain, chat_audit, chat_messages, chat_receipts, chat_votes
from tests.bot.dying_desk import LONG, TWO
from tests.bot.rig import ANN, BOB, OPS, Rig

ROOT = Path(__file__).resolve().parents[2]
# Where the child dies: the name of a step and whether the effect is durable by then.
STEPS = {
    "before the receipt": False,
    "after the receipt": False,
    "before the transaction": False,
    "inside the transaction": False,
    "after the transaction": True,
    "after the answer": True,
}


async def killed_at(folder: Path, step: str, deed: str) -> str:
    """Run the child until it kills itself at a step; what it printed before."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.dying_desk", str(folder), step, deed,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == -signal.SIGKILL, f"the child was to die at {step!r}"
    return out.decode().strip()


async def pause_rows(rig, pause_id):
    return await rig.engine.database.read(lambda connection: chat_messages.showing(connection, entity=pause_id))


@pytest.mark.parametrize("step", STEPS)
async def test_killed_while_deciding_then_delivered_again(tmp_path, step):
    pause_id = await killed_at(tmp_path, step, "approve")
    rig = await Rig(tmp_path).start()
    try:
        card = next(card for card in await rig.desk.pause_cards((await rig.engine.pause_row(pause_id)).execution_id))
        if not STEPS[step] and step == "before the receipt":
            assert (await rig.engine.pause_row(pause_id)).state == "WAITING"
            approve = card.actions[0].id
        else:
            approve = rig.desk.office.ids("ap", pause_id)
        again = Click(approve, ANN, OPS, "the click", answer_url="https://answer.test/1")
        reply = (await rig.desk.click(again)).body
        assert reply.text.startswith("Approved.")
        done = await rig.engine.wait((await rig.engine.pause_row(pause_id)).execution_id, timeout=20)
        assert done.state is State.SUCCESS
        assert [run.task_id for run in done.task_runs.values()] == ["wait", "after"]
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, pause_id))
        assert [deed.action for deed in deeds] == ["approve"]
        assert (await rig.engine.database.read(audit_chain.verify)).is_whole
        async with asyncio.timeout(20):
            while [(row.state, row.desired - row.shown) for row in await pause_rows(rig, pause_id)] != [("FINAL", 0)]:
                continue  # each look at the table lets the desk go on
    finally:
        await rig.stop()


WRITES = 8  # from the click to the last edit of a card; then the child dies of its own accord


@pytest.mark.parametrize("number", range(1, WRITES + 2))
async def test_killed_before_each_write_from_the_click_to_the_last_card_then_delivered_again(tmp_path, number):
    """Between two writes nothing is durable: dying before each of them is dying between every two steps."""
    pause_id = await killed_at(tmp_path, f"write {number}", "approve")
    rig = await Rig(tmp_path).start()
    try:
        run = (await rig.engine.pause_row(pause_id)).execution_id
        approve = rig.desk.office.ids("ap", pause_id)
        for _ in range(2):
            again = Click(approve, ANN, OPS, "the click", answer_url="https://answer.test/1")
            assert (await rig.desk.click(again)).body.text.startswith("Approved.")
        done = await rig.engine.wait(run, timeout=20)
        assert [task.task_id for task in done.task_runs.values()] == ["wait", "after"]
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, run))
        assert [deed.action for deed in deeds] == ["run", "approve"]
        heard = await rig.engine.database.read(lambda connection: chat_audit.about(connection, run, heard=True))
        assert [deed.action for deed in heard].count("click") == 1
        assert (await rig.engine.database.read(audit_chain.verify)).is_whole
        async with asyncio.timeout(20):
            while [(row.state, row.desired - row.shown) for row in await pause_rows(rig, pause_id)] != [("FINAL", 0)]:
                await asyncio.sleep(0.02)
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", STEPS)
async def test_killed_while_a_form_decides_then_delivered_again(tmp_path, step):
    pause_id, form_id = (await killed_at(tmp_path, step, "reject")).split()
    rig = await Rig(tmp_path).start()
    try:
        for _ in range(2):
            again = Submission(form_id, {"feedback": "too red"}, ANN, OPS, "the click")
            assert (await rig.desk.submit(again)).body.text.startswith("Rejected.")
        done = await rig.engine.wait((await rig.engine.pause_row(pause_id)).execution_id, timeout=20)
        assert done.outputs == {"result": "too red"}
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, pause_id))
        assert [deed.action for deed in deeds] == ["reject"]
    finally:
        await rig.stop()


@pytest.mark.parametrize(
    ("step", "again"),
    [
        ("before the receipt", True),
        ("after the receipt", False),
        ("before the transaction", True),
        ("after the transaction", False),
        ("after the answer", True),
    ],
)
async def test_killed_while_a_message_goes_into_a_form(tmp_path, step, again):
    """It is there once, whether the platform delivers it again or what was written down is carried on."""
    form_id = await killed_at(tmp_path, step, "message")
    rig = await Rig(tmp_path).start()
    try:
        if again:
            assert "characters now" in (await rig.say(LONG, spoken=True, receipt="the click")).text
        await asyncio.gather(*tuple(rig.desk.deliveries._later))
        assert (await rig.desk.form(form_id)).values == {"who": "Ann", "prompt": LONG}
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", [step for step in STEPS if step != "before the receipt"])
async def test_killed_while_deciding_and_never_delivered_again(tmp_path, step):
    """What is written down is carried on at the next start, and answered by the address that came along."""
    pause_id = await killed_at(tmp_path, step, "approve")
    rig = await Rig(tmp_path).start()
    try:
        run = (await rig.engine.pause_row(pause_id)).execution_id
        assert (await rig.engine.wait(run, timeout=20)).state is State.SUCCESS
        if step != "after the answer":
            url, reply = await rig.slack.until(lambda: rig.slack.answers and rig.slack.answers[0])
            assert url == "https://answer.test/1"
            assert reply.body.text.startswith("Approved.")
        left = await rig.engine.database.read(lambda c: chat_receipts.find(c, "slack:the click"))
        assert left.is_done
    finally:
        await rig.stop()


async def test_what_was_written_down_counts_however_long_the_bot_was_away(tmp_path):
    """The address of the answer is dead by then: a sentence that is kept until it arrives takes its place."""
    pause_id = await killed_at(tmp_path, "after the receipt", "approve")
    rig = Rig(tmp_path)
    rig.clock.jump(timedelta(hours=5))
    rig.slack.refusal = lambda operation: Unreachable("expired") if operation == "answer" else None
    await rig.start()
    try:
        run = (await rig.engine.pause_row(pause_id)).execution_id
        assert (await rig.engine.wait(run, timeout=20)).state is State.SUCCESS
        _, notice, person = await rig.slack.until(lambda: rig.slack.notices and rig.slack.notices[0])
        assert notice.text.startswith("Approved.")
        assert person == ANN.id
    finally:
        await rig.stop()


VOTING_STEPS = [step for step in STEPS if step != "before the receipt"]


@pytest.mark.parametrize("step", VOTING_STEPS)
async def test_killed_while_voting_then_delivered_again(tmp_path, step):
    """The first of two votes: counted once, and it decides nothing alone."""
    pause_id = await killed_at(tmp_path, step, "vote")
    rig = await Rig(tmp_path, approvals=TWO).start()
    try:
        approve = rig.desk.office.ids("ap", pause_id)
        reply = (await rig.desk.click(Click(approve, ANN, OPS, "the click", answer_url="https://answer.test/1"))).body
        assert reply.text == "Your vote is counted: 1 of 2. Waiting for 1 more."
        assert (await rig.engine.pause_row(pause_id)).state == "WAITING"
        votes = await rig.engine.database.read(lambda connection: chat_votes.votes_on(connection, pause_id))
        assert [vote.voter for vote in votes] == [ANN.id]
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, pause_id))
        assert [deed.action for deed in deeds] == ["vote"]
        assert (await rig.engine.database.read(audit_chain.verify)).is_whole
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", VOTING_STEPS)
async def test_killed_at_the_vote_that_decides_and_never_delivered_again(tmp_path, step):
    pause_id = await killed_at(tmp_path, step, "quorum")
    rig = await Rig(tmp_path, approvals=TWO).start()
    try:
        run = (await rig.engine.pause_row(pause_id)).execution_id
        done = await rig.engine.wait(run, timeout=20)
        assert [task.task_id for task in done.task_runs.values()] == ["wait", "after"]
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, pause_id))
        assert [(deed.action, deed.person) for deed in deeds] == [("vote", BOB.id), ("approve", ANN.id)]
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", [step for step in STEPS if step != "before the receipt"])
async def test_killed_while_starting_a_run_then_delivered_again(tmp_path, step):
    await killed_at(tmp_path, step, "run")
    rig = await Rig(tmp_path).start()
    try:
        said = await rig.say("run ship", receipt="the click")
        assert said.text.startswith("Started `ship`")
        started = [run for run in await rig.engine.executions() if run.started_by == ANN.id]
        assert len(started) == 1
        await rig.slack.shows("run")
        await rig.slack.shows("pause")
        assert len(rig.slack.of("run")) == 1
    finally:
        await rig.stop()


@pytest.mark.parametrize("deed", ["replay", "restart"])
@pytest.mark.parametrize("step", [step for step in STEPS if step != "before the receipt"])
async def test_killed_while_running_again_then_delivered_again(tmp_path, step, deed):
    first = await killed_at(tmp_path, step, deed)
    rig = await Rig(tmp_path).start()
    try:
        said = await rig.say(f"{deed} {first}", receipt="the click")
        assert said.text.startswith("Started `fails`" if deed == "replay" else "Run ")
        async with asyncio.timeout(20):
            while rig.engine.is_busy or not all(run.state.is_terminal for run in await rig.engine.executions()):
                await asyncio.sleep(0.01)
        runs = await rig.engine.executions()
        attempts = sorted(len(boom.attempts) for run in runs for boom in run.task_runs.values())
        assert attempts == ([1, 1] if deed == "replay" else [2])
        deeds = await rig.engine.database.read(lambda c: chat_audit.about(c, runs[0].id))
        assert [one.action for one in deeds].count(deed) == 1
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", ["before the failure is noted", "while it is noted", "while it is said"])
async def test_killed_before_somebody_is_told_that_their_hidden_run_failed(tmp_path, step):
    await killed_at(tmp_path, step, "a run that is not shown")
    rig = await Rig(tmp_path).start()
    try:
        await rig.slack.until(lambda: rig.slack.notices)
        (run,) = await rig.engine.executions()
        await rig.engine.wait(run.id, timeout=20)
        assert [(room, person) for room, _, person in rig.slack.notices] == [(OPS, ANN.id)]
        assert "failed" in rig.slack.notices[0][1].text
        held = await rig.say("settings", receipt="later")
        assert {"card=off", "muted: company.team/ship"} <= {row.title for row in held.rows}
        assert not rig.slack.messages
    finally:
        await rig.stop()
