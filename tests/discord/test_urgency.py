"""At the wire: a decision taken elsewhere is drawn before the progress that waits for the channel's budget."""

import asyncio

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.cards.pacing import Pace, Rate
from bot.conversation import Person, Room
from bot.discord.client import DiscordFrontEnd
from engine.store import chat_messages
from engine.store.chat_messages import DECISION, PROGRESS
from tests.bot.rig import ANN, OPS, PLAIN, Rig
from tests.discord.test_real_desk import shown, words
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire

NEVER = 1e-6  # a second: what is used up stays so as long as the test runs
SCARCE = {("discord", "edit"): Rate(NEVER, 5, 4, "channel"), ("discord", "post"): Rate(100, 100, 1, "channel")}
HERE, WHO = Room("discord", CHANNEL), Person("discord:42", "Bob", "discord", "<@42>")


@pytest.fixture
async def bot(tmp_path):
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        rig = Rig(tmp_path, paces={"discord": Pace("discord", SCARCE)})
        rig.discord = DiscordFrontEnd(TOKEN, base_url=wire.base_url, gateway_url=wire.gateway_url)
        await rig.start(PLAIN, PLAIN.replace("id: ship", "id: first"))
        yield wire, rig
        await rig.discord.stop()
        await rig.stop()
        assert wire.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


async def all_posted(rig: Rig, flow: str, count: int) -> list[str]:
    """The runs of a flow, once the card and the question of each stand there."""
    for _ in range(2000):
        runs = [run.id for run in await rig.engine.executions(flow_id=flow)]
        rows = [
            row
            for run in runs
            for row in rig.engine.database.read_now(lambda c, of=run: chat_messages.showing(c, execution_id=of))
        ]
        if len(rows) == 2 * count and all(row.message for row in rows):
            return runs
        await asyncio.sleep(0.02)
    raise AssertionError("not everything was posted")


async def test_a_decision_overtakes_the_progress_of_its_channel(bot):
    wire, rig = bot
    await rig.say("run first", WHO, HERE)
    asked = await wire.until(lambda: shown(wire, "Approval needed", "first"))
    for _ in range(6):
        await rig.say("run ship", WHO, HERE)
    runs = await all_posted(rig, "ship", 6)
    now = rig.engine.clock.now()

    def touch_all(unit):
        for run in runs:
            chat_messages.touch(unit.connection, entity=run, urgency=PROGRESS, now=now)
        unit.after_commit(rig.desk.outbox.wake)

    await rig.engine.database.transact(touch_all)
    first = (await rig.engine.executions(flow_id="first"))[0]
    assert (await rig.say(f"approve {first.id}", ANN, OPS)).tone == "success"
    await wire.until(lambda: "pproved by" in words(wire.messages[asked["id"]]), within=30)
    rows = [
        row
        for run in runs
        for row in rig.engine.database.read_now(lambda c, of=run: chat_messages.showing(c, entity=of))
        if row.desired > row.shown
    ]
    assert rows, "the rest of the progress still waits"
    assert DECISION not in {row.urgency for row in rows}
