"""Roles and the record, over real HTTP: what the page and the API refuse, and `parley audit` beside a running bot."""

import asyncio
import json

import httpx
from typer.testing import CliRunner

from bot.cli import app as commands
from bot.people.roles import Role
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
            ("POST", "/api/v1/audit/forget/slack:U1"),
        ):
            refused = await guest.request(method, way, json={"value": "1"} if method == "PUT" else None)
            assert refused.status_code == 403, (method, way)
            assert "It needs the role owners" in refused.json()["error"]
        put = await owner.put("/api/v1/kv/team/KEY", json={"value": "1"})
        assert put.status_code == 200
        rows = [json.loads(line) for line in (await owner.get("/api/v1/audit")).text.splitlines()]
        assert [(row["person"], row["action"], row["entity"]) for row in rows] == [
            *[("token:guest", "refused", "")] * 6,
            ("token:owner", "kv set", "team/KEY"),
        ]
        assert (await owner.get("/api/v1/audit", params={"since": "soon"})).status_code == 422


async def test_the_command_line_asks_the_bot_that_runs(tmp_path):
    async with running(tmp_path) as app:
        browser = Browser(app.url)
        await browser.say("/flow list")
        await browser.client.aclose()
        who = app.server.app.state.gate.local.id

        def call(*words):
            found = CliRunner().invoke(commands, ["audit", *words, "--data", str(tmp_path / "data")])
            return found.exit_code, found.stdout

        assert (await asyncio.to_thread(call, "verify"))[0] == 0
        code, text = await asyncio.to_thread(call, "export")
        assert code == 0
        assert json.loads(text.splitlines()[0])["action"] == "command"
        assert who in text
        assert (await asyncio.to_thread(call, "forget", who))[0] == 0
        assert who not in (await asyncio.to_thread(call, "export"))[1]
        assert (await asyncio.to_thread(call, "verify"))[0] == 0
