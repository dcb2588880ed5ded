"""Whose account was deactivated in Slack, or who left the servers in Discord, is out of the page too: at once for what
they do, soon for what they see. While the chat can't tell, nothing is decided and nothing typed is lost."""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.approvals.policy import ApprovalRule
from bot.conversation import Notice, Person, Room
from bot.discord.client import DiscordFrontEnd
from bot.frontend import Unreachable
from bot.people import standing
from bot.people.accounts import KnownPerson, PeopleSection
from bot.slack.app import SlackFrontEnd
from bot.web import requests
from bot.web.gate import OPEN, SIGNED
from engine.clock import ShiftedClock
from engine.errors import StoreFailed
from engine.store import audit_chain
from engine.store.visits import visits as sessions
from tests.web.conftest import Browser, running
from tests.web.test_page import routes
from tests.web.test_visits import PUBLIC, SHIP, _close, client, link, say, sign_in, visitor, waiting
from tests.wire.discord import TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, Refusal, slack

__all__ = ["_close", "slack"]
SIX_MINUTES = timedelta(minutes=6)
ASKS = """
id: asks
namespace: web.tests
inputs:
  - {id: note, type: STRING}
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: reason, type: STRING}
"""
HIDDEN = "horse-and-battery-9"
KEYS = """
id: keys
namespace: web.tests
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: key, type: SECRET}
      - {id: paper, type: FILE}
outputs:
  - {id: used, type: STRING, value: "{{ outputs.wait.onResume.key | length }} {{ read(outputs.wait.onResume.paper) }}"}
"""
KEYS_FIRST = """
id: keys
namespace: web.tests
inputs:
  - {id: key, type: SECRET}
  - {id: paper, type: FILE}
tasks:
  - {id: nothing, type: io.kestra.plugin.core.debug.Return, format: ok}
outputs:
  - {id: used, type: STRING, value: "{{ inputs.key | length }} {{ read(inputs.paper) }}"}
"""
FOUR = (ApprovalRule.model_validate({"approvers": ["anyone"]}),)


@dataclass
class OnSlack:
    """One account of Slack."""

    wire: FakeSlack
    person = Person("slack:U1", "Ann", "slack", "<@U1>")
    others = Person("slack:U2", "Bob", "slack", "<@U2>")
    name = "Slack"

    def leave(self):
        self.wire.deactivated.add("U1")

    def be_silent(self):
        self.wire.scripts["users.info"] = [Refusal(retry_after=600)] * 500

    def tell(self):
        self.wire.scripts["users.info"] = []

    def asked(self):
        return len(self.wire.called("users.info"))


@dataclass
class OnDiscord:
    """One account of Discord."""

    wire: DiscordWire
    person = Person("discord:42", "Ann", "discord", "<@42>")
    others = Person("discord:43", "Bob", "discord", "<@43>")
    name = "Discord"

    def leave(self):
        del self.wire.roles["42"]

    def be_silent(self):
        body = {"message": "Missing Access", "code": 50001}
        self.wire.answer_with("GET", r"/guilds/\d+/members/", 403, body, times=500)

    def tell(self):
        self.wire.rules.clear()

    def asked(self):
        return len([one for one in self.wire.calls if "/members/" in one.path])


@pytest.fixture
async def wires(slack):
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        wire.roles |= {"42": [], "43": []}
        yield slack, wire
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@pytest.fixture
def clock():
    return ShiftedClock()


@pytest.fixture
async def app(tmp_path, wires, clock, request):
    slack, discord = wires
    cy = KnownPerson(name="cy", accounts=("token:cy", "slack:U1", "discord:42"))
    settings = {
        "slack_base_url": f"{slack.url}/api/", "people": PeopleSection(known=(cy,)),
        "discord_base_url": discord.base_url, "discord_gateway_url": discord.gateway_url,
    }  # fmt: skip
    only = request.getfixturevalue("chat").name if "chat" in request.fixturenames else ""
    if only != "Discord":
        settings |= {"slack_bot_token": BOT_TOKEN, "slack_app_token": APP_TOKEN}
    if only != "Slack":
        settings["discord_token"] = TOKEN
    tokens = {"cy": "the-token-of-cy", "ci": "the-token-of-ci"}
    async with running(
        tmp_path, approvals=FOUR, public_url=PUBLIC, tokens=tokens, clock=clock, settings=settings
    ) as made:
        await made.engine.deploy(SHIP)
        await made.engine.deploy(ASKS)
        yield made


