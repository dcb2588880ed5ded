"""The process dies between a card and what follows in its thread: no file is lost, and none comes twice."""

import asyncio
import os
import signal
import sys
from collections import Counter

import pytest

from engine.store import chat_sequels
from tests.bot.rig import Rig
from tests.shared import ROOT
from tests.slack.files_below import connect
from tests.wire.slack import FakeSlack

STEPS = ["before the card is noted", "before the first file", "between two files", "before it is known to be there"]


@pytest.mark.parametrize("step", STEPS)
async def test_killed_between_a_card_and_its_thread(slack: FakeSlack, tmp_path, step):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.slack.dying_thread", str(tmp_path), step, slack.url,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    await asyncio.wait_for(child.wait(), 90)
    assert child.returncode == -signal.SIGKILL, f"the child was to die {step}"
    rig = Rig(tmp_path)
    end = await connect(rig, slack.url, tmp_path)
    await rig.start()
    try:
        card = await slack.said("Approval needed", channel="C1")

        def files() -> Counter[str]:
            return Counter(file["name"] for one in slack.messages if one.thread == card.ts for file in one.files)

        await slack.until(lambda: len(files()) == 2, "both files")
        async with asyncio.timeout(20):
            while await rig.engine.database.read(lambda c: chat_sequels.owed(c, "slack")):
                await asyncio.sleep(0.02)
        assert set(files().values()) == {1}, files()
        assert "changes.diff" in files()
        assert slack.refused == []
        said = [slack.text(one) for one in slack.messages if one.thread == card.ts and not one.files]
        assert len(said) == len(set(said))
    finally:
        await end.stop()
        await rig.stop()
