"""What was filled into a modal, by field id."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.conversation import Attachment, Field, Form, Option
from bot.discord import ids
from bot.discord.views.fields import MENUS, current, is_menu, is_menus, keeps_blank, pages, wire_values

Raw = Mapping[str, "str | bool | list[str] | list[Attachment]"]


def read(form: Form, page: int, raw: Raw) -> dict[str, Any]:
    """What was filled in, by field id. A field that was left as it is, or never shown, is absent."""
    values: dict[str, Any] = {}
    for index in pages(form)[page]:
        field = form.fields[index]
        name = f"f:{index}"
        parts = [raw[key] for key in (name, *(f"{name}:{number}" for number in range(MENUS))) if key in raw]
        if parts:
            _read_field(form, field, parts, values)
    return values


def _read_field(form: Form, field: Field, parts: list[Any], values: dict[str, Any]) -> None:
    first = parts[0]
    if field.type == "FILE":
        if first:
            values[field.id] = first[0] if isinstance(first, list) and not field.several else first
    elif field.type == "BOOLEAN":
        if first not in (None, "", []):
            values[field.id] = first in ("true", True)
    elif is_menus(field):
        chosen = [wire for part in parts for wire in (part if isinstance(part, list) else [part]) if wire]
        values[field.id] = [_value(field, wire) for wire in chosen]
    elif is_menu(field):
        wire = first[0] if isinstance(first, list) and first else first
        values[field.id] = _value(field, wire) if isinstance(wire, str) and wire else ""
    else:
        text = first if isinstance(first, str) else ""
        if text == "" and keeps_blank(current(form, field)):
            return
        values[field.id] = match(field.options, text) if field.type == "SELECT" and not field.allow_custom else text


def _value(field: Field, wire: str) -> str:
    option = taken(field.options, wire)
    return option.value if option else wire  # the desk says what is wrong with it


def match(options: Sequence[Option], typed: str) -> str:
    """The value of the choice somebody meant: exact, else in other case, else the only one it begins or is part of."""
    wanted = typed.strip()
    if not wanted or any(option.value == wanted for option in options):
        return wanted
    folded = wanted.casefold()
    for fits in (str.__eq__, str.startswith, str.__contains__):
        found = {o.value for o in options if fits(o.label.casefold(), folded) or fits(o.value.casefold(), folded)}
        if len(found) == 1:
            return found.pop()
    return typed


def taken(options: Sequence[Option], wire: str) -> Option | None:
    """The choice a wire value stands for; one that goes by position is checked, and found again where lists moved."""
    table = dict(zip(wire_values(options), options, strict=True))
    if wire in table or not wire.startswith("#"):
        return table.get(wire)
    check = wire.rpartition(":")[2]
    return next((option for option in options if ids.fingerprint([option.value]) == check), None)
