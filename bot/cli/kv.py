"""`parley kv`: through the running bot's loopback API when one runs on the data folder, else on the database itself."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.cli.loopback import ask, operator
from bot.commands.kv import changed, told
from engine.runtime import Engine
from engine.store.database import Unit


def get(namespace: str, key: str, data: Path | None) -> None:
    """Print a value: text as it is, everything else as JSON."""
    value = ask(
        data, "GET", f"/kv/{namespace}/{key}", lambda one: told(one, operator(), namespace, key), _field("value")
    )
    sys.stdout.write((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) + "\n")


def put(namespace: str, key: str, value: str, kind: str | None, ttl: float | None, data: Path | None) -> None:
    """Store a value."""

    async def here(engine: Engine) -> None:
        recorded = _recorded(engine, "kv set", namespace, key)
        await engine.kv.set(namespace, key, value, ttl=ttl, kind=kind, beside=recorded)

    body = {"value": value, "kind": kind, "ttl": ttl}
    ask(data, "PUT", f"/kv/{namespace}/{key}", here, lambda _: None, body=body)
    sys.stderr.write(f"{namespace}/{key} is set.\n")


def keys(namespace: str, data: Path | None) -> None:
    """Print the keys, one a line."""
    for key in ask(data, "GET", f"/kv/{namespace}", lambda engine: engine.kv.keys(namespace), _field("keys")):
        sys.stdout.write(f"{key}\n")


def delete(namespace: str, key: str, data: Path | None) -> None:
    """Forget a value; exit 1 when there was none."""

    async def here(engine: Engine) -> bool:
        return await engine.kv.delete(namespace, key, beside=_recorded(engine, "kv delete", namespace, key))

    if not ask(data, "DELETE", f"/kv/{namespace}/{key}", here, _field("deleted")):
        sys.stderr.write(f"{namespace} has no key {key}.\n")
        sys.exit(1)


def _field(name: str) -> Callable[[str], Any]:
    return lambda text: json.loads(text)[name]


def _recorded(engine: Engine, action: str, namespace: str, key: str) -> Callable[[Unit], None]:
    return changed(operator(), action, namespace, key, engine.clock.now())
