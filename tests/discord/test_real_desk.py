"""Engine, desk and Discord together: a flow is started in a form, decided on its card, and ends on its card."""

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.approvals.policy import ApprovalRule
from bot.cards.pacing import Pace
from bot.chat_port import FrontEndChat
from bot.chat_settings import ChatSettings
from bot.conversation import Notice, Person, Room
from bot.desk import FrontDesk
from bot.discord.client import DiscordFrontEnd
from bot.frontend import Unreachable
from engine.runtime import Engine
from engine.settings import Settings
from engine.store import chat_audit, chat_rooms
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire
from tests.wire.discord_rules import walk

FLOW = """
id: picture
namespace: company.ai
inputs:
  - {id: prompt, type: STRING}
  - {id: size, type: SELECT, values: [small, large], defaults: small}
tasks:
  - {id: draw, type: io.kestra.plugin.core.debug.Return, format: "a {{ inputs.size }} picture of {{ inputs.prompt }}"}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: approve, type: BOOLEAN, description: Are you happy?}
      - {id: feedback, type: STRING, description: Say more}
  - {id: after, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.wait.onResume.approve }}"}
"""


@pytest.fixture
async def bot(tmp_path, request):
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    (tmp_path / "flows").mkdir()
    async with DiscordWire() as wire:
        engine = await Engine.open(Settings(data=tmp_path / "data", flows=(tmp_path / "flows",)))
        front = DiscordFrontEnd(TOKEN, locate=engine.files.path, base_url=wire.base_url, gateway_url=wire.gateway_url)
        engine.chat = FrontEndChat(engine, [front])
        await engine.start(watch=False)
        await engine.deploy(FLOW)
        desk = FrontDesk(engine, [front], ChatSettings(), paces={"discord": Pace("discord", {}, 0.0)},
                         approvals=getattr(request, "param", ()))  # fmt: skip
        wire.front = front
        await desk.start()
        await front.start(desk)
        yield wire, engine
        await front.stop()
        await desk.stop()
        await engine.stop(1)
        assert wire.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


def words(message):
    return "\n".join(
        str(each.get("content") or each.get("label") or "") for part in message["components"] for each in walk(part)
    )


def shown(wire, *texts):
    """The message that shows all of these."""
    return next((m for m in wire.messages.values() if all(text in words(m) for text in texts)), None)


async def test_a_flow_from_its_form_to_its_end(bot):
    wire, engine = bot
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    assert opened["type"] == 9
    prompt, size = opened["data"]["components"]
    assert (prompt["component"]["type"], size["component"]["type"]) == (4, 21)

    sent = await wire.fill(opened["data"]["custom_id"], {"f:0": "a fox", "f:1": "large"})
    assert await wire.responses(sent)
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
    assert await wire.responses(await wire.click(pause["id"], button["custom_id"]))

    await wire.until(lambda: "pproved by user42" in words(wire.messages[pause["id"]]))
    (run,) = await engine.executions()
    ended = await engine.wait(run.id, timeout=10)
    assert ended.state == "SUCCESS"
    drawn = next(task_run for task_run in ended.task_runs.values() if task_run.task_id == "draw")
    assert drawn.outputs == {"value": "a large picture of a fox"}

    late = await wire.told(await wire.click(pause["id"], button["custom_id"]), "lready")
    assert "<t:" in late, "the time is the reader's own"


STATED = ApprovalRule(approvers=("anyone",), cost="{{ inputs.size }}: 3 EUR **a day** @everyone <@42>")


@pytest.mark.parametrize("bot", [(STATED,)], indirect=True)
async def test_the_card_says_what_it_takes_and_costs(bot):
    wire, engine = bot
    for told in ("nobody went on from here before", "less than 2 s to the end of the run (as the one time before)"):
        opened = await wire.opened(await wire.slash("run", flow="picture"))
        await wire.fill(opened["data"]["custom_id"], {"f:0": "x", "f:1": "large"})
        pause = await wire.until(lambda told=told: shown(wire, "Answer in form", told))
        assert "**Costs** large: 3 EUR \\*\\*a day\\*\\*" in words(pause)
        assert "<@42>" not in words(pause).replace("\\<@42", ""), "what the policy states mentions nobody"
        button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
        await wire.told(await wire.click(pause["id"], button["custom_id"]), "Approved.")
        for run in await engine.executions():
            await engine.wait(run.id, timeout=20)


async def test_the_pressed_card_changes_by_its_own_click(bot):
    wire, _ = bot
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    await wire.fill(opened["data"]["custom_id"], {"f:0": "x", "f:1": "large"})
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
    limited = {"message": "limited", "retry_after": 60.0, "global": False}
    wire.answer_with("PATCH", "/channels/", 429, limited, times=50, headers={"Retry-After": "60", "Via": "1.1"})
    await wire.told(await wire.click(pause["id"], button["custom_id"]), "Approved.")
    assert "pproved by user42" in words(wire.messages[pause["id"]])


