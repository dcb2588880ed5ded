"""Discord asks for a pause before a private answer, and the process dies in it: the next one brings the answer."""

import asyncio
import os
import signal
import sys

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from engine.store import chat_receipts
from tests.bot.rig import Rig
from tests.discord.living import connect
from tests.discord.test_real_desk import shown, words
from tests.shared import ROOT
from tests.wire.discord import CHANNEL, DiscordWire
from tests.wire.discord_rules import walk

LIMITED = {"message": "limited", "retry_after": 25.0, "global": False}  # which the library waits out
HEADERS = {"Retry-After": "25", "Via": "1.1"}


@pytest.fixture
async def wire():
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as made:
        yield made
        assert made.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@pytest.mark.parametrize("is_over", [False, True])
async def test_killed_before_a_private_answer(wire, tmp_path, is_over):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.discord.living", str(tmp_path), wire.base_url, wire.gateway_url,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        await asyncio.wait_for(child.stdout.readline(), 60)
        await wire.told(await wire.slash("run", flow="ship"), "Started")
        card = await wire.until(lambda: shown(wire, "Approve"))
        button = next(b for part in card["components"] for b in walk(part) if b.get("label") == "Approve")
        wire.answer_with("POST", "/webhooks/", 429, LIMITED, headers=HEADERS)
        click = await wire.click(card["id"], button["custom_id"])
        await wire.until(lambda: any(call.status == 429 for call in wire.calls))
        await wire.told(await wire.slash("whoami"), "user42")  # what had to be written before is written by now
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    assert "pproved by user42" in words(wire.messages[card["id"]]), "the pressed card said so at once"
    assert shown(wire, "Approved.") is None
    if is_over:
        wire.expire(click)
    else:  # it is asked to wait again
        wire.answer_with(
            "POST", "/webhooks/", 429, {**LIMITED, "retry_after": 0.2}, headers={**HEADERS, "Retry-After": "1"}
        )
    rig = Rig(tmp_path)
    end = connect(rig, wire.base_url, wire.gateway_url)
    await rig.start()
    try:
        said = await wire.until(lambda: shown(wire, "Approved."))
        assert said["channel_id"] == ("400" if is_over else CHANNEL)
        async with asyncio.timeout(20):
            while await rig.engine.database.read(
                lambda c: chat_receipts.unanswered(c, rig.engine.clock.now() - chat_receipts.KEEP)
            ):
                await asyncio.sleep(0.02)
        assert sum("Approved." in words(one) for one in wire.messages.values()) == 1
    finally:
        await end.stop()
        await rig.stop()
