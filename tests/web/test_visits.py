"""The page opened by a link from chat: once, soon, by that person, who then is on the page whom they are in chat."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest

from bot.approvals.policy import ApprovalRule
from bot.conversation import Click, Command, Person, Room
from bot.people.identities import CHATS
from bot.people.roles import Role
from engine.store import audit_chain, chat_receipts, visits
from tests.web.conftest import Browser, running

ANN = Person("slack:U1", "Ann", "slack", "<@U1>", "Europe/London")
BOB = Person("discord:7", "Bob", "discord", "<@7>")
OPS = Room("slack", "C1", workspace="T1")
PUBLIC = "https://parley.example.com"
SHIP = """
id: ship
namespace: web.tests
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause}
"""
SECRET = """
id: deploy
namespace: web.tests
inputs:
  - {id: key, type: SECRET}
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: deployed}
"""
FOUR = (ApprovalRule.model_validate({"approvers": ["anyone"], "four_eyes": "requester"}),)


async def say(app, text, person=ANN, room=OPS, receipt="r1"):
    return (await app.desk.command(Command(text, person, room, receipt))).body


async def link(app, person=ANN, receipt="r1"):
    """The path of a link from chat."""
    (action,) = (await say(app, "web", person, receipt=receipt)).actions
    assert action.url.startswith(f"{PUBLIC}/in/")
    return action.url.removeprefix(PUBLIC)


OPENED = []


@pytest.fixture(autouse=True)
async def _close():
    yield
    while OPENED:
        await OPENED.pop().aclose()


class Proxy(httpx.AsyncHTTPTransport):
    """A proxy on this machine that ends TLS for the public address."""

    def __init__(self, port):
        super().__init__()
        self.port = port

    async def handle_async_request(self, request):
        inner = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        headers = [*request.headers.raw, (b"x-forwarded-proto", b"https")]
        passed = httpx.Request(request.method, inner, headers=headers, stream=request.stream)
        passed.extensions = request.extensions
        return await super().handle_async_request(passed)


def visitor(app):
    """A browser that comes by the public address."""
    made = Browser(PUBLIC, transport=Proxy(httpx.URL(app.url).port))
    OPENED.append(made.client)
    return made


def client(app, **options):
    """Whatever sends requests to the address the page listens on."""
    made = httpx.AsyncClient(base_url=app.url, **options)
    OPENED.append(made)
    return made


async def sign_in(app, browser, person=ANN, receipt="r1"):
    path = await link(app, person, receipt)
    page = await browser.get(path)
    assert f"Sign in as {person.name}" in page.text
    return await browser.post(path)


@pytest.fixture
async def app(tmp_path):
    async with running(tmp_path, approvals=FOUR, public_url=PUBLIC, chats=CHATS) as made:
        await made.engine.deploy(SHIP)
        yield made


async def test_a_public_address_lets_nobody_in_without_signing_in(app):
    browser = visitor(app)
    page = await browser.get("/")
    assert page.url.path == "/sign-in"
    assert "/flow web" in page.text
    local = client(app)  # a proxy may well send its own name for the page's
    assert (await local.get("/ui/executions")).status_code == 303
    assert (await local.get("/ui/executions", headers={"authorization": "Bearer no"})).status_code == 401


async def test_a_link_opens_the_page_as_the_person_once(app):
    browser, other = visitor(app), visitor(app)
    path = await link(app)
    for _ in range(3):  # chats preview addresses, and scanners follow them
        assert "Sign in as Ann" in (await browser.get(path)).text
    page = await browser.post(path)
    assert page.url.path == "/"
    assert "Ann" in page.text
    assert "Sign out" in page.text
    for again in (await other.get(path), await other.post(path)):
        assert again.status_code in (403, 404)
    assert (await other.get("/")).url.path == "/sign-in"
    cookie = next(cookie for cookie in browser.client.cookies.jar if cookie.name == "parley_session")
    assert cookie.secure
    assert cookie.has_nonstandard_attr("HttpOnly")


async def test_a_link_that_is_old_wrong_or_void_opens_nothing(app, monkeypatch):
    browser = visitor(app)
    assert (await browser.get("/in/AAAA")).status_code == 404
    path = await link(app)
    await browser.get(path)
    monkeypatch.setattr(visits, "LINK_LIVES", timedelta(0))
    late = await link(app, receipt="r2")
    assert (await browser.get(late)).status_code == 404
    assert (await browser.post(late)).status_code == 404
    assert (await say(app, "web off", receipt="r3")).tone == "success"
    assert (await browser.post(path)).status_code == 404


async def test_another_site_can_not_sign_a_browser_in(app):
    """Who is signed in as somebody else types secrets into that one's forms."""
    browser = visitor(app)
    path = await link(app)
    await browser.get(path)
    bare = await browser.client.post(path)
    assert bare.status_code == 403
    foreign = await browser.client.post(path, data={"csrf": browser.token}, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert (await browser.post(path)).url.path == "/"


async def test_the_session_is_a_new_one_and_ends(app):
    browser = visitor(app)
    path = await link(app)
    await browser.get(path)
    planted = browser.client.cookies["parley_session"]
    await browser.post(path)
    assert browser.client.cookies["parley_session"] != planted
    kept = dict(browser.client.cookies)
    await browser.get("/")
    await browser.post("/sign-out")
    stolen = client(app, cookies=kept, headers={"host": "parley.example.com"})
    assert (await stolen.get("/ui/executions")).status_code == 303  # the cookie of a browser that signed out is nothing


async def test_web_off_ends_every_browser(app):
    browsers = [visitor(app), visitor(app)]
    for number, browser in enumerate(browsers):
        await sign_in(app, browser, receipt=f"s{number}")
    assert (await say(app, "web off", receipt="off")).tone == "success"
    for browser in browsers:
        assert (await browser.get("/")).url.path == "/sign-in"


async def test_who_manages_everything_signs_somebody_else_out(tmp_path):
    boss, all_ = Person("slack:U9", "Zoe", "slack", "<@U9>"), ["run", "approve", "manage"]
    roles = (
        Role.model_validate({"name": "owners", "members": [boss.id], "may": [{"do": all_}]}),
        Role.model_validate({"name": "others", "members": ["anyone"], "may": [{"do": ["run"]}]}),
    )
    async with running(tmp_path, roles=roles, public_url=PUBLIC, chats=CHATS) as app:
        ann, bob = visitor(app), visitor(app)
        await sign_in(app, ann, receipt="a")
        await sign_in(app, bob, BOB, receipt="b")
        assert "can't manage" in (await say(app, "web off slack:U1", BOB, receipt="no")).text
        assert "Usage" in (await say(app, "web off ann", boss, receipt="typo")).text
        assert (await ann.get("/")).url.path == "/"
        done = await say(app, "web off <@U1>", boss, receipt="off")
        assert (done.tone, "`slack:U1`" in done.text) == ("success", True)
        assert (await ann.get("/")).url.path == "/sign-in"
        assert (await bob.get("/")).url.path == "/"
        found = await app.engine.database.read(lambda c: list(audit_chain.export(c)))
        (row,) = [one for one in found if one["action"] == "sign out"]
        assert (row["person"], row["details"]) == (boss.id, {"browsers": 1, "whose": "slack:U1"})


async def test_a_cookie_made_up_for_somebody_opens_nothing(app):
    gate = app.server.app.state.gate
    for account in ("slack:U1", "token:web", app.server.app.state.gate.local.id):
        forged = gate.seal(gate.new_session(account))  # even with the key of the cookies
        forger = client(app, cookies={"parley_session": forged})
        assert (await forger.get("/ui/executions")).status_code == 303, account


async def test_four_eyes_and_the_record_know_the_person_on_the_page(app):
    await say(app, "run ship", receipt="run")
    pause = await waiting(app)
    ann, bob = visitor(app), visitor(app)
    await sign_in(app, ann, receipt="a")
    await sign_in(app, bob, BOB, receipt="b")
    button = app.desk.office.ids("ap", pause.id)
    await ann.get("/")
    await ann.post("/click", action=button)
    assert (await app.engine.pause_row(pause.id)).state == "WAITING"
    assert "You started this run" in (await ann.get("/")).text
    await bob.get("/")
    await bob.post("/click", action=button)
    assert (await app.engine.pause_row(pause.id)).state != "WAITING"
    rows = await app.engine.database.read(lambda c: list(audit_chain.export(c)))
    told = [(row["person"], row["platform"], row["action"]) for row in rows]
    for wanted in (
        ("slack:U1", "slack", "web link"),
        ("slack:U1", "web", "sign in"),
        ("slack:U1", "web", "refused"),
        ("discord:7", "web", "approve"),
    ):
        assert wanted in told
    assert "/in/" not in str(rows)


async def waiting(app):
    async with asyncio.timeout(20):
        while not (found := await app.engine.pauses(limit=1)):
            await asyncio.sleep(0.05)
    return found[0]


async def test_roles_are_those_of_the_account_in_chat(tmp_path):
    role = Role.model_validate(
        {"name": "shippers", "members": ["slack:U1"], "may": [{"do": ["run"], "flow": "web.tests/ship"}]}
    )
    async with running(tmp_path, roles=(role,), public_url=PUBLIC, chats=CHATS) as app:
        await app.engine.deploy(SHIP)
        ann, bob = visitor(app), visitor(app)
        await sign_in(app, ann, receipt="a")
        await sign_in(app, bob, BOB, receipt="b")
        assert "ship" in (await ann.get("/ui/flows")).text
        assert "web.tests" not in (await bob.get("/ui/flows")).text
        await bob.say("/flow run ship")
        assert await app.engine.executions(limit=1) == []
        await ann.say("/flow run ship")
        (run,) = await app.engine.executions(limit=1)
        assert run.started_by == "slack:U1"


async def test_what_the_chat_said_of_a_person_is_kept(app):
    browser = visitor(app)
    await sign_in(app, browser)
    await browser.say("/flow whoami")
    known = await app.engine.database.read(lambda c: chat_receipts.who(c, {ANN.id}))
    assert (known[ANN.id].platform, known[ANN.id].mention, known[ANN.id].zone) == ("slack", "<@U1>", "Europe/London")
    assert "Europe/London" in (await browser.get("/")).text


async def test_a_secret_is_typed_behind_a_link_of_the_person(app):
    await app.engine.deploy(SECRET)
    told = await say(app, "run deploy", receipt="run")
    (action,) = told.actions
    ann, bob = visitor(app), visitor(app)
    path = action.url.removeprefix(PUBLIC)
    await ann.get(path)
    page = await ann.post(path)
    assert page.url.path.startswith("/form/draft:")
    assert 'type="password"' in page.text
    await sign_in(app, bob, BOB, receipt="b")
    assert (await bob.get(page.url.path)).status_code == 404  # the address of a form is not enough
    await bob.get("/")
    assert (await bob.post(page.url.path, **{"f:0": "mine"})).status_code == 404
    await ann.get(page.url.path)
    await ann.post(page.url.path, **{"f:0": "s3cret-value"})
    (run,) = await app.engine.executions(limit=1)
    assert (run.flow_id, run.started_by) == ("deploy", ANN.id)
    again = await say(app, "run deploy", receipt="run")  # the same delivery once more has no second link
    assert again.actions == ()
    stored = await app.engine.database.read(lambda c: c.exec_driver_sql("SELECT event, answer FROM chat_receipt").all())
    assert "/in/" not in str(stored)


async def test_a_click_for_somebody_else_counts_for_the_browser_it_came_from(app):
    """Whatever a form says, the person is the one the session names."""
    browser = visitor(app)
    await sign_in(app, browser, BOB)
    await browser.get("/")
    await browser.post("/say", text="/flow run ship", person="slack:U1", account="slack:U1")
    (run,) = await app.engine.executions(limit=1)
    assert run.started_by == BOB.id


async def test_without_a_public_address_it_says_so(tmp_path):
    async with running(tmp_path) as app:
        await app.engine.deploy(SECRET)
        told = await say(app, "web")
        assert told.actions == ()
        assert "`web.public_url` is not set" in told.text
        told = await say(app, "run deploy", receipt="r2")
        assert told.actions == ()
        assert "`web.public_url` is not set" in told.text
        assert re.search(
            "on the page already", (await say(app, "web", Person("local:x", "x", "web"), receipt="r3")).text
        )


async def test_pressed_in_chat_a_secure_form_opens_for_who_pressed(app):
    await app.engine.deploy(
        "id: gate\nnamespace: web.tests\ntasks:\n"
        "  - {id: wait, type: io.kestra.plugin.core.flow.Pause, onResume: [{id: key, type: SECRET}]}\n"
    )
    await say(app, "run gate", BOB, Room("discord", "9"), receipt="run")
    pause = await waiting(app)
    pressed = Click(app.desk.office.ids("an", pause.id), ANN, OPS, "press")
    (action,) = [one for one in (await app.desk.click(pressed)).body.actions if one.url]
    browser = visitor(app)
    path = action.url.removeprefix(PUBLIC)
    await browser.get(path)
    page = await browser.post(path)
    assert page.url.path == f"/ui/executions/web.tests/gate/{pause.execution_id}"
    assert 'type="password"' in page.text