@pytest.fixture(params=["Slack", "Discord"])
def chat(request, wires):
    return OnSlack(wires[0]) if request.param == "Slack" else OnDiscord(wires[1])


async def enter(app, chat, receipt="in"):
    browser = visitor(app)
    assert (await sign_in(app, browser, chat.person, receipt)).url.path == "/"
    await browser.get("/")
    return browser


async def rows(app, *actions):
    found = await app.engine.database.read(lambda c: list(audit_chain.export(c)))
    return [(row["person"], row["action"], row["details"]) for row in found if row["action"] in actions]


async def signed_in(app):
    return await app.engine.database.read(lambda c: sorted(row.account for row in c.execute(sessions.select())))


async def test_who_reads_is_asked_about_now_and_then_who_acts_each_time(app, chat, clock):
    browser = await enter(app, chat)
    before = chat.asked()
    for _ in range(3):
        assert (await browser.get("/ui/flows")).status_code == 200
    assert chat.asked() == before
    for times in (1, 2):
        assert (await browser.post("/say", text="/flow list")).status_code == 200
        assert chat.asked() == before + times
    clock.jump(SIX_MINUTES)
    for _ in range(2):
        assert (await browser.get("/ui/flows")).status_code == 200
    assert chat.asked() == before + 3


async def test_who_left_does_nothing_more_and_every_browser_of_theirs_is_out(app, chat):
    first, second = await enter(app, chat), await enter(app, chat, "second")
    unused = await link(app, chat.person, "unused")
    await say(app, "run ship", chat.others, Room("slack", "C1"), "run")
    pause = await waiting(app)
    chat.leave()
    refused = await first.post("/click", action=app.desk.office.ids("ap", pause.id))
    assert refused.status_code == 403
    assert f"{chat.name} says that your account is not there any more" in refused.text
    assert (await app.engine.pause_row(pause.id)).state == "WAITING"
    assert await signed_in(app) == []
    for browser in (first, second):
        assert (await browser.get("/ui/executions")).url.path == "/sign-in"
    assert (await visitor(app).get(unused)).status_code == 404
    why = {"browsers": 2, "why": "the account is not there any more"}
    assert await rows(app, "sign out", "approve") == [(chat.person.id, "sign out", why)]


async def test_who_left_sees_nothing_more_soon(app, chat, clock):
    browsers = [await enter(app, chat, receipt) for receipt in ("in", "second")]
    chat.leave()
    assert (await browsers[0].get("/ui/flows")).status_code == 200, "what Slack said a moment ago counts for reading"
    clock.jump(SIX_MINUTES)
    refused = await browsers[0].get("/ui/flows")
    assert refused.status_code == 403
    assert "not there any more" in refused.text
    assert await signed_in(app) == []
    assert (await browsers[1].get("/ui/flows")).url.path == "/sign-in"


async def test_while_the_chat_can_not_tell_nothing_is_done_and_reading_goes_on_for_a_while(app, chat, clock):
    browser = await enter(app, chat)
    chat.be_silent()
    for _ in range(2):
        unsure = await browser.post("/say", text="/flow run ship")
        assert unsure.status_code == 503
        assert "I can't tell now whether your account is still there" in unsure.text.replace("&#39;", "'")
    assert await app.engine.executions(limit=1) == []
    clock.jump(SIX_MINUTES)
    assert (await browser.get("/ui/executions")).status_code == 200
    clock.jump(SIX_MINUTES)
    assert (await browser.get("/ui/executions")).status_code == 503
    assert await signed_in(app) == [chat.person.id]
    chat.tell()
    assert (await browser.get("/ui/executions")).status_code == 200
    await browser.post("/say", text="/flow run ship")
    assert len(await app.engine.executions(limit=5)) == 1


