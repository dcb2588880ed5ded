"""The front end over real sockets: reconnects, rate limits, uploads, wrong tokens, restarts."""

import asyncio
from pathlib import Path

import discord
import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.commands.verbs import SYNONYMS, VERBS
from bot.conversation import FileRef, Notice, Reply, Room
from bot.discord.client import DiscordFrontEnd
from bot.frontend import Unreachable
from bot.tallies import RATE_LIMITS
from engine.errors import SettingInvalid
from tests.discord.desk import APPROVE, FORM, KILL, RuleDesk, pause_card
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire

ROOM = Room("discord", CHANNEL, workspace="200000000000000001")


@pytest.fixture(autouse=True)
def back_to_discord():
    """The library knows one Discord per process."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    yield
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@pytest.fixture
async def wire():
    async with DiscordWire() as made:
        yield made
        assert made.problems == []


@pytest.fixture
def make(wire, tmp_path):
    def make(token=TOKEN):
        (tmp_path / "fox.png").write_bytes(b"\x89PNG fox")
        return DiscordFrontEnd(
            token,
            locate=lambda uri: tmp_path / uri.rsplit("/", 1)[-1],
            sync_state=tmp_path / "state" / "commands",
            base_url=wire.base_url,
            gateway_url=wire.gateway_url,
            max_upload=1000,
        )

    return make


@pytest.fixture
def desk():
    return RuleDesk()


@pytest.fixture
async def front(make, desk):
    made = make()
    await made.start(desk)
    yield made
    await made.stop()


async def test_it_connects_with_few_intents_and_says_where(front, wire):
    assert front.describe() == "Discord: parley (application 100000000000000001) in Team"
    assert wire.sessions == [{"kind": "identify", "intents": 1 | 1 << 9 | 1 << 12}]
    named = {command["name"]: command for command in wire.commands}
    assert {name: command["type"] for name, command in named.items()} == {
        "flow": 1, "flow-manage": 1, "Run flow with this message": 3,
    }  # fmt: skip
    names = {option["name"] for name in ("flow", "flow-manage") for option in named[name]["options"]}
    # Discord's watch has an option to stop; without a model nothing is explained.
    assert names | {"unwatch"} == {SYNONYMS.get(verb, verb) for verb in VERBS} - {"", "menu", "explain"} | {"unwatch"}
    assert len(named["flow"]["options"]) == 25, "as many as Discord takes"


async def test_commands_are_sent_only_when_they_changed(front, make, desk, wire, tmp_path):
    syncs = lambda: len(wire.bodies("PUT", "/commands$"))  # noqa: E731
    assert syncs() == 1
    again = make()
    await again.start(desk)
    await again.stop()
    assert syncs() == 1
    (tmp_path / "state" / "commands").write_text("older")
    third = make()
    await third.start(desk)
    await third.stop()
    assert syncs() == 2


async def test_a_wrong_token_is_a_wrong_setting(make, desk):
    with pytest.raises(SettingInvalid, match="does not take the bot's token"):
        await make("wrong.token.here").start(desk)


async def test_a_token_the_gateway_refuses_is_a_wrong_setting(make, desk, wire):
    front = make("wrong.token.here")
    front.client.http.token = TOKEN
    wire.answer_with("GET", "/users/@me$", 200, {"id": "1", "username": "x", "discriminator": "0", "avatar": None}, 1)
    application = {"id": "1", "name": "x", "icon": None, "description": "", "bot_public": True}
    application |= {"bot_require_code_grant": False, "verify_key": "0", "flags": 0, "team": None, "owner": {"id": "2"}}
    application["owner"] |= {"username": "o", "discriminator": "0", "avatar": None}
    wire.answer_with("GET", "/oauth2/applications/@me$", 200, application, 1)
    wire.answer_with("PUT", "/commands$", 200, {}, 1)
    (Path(front.client._sync_state.parent)).mkdir()
    front.client._sync_state.write_text("")
    with pytest.raises(SettingInvalid, match="code 4004"):
        await front.start(desk)


async def test_after_a_lost_connection_it_resumes_and_misses_nothing(front, wire, desk):
    await wire.drop(4000)
    missed = await wire.slash("whoami")
    resumed = await wire.until(lambda: next((s for s in wire.sessions if s["kind"] == "resume"), None))
    assert resumed["seq"] == 2
    await wire.responses(missed)
    assert len(desk.heard) == 1


async def test_after_a_lost_session_it_starts_a_new_one(front, wire):
    await wire.end_session()
    await wire.until(lambda: [s["kind"] for s in wire.sessions].count("identify") == 2, within=30)
    interaction = await wire.slash("whoami")
    (said,) = await wire.responses(interaction)
    assert said["data"]["flags"] == 1 << 15 | 1 << 6


async def test_a_card_goes_out_once_however_often_it_is_posted(front, wire):
    first = await front.post_card(ROOM, pause_card(), "outbox-row-01JD-and-a-long-name")
    again = await front.post_card(ROOM, pause_card(), "outbox-row-01JD-and-a-long-name")
    other = await front.post_card(ROOM, pause_card(), "outbox-row-01JD-and-another-name")
    assert first == again != other
    assert [body["enforce_nonce"] for body in wire.bodies("POST", "/messages$")] == [True] * 3


async def test_rate_limits_are_waited_for(front, wire):
    wire.limit = 2
    refs = await asyncio.gather(*(front.post_card(ROOM, pause_card(), f"n{n}") for n in range(6)))
    assert len({ref.message for ref in refs}) == 6
    assert any(call.status == 429 for call in wire.calls)


async def test_a_long_rate_limit_is_told_at_once(front, wire):
    body = {"message": "You are being rate limited.", "retry_after": 90.5, "global": False}
    wire.answer_with("POST", "/messages$", 429, body, 1, {"Via": "1.1 google"})
    counted = RATE_LIMITS.counts.get(("discord",), 0)
    with pytest.raises(Unreachable) as caught:
        await front.post_card(ROOM, pause_card(), "n1")
    assert caught.value.retry_after == 90.5
    assert RATE_LIMITS.counts["discord",] == counted + 1
    assert not caught.value.gone


async def test_a_ban_at_the_edge_is_a_wait_too(front, wire):
    wire.answer_with("POST", "/messages$", 429, {"message": "slow down"}, 1)
    with pytest.raises(Unreachable) as caught:
        await front.post_card(ROOM, pause_card(), "n1")
    assert caught.value.retry_after == 60


async def test_answers_do_not_queue_behind_one_that_hangs(front, wire):
    ref = await front.post_card(ROOM, pause_card(), "n1")
    wire.held["token"] = asyncio.Event()  # every answer hangs on the network
    pressed = [await wire.click(ref.message, APPROVE) for _ in range(20)]
    for interaction in pressed:
        await wire.responses(interaction)  # all arrived all the same
    wire.held["token"].set()


async def test_files_go_as_multipart_and_stay_when_the_card_changes(front, wire):
    card = pause_card(files=(FileRef("kestra:///fox.png", "fox.png", "image/png"),))
    ref = await front.post_card(ROOM, card, "n1")
    posted = next(call for call in wire.calls if call.path.endswith("/messages"))
    assert posted.files == {"files[0]": b"\x89PNG fox"}
    await front.edit_card(ref, pause_card(files=card.files, title="Changed"))
    edited = wire.calls[-1]
    assert (edited.method, edited.files) == ("PATCH", {})
    assert edited.json["attachments"] == [{"id": wire.messages[ref.message]["attachments"][0]["id"]}]
    wire.answer_with("PATCH", "/messages/", 400, {"message": "Invalid Form Body", "code": 50035})
    await front.edit_card(ref, pause_card(files=card.files, title="Once more"))
    assert wire.calls[-1].files == {"files[0]": b"\x89PNG fox"}


async def test_after_a_restart_the_files_are_sent_again(front, make, wire, desk):
    card = pause_card(files=(FileRef("kestra:///fox.png", "fox.png", "image/png"),))
    ref = await front.post_card(ROOM, card, "n1")
    await front.stop()
    fresh = make()
    await fresh.start(desk)
    await fresh.edit_card(ref, card)
    assert wire.calls[-1].files == {"files[0]": b"\x89PNG fox"}
    await fresh.stop()


async def test_a_deleted_message_is_gone(front, wire):
    ref = await front.post_card(ROOM, pause_card(), "n1")
    wire.delete(ref.message)
    with pytest.raises(Unreachable, match="deleted") as caught:
        await front.edit_card(ref, pause_card())
    assert caught.value.gone


async def test_cards_and_modals_from_before_a_restart_work(front, make, wire, desk):
    ref = await front.post_card(ROOM, pause_card(), "n1")
    opened = await wire.click(ref.message, FORM)
    (modal,) = await wire.responses(opened)
    await front.stop()
    fresh = make()
    await fresh.start(desk)
    sent = await wire.fill(modal["data"]["custom_id"], {"f:0": "brighter"})
    (answer,) = await wire.responses(sent)
    assert desk.started == [("Answer", {"feedback": "brighter"}, "discord:42")]
    assert answer["type"] == 4
    pressed = await wire.click(ref.message, APPROVE)
    await wire.responses(pressed)
    assert desk.decided == "user42"
    await fresh.stop()


@pytest.mark.parametrize(
    "custom_id", ["d1|form|0|abc||draft:gone", "somebody else's", "d1|sift|0|draft:gone", "d1|form"]
)
async def test_a_modal_that_nobody_knows_is_answered(front, wire, custom_id):
    interaction = await wire.fill(custom_id, {"f:0": "x"})
    (said,) = await wire.responses(interaction)
    assert "no longer kept" in str(said)


@pytest.mark.parametrize(
    "custom_id",
    ["d1|open|0||draft:gone", "d1|pick|0|0|draft:gone|", "d1|take|0|draft:gone", "d1|find|0|draft:gone", "d1|drop|x",
     "d1|no|", "d1|more|0", "d1|form|0", "d1|sure|p1:kl:1:2", "p9:unknown", "d1|nonsense|1"],
)  # fmt: skip
async def test_a_click_on_anything_is_answered(front, wire, custom_id):
    ref = await front.post_card(ROOM, pause_card(), "n1")
    interaction = await wire.click(ref.message, custom_id, values=["x"] if "take" in custom_id else None)
    assert await wire.responses(interaction)


async def test_a_menu_of_actions_presses_the_chosen_one(front, wire, desk):
    ref = await front.post_card(ROOM, pause_card(), "n1")
    interaction = await wire.click(ref.message, "d1|more|0", values=[APPROVE])
    await wire.responses(interaction)
    assert desk.decided == "user42"
    interaction = await wire.click(ref.message, "d1|more|0", values=[f"d1|sure|{KILL}"])
    (asked,) = await wire.responses(interaction)
    assert f"d1|yes|{KILL}" in str(asked)


async def test_an_upload_over_the_bound_is_refused_with_both_sizes(front, wire, desk):
    attachment = {"id": "9", "filename": "big.bin", "size": 5_000_000, "url": f"{wire.files_url}/big"}
    attachment["proxy_url"] = attachment["url"]
    options = [{"name": "flow", "type": 3, "value": "company.ai/upload"}, {"name": "file", "type": 11, "value": "9"}]
    data = {"id": "5", "name": "flow", "type": 1, "options": [{"name": "run", "type": 1, "options": options}]}
    interaction = await wire.interact(2, {**data, "resolved": {"attachments": {"9": attachment}}})
    (said,) = await wire.responses(interaction)
    assert "big.bin is 4.8 MB" in str(said)
    assert desk.heard == []
    wire.files["big"] = b"x" * 500
    attachment["size"] = 500
    interaction = await wire.interact(2, {**data, "resolved": {"attachments": {"9": attachment}}})
    await wire.responses(interaction)
    assert Path(desk.heard[0].attachments[0].path).read_bytes() == b"x" * 500


async def test_what_came_in_is_deleted_at_the_end(front, wire, desk):
    attachment = {"id": "9", "filename": "../../evil.txt", "size": 3, "url": f"{wire.files_url}/small"}
    attachment["proxy_url"] = attachment["url"]
    wire.files["small"] = b"abc"
    options = [{"name": "flow", "type": 3, "value": "company.ai/upload"}, {"name": "file", "type": 11, "value": "9"}]
    data = {"id": "5", "name": "flow", "type": 1, "options": [{"name": "run", "type": 1, "options": options}]}
    interaction = await wire.interact(2, {**data, "resolved": {"attachments": {"9": attachment}}})
    await wire.responses(interaction)
    path = Path(desk.heard[0].attachments[0].path)
    assert path.name == "evil.txt"
    await front.stop()
    assert not path.exists()


async def test_a_late_answer_reaches_the_person_until_the_token_ends(front, wire, desk):
    interaction = await wire.slash("whoami")
    await wire.responses(interaction)
    url = desk.heard[0].answer_url
    assert url.startswith(wire.base_url)
    await front.answer(url, Reply(Notice("info", "Late")))
    assert len(await wire.responses(interaction, 2)) == 2
    wire.expire(interaction)
    with pytest.raises(Unreachable, match="15 minutes"):
        await front.answer(url, Reply(Notice("info", "Later")))


@pytest.mark.parametrize(("delay", "count"), [(0, 1), (30, 0)])
async def test_half_typed_arguments_are_completed_in_time_or_not_at_all(front, wire, desk, monkeypatch, delay, count):
    monkeypatch.setattr("bot.discord.limits.CHOICES_GRACE", 0.05)
    desk.delay = delay
    options = [{"name": "flow", "type": 3, "value": "tra", "focused": True}]
    data = {"id": "5", "name": "flow", "type": 1, "options": [{"name": "run", "type": 1, "options": options}]}
    (said,) = await wire.responses(await wire.interact(4, data))
    assert said["type"] == 8
    assert len(said["data"]["choices"]) == count


async def test_a_mention_is_heard_and_answered_in_reply(front, wire, desk):
    await wire.say("<@100000000000000001> whoami")
    posted = await wire.until(lambda: wire.bodies("POST", "/messages$"))
    assert posted[0]["message_reference"]["message_id"]
    assert desk.heard[0].text == "whoami"
    await wire.say("not for the bot", mentions=False)
    await wire.say("<@!100000000000000001>  list")
    await wire.until(lambda: len(wire.bodies("POST", "/messages$")) == 2)
    assert [command.text for command in desk.heard] == ["whoami", "list"]


async def test_a_discord_that_is_down_is_told(front, wire):
    wire.answer_with("POST", "/messages$", 403, {"message": "Missing Permissions", "code": 50013})
    with pytest.raises(Unreachable, match="may not write here") as caught:
        await front.post_card(ROOM, pause_card(), "n1")
    assert caught.value.retry_after is None
    Route.BASE = "http://127.0.0.1:9/api/v10"
    with pytest.raises(Unreachable, match="can't be reached") as caught:
        await front.post_card(ROOM, pause_card(), "n2")
    assert caught.value.retry_after == 5


async def test_before_the_start_and_after_the_end_nothing_can_be_posted(make, wire, desk):
    front = make()
    with pytest.raises(Unreachable, match="not connected") as caught:
        await front.post_card(ROOM, pause_card(), "n1")
    assert caught.value.retry_after == 2
    assert front.describe() == "Discord: not connected"
    await front.start(desk)
    await front.stop()
    with pytest.raises(Unreachable, match="not connected"):
        await front.post_card(ROOM, pause_card(), "n1")


async def test_a_room_may_be_named(front, wire):
    ref = await front.post_card(Room("discord", "#general"), pause_card(), "n1")
    assert ref.channel == CHANNEL
    with pytest.raises(Unreachable, match="sees no channel named '#nowhere'"):
        await front.post_card(Room("discord", "#nowhere"), pause_card(), "n1")


async def test_stop_waits_for_answers_on_their_way(front, wire, desk):
    desk.delay = 0.3
    interaction = await wire.slash("whoami")
    await wire.until(lambda: True)
    while not desk.heard:
        await asyncio.sleep(0)
    await front.stop()
    assert await wire.responses(interaction)
    assert isinstance(front.client, discord.Client)
    assert front.client.is_closed()


MENU = {"id": "6", "name": "Run flow with this message", "type": 3, "target_id": "77"}


async def test_a_message_is_brought_to_the_desk_with_its_files(front, wire, desk):
    wire.files["data.csv"] = b"a,b"
    url = f"{wire.files_url}/data.csv"
    file = {"id": "9", "filename": "data.csv", "size": 3, "url": url, "proxy_url": url, "content_type": "text/csv"}
    message = wire._message(id="77", content="Ship 1.2", attachments=[file])
    await wire.responses(await wire.interact(2, {**MENU, "resolved": {"messages": {"77": message}}}))
    heard = desk.heard[-1]
    assert heard.text == "run"
    assert [(one.name, Path(one.path).read_bytes()) for one in heard.attachments] == [
        ("message.txt", b"Ship 1.2"), ("data.csv", b"a,b"),
    ]  # fmt: skip


async def test_an_empty_message_says_so(front, wire, desk):
    message = wire._message(id="77", content="")
    (said,) = await wire.responses(await wire.interact(2, {**MENU, "resolved": {"messages": {"77": message}}}))
    assert "neither text nor a file" in str(said)
    assert desk.heard == []
