"""The page in a real browser: what somebody gave last time, an approval from a mail to its end, the menu of a run."""

import asyncio
import re
import socket
from contextlib import closing

import pytest

from engine.core.state import State
from tests.scenarios.browser import chromium
from tests.web.conftest import running
from tests.wire.smtp import mail_server

__all__ = ["mail_server"]

BREW = """
id: brew
namespace: company.team
inputs:
  - {id: name, type: STRING}
  - {id: note, type: STRING, required: false}
  - {id: cups, type: INT, defaults: 1}
  - {id: kind, type: SELECT, values: [tea, coffee], defaults: tea}
  - {id: extras, type: MULTISELECT, values: [milk, sugar, lemon], required: false}
  - {id: strong, type: BOOLEAN, defaults: false}
  - {id: day, type: DATE, required: false}
  - {id: pin, type: SECRET, required: false}
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: brewed}
"""
GATE = """
id: gate
namespace: company.team
tasks:
  - id: mail
    type: io.kestra.plugin.email.MailSend
    host: 127.0.0.1
    port: %d
    transportStrategy: SMTP
    username: ann
    password: right
    from: bot@example.com
    to: ann@example.com
    subject: Please decide
    htmlTextContent: >-
      {{ kestra.url }}/ui/executions/{{ flow.namespace }}/{{ flow.id }}/{{ execution.id }}
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: reason, type: STRING}
      - {id: size, type: SELECT, values: [small, large]}
      - {id: copies, type: INT, max: 5}
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.wait.onResume.size }}"}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.wait.onResume.reason }}, {{ outputs.say.value }}"}
"""
FAILS = """
id: fails
namespace: company.team
tasks:
  - {id: boom, type: io.kestra.plugin.core.execution.Fail}
"""
GIVEN = {"name": "Ann \u05e9 \U0001f98a", "note": "two\nlines", "cups": 3, "kind": "coffee", "day": "2026-03-31"}


@pytest.fixture
async def browser():
    async with chromium() as made:
        yield made


def field(page, flow_inputs, name):
    return page.locator(f'[name="f:{flow_inputs.index(name)}"]')


async def many(app, count):
    """Wait until there are so many runs."""
    async with asyncio.timeout(30):
        while len(await app.engine.executions(flow_id="brew")) < count:
            await asyncio.sleep(0.02)


async def test_last_time_fills_the_form_with_what_was_given_then(tmp_path, browser):
    from playwright.async_api import expect

    inputs = re.findall(r"\{id: (\w+), type", BREW.partition("tasks:")[0])
    async with running(tmp_path) as app:
        await app.engine.deploy(BREW)
        page = await browser.new_page()

        async def opened():
            await page.goto(app.url)
            await page.fill(".say input[name=text]", "/flow run brew --form")
            await page.press(".say input[name=text]", "Enter")
            form = page.locator("form.fill")
            link = page.get_by_role("link", name="Open the form").last
            await form.or_(link).first.wait_for()
            if not await form.count():
                await link.click()
                await form.wait_for()

        await opened()
        assert await page.get_by_role("button", name="Last time").count() == 0, "there was none"
        await field(page, inputs, "name").fill(GIVEN["name"])
        await field(page, inputs, "note").fill("plain")
        await field(page, inputs, "cups").fill("3")
        await field(page, inputs, "kind").select_option("coffee")
        for extra in ("milk", "lemon"):
            await page.get_by_label(extra, exact=True).check()
        await page.get_by_label("strong").check()
        await field(page, inputs, "day").fill(GIVEN["day"])
        await field(page, inputs, "pin").fill("hunter2-hunter2")
        await page.get_by_role("button", name="Run", exact=True).click()
        await many(app, 1)

        await opened()
        assert await field(page, inputs, "name").input_value() == "", "nothing is filled in unasked"
        await page.get_by_role("button", name="Last time").click()
        await expect(field(page, inputs, "name")).to_have_value(GIVEN["name"])
        assert await field(page, inputs, "cups").input_value() == "3"
        assert await field(page, inputs, "kind").input_value() == "coffee"
        assert await field(page, inputs, "day").input_value() == GIVEN["day"]
        ticked = [await page.get_by_label(one, exact=True).is_checked() for one in ("milk", "sugar", "lemon")]
        assert ticked == [True, False, True]
        assert await page.get_by_label("strong").is_checked()
        assert await field(page, inputs, "pin").input_value() == "", "a secret is never given back"
        await field(page, inputs, "cups").fill("4")
        await page.get_by_role("button", name="Run", exact=True).click()
        await many(app, 2)
        runs = await app.engine.executions(flow_id="brew")
        given = sorted(({**run.inputs, "pin": ""} for run in runs), key=lambda one: one["cups"])
        assert [one["cups"] for one in given] == [3, 4]
        assert {**given[0], "cups": 0} == {**given[1], "cups": 0}


