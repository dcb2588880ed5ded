"""The page over real HTTP, with the real engine and desk behind it."""

import asyncio
import html
import re
import socket
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import httpx
import pytest
from fastapi.routing import APIRoute

from bot.approvals.policy import ApprovalRule
from bot.settings import WebSection
from bot.web import doors
from bot.web.gate import OPEN, SIGNED
from engine.clock import ShiftedClock
from engine.errors import SettingInvalid
from engine.store import chat_audit
from tests.web.conftest import Browser, running

DRAWN = """
id: drawn
namespace: web.tests
tasks:
  - {id: one, type: io.kestra.plugin.core.log.Log, message: a}
  - {id: two, type: io.kestra.plugin.core.log.Log, message: a}
"""
FLOW = """
id: ask
namespace: web.tests
inputs:
  - id: name
    type: STRING
    required: false
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    description: Go on?
    onResume:
      - id: ok
        type: BOOLEAN
      - id: count
        type: INT
        min: 1
  - id: done
    type: io.kestra.plugin.core.debug.Return
    format: "{{ outputs.wait.onResume.count }} {{ inputs.name ?? '' }}"
outputs:
  - id: result
    type: STRING
    value: "{{ outputs.done.value }}"
"""


async def wait_for(condition, timeout=20):
    async with asyncio.timeout(timeout):
        while not (found := await condition()):
            await asyncio.sleep(0.05)
        return found


def routes(app):
    """Every route, whatever holds it; anything that is no plain route would be a way around the gate."""
    found = []
    waiting = list(app.server.app.routes)
    while waiting:
        route = waiting.pop()
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        if inner is None:
            assert isinstance(route, APIRoute), route
            found.append(route)
        else:
            waiting += inner
    assert len(found) > 20
    return found


# Who may pass


async def test_the_end_of_an_answer_does_not_wait_until_its_beginning_arrived(parley):
    async with httpx.AsyncClient(base_url=parley.url) as client:
        assert (await client.get("/healthz")).status_code == 200
        (connection,) = parley.server.server.server_state.connections
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_every_route_is_behind_the_gate(tmp_path):
    async with (
        running(tmp_path, token="long-enough-token") as app,
        httpx.AsyncClient(base_url=app.url, follow_redirects=False) as client,
    ):
        for route in routes(app):
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            for method in route.methods:
                answer = await client.request(method, path)
                if route.name in OPEN and method == "GET":
                    assert answer.status_code in (200, 404), (method, path)
                elif route.name in SIGNED:
                    assert answer.status_code in (401, 403, 404, 405), (method, path)
                elif method == "GET" and not path.startswith(("/api/", "/events", "/metrics")):
                    assert answer.status_code == 303, (method, path)
                    assert answer.headers["location"].partition("?")[0] == "/sign-in"
                else:
                    assert answer.status_code in (401, 403), (method, path, answer.status_code)


async def test_no_get_changes_anything(parley, browser):
    for route in routes(parley):
        if route.methods == {"GET"}:
            assert route.name not in (
                "say",
                "click",
                "submit",
                "answer_pause",
                "kv_set",
                "kv_delete",
                "sign_in",
                "sign_out",
            )
    for path in ("/say", "/click"):
        assert (await browser.client.get(path)).status_code in (404, 405)


async def test_following_every_link_of_a_waiting_run_decides_nothing(parley, browser):
    """Chats fetch addresses to preview them, and scanners follow what they find."""
    run = await started(parley, browser)
    page = await browser.get(f"/ui/executions/web.tests/ask/{run.id}")
    found = {html.unescape(one) for one in re.findall(r'(?:href|src|action|formaction)="(/[^"]*)"', page.text)}
    assert any(one.startswith("/pauses/") for one in found)
    for address in sorted(found):
        async with browser.client.stream("GET", address) as answer:
            assert answer.status_code < 500, address
    assert (await parley.engine.execution(run.id)).state == "PAUSED"


async def test_another_host_name_is_not_answered(parley):
    async with httpx.AsyncClient(base_url=parley.url) as client:
        answer = await client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
async def test_another_site_changes_nothing(parley, browser, headers):
    await browser.get("/")
    before = await parley.engine.executions(flow_id="greet_team")
    answer = await browser.client.post(
        "/say", data={"csrf": browser.token, "text": "/flow run greet_team"}, headers=headers
    )
    assert answer.status_code == 403
    assert await parley.engine.executions(flow_id="greet_team") == before


