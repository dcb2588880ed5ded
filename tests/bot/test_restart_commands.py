"""The process dies inside a command that changes something, and the delivery comes again: one effect, one record."""

import asyncio
import os
import signal
import sys
from collections import Counter

import pytest

from bot.conversation import Click, Command
from engine.core.state import State
from engine.store import audit_chain, chat_audit
from engine.store.chat_audit import HEARD
from tests.bot.dying_commands import REQUESTS
from tests.bot.rig import ANN, OPS, Rig
from tests.shared import ROOT


async def killed(folder, step, deed):
    """Run the child until it kills itself; what arrives there, to be delivered again."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.dying_commands", str(folder), step, deed,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 90)
    assert child.returncode == -signal.SIGKILL, f"the child was to die at {step!r}"
    return out.decode().strip()


async def again(rig, said):
    """The same delivery once more; the answer."""
    if said.startswith("p1:"):
        return (await rig.desk.click(Click(said, ANN, OPS, "the click", answer_url="https://answer.test/1"))).body
    return (await rig.desk.command(Command(said, ANN, OPS, "the click", answer_url="https://answer.test/1"))).body


async def recorded(rig):
    """What was done, by action; and that the record is whole."""
    assert (await rig.engine.database.read(audit_chain.verify)).is_whole
    every = await rig.engine.database.read(lambda c: [chat_audit._deed(row) for row in c.execute(chat_audit._deeds())])
    return Counter(deed.action for deed in every if deed.action not in HEARD)


def state_of(rig):
    return next(e for e in rig.engine.schedules.occurrences.standing() if e.trigger.id == "nightly").state


SCHEDULES = {
    ("add", "inside the transaction"): "schedule",
    ("add", "after the transaction"): "schedule",
    ("skip", "inside the transaction"): "schedule skip",
    ("shift", "inside the transaction"): "schedule shift",
    ("pause", "inside the transaction"): "schedule pause",
    ("backfill", "inside the transaction"): "schedule backfill",
    ("backfill", "after the transaction"): "schedule backfill",
}


@pytest.mark.parametrize(("deed", "step"), SCHEDULES)
async def test_killed_while_changing_a_schedule(tmp_path, deed, step):
    said = await killed(tmp_path, step, deed)
    rig = await Rig(tmp_path).start()
    try:
        answer = await again(rig, said)
        assert answer.tone == "success", answer.text
        assert (await recorded(rig))[SCHEDULES[deed, step]] == 1
        own = [e for e in rig.engine.schedules.occurrences.standing() if e.trigger.id.startswith("chat-")]
        assert len(own) == (1 if deed in ("add", "shift") else 0)
        assert state_of(rig).disabled is (deed == "pause")
        if deed == "backfill":
            async with asyncio.timeout(30):
                while state_of(rig).backfill is not None:
                    await asyncio.sleep(0.01)
            runs = await rig.engine.executions(flow_id="greet", limit=100)
            dates = sorted(run.origin.variables["date"] for run in runs)
            assert len(set(dates)) == len(dates)
            assert len(dates) in (5, 6), "those since five days ago, that of today only when it is over"
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", ["between two", "after the transaction"])
async def test_killed_while_approving_several(tmp_path, step):
    said = await killed(tmp_path, step, "batch")
    rig = await Rig(tmp_path).start()
    try:
        answer = await again(rig, said)
        assert answer.tone == "success", answer.text
        assert answer.text.count("Approved.") == REQUESTS
        assert (await recorded(rig))["approve"] == REQUESTS
        for run in await rig.engine.executions(flow_id="ship"):
            done = await rig.engine.wait(run.id, timeout=20)
            assert [task.task_id for task in done.task_runs.values()] == ["wait", "after"]
    finally:
        await rig.stop()


async def test_killed_while_holding_a_run(tmp_path):
    said = await killed(tmp_path, "inside the transaction", "hold")
    rig = await Rig(tmp_path).start()
    try:
        (run,) = await rig.engine.executions(flow_id="long")
        assert not (await rig.engine.execution(run.id)).held
        assert (await again(rig, said)).tone == "paused"
        assert (await rig.engine.execution(run.id)).held
        assert (await recorded(rig))["pause"] == 1
        await rig.say(f"kill {run.id}")
    finally:
        await rig.stop()


async def test_killed_while_restoring_a_revision(tmp_path):
    """The flow's file is written before the transaction: what the next start reads is taken over by the delivery."""
    said = await killed(tmp_path, "inside the transaction", "restore")
    assert "first" in (tmp_path / "flows" / "kept.yaml").read_text()
    rig = await Rig(tmp_path).start()
    try:
        answer = await again(rig, said)
        assert answer.tone == "success", answer.text
        assert (await recorded(rig))["restore"] == 1
        every = await rig.engine.flows.revisions("company.team", "kept")
        assert [("first" in row.source) for row in every] == [True, False, True]
    finally:
        await rig.stop()


@pytest.mark.parametrize(("deed", "action"), [("delete", "delete"), ("bulk", "mark")])
async def test_killed_while_putting_runs_right(tmp_path, deed, action):
    said = await killed(tmp_path, "inside the transaction", deed)
    rig = await Rig(tmp_path).start()
    try:
        answer = await again(rig, said)
        assert answer.tone == "success", answer.text
        assert (await recorded(rig))[action] == 1
        states = [run.state for run in await rig.engine.executions(flow_id="fails")]
        assert states == ([] if deed == "delete" else [State.SUCCESS])
    finally:
        await rig.stop()


# What each of them leaves: once, whether the process died before it was written or before it was answered.
LEAVES = {
    "alias set": "alias set",
    "alias delete": "alias delete",
    "settings": "settings",
    "mute": "mute",
    "unmute": "unmute",
    "labels": "labels",
    "mark --task": "mark",
    "force": "force",
}


@pytest.mark.parametrize("step", ["inside the transaction", "after the transaction"])
@pytest.mark.parametrize("deed", LEAVES)
async def test_killed_inside_a_command_then_delivered_again(tmp_path, deed, step):
    said = await killed(tmp_path, step, deed)
    rig = await Rig(tmp_path).start()
    try:
        first, second = await again(rig, said), await again(rig, said)
        assert first.tone == ("info" if deed.endswith("mute") else "success"), first.text
        assert second == first
        assert (await recorded(rig))[LEAVES[deed]] == 1
        held = {row.title for row in (await rig.say("settings", receipt="later")).rows}
        aliases = await rig.say("alias list", receipt="later still")
        assert ("card=off" in held) is (deed == "settings")
        assert any(title.startswith("muted: company.team/ship") for title in held) is (deed == "mute")
        assert ("ship-it" in [row.title for row in getattr(aliases, "rows", ())]) is (deed == "alias set")
        runs = await rig.engine.executions()
        if deed in ("force", "mark --task"):
            done = await rig.engine.wait(runs[0].id, timeout=20)
            assert done.state is State.SUCCESS
            assert len(done.task_runs) == 1
        if deed == "labels":
            assert [label for label in runs[0].labels if label[0] == "team"] == [("team", "web")]
    finally:
        await rig.stop()
