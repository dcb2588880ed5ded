"""`parley kv`: through the running bot's loopback API when one runs on the data folder, else on the database itself."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from bot.commands.kv import changed
from bot.conversation import Person
from bot.settings import read_settings
from engine.errors import NotFound, Refused
from engine.runtime import Engine
from engine.store.database import Unit

R = TypeVar("R")


def get(namespace: str, key: str, data: Path | None) -> None:
    """Print a value: text as it is, everything else as JSON."""
    value = _ask(data, "GET", f"{namespace}/{key}", None, lambda engine: engine.kv.get(namespace, key), "value")
    sys.stdout.write((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) + "\n")


def put(namespace: str, key: str, value: str, kind: str | None, ttl: float | None, data: Path | None) -> None:
    """Store a value."""
    body = {"value": value, "kind": kind, "ttl": ttl}
    _ask(
        data,
        "PUT",
        f"{namespace}/{key}",
        body,
        lambda engine: engine.kv.set(
            namespace, key, value, ttl=ttl, kind=kind, beside=_recorded(engine, "kv set", namespace, key)
        ),
        "ok",
    )
    sys.stderr.write(f"{namespace}/{key} is set.\n")


def keys(namespace: str, data: Path | None) -> None:
    """Print the keys, one a line."""
    for key in _ask(data, "GET", namespace, None, lambda engine: engine.kv.keys(namespace), "keys"):
        sys.stdout.write(f"{key}\n")


def delete(namespace: str, key: str, data: Path | None) -> None:
    """Forget a value; exit 1 when there was none."""
    gone = _ask(
        data,
        "DELETE",
        f"{namespace}/{key}",
        None,
        lambda engine: engine.kv.delete(namespace, key, beside=_recorded(engine, "kv delete", namespace, key)),
        "deleted",
    )
    if not gone:
        sys.stderr.write(f"{namespace} has no key {key}.\n")
        sys.exit(1)


def _recorded(engine: Engine, action: str, namespace: str, key: str) -> Callable[[Unit], None]:
    user = getpass.getuser()
    return changed(Person(f"cli:{user}", user, "cli"), action, namespace, key, engine.clock.now())


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


def _ask(
    data: Path | None,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    direct: Callable[[Engine], Awaitable[R]],
    field: str,
) -> Any:
    settings = read_settings(data=data)
    beside = running(settings.data)
    if beside is None:
        return asyncio.run(_open(settings, direct))
    url, token = beside
    answer = httpx.request(
        method, f"{url}/api/v1/kv/{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    told = answer.json() if "json" in answer.headers.get("content-type", "") else {"error": answer.text[:200]}
    if answer.status_code == 404:
        raise NotFound(str(told["error"]))
    if answer.is_error:
        raise Refused(str(told["error"]))
    return told[field]


async def _open(settings: Any, direct: Callable[[Engine], Awaitable[R]]) -> R:
    engine = await Engine.open(settings)
    try:
        return await direct(engine)
    finally:
        await engine.stop()
