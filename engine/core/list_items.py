"""Something else in the place of a list: how to write it as one, by what the items of that list are."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from engine.core.inputs import INPUT_TYPES
from engine.core.property import has_template
from engine.core.yaml_text import Path

EACH = "Begin each item with `- `."
RENDERED = {"values": "expression", "conditions": "when"}  # lists → what takes a template in their place


@dataclass(frozen=True, slots=True)
class Items:
    """What the items of a list are: parts, with the names of their properties and those they need, or texts."""

    known: frozenset[str] = frozenset()
    needed: tuple[str, ...] = ()
    are_texts: bool = False
    rendered: str = ""  # the property that takes a template in the place of the list


def are_texts(annotation: Any) -> bool:
    """Whether the items of a list of this type may be texts."""
    inner = get_args(annotation)
    return str in inner or any(are_texts(one) for one in inner if dict not in (one, getattr(one, "__origin__", None)))


def rendered(path: Path, beside: Collection[str]) -> str:
    """The property of the same part that takes a template in the place of the list at a path; "" for none."""
    name = RENDERED.get(str(path[-1]), "") if path else ""
    return name if name in beside else ""


def of_mapping(given: Mapping[str, Any], path: Path, items: Items) -> str:
    """How to write as a list what is a mapping."""
    name, value = next(iter(given.items()), ("", None))
    if path[-1:] == ("values",):
        return "Begin each value with `- `."
    if given.keys() == {"tasks"} and isinstance(value, list):
        return f"The tasks stand below `{path[-1]}` itself: leave `tasks` out."
    if not items.known:
        return "Write each item as a text behind `- `, without a name." if items.are_texts else EACH
    are_kinds = all(isinstance(one, str) and one in INPUT_TYPES for one in given.values())
    are_parts = all(isinstance(one, Mapping) for one in given.values())
    if given.keys() <= items.known and not are_parts and not (are_kinds and "type" not in given):
        return f"Begin the item with `- `.{_lacking(given, items)}"
    if not name or (name in ("id", "type", "task", "key", "name") and not isinstance(value, Mapping)):
        return EACH
    if "id" not in items.known and not ("." in name and "type" in items.known):
        return EACH
    what = "type" if "." in name else "id"
    more = "" if are_parts or "type" not in items.known else _below(value, items)
    return f"Begin each item with `- `, and give it its {what}: `- {what}: {name}`{more}."


def of_value(given: Any, items: Items) -> str:
    """How to write as a list what is a text, a number or nothing; "" when that can't be told."""
    if given is None:
        which = f", with {_named(items.needed)}" if items.needed and not items.are_texts else ""
        return f"Below it, indented, each item stands behind `- `{which}."
    if not isinstance(given, str | int | float) or "\n" in str(given):
        return ""
    if items.rendered and has_template(given):
        return f'Write `{items.rendered}: "{given}"` in its place.'
    if items.known and not items.are_texts:
        return f"Write each item as a mapping behind `- `{f', with {_named(items.needed)}' if items.needed else ''}."
    return f"Write `[{given}]`, or each item in a line that begins with `- `."


def _below(value: Any, items: Items) -> str:
    """What stands below the id of an input or an output that was written as `name: value`."""
    if isinstance(value, str) and value in INPUT_TYPES:
        return f" and below it `type: {value}`"
    held = next((one for one in ("defaults", "value") if one in items.known), "")
    if not held or isinstance(value, dict | list) or value is None or "\n" in str(value):
        return ""
    kind = "BOOL" if isinstance(value, bool) else "INT" if isinstance(value, int) else "STRING"
    shown = f'"{value}"' if "{{" in str(value) else str(value).lower() if kind == "BOOL" else value
    return f" and below it `type: {kind}` and `{held}: {shown}`"


def _lacking(given: Mapping[str, Any], items: Items) -> str:
    lacks = [name for name in items.needed if name not in given]
    return f" It lacks {_named(lacks)}." if lacks else ""


def _named(names: Any) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def rank(name: str) -> tuple[bool, bool, str]:
    """The order in which a flow writes properties: its id and its type first."""
    return name != "id", name != "type", name