async def test_no_trouble_of_slack_counts_as_having_left(app, wires):
    chat = OnSlack(wires[0])
    browser = await enter(app, chat)
    for said, wanted in (
        (Refusal(error="missing_scope"), "lacks the scope"),
        (Refusal(error="invalid_auth"), "no longer accepts the bot token"),
        (Refusal(error="internal_error"), "a problem of its own"),
        (Refusal(error="user_not_visible"), "user_not_visible"),
        (Refusal(status=500, error="x"), "a problem of its own"),
        (Refusal(drops=True), "can't be reached"),
        (Refusal(retry_after=30), "asks for a pause"),
    ):
        wires[0].scripts["users.info"] = [said]
        unsure = await browser.post("/say", text="/flow list")
        assert (unsure.status_code, await signed_in(app)) == (503, [chat.person.id]), said
        assert wanted in unsure.text.replace("&#39;", "'")
    del wires[0].users["U1"]
    assert (await browser.post("/say", text="/flow list")).status_code == 403, "an account that Slack does not know"


async def test_of_discord_only_an_unknown_member_has_left(app, wires):
    chat = OnDiscord(wires[1])
    for status, code, left in (
        (404, 10007, True), (404, 10013, True), (404, 10004, False), (403, 50001, False), (404, 0, False),
        (401, 0, False),
    ):  # fmt: skip
        browser = await enter(app, chat, f"{status} {code}")
        wires[1].answer_with("GET", r"/guilds/\d+/members/", status, {"message": "no", "code": code}, times=1)
        refused = await browser.post("/say", text="/flow list")
        assert refused.status_code == (403 if left else 503), (status, code)
        assert (chat.person.id in await signed_in(app)) is not left


async def test_a_chat_that_hangs_holds_nobody_for_long(app, chat, wires, monkeypatch):
    browser = await enter(app, chat)
    monkeypatch.setattr(standing, "PATIENCE", 0.2)
    end = app.desk.front_ends[chat.person.platform]
    monkeypatch.setattr(end, "is_active", lambda account: asyncio.Event().wait())
    unsure = await browser.post("/say", text="/flow list")
    assert unsure.status_code == 503
    assert f"{chat.name} does not answer" in unsure.text


async def test_what_was_typed_into_a_form_stays(app, chat):
    browser = await enter(app, chat)
    page = await browser.post("/say", text="/flow run asks")
    path = page.url.path
    assert path.startswith("/form/draft:")
    chat.be_silent()
    unsure = await browser.post(path, **{"f:0": "a fox & two"})
    assert unsure.status_code == 503
    assert "whether your account is still there" in unsure.text
    assert 'value="a fox &amp; two"' in unsure.text
    assert f'action="{path.replace(":", "%3A")}"' in unsure.text or f'action="{path}"' in unsure.text
    assert (await browser.post(f"{path}/keep", shape=shape(unsure), **{"f:0": "a fox & three"})).status_code == 204
    assert await app.engine.executions(limit=1) == []
    chat.tell()
    assert 'value="a fox &amp; three"' in (await browser.get(path)).text
    await browser.post(path, **{"f:0": "a fox & two"})
    (run,) = await app.engine.executions(limit=5)
    assert run.inputs == {"note": "a fox & two"}


def shape(page):
    return re.search(r'name="shape" value="([^"]+)"', page.text)[1]


async def test_an_answer_to_a_pause_stays_in_its_form(app, chat):
    browser = await enter(app, chat)
    await say(app, "run asks note=x", chat.others, Room("slack", "C1"), "run")
    pause = await waiting(app)
    page = await browser.get(f"/ui/executions/web.tests/asks/{pause.execution_id}")
    seen = re.search(r'name="seen" value="([^"]+)"', page.text)[1]
    chat.be_silent()
    unsure = await browser.post(f"/pauses/{pause.id}", seen=seen, **{"f:0": "because"})
    assert unsure.status_code == 503
    assert f'name="seen" value="{seen}"' in unsure.text
    assert ">because</textarea>" in unsure.text
    assert f'action="/pauses/{pause.id}"' in unsure.text
    script = await browser.client.post(
        f"/pauses/{pause.id}",
        data={"csrf": browser.token, "f:0": "because"},
        headers={"X-Parley-Fragment": "1"},
    )
    assert ">because</textarea>" in script.json()["form"]
    assert (await app.engine.pause_row(pause.id)).state == "WAITING"
    chat.tell()
    await browser.post(f"/pauses/{pause.id}", **{"f:0": "because"})
    assert (await app.engine.pause_row(pause.id)).state != "WAITING"