async def test_a_form_without_our_token_changes_nothing(parley, browser):
    await browser.get("/")
    for token in ("", "wrong", None):
        data = {"text": "/flow run greet_team"} | ({} if token is None else {"csrf": token})
        assert (await browser.client.post("/say", data=data)).status_code == 403
    assert await parley.engine.executions(flow_id="greet_team") == []


async def test_beyond_loopback_it_wants_a_token(tmp_path):
    with pytest.raises(SettingInvalid, match="without asking"):
        await running(tmp_path, host="0.0.0.0").__aenter__()


async def test_signing_in(tmp_path):
    async with running(tmp_path, tokens={"ann": "a-long-token"}) as app:
        browser = Browser(app.url)
        page = await browser.get("/")
        assert "Sign in" in page.text
        wrong = await browser.post("/sign-in", token="nope")
        assert "not known" in wrong.text
        await browser.get("/sign-in")
        room = await browser.post("/sign-in", token="a-long-token")
        assert "ann" in room.text
        assert "Send" in room.text
        program = await browser.client.get("/api/v1/kv/team", headers={"Authorization": "Bearer a-long-token"})
        assert program.json() == {"keys": []}
        await browser.client.aclose()


async def test_the_api_takes_no_cookie(parley, browser):
    await browser.get("/")
    assert (await browser.client.get("/api/v1/kv/team")).status_code == 401
    token = (parley.engine.settings.data / "api.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    put = await browser.client.put("/api/v1/kv/team/KEY", json={"value": "7", "kind": "NUMBER"}, headers=headers)
    assert put.json() == {"ok": True}
    assert (await browser.client.get("/api/v1/kv/team/KEY", headers=headers)).json() == {"value": 7}
    bad = await browser.client.put("/api/v1/kv/team/-x", json={"value": "7"}, headers=headers)
    assert bad.status_code == 422
    for sent, status in (
        (b"", 400),
        (b"[1]", 400),
        (b"{}", 400),
        (b'{"value": "1", "ttl": "long"}', 422),
        (b'{"value": "1", "ttl": 1e300}', 422),
        (b'{"value": "1", "kind": "NUMBR"}', 422),
        (b'{"value": "1", "kind": ["NUMBER"]}', 422),
    ):
        odd = await browser.client.put("/api/v1/kv/team/ODD", content=sent, headers=headers)
        assert (odd.status_code, list(odd.json())) == (status, ["error"]), (sent, odd.text)
    assert (await browser.client.delete("/api/v1/kv/team/KEY", headers=headers)).json() == {"deleted": True}
    assert (await browser.client.get("/api/v1/kv/team/KEY", headers=headers)).status_code == 404


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "\u00b2", "-1"])
async def test_a_number_that_nothing_has_so_much_of_is_told(parley, browser, number):
    token = (parley.engine.settings.data / "api.token").read_text().strip()
    browser.client.headers["Authorization"] = f"Bearer {token}"
    run = (await parley.engine.executions(limit=1) or [None])[0]
    run_id = run.id if run else "none"
    for method, path in (
        ("POST", f"/api/v1/executions/{run_id}/replay?revision={number}"),
        ("POST", f"/api/v1/flows/tour/hello/revisions/{number}/restore"),
        ("GET", f"/ui/flows/tour/hello/revisions?page={number}"),
    ):
        assert (await browser.client.request(method, path)).status_code < 500, path
    half = await browser.client.post("/api/v1/executions/restart/by-ids", content=b'["\\ud800"]')
    assert half.status_code < 500


POLICY = (ApprovalRule.model_validate({"approvers": ["token:ann", "token:bob"], "need": 2, "four_eyes": "requester"}),)
PAUSE = """
id: gate
namespace: web.tests
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume: [{id: count, type: INT}]
"""


