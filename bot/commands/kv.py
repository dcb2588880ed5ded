"""`/flow kv`: values that flows keep. Secrets are neither shown nor taken here."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bot.asking import Asking, Parts
from bot.commands.grammar import Json, Line, Text
from bot.commands.manual import usage
from bot.commands.references import Unresolved
from bot.conversation import Listing, Notice, Person, Reply, Row
from bot.people.permissions import Asked
from bot.texts import answer, code, plain, shorten
from engine.core import durations
from engine.runtime import Engine
from engine.store import chat_audit
from engine.store.chat_audit import Deed
from engine.store.database import Unit
from engine.store.kv import KeyValue

MASK = "\u2022\u2022\u2022\u2022\u2022\u2022"
SHOWN = 25
LONGEST = 1500


async def kv(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`kv list <ns>`, `kv get <ns> <key>`, `kv set <ns> <key> <value>`, `kv delete <ns> <key>`."""
    action, namespace, key = line.word(0).lower(), line.word(1), line.word(2)
    needed = {"list": 2, "get": 3, "set": 3, "delete": 3}.get(action)
    if needed is None or len(line.words) < needed:
        return Reply(usage("kv", "I need an action, a namespace and a key."))
    if denied := await parts.office.permissions.refuse(Asked("kv", asking.person, asking.room, namespace)):
        return Reply(denied.notice())
    store, now = parts.office.engine.kv, parts.office.now()
    match action:
        case "list":
            entries = await store.entries(namespace)
            return Reply(_listing(namespace, entries, parts))
        case "get":
            entry = await store.entry(namespace, key)
            return Reply(Notice("info", f"{code(key)} in {code(namespace)}: {_shown(entry, parts, LONGEST)}"))
        case "set":
            return Reply(await _set(parts, asking, line, namespace, key))
        case _:
            if await store.delete(namespace, key, beside=changed(asking.person, "kv delete", namespace, key, now)):
                return Reply(Notice("success", f"Deleted {code(key)} from {code(namespace)}."))
            return Reply(Notice("warning", f"There is no {code(key)} in {code(namespace)}; nothing was deleted."))


def changed(person: Person, action: str, namespace: str, key: str, now: datetime) -> Callable[[Unit], None]:
    """Records what was done to a value, in the transaction that does it; never the value."""
    deed = Deed(now, person.id, person.name, person.platform, action, f"{namespace}/{key}")
    return lambda unit: chat_audit.record(unit.connection, deed)


async def told(engine: Engine, person: Person, namespace: str, key: str) -> Any:
    """A value for a program or a terminal, in clear; that a secret was told is recorded. NotFound."""
    value, entry = await engine.kv.get(namespace, key), await engine.kv.entry(namespace, key)
    if entry.kind == "SECRET":
        record = changed(person, "kv get", namespace, key, engine.clock.now())
        await engine.database.transact(record)
    return value


async def _set(parts: Parts, asking: Asking, line: Line, namespace: str, key: str) -> Notice:
    kind = line.flag("type").upper() or None
    if kind == "SECRET" or "secret" in line.flags:
        instead = f"Use `parley kv set {namespace} {key}` on the machine of the bot."
        return answer("E14", tone="danger", instead=instead).notice()
    given = line.pairs.get("value")
    if isinstance(given, Json | Text):
        value = given.value
    elif len(line.words) > 3:
        value = line.rest(3)
    else:
        return usage("kv", "Which value? Write it last, or as `value=\u2026` or `value:=\u2026` (JSON).")
    lives = _lives(line.flag("ttl"))
    beside = changed(asking.person, "kv set", namespace, key, parts.office.now())
    await parts.office.engine.kv.set(namespace, key, value, kind=kind, ttl=lives, beside=beside)
    return Notice("success", f"Set {code(key)} in {code(namespace)}.")


def _listing(namespace: str, entries: list[KeyValue], parts: Parts) -> Listing | Notice:
    if not entries:
        return Notice("info", f"{code(namespace)} keeps no values.")
    rows = tuple(
        Row(plain(entry.key), f"{entry.kind.lower()} \u00b7 {_shown(entry, parts, 100)}") for entry in entries[:SHOWN]
    )
    note = f"{SHOWN} of {len(entries)} shown" if len(entries) > SHOWN else ""
    return Listing(f"Values of {namespace}", rows, note)


def _shown(entry: KeyValue, parts: Parts, limit: int) -> str:
    if entry.kind == "SECRET":
        return MASK
    text = parts.office.engine.masker.mask(entry.value)
    value = json.loads(text) if entry.kind in ("STRING", "DATE", "DATETIME", "DURATION") else text
    return plain(str(value), limit) if entry.kind == "STRING" else code(shorten(str(value), limit), limit)


def _lives(said: str) -> float | None:
    """Seconds that a value is kept, of `7d`, `PT1H` or a number of seconds; none: for good."""
    if not said:
        return None
    if said.isascii() and said.isdecimal():
        return float(said)
    try:
        return durations.parse(durations.meant(said) or said).total_seconds()
    except ValueError as error:
        what = "lengths of time as 7d, and seconds as 3600"
        raise Unresolved(answer("E09", input="`--ttl`", what=what, value=code(said))) from error
