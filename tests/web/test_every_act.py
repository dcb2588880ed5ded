"""Every act is in the record: each command word, each button, each route that changes something, the command line."""

import asyncio
import json
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from bot.cli import app as commands
from bot.commands.verbs import VERBS
from bot.conversation import Click, Command, MessageRef, Person, Room
from bot.links import VERBS as BUTTONS
from bot.people.roles import Role
from engine.store import audit_chain, chat_links
from tests.web.conftest import Browser, running
from tests.web.test_page import routes

ANN = Person("slack:U1", "Ann", "slack", "<@U1>")
OPS = Room("slack", "C1", workspace="T1")
TOKENS = {"owner": "the-token-of-owners", "guest": "the-token-of-guests"}
ROLES = (
    Role.model_validate(
        {"name": "owners", "members": ["token:owner"], "may": [{"do": ["run", "approve", "manage", "kv"]}]}
    ),
    Role.model_validate({"name": "guests", "members": ["token:guest"], "may": [{"do": ["run"], "flow": "t/nothing"}]}),
)
MODEL = {"provider": "openai", "model": "small", "base_url": "http://127.0.0.1:9/v1"}
FLOWS = (
    "id: ask\nnamespace: t\ntasks:\n  - id: wait\n    type: io.kestra.plugin.core.flow.Pause\n"
    "    onResume: [{id: word, type: STRING}]\n",
    "id: good\nnamespace: t\ntasks:\n  - {id: a, type: io.kestra.plugin.core.debug.Return, format: ok}\n",
    "id: bad\nnamespace: t\ntasks:\n  - {id: a, type: io.kestra.plugin.core.execution.Fail}\n",
    "id: long\nnamespace: t\ntasks:\n  - {id: a, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}\n",
    "id: form\nnamespace: t\ninputs: [{id: name, type: STRING}]\n"
    "tasks:\n  - {id: a, type: io.kestra.plugin.core.debug.Return, format: ok}\n",
)


async def rows(app, after=0):
    """What stands in the record behind the row of a number."""
    found = await app.engine.database.read(lambda connection: list(audit_chain.export(connection)))
    return [row for row in found if row["number"] > after]


async def last(app):
    """The number of the last row."""
    return (await app.engine.database.read(audit_chain.head)).number


async def new(app, before, wanted, person):
    """The action that a row added since has; an AssertionError with what was added instead."""
    added = await rows(app, before)
    found = {row["action"] for row in added if row["person"] == person}
    assert found & wanted, (sorted(wanted), [(row["action"], row["person"]) for row in added])


@pytest.fixture
async def app(tmp_path):
    given = {"roles": ROLES, "tokens": TOKENS, "public_url": "http://localhost", "settings": {"explain": MODEL}}
    async with running(tmp_path, **given) as made:
        for flow in FLOWS:
            await made.engine.deploy(flow)
        yield made


async def test_every_word_and_every_button(tmp_path):
    async with running(tmp_path) as app:
        for number, word in enumerate(VERBS):
            before = await last(app)
            await app.desk.command(Command(word, ANN, OPS, f"c{number}"))
            added = await rows(app, before)
            (heard,) = [row for row in added if row["action"] == "command"]
            assert (heard["person"], heard["details"].get("text", ""), heard["details"]["room"]) == (
                ANN.id, word, "slack:T1:C1:",
            ), word  # fmt: skip
        for number, (verb, name) in enumerate(BUTTONS.items()):
            before = await last(app)
            message = MessageRef("slack", "C1", "170.1")
            await app.desk.click(Click(app.desk.office.ids(verb, "0" * 26), ANN, OPS, f"b{number}", message))
            added = await rows(app, before)
            (heard,) = [row for row in added if row["action"] == "click"]
            assert (heard["details"]["button"], heard["details"]["message"]["message"]) == (name, "170.1"), verb
            assert heard["person"] == ANN.id
        assert (await app.engine.database.read(audit_chain.verify)).is_whole


