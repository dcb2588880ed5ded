"""Why not, said so that whoever asked can read it: a page for people, JSON for programs."""

import re

import httpx
import pytest

from bot.web.body import MAX_BODY
from tests.web.conftest import running
from tests.web.test_page import routes

TOKENS = {"owner": "the-token-of-owners"}
OWNER = {"Authorization": f"Bearer {TOKENS['owner']}"}


async def test_whatever_the_api_refuses_it_says_in_json(tmp_path):
    async with running(tmp_path, tokens=TOKENS) as app, httpx.AsyncClient(base_url=app.url) as client:
        refused = set()
        for route in [one for one in routes(app) if one.path.startswith("/api/v1/")]:
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            for method in route.methods:
                for headers in ({}, OWNER, {"Authorization": "Bearer wrong"}):
                    found = await client.request(method, path, headers=headers)
                    if found.status_code >= 400 and method != "HEAD":
                        assert {"error", "errors", "detail"} & set(found.json()), (method, path, found.text)
                        refused.add(found.status_code)
        assert {401, 404} <= refused


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/api/v1/nothing", 404, "There is no such page."),
        ("PATCH", "/api/v1/executions/x", 405, "Method Not Allowed"),
        ("PUT", "/api/v1/kv/main/key", 413, "That is more than this page takes (25 MB). Send less, or a link to it."),
    ],
)
async def test_what_no_route_answers_is_json_below_the_api_and_a_page_elsewhere(tmp_path, method, path, status, said):
    async with running(tmp_path, tokens=TOKENS) as app, httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        body = b"x" * (MAX_BODY + 1) if status == 413 else None
        found = await client.request(method, path, headers=OWNER, content=body)
        assert (found.status_code, found.json()) == (status, {"error": said})
        elsewhere = await client.get("/nothing", headers=OWNER)
        assert (elsewhere.status_code, elsewhere.headers["content-type"]) == (404, "text/html; charset=utf-8")
