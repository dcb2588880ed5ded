"""The KV store of namespaces: typed values that may expire; of kind SECRET they are encrypted."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args

from engine.clock import Clock
from engine.core.dates import parse_date, parse_datetime
from engine.core.durations import parse as parse_duration
from engine.core.json_text import bounded
from engine.errors import EngineError, NotFound, Refused, StoreFailed
from engine.secrets import Masker, Vault
from engine.store import kv
from engine.store.database import Database, Unit
from engine.store.documents import dumps, loads, plain

KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
Kind = Literal["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON", "SECRET"]


class KeyValueStore:
    """Values by namespace and key."""

    def __init__(self, database: Database, clock: Clock, vault: Vault, masker: Masker) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._masker = masker

    async def get(self, namespace: str, key: str) -> Any:
        """The value, typed; NotFound when missing or expired."""
        return self._value(await self._database.read(lambda c: kv.get(c, namespace, key)), namespace, key)

    def get_now(self, namespace: str, key: str) -> Any:
        """The same in the calling thread, for code that is off the loop."""
        return self._value(self._database.read_now(lambda c: kv.get(c, namespace, key)), namespace, key)

    async def entry(self, namespace: str, key: str) -> kv.KeyValue:
        """The pair with kind and dates, its `value` as JSON text (sealed for SECRET); NotFound."""
        pair = await self._database.read(lambda c: kv.get(c, namespace, key))
        self._value(pair, namespace, key)
        assert pair is not None  # noqa: S101 - _value raises
        return pair

    async def set(
        self,
        namespace: str,
        key: str,
        value: Any,
        *,
        ttl: float | None = None,
        overwrite: bool = True,
        kind: str | None = None,
        description: str | None = None,
        beside: Callable[[Unit], object] | None = None,
    ) -> None:
        """Store a value for `ttl` seconds or for good; Refused when it does not fit or may not be overwritten.

        `beside` is called in the same transaction, if it is stored.
        """
        check_key(key)
        now = self._clock.now()
        try:
            expires = now + timedelta(seconds=ttl) if ttl is not None else None
        except (TypeError, ValueError, OverflowError) as error:
            raise Refused(f"A value can't be kept for {ttl!r} seconds.", fix="Without a time it is kept.") from error
        pair = self._pair(namespace, key, value, kind, expires, description)

        def work(unit: Unit) -> bool:
            is_stored = kv.put(unit.connection, pair, now, overwrite=overwrite)
            if is_stored and beside is not None:
                beside(unit)
            return is_stored

        if not await self._database.transact(work):
            raise Refused(
                f"Cannot set value for key '{key}'. Key already exists and `overwrite` is set to `false`.",
                fix="Set `overwrite: true`, or choose another key.",
            )

    async def update(self, namespace: str, key: str, change: Callable[[Any], Any], *, must_exist: bool = False) -> None:
        """Store what `change` (pure) makes of the value, None when there is none; how long it lives, what describes it
        and that it is a secret stay. NotFound with `must_exist`, Refused."""
        check_key(key)

        def work(unit: Unit) -> None:
            there = kv.held(unit.connection, namespace, key)
            if there is not None and there.expires is not None and there.expires <= self._clock.now():
                there = None
            old = self._value(there, namespace, key) if there is not None or must_exist else None
            kind = "SECRET" if there is not None and there.kind == "SECRET" else None
            kept = (there.expires, there.description) if there is not None else (None, None)
            pair = self._pair(namespace, key, change(plain(old)), kind, *kept)
            kv.put(unit.connection, pair, pair.updated)

        await self._database.transact(work)

    async def delete(self, namespace: str, key: str, *, beside: Callable[[Unit], object] | None = None) -> bool:
        """Whether there was one. `beside` is called in the same transaction, if so."""

        def work(unit: Unit) -> bool:
            is_gone = kv.remove(unit.connection, namespace, key)
            if is_gone and beside is not None:
                beside(unit)
            return is_gone

        return await self._database.transact(work)

    async def keys(self, namespace: str, prefix: str = "") -> list[str]:
        """Keys that have not expired."""
        return [pair.key for pair in await self.entries(namespace, prefix)]

    async def entries(self, namespace: str, prefix: str = "") -> list[kv.KeyValue]:
        """Pairs that have not expired, by key."""
        now = self._clock.now()
        return await self._database.read(lambda c: kv.find(c, namespace, now, prefix))

    async def rotate(self) -> int:
        """Encrypt every secret under the newest key; how many."""
        pairs = await self._database.read(kv.secrets)

        def write(unit: Any) -> int:
            for pair in pairs:
                now = kv.held(unit.connection, pair.namespace, pair.key)
                if now is not None and now.value == pair.value:  # not changed meanwhile
                    try:
                        fresh = dumps(self._vault.rotate(loads(pair.value)))
                    except StoreFailed:
                        continue  # none of the keys opens it; the start says so
                    values = (pair.namespace, pair.key, pair.kind, fresh, pair.updated, pair.expires, pair.description)
                    kv.put(unit.connection, kv.KeyValue(*values), pair.updated)
            return len(pairs)

        return await self._database.transact(write) if pairs else 0

    def _pair(
        self,
        namespace: str,
        key: str,
        value: Any,
        kind: str | None,
        expires: datetime | None,
        description: str | None,
    ) -> kv.KeyValue:
        named = kind or kind_of(value)
        if named not in get_args(Kind):
            raise Refused(f"{named!r} is not a kind of value.", fix=f"Use one of {', '.join(get_args(Kind))}.")
        fitting = fit(value, named, key)
        kept = self._vault.seal(fitting, owner(namespace, key)) if named == "SECRET" else fitting
        return kv.KeyValue(namespace, key, named, dumps(kept), self._clock.now(), expires, description)

    def _value(self, pair: kv.KeyValue | None, namespace: str, key: str) -> Any:
        if pair is None:
            raise NotFound(
                f"The key '{key}' does not exist in the namespace '{namespace}'.",
                fix=f"Set it with `parley kv set {namespace} {key} VALUE`.",
            )
        if pair.expires is not None and pair.expires <= self._clock.now():
            raise NotFound("The requested value has expired", fix=f"Set '{key}' in '{namespace}' again.")
        value = loads(pair.value)
        if pair.kind == "SECRET":
            text = self._vault.open(value, owner(namespace, key))
            self._masker.add(str(text))
            return text
        return typed(value, pair.kind)


def owner(namespace: str, key: str) -> str:
    """What a sealed value of the KV store is bound to."""
    return f"kv:{namespace}/{key}"


def check_key(key: str) -> None:
    """Refused unless a key is one."""
    if not key:
        raise Refused("Key cannot be null or empty", fix="Give a key.")
    if not KEY.fullmatch(key):
        raise Refused(
            "Key must start with an alphanumeric character (uppercase or lowercase) and can contain alphanumeric "
            "characters (uppercase or lowercase), dots (.), underscores (_), and hyphens (-) only.",
            fix=f"Change {key!r}.",
        )


def kind_of(value: Any) -> str:
    """The kind of a value that nobody named a kind for."""
    if isinstance(value, bool):
        return "BOOLEAN"
    for types, kind in (
        (str, "STRING"),
        ((int, float), "NUMBER"),
        (datetime, "DATETIME"),
        (date, "DATE"),
        (timedelta, "DURATION"),
    ):
        if isinstance(value, types):
            return kind
    return "JSON"


def fit(value: Any, kind: str, key: str) -> Any:
    """The value as JSON of its kind; Refused when it is not one."""
    try:
        match kind:
            case "STRING" | "SECRET":
                return value if isinstance(value, str) else dumps(value)
            case "NUMBER" | "JSON" if isinstance(value, str):
                value = bounded(loads(value), exact=True)
            case "BOOLEAN" if isinstance(value, str):
                return value.strip().lower() == "true"
            case "DATETIME" if isinstance(value, str):
                value = parse_datetime(value)
            case "DATE" if isinstance(value, str):
                value = parse_date(value[:10])
            case "DURATION" if isinstance(value, str):
                value = parse_duration(value)
        if kind == "NUMBER" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError("it is not a number")
        return plain(value)
    except (ValueError, TypeError, RecursionError, EngineError) as error:
        raise Refused(
            f"The value of '{key}' is not of kind {kind}: {error}", fix="Change the value or `kvType`."
        ) from error


def typed(value: Any, kind: str) -> Any:
    """The value of stored JSON, dates and durations as such."""
    match kind:
        case "DATETIME":
            return parse_datetime(value)
        case "DATE":
            return parse_date(value)
        case "DURATION":
            return parse_duration(value)
    return value