class World:
    """Somebody at the page and at the API, and runs in every state."""

    def __init__(self, app):
        self.app = app
        self.api = httpx.AsyncClient(base_url=app.url, headers={"Authorization": f"Bearer {TOKENS['owner']}"})
        self.page = Browser(app.url)

    async def run(self, flow):
        made = await self.app.engine.create("t", flow, {}, started_by="local:somebody")
        until = "ended_or_paused" if flow == "ask" else "ended"
        if flow != "long":
            return (await self.app.engine.wait(made.id, until=until, timeout=30)).id
        async with asyncio.timeout(30):
            while (await self.app.engine.execution(made.id)).state != "RUNNING":
                await asyncio.sleep(0.02)
        return made.id

    async def pause(self):
        run = await self.run("ask")
        (pause,) = await self.app.engine.pauses(execution_id=run)
        return pause

    async def revised(self):
        await self.app.engine.deploy(FLOWS[1].replace("format: ok", "format: better"))

    async def form(self):
        return (await self.page.say("/flow run t/form")).text.partition('action="/form/')[2].partition('"')[0]


async def _submit(w):
    found = await w.form()
    return await w.page.post(f"/form/{found}", **{"f:0": "Ada"})


async def _link(w):
    from engine.store import visits

    now, code = w.app.engine.clock.now(), str(uuid4())
    await w.app.engine.database.transact(lambda unit: visits.offer(unit.connection, "token:owner", code, "/", now))
    other = Browser(w.app.url)
    await other.get(f"/in/{code}")
    await other.post(f"/in/{code}")
    await other.get("/docs/start")
    return other


async def _sign_out(w):
    other = await _link(w)
    await other.post("/sign-out")
    await other.client.aclose()


async def _visit(w):
    await (await _link(w)).client.aclose()


async def _sign_in(w):
    other = Browser(w.app.url)
    await other.get("/sign-in")
    await other.post("/sign-in", token=TOKENS["owner"])
    await other.client.aclose()


E = "/api/v1/executions"
# What each changing route is called with, and what the record then says of it.
ACTS = {
    "say": (lambda w: w.page.say("/flow list"), {"command"}),
    "click": (lambda w: w.page.post("/click", action=w.app.desk.office.ids("ls", "flows")), {"click"}),
    "submit": (_submit, {"run"}),
    "press": (lambda w: w.page.post("/ui/press", action=w.app.desk.office.ids("ls", "flows")), {"click"}),
    "sign_in": (_sign_in, {"sign in"}),
    "visit": (_visit, {"sign in"}),
    "sign_out": (_sign_out, {"sign out"}),
    "kv_set": (lambda w: w.api.put("/api/v1/kv/t/K", json={"value": "1"}), {"kv set"}),
    "kv_delete": (lambda w: w.api.request("DELETE", "/api/v1/kv/t/K"), {"kv delete"}),
    "purge": (lambda w: _purge(w), {"purge"}),
    "unlink": (lambda w: _unlink(w), {"unlink"}),
    "audit_forget": (lambda w: _forget(w), {"audit forget"}),
    "audit_purge": (lambda w: _purge_record(w), {"audit purge"}),
    "audit_rotate": (lambda w: w.api.post("/api/v1/audit/rotate"), {"audit rotate"}),
}


async def _forget(w):
    await w.app.desk.command(Command("list", ANN, OPS, str(uuid4())))
    await w.api.post(f"/api/v1/audit/forget/{ANN.id}")


async def _purge_record(w):
    await w.page.say("/flow list")
    await w.api.post("/api/v1/audit/purge", json={"before": w.app.engine.clock.now().isoformat()})


async def _unlink(w):
    now = w.app.engine.clock.now()
    await w.app.engine.database.transact(lambda u: chat_links.link(u.connection, "slack:U1", "discord:7", now))
    await w.api.delete("/api/v1/links/discord:7")


async def _purge(w):
    await w.run("good")
    await w.api.post("/api/v1/purge", json={"before": "2100-01-01T00:00:00Z"})


async def _answer_pause(w):
    pause = await w.pause()
    return await w.page.post(f"/pauses/{pause.id}", **{"f:0": "yes"})


async def _of_run(w, flow, method, path, **given):
    run = await w.run(flow)
    answer = await w.api.request(method, f"{E}/{run}{path}", **given)
    assert answer.status_code < 300 or path == "/force-run", (path, answer.text)  # it begins by itself here


async def _state(w):
    run = await w.run("bad")
    task = next(iter((await w.app.engine.execution(run)).task_runs))
    await w.api.post(f"{E}/{run}/state", json={"taskRunId": task, "state": "SUCCESS"})


async def _many(w, method, path):
    run = await w.run("bad" if "restart" in path else "long" if "kill" in path else "good")
    query = {"flowId": "long" if "kill" in path else "bad" if "restart" in path else "good"} if "query" in path else {}
    answer = await w.api.request(method, f"{E}{path}", json=[run], params=query)
    assert (answer.status_code, answer.json()["count"] > 0) == (200, True), answer.text


