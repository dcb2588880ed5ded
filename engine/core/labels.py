"""Labels: pairs of texts on flows, triggers and executions, written as a mapping or as a list of `key` and `value`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

Pairs = tuple[tuple[str, str], ...]

SYSTEM = "system."
ALLOWED_SYSTEM = frozenset({"system.readOnly"})
RESTARTED = "system.restarted"
REPLAYED = "system.replay"


def marked(labels: Pairs, key: str) -> Pairs:
    """Labels with one that says `true`, as Kestra puts on what was restarted or replayed."""
    return (*(pair for pair in labels if pair[0] != key), (key, "true"))


def read_labels(declared: Any) -> Pairs:
    """Labels as pairs, in order; ValueError when they are neither a mapping nor a list of `key` and `value`."""
    if declared is None:
        return ()
    if isinstance(declared, Mapping):
        return tuple((str(key), _text(value)) for key, value in declared.items())
    if isinstance(declared, list | tuple):
        return tuple(_pair(entry) for entry in declared)
    raise ValueError("labels are a mapping, or a list of `key` and `value`")


def _pair(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Mapping) and "key" in entry and set(entry) <= {"key", "value"}:
        return str(entry["key"]), _text(entry.get("value"))
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return str(entry[0]), _text(entry[1])
    raise ValueError("a label in a list has a `key` and a `value`")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        raise ValueError("the value of a label is a text")
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