async def test_the_card_whose_form_decides_changes_by_the_form(bot):
    wire, _ = bot
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    await wire.fill(opened["data"]["custom_id"], {"f:0": "x", "f:1": "large"})
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Reject…")
    reject = await wire.opened(await wire.click(pause["id"], button["custom_id"]))
    limited = {"message": "limited", "retry_after": 60.0, "global": False}
    wire.answer_with("PATCH", "/channels/", 429, limited, times=50, headers={"Retry-After": "60", "Via": "1.1"})
    sent = await wire.fill(reject["data"]["custom_id"], {"f:0": "too red"}, message=pause)
    await wire.told(sent, "Rejected.")
    assert "ejected by user42" in words(wire.messages[pause["id"]])


async def test_a_click_on_a_connection_that_breaks_counts_once_when_it_comes_again(bot):
    wire, engine = bot
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    await wire.fill(opened["data"]["custom_id"], {"f:0": "x", "f:1": "large"})
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
    await wire.told(await wire.click(pause["id"], button["custom_id"]), "Approved.")
    heard = next(payload for _, event, payload in reversed(wire._sent) if event == "INTERACTION_CREATE")
    await wire.drop(4000)
    await wire.until(lambda: any(one["kind"] == "resume" for one in wire.sessions), within=30)
    await wire.dispatch("INTERACTION_CREATE", heard)
    (run,) = await engine.executions()
    assert (await engine.wait(run.id, timeout=20)).state == "SUCCESS"
    await wire.told(
        await wire.click(pause["id"], button["custom_id"]), "lready"
    )  # what came again was dealt with by now
    (row,) = await engine.pauses(state=None)
    deeds = await engine.database.read(lambda connection: chat_audit.about(connection, row.id))
    assert [(deed.action, deed.person) for deed in deeds] == [("approve", "discord:42")]


async def test_a_room_may_have_everything_of_a_run_in_the_thread_of_its_card(bot):
    wire, engine = bot
    await engine.database.transact(
        lambda unit: chat_rooms.put(unit.connection, f"discord:{CHANNEL}", chat_rooms.CARD, "thread")
    )
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    await wire.fill(opened["data"]["custom_id"], {"f:0": "x", "f:1": "large"})
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    card = await wire.until(lambda: shown(wire, "picture: waiting"))
    assert (pause["channel_id"], list(wire.threads)) == (card["id"], [card["id"]])
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
    await wire.responses(await wire.click(pause["id"], button["custom_id"]))
    log = await wire.until(lambda: shown(wire, "Log of picture"))
    assert log["channel_id"] == card["id"]
    await wire.until(lambda: shown(wire, "picture: done"))
    assert len([call for call in wire.calls if call.path.endswith("/threads")]) <= 2, (
        "known to be there: asked again once"
    )


async def test_a_missing_answer_brings_the_form_back(bot):
    wire, _ = bot
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    await wire.fill(opened["data"]["custom_id"], {"f:0": "", "f:1": "large"})
    message = await wire.until(lambda: shown(wire, "Please check"))
    fix = next(b for part in message["components"] for b in walk(part) if b.get("label") == "Fix")
    again = await wire.opened(await wire.click(message["id"], fix["custom_id"]))
    chosen = [o["value"] for o in again["data"]["components"][1]["component"]["options"] if o.get("default")]
    assert chosen == ["large"]


GOVERNED = [ApprovalRule.model_validate({"approvers": ["discord:role:77"]})]


@pytest.mark.parametrize("bot", [GOVERNED], indirect=True)
async def test_the_roles_of_the_click_itself_count(bot):
    wire, engine = bot
    opened = await wire.opened(await wire.slash("run", flow="picture"))
    await wire.fill(opened["data"]["custom_id"], {"f:0": "x"})
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")
    await wire.told(await wire.click(pause["id"], button["custom_id"]), "it needs the Discord role `77`")
    assert (await engine.pauses())[0].state == "WAITING"
    wire.roles["42"] = ["7", "77"]
    pressed = await wire.click(pause["id"], button["custom_id"])
    await wire.told(pressed, "Approved.")
    assert (await wire.responses(pressed))[0]["type"] in (6, 7), "the card itself changes, at once or in a moment"


async def test_a_reminder_calls_a_role_and_only_that(bot):
    wire, _ = bot
    notice = Notice("paused", "Still waiting, @everyone <@&78>", calls=("discord:role:77",))
    await wire.front.notify(Room("discord", CHANNEL), notice)
    (sent,) = [body for body in wire.bodies("POST", f"/channels/{CHANNEL}/messages") if "Still waiting" in str(body)]
    assert sent["components"][0] == {"type": 10, "content": "<@&77>"}
    assert sent["allowed_mentions"] == {"roles": ["77"]}