async def _restored(w, page):
    await w.revised()
    if page:
        return await w.page.post("/ui/flows/t/good/restore", revision="1")
    return await w.api.post("/api/v1/flows/t/good/revisions/1/restore")


async def _do(w):
    run = await w.run("good")
    await w.page.post(f"/ui/executions/{run}/do", word="labels", given="a=b")


ACTS |= {
    "answer_pause": (_answer_pause, {"answer"}),
    "resume_execution": (
        lambda w: _of_run(w, "ask", "POST", "/resume", json={"word": "yes"}), {"answer"},
    ),
    "restart_execution": (lambda w: _of_run(w, "bad", "POST", "/restart"), {"restart"}),
    "explain_execution": (lambda w: _of_run(w, "bad", "POST", "/explain"), {"explain"}),
    "replay_execution": (lambda w: _of_run(w, "good", "POST", "/replay"), {"replay"}),
    "pause_execution": (lambda w: _of_run(w, "long", "POST", "/pause"), {"pause"}),
    "force_execution": (lambda w: _of_run(w, "long", "POST", "/force-run"), {"force", "refused"}),
    "kill_execution": (lambda w: _of_run(w, "long", "DELETE", "/kill"), {"kill"}),
    "change_status": (lambda w: _of_run(w, "good", "POST", "/change-status?status=WARNING"), {"mark"}),
    "change_task_state": (_state, {"mark"}),
    "label_execution": (
        lambda w: _of_run(w, "good", "POST", "/labels", json=[{"key": "a", "value": "b"}]), {"labels"},
    ),
    "delete_execution": (lambda w: _of_run(w, "good", "DELETE", ""), {"delete"}),
    "change_executions": (lambda w: _many(w, "POST", "/restart/by-ids"), {"restart"}),
    "kill_executions": (lambda w: _many(w, "DELETE", "/kill/by-ids"), {"kill"}),
    "delete_executions": (lambda w: _many(w, "DELETE", "/by-ids"), {"delete"}),
    "change_executions_by_query": (lambda w: _many(w, "POST", "/restart/by-query"), {"restart"}),
    "kill_executions_by_query": (lambda w: _many(w, "DELETE", "/kill/by-query"), {"kill"}),
    "delete_executions_by_query": (lambda w: _many(w, "DELETE", "/by-query"), {"delete"}),
    "api_restore": (lambda w: _restored(w, page=False), {"restore"}),
    "restore_flow": (lambda w: _restored(w, page=True), {"command"}),
    "do_to_execution": (_do, {"labels"}),
    "do_to_executions": (lambda w: w.page.post("/ui/executions/bulk", what="kill", flow="t/long"), {"command"}),
}  # fmt: skip
# Nobody in particular does these: a key in an address, Slack's own signature.
NOBODY = {"webhook", "slack_events"}
TYPING = {"keep_form"}  # what stands in a form that was not sent is no deed yet


async def test_every_route_that_changes_something(app):
    changing = {route.name for route in routes(app) if route.methods - {"GET", "HEAD"}}
    assert changing - NOBODY - TYPING == set(ACTS)
    w = World(app)
    await w.page.get("/sign-in")
    await w.page.post("/sign-in", token=TOKENS["owner"])
    for name, (act, wanted) in ACTS.items():
        await w.page.get("/")
        before = await last(app)
        await act(w)
        try:
            await new(app, before, wanted, "token:owner")
        except AssertionError as missing:
            raise AssertionError(f"{name}: {missing}") from missing
    assert (await app.engine.database.read(audit_chain.verify)).is_whole
    # What a purge of runs deletes, the record keeps.
    kept = len(await rows(app))
    await w.api.post("/api/v1/purge", json={"before": "2100-01-01T00:00:00Z"})
    assert len(await rows(app)) > kept
    assert (await app.engine.database.read(audit_chain.verify)).is_whole
    await w.api.aclose()
    await w.page.client.aclose()