async def test_an_approval_from_the_link_in_a_mail_to_its_result(tmp_path, browser, mail_server):
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = {"port": port, "public_url": f"http://127.0.0.1:{port}", "tokens": {"ann": "the-token-of-ann"}}
    async with running(tmp_path, **web) as app:
        await app.engine.deploy(GATE % mail_server.port)
        run = await app.engine.create("company.team", "gate", {}, started_by="local:eve")
        waiting = await app.engine.wait(run.id, until="ended_or_paused", timeout=30)
        assert waiting.state is State.PAUSED, [line.message for line in await app.engine.logs(run.id)]
        (mail,) = mail_server.messages
        link = re.search(r"http://\S+?(?=[<\s]|$)", mail.get_body(("html", "plain")).get_content())[0]

        page = await browser.new_page()
        await page.goto(link)
        for token in ("mistyped", "the-token-of-ann"):
            await page.fill("input[name=token]", token)
            await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(link)
        await page.get_by_role("button", name="Answer\u2026").click()
        await page.locator("form.fill").wait_for()
        form = page.locator("form.fill")
        send = form.get_by_role("button", name="Answer")
        await form.locator("[name='f:0']").fill("it fits")
        await form.locator("select").select_option("large")
        await form.locator("[name='f:2']").fill("9")
        await send.click()
        await form.locator(".wrong [name='f:2']").wait_for()
        assert await form.locator("select").input_value() == "large", "what was given is kept"
        await form.locator("[name='f:2']").fill("3")
        await send.click()
        await app.engine.wait(run.id, timeout=30)
        if not page.url.startswith(link):
            await page.goto(link)
        await page.get_by_text("it fits, large").wait_for()
        assert await page.locator("h1 .state").inner_text() == "SUCCESS"
        assert "by ann" in await page.locator(".waiting").inner_text()


async def test_a_form_in_place_stays_with_what_was_typed_when_it_is_not_taken(tmp_path, browser):
    from playwright.async_api import expect

    inputs = re.findall(r"\{id: (\w+), type", BREW.partition("tasks:")[0])
    async with running(tmp_path) as app:
        await app.engine.deploy(BREW)
        page = await browser.new_page()
        await page.goto(app.url)
        await page.fill(".say input[name=text]", "/flow run brew --form")
        await page.press(".say input[name=text]", "Enter")
        form = page.locator("dialog form.fill")
        await form.wait_for()
        for name, value in (("name", "Ann"), ("note", "x"), ("cups", "2"), ("day", "2026-03-31"), ("pin", "hunter2")):
            await field(page, inputs, name).fill(value)
        await field(page, inputs, "kind").select_option("coffee")

        async def refuses(route):
            await route.fulfill(status=403, content_type="text/html", body="<p>Your account is gone.</p>")

        for refusing, said in (
            (lambda route: route.abort(), "What you typed is still here"),
            (refuses, "Your account is gone."),
        ):
            await page.route(re.compile(r"/form/draft[^/]*$"), refusing)
            await page.get_by_role("button", name="Run", exact=True).click()
            await expect(form.get_by_role("alert")).to_contain_text(said)
            await expect(field(page, inputs, "pin")).to_have_value("hunter2")
            await page.unroute_all()
        await page.get_by_role("button", name="Run", exact=True).click()
        await many(app, 1)


@pytest.mark.parametrize("width", [1000, 390])
async def test_what_is_rare_lies_in_a_menu_that_needs_no_script(tmp_path, browser, width):
    async with running(tmp_path) as app:
        await app.engine.deploy(FAILS)
        run = await app.engine.create("company.team", "fails", {}, started_by="local:ann")
        await app.engine.wait(run.id, timeout=20)
        context = await browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800})
        page = await context.new_page()
        await page.goto(f"{app.url}/ui/executions/company.team/fails/{run.id}")
        shown = page.get_by_role("button")
        assert await shown.all_inner_texts() == ["Retry what failed", "Replay"]
        await page.locator(".more summary").click()
        menu = page.locator(".more .menu")
        assert await menu.get_by_role("button").all_inner_texts() == ["Count as", "Add label", "Delete\u2026"]
        box = await menu.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        await menu.locator("input[name=given]").fill("team=web")
        await menu.get_by_role("button", name="Add label").click()
        assert ("team", "web") in (await app.engine.execution(run.id)).labels
