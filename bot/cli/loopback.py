"""Commands beside a running bot go through its loopback API; without one they work on the data folder's database."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bot.conversation import Person
from bot.settings import read_settings
from engine.errors import NotFound, Refused
from engine.runtime import Engine

R = TypeVar("R")


def running(data: Path) -> tuple[str, str] | None:
    """(address, token) of the bot that runs on a data folder, if its page answers."""
    address, token = data / "page.url", data / "api.token"
    if not address.exists() or not token.exists():
        return None
    url = address.read_text().strip()
    try:
        httpx.get(f"{url}/healthz", timeout=2)
    except httpx.HTTPError:
        return None
    return url, token.read_text().strip()


def operator() -> Person:
    """Who works on the data folder without a bot, for the record."""
    user = getpass.getuser()
    return Person(f"cli:{user}", user, "cli")


def ask(
    data: Path | None,
    method: str,
    path: str,
    direct: Callable[[Engine], Awaitable[R]],
    read: Callable[[str], R],
    *,
    params: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> R:
    """What `read` makes of the running bot's answer, or what `direct` finds in the database; NotFound, Refused."""
    settings = read_settings(data=data)
    beside = running(settings.data)
    if beside is None:
        return asyncio.run(_open(settings, direct))
    url, token = beside
    header = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"{url}/api/v1{path}", params=params, json=body, headers=header, timeout=300)
    if answer.is_error:
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {"error": answer.text[:200]}
        raise (NotFound if answer.status_code == 404 else Refused)(str(told["error"]))
    return read(answer.text)


async def _open(settings: Any, direct: Callable[[Engine], Awaitable[R]]) -> R:
    engine = await Engine.open(settings)
    try:
        return await direct(engine)
    finally:
        await engine.stop()
