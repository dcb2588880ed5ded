"""Requests that end in the middle, and requests that do not end."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest

from bot.web.body import MAX_BODY
from tests.web.test_page import HOOKED

HOOK = "/api/v1/executions/webhook/web.tests/hooked/a-long-secret-key"


async def _half(url: str, path: str) -> None:
    """Promise a body, send half of it and hang up."""
    where = urlsplit(url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
    )
    writer.write(head.encode() + b'{"who": ')
    await writer.drain()
    await asyncio.sleep(0.1)  # the request has to be begun before it breaks off
    writer.close()
    await writer.wait_closed()


async def test_a_request_broken_off_starts_nothing_and_prints_no_traceback(parley, caplog):
    await parley.engine.deploy(HOOKED)
    for path in (HOOK, "/say", "/sign-in"):
        await _half(parley.url, path)
    async with httpx.AsyncClient(base_url=parley.url) as client:
        assert (await client.post(HOOK, json={"who": "Ada"})).status_code == 200  # the server goes on
    assert len(await parley.engine.executions()) == 1
    assert not [record.getMessage() for record in caplog.records if record.exc_info]


async def _pieces(size: int):
    """A body without a stated length."""
    piece = b"x" * 1024 * 1024
    for _ in range(size // len(piece)):
        yield piece
    if rest := size % len(piece):
        yield piece[:rest]


@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 413)])
async def test_what_one_request_may_send_is_counted_whatever_it_says(parley, over, status):
    await parley.engine.deploy(HOOKED.replace("trigger.body.who", "trigger.body | length"))
    async with httpx.AsyncClient(base_url=parley.url, timeout=60) as client:
        answer = await client.post(HOOK, content=_pieces(MAX_BODY + over))
    assert answer.status_code == status
    assert len(await parley.engine.executions()) == (1 if status == 200 else 0)
