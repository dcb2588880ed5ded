"""Roles and the record, over real HTTP: what the page and the API refuse, and `parley audit` beside a running bot."""

import asyncio
import json

import httpx
from typer.testing import CliRunner

from bot.cli import app as commands
from bot.people.roles import Role
from engine.store import audit_chain, chat_audit, chat_links
from engine.store.chat_audit import Deed
from tests.web.conftest import Browser, running

SEES_ONE = Role.model_validate(
    {"name": "guests", "members": ["token:guest"], "may": [{"do": ["run"], "flow": "tour/nightly*"}]}
)
MANAGES = Role.model_validate({"name": "owners", "members": ["token:owner"], "may": [{"do": ["run", "manage", "kv"]}]})
TOKENS = {"guest": "the-token-of-guests", "owner": "the-token-of-owners"}


def of(url, name):
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {TOKENS[name]}"})


async def test_a_token_may_do_what_its_roles_say(tmp_path):
    async with (
        running(tmp_path, roles=(SEES_ONE, MANAGES), tokens=TOKENS) as app,
        of(app.url, "guest") as guest,
        of(app.url, "owner") as owner,
    ):
        flow = next(flow for flow in app.engine.flows.list() if flow.id == "greet_team")
        run = await app.engine.create(flow.namespace, flow.id, {}, started_by="token:owner")
        path = f"/ui/executions/{flow.namespace}/{flow.id}/{run.id}"
        for way in (path, f"/events/execution/{run.id}"):
            refused = await guest.get(way)
            assert refused.status_code == 403, way
        assert "owners" in (await guest.get(path)).text
        assert (await owner.get(path)).status_code == 200
        assert run.id not in (await guest.get("/ui/executions")).text
        assert run.id in (await owner.get("/ui/executions")).text
        assert "greet_team" not in (await guest.get("/ui/flows")).text
        for method, way in (
            ("GET", "/api/v1/kv/team"),
            ("PUT", "/api/v1/kv/team/KEY"),
            ("DELETE", "/api/v1/kv/team/KEY"),
            ("GET", "/api/v1/audit"),
            ("GET", "/api/v1/audit/verify"),
            ("GET", "/api/v1/audit/key"),
            ("POST", "/api/v1/audit/rotate"),
            ("POST", "/api/v1/audit/forget/slack:U1"),
            ("POST", "/api/v1/audit/purge"),
        ):
            refused = await guest.request(method, way, json={"value": "1"} if method == "PUT" else None)
            assert refused.status_code == 403, (method, way)
            assert "It needs the role owners" in refused.json()["error"]
        put = await owner.put("/api/v1/kv/team/KEY", json={"value": "1"})
        assert put.status_code == 200
        rows = [json.loads(line) for line in (await owner.get("/api/v1/audit")).text.splitlines()]
        assert [(row["person"], row["action"], row["entity"]) for row in rows] == [
            *[("token:guest", "refused", "")] * 9,
            ("token:owner", "kv set", "team/KEY"),
            ("", "seal", ""),
        ]
        assert (await owner.get("/api/v1/audit", params={"since": "soon"})).status_code == 422


async def test_the_command_line_asks_the_bot_that_runs(tmp_path):
    async with running(tmp_path) as app:
        browser = Browser(app.url)
        await browser.say("/flow list")
        await browser.client.aclose()
        who = app.server.app.state.gate.local.id
        told = Deed(app.engine.clock.now(), who, "x", "web", "answer", "", details={"text": "one\u2028two"})
        await app.engine.database.transact(lambda unit: chat_audit.record(unit.connection, told))

        def call(*words):
            found = CliRunner().invoke(commands, ["audit", *words, "--data", str(tmp_path / "data")])
            return found.exit_code, found.stdout

        assert (await asyncio.to_thread(call, "verify"))[0] == 0
        code, text = await asyncio.to_thread(call, "export")
        assert code == 0
        first, second, seal = (json.loads(line) for line in text.strip().split("\n"))
        assert seal["action"] == "seal"
        assert first["action"] == "command"
        assert second["details"] == {"text": "one\u2028two"}
        assert who in text
        assert (await asyncio.to_thread(call, "forget", who))[0] == 0
        assert who not in (await asyncio.to_thread(call, "export"))[1]
        assert (await asyncio.to_thread(call, "verify"))[0] == 0