async def test_roles_of_somebody_who_is_not_here_are_fetched(bot):
    wire, _ = bot
    front = wire.front
    zoe = Person("discord:55", "Zoe", "discord")
    assert not await front.is_member(zoe, "77")
    wire.roles["55"] = ["77"]
    assert await front.is_member(zoe, "77")
    assert not await front.is_member(zoe, "78")
    wire.roles["55"] = []
    assert await front.is_member(zoe, "77", fresh=False)  # for lists: as it was told a moment ago
    assert not await front.is_member(zoe, "77")  # for decisions: as it is
    assert not await front.is_member(zoe, "77", fresh=False)
    wire.answer_with("GET", "members", 429, {"message": "limited", "retry_after": 60.0, "global": False},
                     headers={"Retry-After": "60", "Via": "1.1"})  # fmt: skip
    with pytest.raises(Unreachable):
        await front.is_member(zoe, "77")


async def test_a_message_fills_the_form_of_a_flow(bot):
    wire, engine = bot
    message = wire._message(id="77", content="a fox in the snow")
    menu = {"id": "6", "name": "Run flow with this message", "type": 3, "target_id": "77"}
    said = await wire.responses(await wire.interact(2, {**menu, "resolved": {"messages": {"77": message}}}))
    answer = said[-1].get("data") or said[-1]
    button = next(b for part in answer["components"] for b in walk(part) if b.get("label") == "Run…")
    shown = wire._message(components=answer["components"], flags=64)
    (opened,) = await wire.responses(await wire.click(shown["id"], button["custom_id"]))
    assert opened["type"] == 9
    prompt = opened["data"]["components"][0]["component"]
    assert prompt["value"] == "a fox in the snow"
    assert await engine.executions() == []
    await wire.fill(opened["data"]["custom_id"], {"f:0": "a fox in the snow", "f:1": "large"})
    await wire.until(lambda: shown and any("picture" in words(m) for m in wire.messages.values() if m["components"]))


async def test_direct_messages_are_open_to_members_only(bot):
    """Discord leaves the conversation with the bot, and every button there, to who has left its servers."""
    wire, engine = bot
    wire.roles["42"] = []
    opened = await wire.opened(await wire.slash("run", direct=True, flow="picture"))
    modal = opened["data"]["custom_id"]
    sent = await wire.fill(modal, {"f:0": "a fox", "f:1": "large"}, direct=True)
    await wire.responses(sent)
    pause = await wire.until(lambda: shown(wire, "Approve", "Answer in form"))
    button = next(b for part in pause["components"] for b in walk(part) if b.get("label") == "Approve")["custom_id"]

    no = {"message": "Missing Access", "code": 50001}
    wire.answer_with("GET", r"/guilds/\d+/members/", 403, no, times=1)
    said = await wire.told(await wire.click(pause["id"], button, direct=True), "whether your account is still there")
    assert "try again in a minute" in said.lower()

    modal = (await wire.opened(await wire.slash("run", direct=True, flow="picture")))["data"]["custom_id"]
    del wire.roles["42"]
    for gone in (
        await wire.click(pause["id"], button, direct=True),
        await wire.slash("run", direct=True, flow="picture"),
        await wire.fill(modal, {"f:0": "again", "f:1": "small"}, direct=True),
    ):
        await wire.told(gone, "your account is not there any more")
    assert [one.state for one in await engine.pauses()] == ["WAITING"]
    assert len(await engine.executions()) == 1
    room = Room("discord", "400", is_direct=True)
    assert await wire.front.desk.complete("flow", "", "discord:42", room, 25) == ()
    here = await wire.click(pause["id"], button)  # in the server: the click itself says that they are a member
    await wire.told(here, "Approved.")


async def test_what_was_typed_in_a_direct_message_is_kept_while_discord_can_not_tell(bot):
    wire, engine = bot
    wire.roles["42"] = []
    modal = (await wire.opened(await wire.slash("run", direct=True, flow="picture")))["data"]["custom_id"]
    wire.answer_with("GET", r"/guilds/\d+/members/", 403, {"message": "Missing Access", "code": 50001}, times=1)
    sent = await wire.fill(modal, {"f:0": "a rare fox", "f:1": "large"}, direct=True)
    await wire.told(sent, "what you typed in a form is kept")
    message = await wire.until(lambda: shown(wire, "Continue"))
    button = next(b for part in message["components"] for b in walk(part) if b.get("label") == "Continue")
    again = await wire.opened(await wire.click(message["id"], button["custom_id"], direct=True))
    assert "a rare fox" in str(again)
    assert await engine.executions() == []


async def test_commands_are_named_as_they_are_called_here(bot):
    wire, _ = bot
    told = await wire.told(await wire.slash("alias", group="flow-manage", action="list"), "No aliases here yet")
    assert "`/flow-manage alias set " in told
    assert "`/flow alias" not in told
    usage = await wire.told(await wire.slash("kv", group="flow-manage", action="get"), "I need an action")
    assert "Usage: `/flow-manage kv list" in usage
    assert "`/flow help" in await wire.told(await wire.slash("help"), "/flow run")