def envelopes(page):
    """What a page carries of fields that can't be drawn again."""
    return dict(re.findall(r'name="(k:\d+)" value="([^"]+)"', page.text))


@pytest.mark.parametrize("where", ["pause", "form"])
async def test_a_secret_and_a_file_stay_too(app, chat, where):
    browser, other = await enter(app, chat), await enter(app, chat, "second")
    await app.engine.deploy(KEYS if where == "pause" else KEYS_FIRST)
    if where == "pause":
        await say(app, "run keys", chat.others, Room("slack", "C1"), "run")
        path = f"/pauses/{(await waiting(app)).id}"
    else:
        path = (await browser.post("/say", text="/flow run keys")).url.path
    chat.be_silent()
    sent = {"csrf": browser.token, "f:0": HIDDEN, "back": "/"}
    unsure = await browser.client.post(path, data=sent, files={"f:1": ("key.pem", b"pem")})
    assert unsure.status_code == 503
    assert HIDDEN not in unsure.text
    assert "What you typed is here already" in unsure.text
    assert "key.pem is here already" in unsure.text
    carried = envelopes(unsure)
    assert set(carried) == {"k:0", "k:1"}
    again = await browser.post(path, **{"f:0": "", "note": "x", **carried})
    assert (again.status_code, set(envelopes(again))) == (503, {"k:0", "k:1"})
    chat.tell()
    if where == "pause":  # of no use to whoever got hold of the page
        stolen = await other.post(path, **{"f:0": "", **carried})
        assert stolen.status_code == 422
        assert envelopes(stolen) == {}
    await browser.post(path, **{"f:0": "", **envelopes(again)})
    (run,) = [one for one in await app.engine.executions() if one.flow_id == "keys"]
    done = await app.engine.wait(run.id, timeout=20)
    assert done.outputs == {"used": f"{len(HIDDEN)} pem"}


@pytest.mark.parametrize("where", ["pause", "form"])
async def test_what_could_not_be_kept_comes_back_as_it_was_sent(app, wires, where, monkeypatch):
    """The disk is full, or the database away: it was not counted, and nothing of it is lost."""
    chat = OnSlack(wires[0])
    browser = await enter(app, chat)
    await app.engine.deploy(KEYS if where == "pause" else KEYS_FIRST)
    if where == "pause":
        await say(app, "run keys", chat.others, Room("slack", "C1"), "run")
        path = f"/pauses/{(await waiting(app)).id}"
    else:
        path = (await browser.post("/say", text="/flow run keys")).url.path
    handle = app.desk.deliveries.handle

    async def full(event):
        raise StoreFailed("The disk is full.", fix="Make room.")

    sent = {"csrf": browser.token, "f:0": HIDDEN, "back": "/"}
    monkeypatch.setattr(app.desk.deliveries, "handle", full)
    lost = await browser.client.post(path, data=sent, files={"f:1": ("key.pem", b"pem")})
    assert (lost.status_code, "not counted" in lost.text) == (503, True)
    assert set(envelopes(lost)) == {"k:0", "k:1"}
    monkeypatch.setattr(app.desk.deliveries, "handle", handle)
    await browser.post(path, **{"f:0": "", **envelopes(lost)})
    (run,) = [one for one in await app.engine.executions() if one.flow_id == "keys"]
    done = await app.engine.wait(run.id, timeout=20)
    assert done.outputs == {"used": f"{len(HIDDEN)} pem"}