async def test_programs_vote_by_the_same_policy(tmp_path):
    tokens = {name: f"a-long-token-of-{name}" for name in ("ann", "bob", "cy")}
    async with running(tmp_path, approvals=POLICY, tokens=tokens) as app, httpx.AsyncClient(base_url=app.url) as client:
        await app.engine.deploy(PAUSE)
        run = await app.engine.create("web.tests", "gate", {}, started_by="schedule")
        await app.engine.wait(run.id, until="ended_or_paused", timeout=20)

        async def resume(who, body):
            headers = {"Authorization": f"Bearer {tokens[who]}"}
            return await client.post(f"/api/v1/executions/{run.id}/resume", content=body, headers=headers)

        refused = await resume("cy", '{"count": 1}')
        assert refused.status_code == 409
        assert "You can't decide this: it needs token:ann or token:bob." in refused.json()["error"]
        assert (await resume("ann", "[]")).status_code == 400
        assert (await resume("ann", '{"count": "many"}')).status_code == 422
        first = (await resume("ann", '{"count": 3}')).json()
        assert (first["state"]["current"], first["votes"]) == ("PAUSED", "1 of 2")
        second = (await resume("bob", '{"count": 4}')).json()
        assert (second["state"]["current"], second["votes"]) == ("PAUSED", "1 of 2"), "they do not agree"
        last = await resume("bob", '{"count": 3}')
        assert (last.status_code, "votes" in last.json()) == (200, False)
        ended = await app.engine.wait(run.id, timeout=20)
        assert next(iter(ended.task_runs.values())).outputs["onResume"] == {"count": 3}
        late = await resume("ann", '{"count": 3}')
        assert (late.status_code, "by bob" in late.json()["error"]) == (409, True)
        deeds = await app.engine.database.read(lambda c: chat_audit.about(c, run.id, heard=True))
        assert [(deed.action, deed.name) for deed in deeds if deed.action != "posted"] == [
            ("refused", "cy"), ("vote", "ann"), ("vote", "bob"), ("answer", "bob"), ("refused", "ann"),
        ]  # fmt: skip


TWO_GATES = """
id: gates
namespace: web.tests
tasks:
  - {id: first, type: io.kestra.plugin.core.flow.Pause}
  - {id: second, type: io.kestra.plugin.core.flow.Pause}
"""


async def test_an_answer_that_a_program_sends_twice_answers_one_question(tmp_path):
    tokens = {"ann": "a-long-token-of-ann"}
    async with running(tmp_path, tokens=tokens) as app, httpx.AsyncClient(base_url=app.url) as client:
        client.headers["Authorization"] = f"Bearer {tokens['ann']}"
        await app.engine.deploy(TWO_GATES)
        run = await app.engine.create("web.tests", "gates", {}, started_by="schedule")
        await app.engine.wait(run.id, until="ended_or_paused", timeout=20)
        (first,) = await app.engine.pauses(execution_id=run.id)
        path = f"/api/v1/executions/{run.id}/resume"
        assert (await client.post(path, params={"taskRunId": first.task_run_id})).status_code == 200
        (second,) = await wait_for(lambda: app.engine.pauses(execution_id=run.id))
        again = await client.post(path, params={"taskRunId": first.task_run_id})
        assert (again.status_code, "by ann" in again.json()["error"]) == (409, True)
        assert (await client.post(path, params={"taskRunId": "nothing"})).status_code == 409
        assert [one.id for one in await app.engine.pauses(execution_id=run.id)] == [second.id]
        assert (await client.post(path)).status_code == 200
        assert (await app.engine.wait(run.id, timeout=20)).state == "SUCCESS"


