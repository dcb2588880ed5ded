"""At the wire: a decision taken elsewhere is drawn before the progress that waits for the channel's budget."""

import asyncio

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route
from sqlalchemy import update

from bot.approvals.policy import ApprovalRule
from bot.cards.pacing import Pace, Rate
from bot.conversation import Person, Room
from bot.discord.client import DiscordFrontEnd
from engine.store import chat_messages
from engine.store.chat_messages import DECISION, END, PROGRESS
from engine.store.chat_tables import messages
from tests.bot.rig import ANN, OPS, PLAIN, NotedPace, Rig
from tests.discord.test_real_desk import shown, words
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire

NEVER = 1e-6  # a second: what is used up stays so as long as the test runs
SCARCE = {("discord", "edit"): Rate(NEVER, 5, 4, "channel"), ("discord", "post"): Rate(100, 100, 1, "channel")}
HERE, WHO = Room("discord", CHANNEL), Person("discord:42", "Bob", "discord", "<@42>")


ELSEWHERE = ApprovalRule.model_validate(
    {"match": {"flow": "company.team/first"}, "where": ["discord:555"], "approvers": ["anyone"]}
)


@pytest.fixture
async def bot(tmp_path, request):
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        given = getattr(request, "param", {"paces": {"discord": Pace("discord", SCARCE)}})
        rig = Rig(tmp_path, **given)
        rig.discord = DiscordFrontEnd(TOKEN, base_url=wire.base_url, gateway_url=wire.gateway_url)
        await rig.start(PLAIN, PLAIN.replace("id: ship", "id: first"))
        yield wire, rig
        for event in wire.held.values():
            event.set()
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


@pytest.mark.parametrize(
    "bot", [{"paces": {"discord": NotedPace("discord")}, "approvals": (ELSEWHERE,)}], indirect=True, ids=["usual rates"]
)
async def test_a_decision_is_planned_at_once_and_passes_what_hangs(bot):
    wire, rig = bot
    pace = rig.paces["discord"]
    await rig.say("run first", WHO, HERE)
    asked = await wire.until(lambda: shown(wire, "Approval needed", "first"))
    for _ in range(4):
        await rig.say("run ship", WHO, HERE)
    runs = await all_posted(rig, "ship", 4)
    wire.held[f"/channels/{CHANNEL}/messages/"] = asyncio.Event()
    lane, now = rig.desk.outbox.lanes["discord"], rig.engine.clock.now()

    def progress(unit):
        for run in runs:
            unit.connection.execute(update(messages).where(messages.c.entity == run).values(digest="another look"))
            chat_messages.touch(unit.connection, entity=run, urgency=END, now=now)
        unit.after_commit(rig.desk.outbox.wake)

    await rig.engine.database.transact(progress)
    # Discord's library sends one edit of a channel at a time; the others wait for it.
    await wire.until(lambda: wire.bodies("PATCH", f"/channels/{CHANNEL}/messages/"), within=20)
    async with asyncio.timeout(20):
        while len(lane.sending) < 4:
            await asyncio.sleep(0.02)
    pace.planned.clear()
    first = (await rig.engine.executions(flow_id="first"))[0]
    assert (await rig.say(f"approve {first.id}", ANN, OPS)).tone == "success"
    await wire.until(lambda: "pproved by" in words(wire.messages[asked["id"]]), within=20)
    assert len(lane.sending) >= 4, "what hung still does"
    pause = next(one for one in await rig.engine.pauses(state=None) if one.flow_id == "first")
    cards = {row.id for row in await rig.engine.database.read(lambda c: chat_messages.showing(c, entity=pause.id))}
    planned = [seconds for id_, urgency, seconds in pace.planned if id_ in cards and urgency == DECISION]
    assert planned
    assert set(planned) == {0.0}, "the budget is free: nothing is put off"
