"""What to write for a part that has no `type`: a text where one belongs, or a mapping by another name."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from engine.core.inputs import INPUT_TYPES
from engine.core.plugin_defaults import BLOCKS
from engine.core.property import has_template
from engine.core.registry import Registry
from engine.core.yaml_text import Path

ID = re.compile(r"[a-zA-Z0-9][\w.-]*")
OF_ID = frozenset({"tasks", "then", "else", "errors", "finally", "afterExecution", "defaults", "triggers", "onResume"})
BELOW: Mapping[str, str] = {  # what stands below the id of an item
    "inputs": "`type: STRING`",
    "outputs": "`type: STRING` and `value`",
}


def advice(given: Any, path: Path, registry: Registry) -> str:
    """What to write for what was given at a path."""
    if isinstance(given, Mapping):
        return _of_mapping(given)
    if isinstance(given, list):
        return "Begin it with one `- ` alone." if len(given) == 1 and isinstance(given[0], Mapping) else ""
    if not isinstance(given, str):
        return ""
    name = _list(path)
    if name == "conditions" and has_template(given) and path[0] == "triggers":
        return f'Write `when: "{given}"` beside `conditions`, or in their place.'
    if isinstance(path[-1], int) and (name in OF_ID or name in BELOW or name in BLOCKS):
        return of_item(given, path)
    kind = name.removeprefix("task").lower().removesuffix("s" if isinstance(path[-1], int) else "")
    names = {registry.canonical(one) for one in registry.names() if f".{kind}." in one}
    ends = {one.rpartition(".")[2].lower(): one for one in names}
    near = [given.lower()] if given.lower() in ends else [one for one in ends if one.startswith(given.lower())]
    named = [given] if given in names else [ends[one] for one in near]
    if len(named) != 1:
        return ""
    return (
        f"Write `- type: {named[0]}`." if isinstance(path[-1], int) else f"Write `type: {named[0]}` below it, indented."
    )


def of_item(given: Any, path: Path) -> str:
    """What to write for an item of a list that is the id of a part, or its type."""
    name = _list(path)
    if not isinstance(given, str):
        return ""
    if not ID.fullmatch(given):
        return f"Write `- id: …`, and below it {BELOW[name]}." if name in BELOW else ""
    if name in BLOCKS or given.count(".") > 1:
        return f"Write `- type: {given}`, and below it {'`values`' if name in BLOCKS else 'its properties'}."
    return f"Write `- id: {given}`, and below it {BELOW.get(name, 'its `type`')}."


def _list(path: Path) -> str:
    """The last name of a path: of an item that of its list."""
    return next((step for step in reversed(path) if isinstance(step, str)), "")


def _of_mapping(given: Mapping[str, Any]) -> str:
    """By another name it may have a type, and `- who: STRING` means one."""
    near = next((key for key in given if key.lower() == "type"), None) or next(
        iter(get_close_matches("type", given, n=1, cutoff=0.7)), None
    )
    if near:
        return f"Did you mean `type` by `{near}`?"
    name, value = next(iter(given.items()), ("", None))
    if len(given) == 1 and isinstance(value, Mapping) and "type" in value:
        return f"Write `- id: {name}`, and what stands below it in the column of that `id`."
    is_pair = len(given) == 1 and isinstance(value, str) and value in INPUT_TYPES
    return f"Write `- id: {name}` and below it `type: {value}`." if is_pair else ""