async def test_programs_and_the_page_ask_for_a_second_pair_of_eyes(tmp_path):
    """Who started a run on the page decides it neither there nor, by a program with the same token, by the API."""
    tokens = {name: f"a-long-token-of-{name}" for name in ("ann", "bob")}
    rule = ApprovalRule.model_validate({"approvers": ["anyone"], "four_eyes": "requester"})
    async with running(tmp_path, approvals=(rule,), tokens=tokens) as app:
        await app.engine.deploy(PAUSE)
        ann, bob = (
            httpx.AsyncClient(base_url=app.url, headers={"Authorization": f"Bearer {tokens[name]}"})
            for name in ("ann", "bob")
        )
        browser = Browser(app.url)
        await browser.get("/sign-in")
        await browser.post("/sign-in", token=tokens["ann"])
        await browser.say("/flow run gate")
        run = (await wait_for(app.engine.executions))[0].id
        await app.engine.wait(run, until="ended_or_paused", timeout=20)
        refused = await ann.post(f"/api/v1/executions/{run}/resume", content='{"count": 3}')
        assert (refused.status_code, "You started this run" in refused.text) == (409, True)
        (pause,) = await app.engine.pauses()
        page = await browser.get(f"/ui/executions/web.tests/gate/{run}")
        refused = await browser.post(f"/pauses/{pause.id}", **{"f:0": "3", "back": str(page.url.path)})
        assert "You started this run" in html.unescape(refused.text), "told where it was asked"
        told = refused.url.params["said"]
        button = app.desk.office.ids("an", pause.id)
        assert "You started this run" not in html.unescape((await browser.get(page.url.path)).text)
        other = Browser(app.url)
        await other.get("/sign-in")
        await other.post("/sign-in", token=tokens["bob"])
        for number in (told, "x", "9" * 30, "\u0663"):
            shown = await other.get(page.url.path, params={"said": number})
            assert (shown.status_code, "You started this run" in html.unescape(shown.text)) == (200, False), number
        answered = await other.post("/click", action=button, back=page.url.path)
        assert answered.url.path.startswith("/form/")
        said = await browser.say(f"/flow answer {pause.id} count=3")
        assert "You started this run" in html.unescape(said.text)
        assert (await app.engine.pause_row(pause.id)).state == "WAITING"
        assert (await bob.post(f"/api/v1/executions/{run}/resume", content='{"count": 4}')).status_code == 200
        for client in (ann, bob, browser.client, other.client):
            await client.aclose()


# What people do


async def started(parley, browser, text="/flow run ask name=Ada"):
    await parley.engine.deploy(FLOW)
    await browser.say(text)
    run = (await wait_for(parley.engine.executions))[0]
    await parley.engine.wait(run.id, until="ended_or_paused", timeout=20)
    return run


async def test_a_run_is_answered_on_its_page_without_script(parley, browser):
    run = await started(parley, browser)
    path = f"/ui/executions/web.tests/ask/{run.id}"
    page = await browser.get(path)
    assert "Go on?" in page.text
    action = re.search(r'action="(/pauses/[^"]+)"', page.text)[1]
    wrong = await browser.post(action, **{"f:0": "true", "f:1": "0", "back": path})
    assert wrong.status_code == 422
    assert "must be" in html.unescape(wrong.text)
    assert 'value="0"' in wrong.text
    assert (await parley.engine.execution(run.id)).state == "PAUSED"
    done = await browser.post(action, **{"f:0": "true", "f:1": "3", "back": path})
    assert done.url.path == path
    ended = await parley.engine.wait(run.id, timeout=20)
    assert ended.state == "SUCCESS"
    assert ended.outputs == {"result": "3 Ada"}
    page = await browser.get(path)
    assert "3 Ada" in page.text
    assert "/pauses/" not in page.text
    late = await browser.post(action, **{"f:0": "false", "f:1": "3"})
    assert "Already" in html.unescape(late.text)
    assert (await parley.engine.execution(run.id)).outputs == {"result": "3 Ada"}


@pytest.mark.parametrize("path", ["/ui/executions/main/web.tests/ask/{}", "/ui/main/executions/web.tests/ask/{}"])
async def test_a_tenant_in_the_path_is_understood(parley, browser, path):
    run = await started(parley, browser)
    assert run.id in (await browser.get(path.format(run.id))).text


async def test_a_run_shows_its_flow_as_a_picture(parley, browser):
    await parley.engine.deploy(DRAWN)
    run = await parley.engine.create("web.tests", "drawn", {}, started_by="local:eve")
    page = (await browser.get(f"/ui/executions/web.tests/drawn/{run.id}")).text
    picture = ElementTree.fromstring(re.search(r"<svg.*?</svg>", page, re.DOTALL)[0])
    said = ["".join(each.itertext()) for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"one", "two", "drawn"} <= set(said)


async def test_a_run_without_lines_says_whether_any_may_come(parley, browser):
    run = await started(parley, browser)
    path = f"/ui/executions/web.tests/ask/{run.id}"
    assert "No lines yet." in (await browser.get(path)).text
    await parley.engine.resume(run.id, {"ok": True, "count": 1}, by="local:eve")
    await parley.engine.wait(run.id, timeout=20)
    assert "No lines." in (await browser.get(path)).text


