"""Slack is answered once a delivery is on disk: killed right after, the bot loses nothing and does nothing twice."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenarios.process import Parley
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]

ROOT = Path(__file__).parents[2]
FLOW = """
id: release
namespace: ops
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    description: Release it?
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: released
"""
# The real program, which goes no further with deliveries of one kind: not to their effect, or from there to the answer.
HALTED = """
import asyncio, runpy, sys
from bot.deliveries import Deliveries

_, point, halted = sys.argv.pop(0), sys.argv[0], sys.argv.pop(1)
made = Deliveries.__init__

async def halt():
    print("halted", flush=True)
    await asyncio.Event().wait()

def make(self, *given):
    made(self, *given)
    handle = self.handle

    async def reached(event):
        if type(event).__name__ == halted and point == "effect":
            await halt()
        reply = await handle(event)
        if type(event).__name__ == halted:
            await halt()
        return reply

    self.handle = reached

Deliveries.__init__ = make
runpy.run_module("bot", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
async def start(slack, tmp_path):
    """Starts the bot, which halts at a point of what is done with a delivery of one kind."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "release.yaml").write_text(FLOW)
    env = {
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        "PARLEY_SLACK_BASE_URL": f"{slack.url}/api/",
        "PARLEY_CHAT__DEFAULT_ROOMS": '["slack:C1"]',
        "PYTHONPATH": os.pathsep.join([str(ROOT)]),
    }
    lives = []

    async def begin(point, halted):
        program = (sys.executable, "-c", HALTED, point, halted)
        lives.append(Parley(["up", "--port", "0", "--data", str(tmp_path / "data")], tmp_path, env, program))
        await asyncio.to_thread(lives[-1].ready)
        await slack.connected()
        return lives[-1]

    yield begin
    for life in lives:
        await asyncio.to_thread(life.stop, signal.SIGKILL)


async def until(true):
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


async def killed(life, point):
    """Ends the bot at once, or where it halted when something has to happen first."""
    if point == "answer":
        await until(lambda: "halted\n" in life.printed)
    await asyncio.to_thread(life.stop, signal.SIGKILL)


def stored(folder, query):
    with closing(sqlite3.connect(f"file:{folder / 'data' / 'parley.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("point", ["effect", "answer"])
async def test_what_was_acknowledged_counts_once_after_a_kill(slack, start, tmp_path, point):
    life = await start(point, "Command")
    asked = await slack.command("/flow run release")
    await killed(life, point)
    assert len(stored(tmp_path, "SELECT id FROM execution")) == (point == "answer")  # it was in the middle of it

    life = await start(point, "Click")
    card = await slack.said("Release it?", channel="C1")
    pressed = await slack.press("Approve", user="U2", message=card)
    await killed(life, point)

    await start(point, "nothing")
    await slack.until(lambda: "pproved by" in slack.text(card), "the card names who approved", 20)
    for heard in (asked, pressed):
        await slack.redeliver(heard)
    await slack.until(lambda: slack.private("U2"), "the answer to the click", 20)
    await until(lambda: stored(tmp_path, "SELECT state FROM execution") == [("SUCCESS",)])
    deeds = "SELECT action FROM audit_entry WHERE action IN ('run', 'approve') ORDER BY action"
    assert stored(tmp_path, deeds) == [("approve",), ("run",)]
    assert slack.refused == []