async def test_what_the_policy_refuses_is_recorded_wherever_it_was_asked(app):
    run = await app.engine.create("t", "ask", {}, started_by="local:somebody")
    await app.engine.wait(run.id, until="ended_or_paused", timeout=30)
    guest = httpx.AsyncClient(base_url=app.url, headers={"Authorization": f"Bearer {TOKENS['guest']}"})
    for method, path, sent in (
        ("PUT", "/api/v1/kv/t/K", {"value": "1"}),
        ("POST", "/api/v1/purge", {"before": "2000-01-01T00:00:00Z"}),
        ("GET", "/api/v1/audit", None),
        ("GET", "/api/v1/links", None),
        ("DELETE", "/api/v1/links/slack:U1", None),
        ("POST", f"{E}/{run.id}/resume", {"word": "yes"}),
        ("DELETE", f"{E}/{run.id}/kill", None),
    ):
        before = await last(app)
        answer = await guest.request(method, path, json=sent)
        assert answer.status_code in (403, 409), (path, answer.text)
        try:
            await new(app, before, {"refused"}, "token:guest")
        except AssertionError as missing:
            raise AssertionError(f"{method} {path}: {missing}") from missing
        if path.endswith(("/kill", "/resume")):  # it is told of which run, and in which way it was asked
            (said,) = [row for row in await rows(app, before) if row["action"] == "refused"]
            pauses = await app.engine.pauses(execution_id=run.id)
            assert said["entity"] in (run.id, pauses[0].id)
            assert said["details"]["what"] in (f"{method} {path}", "answer")
    await guest.aclose()


async def test_a_secret_is_told_on_record(app):
    w = World(app)
    await w.api.put("/api/v1/kv/t/S", json={"value": "hunter2", "kind": "SECRET"})
    await w.api.put("/api/v1/kv/t/K", json={"value": "word"})
    before = await last(app)
    assert [(await w.api.get(f"/api/v1/kv/t/{key}")).json()["value"] for key in "KS"] == ["word", "hunter2"]
    added = await rows(app, before)
    assert [(row["action"], row["entity"], row["person"]) for row in added] == [("kv get", "t/S", "token:owner")]
    assert "hunter2" not in json.dumps(await rows(app))
    await w.api.aclose()
    await w.page.client.aclose()


def exported(text):
    """What an export tells but for the signatures in it."""
    return [row for row in map(json.loads, text.splitlines()) if row["action"] != "seal"]


def test_the_command_line_tells_who_might_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ask.yaml").write_text(FLOWS[4])
    (tmp_path / "parley.yaml").write_text("roles:\n  - {name: x, members: ['slack:U1'], may: [{do: [run]}]}\n")
    data = ["--data", str(tmp_path / "data")]
    done = CliRunner().invoke(commands, ["run", "ask.yaml", "-i", "name=Ada", *data])
    assert done.exit_code == 1
    told = exported(CliRunner().invoke(commands, ["audit", "export", *data]).stdout)
    assert [(row["action"], row["flow"], row["details"]["code"]) for row in told] == [("refused", "t/form", "E04")]
    (tmp_path / "parley.yaml").unlink()
    assert CliRunner().invoke(commands, ["run", "ask.yaml", "-i", "name=Ada", *data]).exit_code == 0
    last = exported(CliRunner().invoke(commands, ["audit", "export", *data]).stdout)[-1]
    assert (last["action"], last["flow"], last["details"]) == ("run", "t/form", {"inputs": {"name": "Ada"}})


def test_the_command_line_alone_on_a_data_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "ask.yaml").write_text(FLOWS[0])

    def call(*words):
        done = CliRunner().invoke(commands, [*words, "--data", str(tmp_path / "data")])
        assert done.exit_code == 0, (words, done.output)
        return done.stdout

    call("run", "flows/ask.yaml", "--resume", "wait.word=yes")
    call("kv", "set", "t", "K", "1")
    call("kv", "delete", "t", "K")
    call("kv", "set", "t", "S", "hunter2", "--type", "SECRET")
    call("kv", "get", "t", "S")
    call("purge", "--before", "2100-01-01")
    told = exported(call("audit", "export"))
    said = [(row["action"], row["person"].partition(":")[0]) for row in told]
    kv = [(f"kv {word}", "cli") for word in ("set", "delete", "set", "get")]
    assert said == [("run", "cli"), ("answer", "cli"), *kv, ("purge", "local")]
    assert len({row["person"] for row in told if row["person"].startswith("cli:")}) == 1
    call("audit", "verify")
    call("audit", "forget", told[-1]["person"])
    last = exported(call("audit", "export"))[-1]
    assert (last["action"], last["person"], last["entity"]) == ("audit forget", told[0]["person"], "")
    assert told[-1]["person"] not in call("audit", "export")
    call("audit", "verify")
