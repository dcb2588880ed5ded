"""Slack asks for a pause before a private answer, and the process dies in it: the next one brings the answer, once."""

import asyncio
import os
import signal
import sys

import pytest

from engine.store import chat_receipts
from tests.bot.rig import Rig
from tests.shared import ROOT
from tests.slack.files_below import connect
from tests.wire.slack import FakeSlack, Refusal

PAUSE = 25  # seconds, which each call waits out by itself


async def asked(slack: FakeSlack, what: str) -> None:
    if what == "Approve":
        await slack.command("/flow run ship")
        card = await slack.said("Approval needed", channel="C1")
        await slack.said("Started `ship`", user="U1")
        slack.scripts["response_url"] = [Refusal(), Refusal(retry_after=PAUSE)]  # the card is drawn, then it is told
        await slack.press("Approve", message=card)
    else:
        slack.scripts["response_url"] = [Refusal(retry_after=PAUSE)]
        await slack.command(what)


@pytest.mark.parametrize(
    ("what", "is_over", "told"),
    [
        ("Approve", False, "Approved."),
        ("Approve", True, "Approved."),
        ("/flow list", False, "Flows"),
        ("/flow list", True, "I could not bring you my answer"),
    ],
)
async def test_killed_before_a_private_answer(slack: FakeSlack, tmp_path, monkeypatch, what, is_over, told):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.slack.living", str(tmp_path), slack.url,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        await asyncio.wait_for(child.stdout.readline(), 60)
        await slack.connected()
        await asked(slack, what)
        await slack.until(lambda: not slack.scripts["response_url"], "the pause")
        await slack.command("/flow whoami", user="U2")  # what the bot had to write before, it has written by now
        await slack.until(lambda: slack.private("U2"), "an answer to somebody else")
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    assert not any(told in slack.text(one) for one in slack.private("U1"))
    if is_over:
        slack.expire_addresses()
    else:  # it is asked to wait again
        monkeypatch.setattr("bot.slack.transport._PATIENCE", 0)
        slack.scripts["response_url"] = [Refusal(retry_after=1)]
    rig = Rig(tmp_path)
    end = await connect(rig, slack.url, tmp_path)
    await rig.start()
    try:
        await slack.said(told, user="U1")
        async with asyncio.timeout(20):
            while await rig.engine.database.read(
                lambda c: chat_receipts.unanswered(c, rig.engine.clock.now() - chat_receipts.KEEP)
            ):
                await asyncio.sleep(0.02)
        assert sum(told in slack.text(one) for one in slack.private("U1")) == 1
        assert slack.refused == []
    finally:
        await end.stop()
        await rig.stop()
