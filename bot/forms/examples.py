"""What somebody could give for a field, to show how it is written. Pure."""

import json
import shlex
from collections.abc import Mapping
from typing import Final

from bot.commands.grammar import quote
from bot.conversation import Field

ONE: Final[Mapping[str, str]] = {  # by type, as engine and chat both read it
    "STRING": "value", "INT": "3", "FLOAT": "3.14", "BOOLEAN": "true", "BOOL": "true", "DATE": "2026-03-31",
    "TIME": "14:30", "DATETIME": "2026-03-31T14:00:00Z", "DURATION": "PT1H30M", "JSON": '{"name": 1}',
    "YAML": "name: 1", "ION": "{name: 1}", "URI": "https://example.com/", "EMAIL": "ann@example.com",
}  # fmt: skip
SPOKEN: Final[Mapping[str, str]] = {"BOOLEAN": "yes", "DURATION": "1h30m"}  # what is easier to type in chat
BOUNDED: Final = frozenset({"INT", "FLOAT", "DATE", "TIME", "DATETIME", "DURATION"})
PAIR: Final[Mapping[str, tuple[str, str]]] = {"INT": ("1", "2"), "FLOAT": ("1.5", "2.5"), "STRING": ("a", "b")}


def in_chat(field: Field) -> str:
    """`name=value` as it is typed in chat."""
    if field.type == "FILE":
        return f"{field.id}={_one(field)}"
    is_list = field.type in ("MULTISELECT", "ARRAY")
    return f"{field.id}={quote(','.join(_several(field)) if is_list else SPOKEN.get(field.type) or _one(field))}"


def in_shell(field: Field) -> str:
    """`name=value` as an argument in a shell, in quotes where it needs some."""
    if field.type == "SECRET":
        return f"{field.id}=…"
    value = _one(field)
    if field.type in ("MULTISELECT", "ARRAY") and not field.several:
        plain = field.item_type in ("INT", "FLOAT")
        value = f"[{', '.join(one if plain else json.dumps(one, ensure_ascii=False) for one in _several(field))}]"
    return f"{field.id}={shlex.quote(value)}"


def _one(field: Field) -> str:
    if field.type in ("SELECT", "MULTISELECT") and field.options:
        return field.options[0].value
    if field.type == "FILE":
        return f"@data{field.extensions[0] if field.extensions else '.csv'}"
    if field.type in BOUNDED and field.minimum is not None:
        return field.minimum
    return ONE.get(field.type, "value")


def _several(field: Field) -> tuple[str, ...]:
    if field.options:
        return tuple(option.value for option in field.options[:2])
    kind = field.item_type or "STRING"
    return PAIR.get(kind) or ((ONE[kind],) if kind in ONE else ("a", "b"))
