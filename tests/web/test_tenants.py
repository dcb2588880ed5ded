"""Kestra's clients call `/api/v1/main/…`: the same API, behind the same gate."""

import re

import httpx
import pytest

from bot.web.tenants import stranger
from tests.web.conftest import running
from tests.web.test_page import HOOKED, routes

TOKENS = {"owner": "the-token-of-owners"}
OWNER = {"Authorization": f"Bearer {TOKENS['owner']}"}
MAIN = "/api/v1/main"
ELSEWHERE = "There is no tenant 'acme' here. Leave it out, or write `main`."


def told(answer: httpx.Response) -> tuple[int, str]:
    """An answer, but for a key that is made anew for each."""
    return answer.status_code, re.sub(r'(?<="public":")[\w-]{43}(?=")', "…", answer.text)


async def test_every_route_of_the_api_is_there_for_the_tenant_too(tmp_path):
    async with running(tmp_path, tokens=TOKENS) as app, httpx.AsyncClient(base_url=app.url) as client:
        walked = 0
        for route in routes(app):
            if not route.path.startswith("/api/v1/"):
                continue
            path = re.sub(r"\{[^}]+\}", "x", route.path).removeprefix("/api/v1")
            for method in route.methods:
                for headers in ({}, OWNER):
                    plain = await client.request(method, f"/api/v1{path}", headers=headers)
                    below = await client.request(method, f"{MAIN}{path}", headers=headers)
                    assert told(below) == told(plain), (method, path)
                elsewhere = await client.request(method, f"/api/v1/acme{path}", headers=OWNER)
                assert (elsewhere.status_code, elsewhere.json()["error"]) == (404, ELSEWHERE), (method, path)
                walked += 1
        assert walked > 25


async def test_a_client_of_kestra_works_below_the_tenant(tmp_path):
    async with running(tmp_path, tokens=TOKENS) as app, httpx.AsyncClient(base_url=f"{app.url}{MAIN}") as client:
        await app.engine.deploy(HOOKED.replace("who }}", "who }} {{ trigger.parameters.also[0] }}"))
        way = "/executions/webhook/web.tests/hooked/a-long-secret-key?also=this"
        run = (await client.post(way, json={"who": "Ada"})).json()
        assert (await app.engine.wait(run["id"], timeout=20)).state == "SUCCESS"
        assert [task.outputs for task in (await app.engine.execution(run["id"])).task_runs.values()] == [
            {"value": "Ada this"}
        ]
        client.headers = OWNER
        marked = await client.post("/executions/change-status/by-query?newStatus=WARNING&flowId=hooked")
        assert marked.json() == {"count": 1}
        assert (await client.put("/kv/main/a%2Fb", json={"value": "1"})).status_code == 404  # as without a tenant
        assert (await client.put("/kv/main/key", json={"value": "1"})).json() == {"ok": True}
        assert await app.engine.kv.get("main", "key") == "1"
        assert (await client.post("/main/purge")).status_code == 404  # the name once
        encoded = await client.get(f"{app.url}/api/v1/%6dain/kv/main/key")
        assert encoded.json() == {"value": "1"}
        too_much = await client.put("/kv/main/key", content=b"x" * (25 * 1024 * 1024 + 1))
        assert too_much.status_code == 413


@pytest.mark.parametrize(
    ("path", "tenant"),
    [
        ("/api/v1/acme/executions/webhook/n/f/k", "acme"),
        ("/api/v1/acme/kv/n", "acme"),
        ("/api/v1/kv/executions/k", None),  # a namespace
        ("/api/v1/acme", None),
        ("/api/v1/acme/nothing", None),
        ("/ui/acme/executions/n/f/1", None),
    ],
)
def test_who_is_another_tenant(path, tenant):
    assert stranger(path) == tenant
