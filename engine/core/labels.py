"""Labels: pairs of texts on flows, triggers and executions, written as a mapping or as a list of `key` and `value`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from engine.core.finding import Breach

Pairs = tuple[tuple[str, str], ...]

SYSTEM = "system."
ALLOWED_SYSTEM = frozenset({"system.readOnly"})
RESTARTED = "system.restarted"
REPLAYED = "system.replay"


def marked(labels: Pairs, key: str) -> Pairs:
    """Labels with one that says `true`, as Kestra puts on what was restarted or replayed."""
    return (*(pair for pair in labels if pair[0] != key), (key, "true"))


def read_labels(declared: Any) -> Pairs:
    """Labels as pairs, in order; Breach when they are neither a mapping nor a list of `key` and `value`."""
    if declared is None:
        return ()
    if isinstance(declared, Mapping):
        return tuple((str(key), _text(value, str(key))) for key, value in declared.items())
    if isinstance(declared, list | tuple):
        return tuple(_pair(entry, index) for index, entry in enumerate(declared))
    said = "labels are a mapping, or a list of `key` and `value`"
    raise Breach(said, (), "Write each label as `name: value` in a line below, indented.")


def _pair(entry: Any, index: int) -> tuple[str, str]:
    if isinstance(entry, Mapping) and "key" in entry and set(entry) <= {"key", "value"}:
        return str(entry["key"]), _text(entry.get("value"), index, "value")
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return str(entry[0]), _text(entry[1], index)
    raise Breach("a label in a list has a `key` and a `value`", (index,), _meant(entry))


def _meant(entry: Any) -> str:
    """What to write for an item that is no label."""
    named = list(entry.items()) if isinstance(entry, Mapping) else []
    name, value = named[0] if len(named) == 1 else re.split(r"\s*[=:]\s*", f"{entry}=…", maxsplit=2)[:2]
    if len(named) > 1 and "name" in entry:
        return "Write `key` for `name`."
    if len(named) > 1 or isinstance(value, Mapping | list):
        return "Write `- key: …`, and `value: …` below it."
    return f"Write `{name}: {value}`, without `- `."


def _text(value: Any, *at: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        raise Breach("the value of a label is a text", at, "Write one text, such as `a, b`.")
    return "" if value is None else str(value)


Labels = Annotated[
    Pairs,
    BeforeValidator(read_labels),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
                {"type": "array", "items": {"type": "object", "required": ["key", "value"]}},
            ]
        }
    ),
]