async def test_values_are_set_through_the_bot_that_runs_or_without_one(tmp_path):
    def call(*words):
        found = CliRunner().invoke(commands, ["kv", *words, "--data", str(tmp_path / "data")])
        return found.exit_code, found.stdout, str(found.exception or "")

    async with running(tmp_path) as app:
        assert (await asyncio.to_thread(call, "set", "team", "KEY", "7", "--type", "NUMBER"))[0] == 0
        assert await app.engine.kv.get("team", "KEY") == 7
        assert (await last(app))[:2] == (app.server.app.state.gate.local.id, "kv set")
        assert (await asyncio.to_thread(call, "get", "team", "KEY"))[:2] == (0, "7\n")
        code, _, why = await asyncio.to_thread(call, "get", "team", "NONE")
        assert (code, "NONE" in why) == (1, True), why
        assert (await asyncio.to_thread(call, "set", "team", "-x", "7"))[0] != 0
    assert (await asyncio.to_thread(call, "list", "team"))[:2] == (0, "KEY\n")
    assert (await asyncio.to_thread(call, "get", "team", "KEY"))[:2] == (0, "7\n")
    assert (await asyncio.to_thread(call, "delete", "team", "KEY"))[0] == 0
    assert (await asyncio.to_thread(call, "delete", "team", "KEY"))[0] == 1


async def linked(app, *pairs):
    for one, other in pairs:
        now = app.engine.clock.now()
        await app.engine.database.transact(lambda u, a=one, b=other, t=now: chat_links.link(u.connection, a, b, t))


async def last(app):
    row = (await app.engine.database.read(lambda connection: list(audit_chain.export(connection))))[-1]
    return row["person"], row["action"], row["details"]


async def test_who_manages_all_takes_accounts_apart_through_the_api(tmp_path):
    async with (
        running(tmp_path, roles=(SEES_ONE, MANAGES), tokens=TOKENS) as app,
        of(app.url, "guest") as guest,
        of(app.url, "owner") as owner,
    ):
        await linked(app, ("slack:U1", "discord:7"), ("slack:U2", "discord:8"), ("discord:8", "local:di/ana"))
        await linked(app, ("token:guest", "slack:U3"))
        people = [["slack:U1", "discord:7"], ["slack:U2", "discord:8", "local:di/ana"], ["token:guest", "slack:U3"]]
        for method, way in (("GET", "/api/v1/links"), ("DELETE", "/api/v1/links/discord:7")):
            no = await guest.request(method, way)
            assert (no.status_code, "It needs the role owners" in no.json()["error"]) == (403, True), way
            assert (await last(app))[:2] == ("token:guest", "refused")
            async with httpx.AsyncClient(base_url=app.url) as nobody:
                assert (await nobody.request(method, way)).status_code in (401, 403)
        assert (await owner.get("/api/v1/links")).json() == {"people": people}
        assert (await owner.delete("/api/v1/links/discord:7")).json() == {"unlinked": True}
        assert await last(app) == ("token:owner", "unlink", {"with": "discord:7"})
        assert (await owner.delete("/api/v1/links/discord:7")).json() == {"unlinked": False}
        assert (await owner.delete("/api/v1/main/links/local:di%2Fana")).json() == {"unlinked": True}
        assert (await guest.delete("/api/v1/links/token:guest")).json() == {"unlinked": True}  # one's own
        assert await last(app) == ("token:guest", "unlink", {})
        assert (await owner.get("/api/v1/links")).json() == {"people": [["slack:U2", "discord:8"]]}


async def test_without_roles_the_key_of_the_data_folder_unlinks_and_a_token_does_not(tmp_path):
    def call(*words):
        found = CliRunner().invoke(commands, [*words, "--data", str(tmp_path / "data")])
        return found.exit_code, found.stdout, found.stderr

    async with running(tmp_path, tokens=TOKENS) as app, of(app.url, "owner") as owner:
        await linked(app, ("slack:U1", "discord:7"), ("slack:U2", "discord:8"))
        no = await owner.delete("/api/v1/links/discord:7")
        assert (no.status_code, "nobody is an administrator" in no.json()["error"]) == (403, True)
        who = app.server.app.state.gate.local.id
        assert await asyncio.to_thread(call, "links") == (0, "slack:U1 discord:7\nslack:U2 discord:8\n", "")
        done = await asyncio.to_thread(call, "unlink", "discord:7")
        assert done == (0, "", "discord:7 stands for itself again.\n")
        assert await last(app) == (who, "unlink", {"with": "discord:7"})
        none = await asyncio.to_thread(call, "unlink", "discord:7")
        assert none == (1, "", "discord:7 is linked with no other by a code.\n")
    # The same without a bot.
    assert await asyncio.to_thread(call, "links") == (0, "slack:U2 discord:8\n", "")
    assert (await asyncio.to_thread(call, "unlink", "slack:U2"))[0] == 0
    assert await asyncio.to_thread(call, "links") == (0, "", "")
    assert (await asyncio.to_thread(call, "unlink", "slack:U2"))[0] == 1
    row, _seal = map(json.loads, (await asyncio.to_thread(call, "audit", "export"))[1].strip().split("\n")[-2:])
    assert (row["person"].partition(":")[0], row["action"], row["details"]) == ("cli", "unlink", {"with": "slack:U2"})