async def test_every_route_asks(app, wires, clock):
    """By what is listed, not by what we remember to try: while nobody can tell, none answers as if all were well."""
    chat = OnSlack(wires[0])
    browser = await enter(app, chat)
    chat.be_silent()
    clock.jump(SIX_MINUTES * 2)
    tried = 0
    for route in routes(app):
        if route.name in OPEN | SIGNED | requests.ASKS_AGAIN | {"sign_out"}:
            continue
        path = re.sub(r"\{[^}]+\}", "x", route.path)
        for method in route.methods - {"HEAD"}:
            data = {"csrf": browser.token} if method != "GET" else None
            answer = await browser.client.request(method, path, data=data)
            assert answer.status_code == 503, (method, path)
            tried += 1
    assert tried > 40
    assert await signed_in(app) == [chat.person.id]


async def test_signing_out_always_works(app, chat):
    away, silent = await enter(app, chat), await enter(app, chat, "second")
    chat.be_silent()
    assert (await silent.post("/sign-out")).url.path == "/sign-in"
    assert await signed_in(app) == [chat.person.id]
    chat.tell()
    chat.leave()
    assert (await away.post("/sign-out")).url.path == "/sign-in"
    assert await signed_in(app) == []


async def test_a_link_opens_nothing_for_who_left(app, chat):
    browser = visitor(app)
    path = await link(app, chat.person, "in")
    await browser.get(path)
    chat.be_silent()
    assert (await browser.post(path)).status_code == 503
    chat.tell()
    chat.leave()
    assert (await browser.post(path)).status_code == 403
    assert await signed_in(app) == []
    assert (await browser.get(path)).status_code == 404, "the link is void"
    why = {"text": "the account is not there any more"}
    assert await rows(app, "sign in", "refused") == [(chat.person.id, "refused", why)]


async def test_a_link_that_was_tried_while_the_chat_was_silent_is_still_good(app, chat):
    browser = visitor(app)
    path = await link(app, chat.person, "in")
    await browser.get(path)
    chat.be_silent()
    assert (await browser.post(path)).status_code == 503
    chat.tell()
    assert (await browser.post(path)).url.path == "/"
    assert await signed_in(app) == [chat.person.id]


class Watching:
    """A page that is open: what its stream of events says."""

    def __init__(self, browser, path, last="0"):
        self.browser, self.path, self.lines, self.last = browser, path, [], last
        self.heard = asyncio.Condition()
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        async with self.browser.client.stream("GET", self.path, headers={"last-event-id": self.last}) as events:
            self.lines.append(str(events.status_code))
            async for line in events.aiter_lines():
                if line.startswith("id: "):
                    self.last = line[4:]
                async with self.heard:
                    self.lines.append(line)
                    self.heard.notify_all()

    async def hears(self, text):
        async with asyncio.timeout(20), self.heard:
            await self.heard.wait_for(lambda: any(text in line for line in self.lines))

    async def ends(self):
        await asyncio.wait_for(self.task, 20)


async def post(app, text):
    await app.server.app.state.room.notify(Room("web", "lobby"), Notice("info", text))


async def test_the_stream_of_the_room_ends_for_who_left(app, chat, clock):
    page = Watching(await enter(app, chat), "/events?after=0")
    await post(app, "the first word")
    await page.hears("the first word")
    chat.leave()
    await post(app, "still within the five minutes")
    await page.hears("still within")
    clock.jump(SIX_MINUTES)
    await post(app, "a secret of the others")
    await page.ends()
    assert "a secret" not in "".join(page.lines)
    assert await signed_in(app) == []
    assert (await rows(app, "sign out"))[0][0] == chat.person.id


async def test_a_stream_shows_nothing_new_while_the_chat_can_not_tell_and_all_of_it_later(app, chat, clock):
    browser = await enter(app, chat)
    page = Watching(browser, "/events?after=0")
    await post(app, "the first word")
    await page.hears("the first word")
    chat.be_silent()
    clock.jump(SIX_MINUTES * 2)
    await post(app, "the second word")
    await page.hears("still here")
    assert "the second word" not in "".join(page.lines)
    chat.tell()
    await post(app, "the third word")
    await page.ends()  # the browser comes again by itself, with the number of what it saw last
    again = Watching(browser, "/events?after=0", page.last)
    await again.hears("the second word")
    await again.hears("the third word")
    again.task.cancel()