async def test_how_long_a_run_has_gone_on_is_told_by_the_clock_it_goes_by(tmp_path):
    clock = ShiftedClock(datetime.now(UTC) - timedelta(hours=9))  # the one that several machines share
    async with running(tmp_path, clock=clock) as app, httpx.AsyncClient(base_url=app.url) as client:
        await app.engine.deploy(FLOW)
        made = await app.engine.create("web.tests", "ask", {}, started_by="test")
        await app.engine.wait(made.id, until="ended_or_paused", timeout=30)
        clock.jump(timedelta(hours=2, minutes=5, seconds=30))
        for path in ("/ui/executions", f"/ui/executions/web.tests/ask/{made.id}"):
            assert "2 h 5 min" in (await client.get(path)).text


async def test_a_run_that_is_not_there(browser):
    answer = await browser.get("/ui/executions/a/b/01NOTHERE")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


async def test_a_wrong_command_is_answered_in_the_room(browser):
    room = await browser.say("/flow rnu ask")
    assert "Did you mean" in html.unescape(room.text)


async def test_what_was_said_survives_a_restart(tmp_path):
    async with running(tmp_path) as app:
        browser = Browser(app.url)
        run = await started(app, browser)
        await browser.client.aclose()
    async with running(tmp_path) as app:
        browser = Browser(app.url)
        assert "/flow run ask name=Ada" in (await browser.get("/")).text

        async def asked():  # its card may be posted only now
            return re.search(r'name="action" value="(p1:an:[^"]+)"', (await browser.get("/")).text)

        action = (await wait_for(asked))[1]
        form = await browser.post("/click", action=action)
        assert form.url.path.startswith("/form/")
        target = re.search(r'action="(/form/[^"]+)"', form.text)[1]
        await browser.post(target, **{"f:0": "true", "f:1": "2"})
        assert (await app.engine.wait(run.id, timeout=20)).outputs == {"result": "2 Ada"}
        await browser.client.aclose()


async def test_new_messages_arrive_by_themselves(parley, browser):
    await parley.engine.deploy(FLOW)
    await browser.get("/")
    async with browser.client.stream("GET", "/events?channel=lobby&after=0") as events:
        lines = events.aiter_lines()
        assert "retry" in await anext(lines)
        async with httpx.AsyncClient(base_url=parley.url, cookies=browser.client.cookies) as other:
            await other.post("/say", data={"csrf": browser.token, "text": "/flow run ask"})
        async with asyncio.timeout(20):
            async for line in lines:
                if "Go on?" in line:
                    break


HOOKED = """
id: hooked
namespace: web.tests
tasks:
  - id: echo
    type: io.kestra.plugin.core.debug.Return
    format: "{{ trigger.body.who }}"
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: a-long-secret-key
"""


@pytest.mark.parametrize("prefix", ["/api/v1", "/api/v1/main"])
async def test_a_webhook_starts_a_flow(parley, prefix):
    await parley.engine.deploy(HOOKED)
    async with httpx.AsyncClient(base_url=f"{parley.url}{prefix}/executions/webhook/web.tests/hooked") as client:
        started = await client.post("/a-long-secret-key", json={"who": "Ada"}, headers={"Origin": "https://elsewhere"})
        assert started.status_code == 200
        run = await parley.engine.wait(started.json()["id"], timeout=20)
        assert [task.outputs for task in run.task_runs.values()] == [{"value": "Ada"}]
        assert "a-long-secret-key" not in started.text
        assert (await client.post("/another-key", json={})).status_code == 404
        assert (await client.get("/a-long-secret-key")).status_code == 405
        every = await parley.engine.executions()  # the tour has a schedule of its own
        assert [run.flow_id for run in every].count("hooked") == 1


WAITED = """
id: waited
namespace: web.tests
tasks:
  - id: echo
    type: io.kestra.plugin.core.debug.Return
    format: "{{ trigger.parameters.validationToken[0] ?? 'processed' }}"
  - id: check
    type: io.kestra.plugin.core.execution.Fail
    condition: "{{ (trigger.parameters.fail ?? ['no']) | first == 'yes' }}"
outputs:
  - {id: response, type: STRING, value: "{{ outputs.echo.value }}"}
triggers:
  - {id: plain, type: io.kestra.plugin.core.trigger.Webhook, key: key-of-plain, wait: true}
  - {id: json, type: io.kestra.plugin.core.trigger.Webhook, key: key-of-json, wait: true, returnOutputs: true}
  - id: text
    type: io.kestra.plugin.core.trigger.Webhook
    key: key-of-text
    wait: true
    returnOutputs: true
    responseContentType: text/plain
    responseCode: "{{ 200 + 1 }}"
  - {id: bad, type: io.kestra.plugin.core.trigger.Webhook, key: key-of-bad, wait: true, responseCode: "{{ 'x' }}"}
"""


