"""Whatever Discord refuses is tried later, posted again, or said once, and counted: a table, for the whole bot."""

import asyncio
from datetime import timedelta

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.conversation import Person, Room
from bot.discord.client import DiscordFrontEnd
from bot.tallies import REFUSALS
from engine.store import chat_messages
from tests.bot.rig import PLAIN, Rig
from tests.discord.test_real_desk import shown, words
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire
from tests.wire.discord_rules import walk
from tests.wire.discord_values import ANN

SHORT = """
id: short
namespace: company.team
tasks:
  - {id: hello, type: io.kestra.plugin.core.log.Log, message: hello}
"""
LATER = timedelta(minutes=3)
HERE, WHO = Room("discord", CHANNEL), Person(f"discord:{ANN}", "Ann", "discord", f"<@{ANN}>")
POST, EDIT = rf"/channels/{CHANNEL}/messages$", rf"/channels/{CHANNEL}/messages/\d+$"


@pytest.fixture
async def bot(tmp_path):
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        rig = Rig(tmp_path)
        rig.discord = DiscordFrontEnd(TOKEN, base_url=wire.base_url, gateway_url=wire.gateway_url)
        await rig.start(PLAIN, SHORT)
        yield wire, rig
        await rig.discord.stop()
        await rig.stop()
        assert wire.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


def counted(outcome):
    return REFUSALS.counts.get(("discord", outcome), 0)


async def until(condition, what):
    """A condition that no call to Discord tells of."""
    for _ in range(1000):
        if found := condition():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


async def passes(rig, condition, what):
    """Time goes on until something holds."""

    def jumped():
        rig.clock.jump(LATER)
        return condition()

    return await until(jumped, what)


def body(code, message="no"):
    return {"code": code, "message": message}


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [(503, 0, "later"), (429, 20028, "later"), (400, 20016, "later"), (403, 40333, "later"), (401, 0, "no token")],
)
async def test_a_new_card_that_is_refused_for_now_comes_once_later(bot, status, code, outcome):
    wire, rig = bot
    before = counted(outcome)
    wire.answer_with("POST", POST, status, body(code), times=1 if status != 503 else 6)
    await rig.say("run short", WHO, HERE)
    await until(lambda: counted(outcome) > before, "the refusal")
    rig.desk.outbox.lanes["discord"].shut_until = 0.0  # the minute between two looks is over
    await passes(rig, lambda: shown(wire, "short: done"), "the card")
    assert len([one for one in wire.messages.values() if "short" in words(one)]) == 1


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, 50001, "Invite me"),
        (403, 50013, "Invite me"),
        (404, 10003, "Invite me"),
        (400, 50008, "takes no messages"),
        (403, 50083, "archived and locked"),
        (403, 160005, "locked"),
        (400, 50035, "refused the message"),
    ],
)
async def test_a_card_that_is_not_taken_is_said_once_and_posted_when_it_was_put_right(bot, status, code, says):
    wire, rig = bot
    before = counted("abandoned")
    wire.answer_with("POST", POST, status, body(code), times=1)
    await rig.say("run short", WHO, HERE)
    said = await wire.until(lambda: shown(wire, says))
    assert said["channel_id"] != CHANNEL, "in a direct message"
    assert counted("abandoned") == before + 1
    run = (await rig.engine.executions(flow_id="short"))[0].id
    await rig.engine.wait(run, timeout=20)
    assert shown(wire, "short: done") is None
    button = next(b for part in said["components"] for b in walk(part) if b.get("label") == "Post again")
    await wire.responses(await wire.click(said["id"], button["custom_id"]))
    assert (await wire.until(lambda: shown(wire, "short: done")))["channel_id"] == CHANNEL
    assert len([one for one in wire.messages.values() if says in words(one)]) == 1


@pytest.mark.parametrize(
    ("status", "code", "outcome", "messages"),
    [
        (400, 30046, "later", 2),
        (400, 40062, "later", 2),
        (404, 10008, "reposted", 3),
        (403, 50005, "reposted", 3),
        (401, 0, "no token", 2),
    ],
)
async def test_the_end_is_shown_although_an_edit_was_refused(bot, status, code, outcome, messages):
    wire, rig = bot
    await rig.say("run ship", WHO, HERE)
    pause = await wire.until(lambda: shown(wire, "Approval needed"))
    await wire.until(lambda: shown(wire, "ship: waiting"))
    before = counted(outcome)
    wire.answer_with("PATCH", EDIT, status, body(code), times=1)
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
    await wire.click(pause["id"], button["custom_id"])
    await until(lambda: counted(outcome) > before, "the refusal")
    rig.desk.outbox.lanes["discord"].shut_until = 0.0
    await passes(rig, lambda: shown(wire, "ship: done"), "the run's end")
    await passes(rig, lambda: shown(wire, "pproved by"), "the decision")
    run = (await rig.engine.executions(flow_id="ship"))[0].id

    def settled():
        rows = rig.engine.database.read_now(lambda c: chat_messages.showing(c, execution_id=run))
        return all(row.desired <= row.shown and row.state == "FINAL" for row in rows)

    await passes(rig, settled, "nothing left to do")
    seen_by_all = [one for one in wire.messages.values() if not one["flags"] & 64]
    assert len([one for one in seen_by_all if "ship" in words(one)]) == messages


async def test_an_old_message_that_may_not_be_edited_now_holds_up_no_other(bot):
    """30046 is about one message; the others of its channel are edited all the same."""
    wire, rig = bot
    await rig.say("run ship", WHO, HERE)
    old = await wire.until(lambda: shown(wire, "ship: waiting"))
    wire.answer_with("PATCH", rf"/messages/{old['id']}$", 400, body(30046), times=50)
    await rig.say("run ship", WHO, HERE)
    runs = await rig.engine.executions(flow_id="ship")
    for run in runs:
        await rig.engine.wait(run.id, until="ended_or_paused", timeout=20)
        await rig.engine.kill(run.id, by="local:eve")
    await wire.until(lambda: shown(wire, "ship: stopped"))
    assert "ship: waiting" in words(wire.messages[old["id"]])
    wire.rules.clear()
    await passes(rig, lambda: "ship: stopped" in words(wire.messages[old["id"]]), "the old card")


async def test_a_token_that_is_reset_while_the_bot_runs_is_said_once(bot, caplog):
    wire, rig = bot
    await wire.drop(4004)
    await until(lambda: [one for one in caplog.records if "hears nothing" in one.getMessage()], "the line")
    await rig.say("run short", WHO, HERE)  # the page and the engine go on
    assert len([one for one in caplog.records if "hears nothing" in one.getMessage()]) == 1