async def test_the_stream_of_a_run_ends_for_who_left_and_for_who_signed_out(app, chat, clock):
    await say(app, "run asks note=x", chat.others, Room("slack", "C1"), "run")
    pause = await waiting(app)
    path = f"/events/execution/{pause.execution_id}"
    first = Watching(await enter(app, chat), path)
    await first.hears("data:")
    assert (await say(app, "web off", chat.person, Room("slack", "C1"), "off")).tone == "success"
    second = Watching(await enter(app, chat, "second"), path)
    await second.hears("data:")
    chat.leave()
    clock.jump(SIX_MINUTES)
    await app.engine.kill(pause.execution_id, by="local:eve")
    await first.ends()
    await second.ends()
    for page in (first, second):
        assert "event: end" not in page.lines


async def test_who_is_linked_counts_by_the_account_they_signed_in_with(app, wires):
    on_slack, on_discord = OnSlack(wires[0]), OnDiscord(wires[1])
    first, second = await enter(app, on_slack), await enter(app, on_discord, "second")
    on_slack.leave()
    assert (await first.post("/say", text="/flow list")).status_code == 403
    assert (await second.post("/say", text="/flow list")).status_code == 200
    assert await signed_in(app) == ["discord:42"]


async def test_a_token_that_the_file_gives_to_somebody_goes_with_their_last_account(app, wires):
    on_slack, on_discord = OnSlack(wires[0]), OnDiscord(wires[1])
    headers = {"authorization": "Bearer the-token-of-cy"}
    mine, shared = client(app, headers=headers), client(app, headers={"authorization": "Bearer the-token-of-ci"})
    put = partial(mine.put, "/api/v1/kv/team/KEY", json={"value": "1"})
    assert (await put()).status_code == 200
    on_slack.leave()
    assert (await put()).status_code == 200
    on_discord.be_silent()
    assert (await put()).status_code == 503
    on_discord.tell()
    on_discord.leave()
    assert (await put()).status_code == 403
    assert (await shared.put("/api/v1/kv/team/KEY", json={"value": "1"})).status_code == 200
    assert (await rows(app, "refused"))[-1][0] == "token:cy"


async def test_who_uses_the_machine_or_a_token_is_nobody_of_a_chat(tmp_path):
    async with running(tmp_path) as app:
        local = Browser(app.url)
        assert (await local.say("/flow list")).status_code == 200
        await local.client.aclose()


async def test_without_the_chat_nobody_can_tell(tmp_path):
    """A bot that is not connected there any more."""
    async with running(tmp_path, public_url=PUBLIC) as app:
        browser, person = visitor(app), OnSlack.person
        path = await link(app, person)
        await browser.get(path)
        unsure = await browser.post(path)
        assert unsure.status_code == 503
        assert "not connected to Slack any more" in unsure.text


async def test_a_bot_that_stands_by_asks_as_well(wires):
    """Its page works all the same, though another process is on the chats."""
    slack, discord = wires
    ends = (
        (OnSlack(slack), SlackFrontEnd(BOT_TOKEN, APP_TOKEN, base_url=f"{slack.url}/api/")),
        (OnDiscord(discord), DiscordFrontEnd(TOKEN, base_url=discord.base_url, gateway_url=discord.gateway_url)),
    )
    for chat, end in ends:
        assert await end.is_active(chat.person.id)
        chat.be_silent()
        with pytest.raises(Unreachable):
            await end.is_active(chat.person.id)
        chat.tell()
        chat.leave()
        assert not await end.is_active(chat.person.id)
    assert discord.sessions == [], "it does not connect for that"
    assert discord.commands == [], "nor say which commands there are"
    wrong = DiscordFrontEnd("wrong", base_url=discord.base_url, gateway_url=discord.gateway_url)
    with pytest.raises(Unreachable, match="does not take the bot's token"):
        await wrong.is_active("discord:42")