async def test_a_webhook_may_wait_and_answer_with_outputs(parley):
    await parley.engine.deploy(WAITED)
    async with httpx.AsyncClient(base_url=f"{parley.url}/api/v1/executions/webhook/web.tests/waited") as client:
        ended = await client.post("/key-of-plain", timeout=30)
        assert (ended.status_code, ended.json()["state"]["current"]) == (200, "SUCCESS")
        assert (await client.post("/key-of-plain?fail=yes", timeout=30)).status_code == 500
        outputs = await client.post("/key-of-json", timeout=30)
        assert (outputs.status_code, outputs.json()) == (200, {"response": "processed"})
        token = await client.post("/key-of-text?validationToken=abc%20d", timeout=30)
        assert (token.status_code, token.text) == (201, "abc d")
        assert token.headers["content-type"] == "text/plain; charset=utf-8"
        bad = await client.post("/key-of-bad", timeout=30)
        assert (bad.status_code, bad.json()["error"].split(".")[0]) == (500, "`responseCode` is no number: 'x'")


async def test_a_webhook_that_waits_is_answered_when_the_question_is(parley):
    await parley.engine.deploy(
        "id: gate\nnamespace: web.tests\ntasks: [{id: wait, type: io.kestra.plugin.core.flow.Pause}]\n"
        "triggers: [{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: key-of-gate, wait: true}]\n"
    )
    async with httpx.AsyncClient(base_url=parley.url, timeout=30) as client:
        call = asyncio.create_task(client.post("/api/v1/executions/webhook/web.tests/gate/key-of-gate"))
        run = (await wait_for(parley.engine.executions))[0]
        await parley.engine.wait(run.id, until="ended_or_paused", timeout=20)
        assert not call.done()
        await parley.engine.resume(run.id, {}, by="local:eve")
        ended = await call
    assert (ended.status_code, ended.json()["state"]["current"]) == (200, "SUCCESS")


async def test_a_webhook_does_not_wait_for_ever(parley, monkeypatch):
    monkeypatch.setattr(doors, "WEBHOOK_WAIT", 0.05)
    await parley.engine.deploy(
        WAITED.replace("io.kestra.plugin.core.debug.Return", "io.kestra.plugin.core.flow.Pause", 1).replace(
            "    format: \"{{ trigger.parameters.validationToken[0] ?? 'processed' }}\"\n", ""
        )
    )
    async with httpx.AsyncClient(base_url=f"{parley.url}/api/v1/executions/webhook/web.tests/waited") as client:
        assert (await client.post("/key-of-plain", timeout=30)).status_code == 202


async def test_files_are_served_without_running(parley, browser):
    await browser.say("/flow run draw_poster colour=teal")
    run = (await wait_for(parley.engine.executions))[0]
    ended = await parley.engine.wait(run.id, timeout=30)
    assert ended.state == "SUCCESS", await parley.engine.logs(run.id)
    uri = ended.outputs["image"]
    answer = await browser.client.get("/files/" + uri.removeprefix("kestra:///"))
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    for path in ("../../parley.db", "..%2f..%2fparley.db", "%2e%2e/%2e%2e/api.token", "tour/../../api.token"):
        assert (await browser.client.get(f"/files/{path}")).status_code == 404


async def test_the_documentation_is_served(browser):
    page = await browser.get("/docs")
    assert page.url.path == "/docs/start"
    assert "What people type" in page.text
    slugs = re.findall(r'href="/docs/(\w+)"', page.text)
    assert len(slugs) > 10
    followed: set[str] = set()
    for slug in slugs:
        page = await browser.get(f"/docs/{slug}")
        assert page.status_code == 200
        links = {one for one in re.findall(r'(?:href|src)="([^"#]+)', page.text) if ":" not in one}
        for link in sorted(links - followed):
            followed.add(link)
            led = await browser.get(str(page.url.join(link)))
            assert led.status_code == 200, f"{slug}: {link}"


def test_settings_keep_tokens_out_of_sight():
    assert "s3cret" not in repr(WebSection(token="s3cret"))
