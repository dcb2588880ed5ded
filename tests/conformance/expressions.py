"""Runs expression cases through the public API of `engine.expressions`."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from engine.core import durations
from engine.errors import ExpressionFailed
from engine.expressions import Services, evaluate, parse, to_json

FIELDS = frozenset(
    {
        "id",
        "template",
        "context",
        "expect",
        "error",
        "typed",
        "tags",
        "env",
        "note",
        "notes",
        "source",
        "since",
        "derived",
    }
)
ENVIRONMENT = frozenset({"secrets", "kv", "files"})


def cases_of(path: Path) -> list[dict[str, Any]]:
    """The cases of a file."""
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    found = loaded.get("cases") if isinstance(loaded, Mapping) else loaded
    return [dict(case) for case in found or []]


def _zoned(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    # A date-time at offset zero is no instant: it prints without seconds that are zero.
    return moment if moment.utcoffset() else moment.replace(tzinfo=timezone(timedelta(0), "Z"))


TYPED = {
    "$datetime": _zoned,
    "$instant": lambda text: datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC),
    "$local_datetime": datetime.fromisoformat,
    "$local_date": date.fromisoformat,
    "$duration": durations.parse,
}


def resolved(value: Any) -> Any:
    """A context with its typed values; KeyError for a type that is not known."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(name := next(iter(value)), str) and name.startswith("$"):
            return TYPED[name](str(value[name]))
        return {key: resolved(item) for key, item in value.items()}
    return [resolved(item) for item in value] if isinstance(value, list) else value


def services_of(env: Mapping[str, Any], context: Mapping[str, Any]) -> Services:
    """What the functions of a case can read."""
    secrets, stored, files = env.get("secrets") or {}, env.get("kv") or {}, env.get("files") or {}
    own = (context.get("flow") or {}).get("namespace", "")

    def secret(key: str, *, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> Any:
        from engine.expressions.execution_functions import field_of

        if key not in secrets:
            raise ExpressionFailed(f"There is no secret {key!r}.")
        if subkey is None:
            return secrets[key]
        if (found := field_of(secrets[key], subkey)) is None:
            raise ExpressionFailed(f"The secret {key!r} has no field {subkey!r}.")
        return found

    def kv(key: str, *, namespace: str | None = None, error_on_missing: bool = True) -> Any:
        for place in [namespace] if namespace else [own, *_parents(own)]:
            if key in (stored.get(place) or {}):
                return stored[place][key]
        if error_on_missing:
            raise ExpressionFailed(f"There is no key {key!r}.")
        return None

    def read(path: str, *, namespace: str | None = None, version: Any = None) -> str:
        uri = _uri(path, namespace or own)
        if uri not in files or not readable(uri, context):
            raise ExpressionFailed(f"There is no file {path!r} that this execution may read.")
        return str(files[uri])

    return Services(
        now=lambda: datetime.now(UTC),
        secret=secret,
        kv=kv,
        read=read,
        file_size=lambda path, *, namespace=None: len(read(path, namespace=namespace).encode()),
        file_exists=lambda path, *, namespace=None: _uri(path, namespace or own) in files,
        error_logs=lambda: env.get("error_logs") or [],
    )


def _parents(namespace: str) -> list[str]:
    parts = namespace.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def _uri(path: str, namespace: str) -> str:
    return path if "://" in path else f"kestra:///{namespace.replace('.', '/')}/_files/{path.lstrip('/')}"


def readable(uri: str, context: Mapping[str, Any]) -> bool:
    """Whether a file belongs to the execution of a context, to the one that triggered it, or to the namespace."""
    flow, trigger = context.get("flow") or {}, context.get("trigger") or {}
    owners = [(flow, (context.get("execution") or {}).get("id"))]
    if trigger.get("executionId"):
        owners.append(({"namespace": trigger.get("namespace"), "id": trigger.get("flowId")}, trigger["executionId"]))
    for owner, execution in owners:
        place = str(owner.get("namespace", "")).replace(".", "/")
        slug = str(owner.get("id", "")).lower().replace("_", "-").replace(".", "-")
        names = {slug, owner.get("id")}
        if ".." not in uri and any(
            uri.startswith(f"kestra:///{place}/{name}/executions/{execution}/") for name in names
        ):
            return True
    return ".." not in uri and uri.startswith(f"kestra:///{str(flow.get('namespace', '')).replace('.', '/')}/_files/")


def same(found: Any, expected: Any) -> bool:
    """Whether two values are the same: maps without order, numbers by value, booleans only as booleans."""
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and set(found) == set(expected)
            and all(same(found[k], expected[k]) for k in expected)
        )
    if isinstance(expected, list):
        return isinstance(found, (list, tuple)) and len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    if isinstance(expected, float) and isinstance(found, float) and math.isnan(expected):
        return math.isnan(found)
    if isinstance(expected, str) and not isinstance(found, (str, int, float, list, dict, type(None))):
        return to_json(found).strip('"') == expected
    return bool(found == expected)


def check(case: Mapping[str, Any]) -> str:
    """What is wrong with a case, or nothing when it passes."""
    unknown = set(case) - FIELDS | {f"env.{name}" for name in set(case.get("env") or {}) - ENVIRONMENT}
    if unknown or not isinstance(case.get("template"), str) or ("expect" in case) is bool(case.get("error")):
        return f"the case cannot be run: {', '.join(sorted(unknown)) or 'template, expect or error is missing'}"
    try:
        context = resolved(case.get("context") or {})
    except (KeyError, ValueError, TypeError) as error:
        return f"the context cannot be read: {error!r}"
    services = services_of(case.get("env") or {}, context)
    try:
        if case.get("typed"):
            found = evaluate(case["template"], context, services)
        else:
            found = parse(case["template"]).render(context, services)
    except ExpressionFailed as error:
        return "" if case.get("error") else f"expected {case['expect']!r}, but it failed: {error}"
    except Exception as error:  # noqa: BLE001 - any other error is what the case is there to find
        return f"raised {type(error).__name__}: {error}"
    if case.get("error"):
        return f"expected an error, but got {found!r}"
    if same(found, case["expect"]):
        return ""
    return f"expected {case['expect']!r}, but got {found!r}"


def run_file(path: Path, skip_tags: Iterable[str] = (), verbose: bool = False) -> tuple[int, int, int]:
    """Run every case of a file and print those that fail; how many passed, failed, were skipped."""
    passed = failed = skipped = 0
    skip = frozenset(skip_tags)
    for number, case in enumerate(cases_of(path)):
        name = case.get("id", f"case {number}")
        if skip & set(case.get("tags") or ()):
            skipped += 1
        elif wrong := check(case):
            failed += 1
            print(f"{name}: {wrong}")
        else:
            passed += 1
            if verbose:
                print(f"{name}: passed")
    return passed, failed, skipped
