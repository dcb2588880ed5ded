"""Slips in the shape of a flow that break several rules at once: each becomes the one finding that says what it is."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import reduce
from typing import Any

from engine.core import foreign_names
from engine.core.finding import Finding
from engine.core.yaml_text import Path

ID = re.compile(r"[a-zA-Z0-9][.\w-]*")
NAMES = frozenset({"id", "type"})
MEANT = re.compile(r"Did you mean `([^`]+)`\?")
LIKE = 0.65  # how much must be the same to be proposed at all: `query` is no slip for `retry`
SPELT = 0.8  # how much of a name must be the same to be taken for a slip of the pen before anything else
Has = Callable[[Path, str], bool]  # whether the part at a path has a property of that name


def of_dashes(found: Sequence[Finding], document: Any) -> list[Finding]:
    """`- id: a` and `- type: b` below it: one task with a dash before each of its lines."""
    kept = list(found)
    for path in dict.fromkeys(one.path[:-1] for one in found if one.path and isinstance(one.path[-1], int)):
        for first, last in torn(at(document, path)):
            inside = [one for one in kept if any(_below(one.path, (*path, n)) for n in range(first, last + 1))]
            kept = [one for one in kept if one not in inside]
            items = f"Items {first + 1} to {last + 1} of `{path[-1]}`"
            said = f"{items} are one, with a `- ` before each of its lines."
            kept.append(Finding((*path, first + 1), said, "type", suggestion="Begin only its first line with `- `."))
    return kept


def torn(items: Any) -> Iterator[tuple[int, int]]:
    """First and last of the items that together are one: only together they have an id and a type.

    Two tasks, of which the first has no id and the second no type, are none such.
    """
    first = 0
    items = items if isinstance(items, list) else []
    while first < len(items):
        last, keys = first, set(items[first]) if isinstance(items[first], Mapping) else set(NAMES)
        whole = keys >= NAMES
        while not whole and last + 1 < len(items) and isinstance(items[last + 1], Mapping):
            more = set(items[last + 1])
            is_next = "id" in more and any(len(one) > 1 for one in items[first : last + 1])
            if more & keys or more >= NAMES or is_next:
                break
            keys |= more
            last += 1
        if not whole and last > first and keys >= NAMES:
            yield first, last
        first = last + 1


def of_graphs(found: Sequence[Finding], document: Any) -> list[Finding]:
    """A task of a Dag that stands beside `dependsOn`, not below `task`."""
    bare = [one for one in found if one.missing == "task" and "type" in (at(document, one.path) or ())]
    told = {one.path for one in bare}
    rest = [one for one in found if one.path not in told and not (one.path[:-1] in told and _is_unknown(one))]
    advice = "Write `- task:`, below it the task, indented, and `dependsOn` beside `task`."
    said = "A task of a Dag stands below `task`."
    return [*rest, *(Finding(one.path, said, "missing", suggestion=advice) for one in bare)]


def of_ids(found: Sequence[Finding], document: Any) -> list[Finding]:
    """`- result: x`: the id of an item stands where a property's name does."""
    kept = list(found)
    for one in found:
        part = at(document, one.path) if one.missing == "id" else None
        name = next(iter(part), None) if isinstance(part, Mapping) else None
        first = next((other for other in kept if other.path == (*one.path, name) and _is_unknown(other)), None)
        if not one.path or first is None or part is None or _is_misspelt(first) or not ID.fullmatch(str(name)):
            continue
        kept.remove(one)
        below = ", and what it is below it" if len(part) == 1 else ""
        if one.path[:1] == ("outputs",) and "value" not in part and isinstance(part[name], str):
            below = f", and below it `value: {part[name]}`" if part[name].isalnum() else ", and its `value` below it"
        kept[kept.index(first)] = replace(first, suggestion=f"Write `- id: {name}`{below}.")
    return kept


def of_outputs(found: Sequence[Finding], document: Any) -> list[Finding]:
    """A task that stands among the outputs, of which nothing fits."""
    kept = list(found)
    for one in found:
        is_type = one.path[:1] == ("outputs",) and one.path[2:] == ("type",)
        kind = at(document, one.path) if is_type else None
        if not isinstance(kind, str) or "." not in kind:
            continue
        kept = [other for other in kept if other is one or not _below(other.path, one.path[:-1])]
        message = f"Item {int(one.path[1]) + 1} of `outputs` is of the type `{kind}`, which outputs don't have."
        advice = "A task stands under `tasks`; an output has an `id`, a `type` such as `STRING`, and a `value`."
        kept[kept.index(one)] = Finding(one.path, message, "wrong-place", suggestion=advice)
    return kept


def of_missing(found: Sequence[Finding], document: Any) -> list[Finding]:
    """One property that a part lacks, and one that it does not know: these are likely the same."""
    kept = list(found)
    for one in found:
        beside = [
            other for other in found if other.path[:-1] == one.path and _is_unknown(other) and not other.suggestion
        ]
        lacks = [other.missing for other in found if other.path == one.path and other.missing]
        if not one.missing or len(beside) != 1 or lacks != [one.missing] or one.missing in NAMES:
            continue
        unknown = beside[0]
        if unknown in kept and not unknown.suggestion and _fits(at(document, unknown.path), one.missing):
            kept[kept.index(unknown)] = replace(unknown, suggestion=f"Did you mean `{one.missing}`? It is missing.")
            kept.remove(one)
    return kept


def _fits(value: Any, name: str) -> bool:
    """Whether a value may be that of a property: `file: main.py` is no script, `kind: FAST` no address."""
    if name in ("uri", "url"):
        return any(sign in str(value) for sign in (":", "/", "{{"))
    return not isinstance(value, bool) and (name != "script" or "\n" in str(value))


def of_levels(found: Sequence[Finding], document: Any, has: Has) -> list[Finding]:
    """Properties that stand a level too high or too deep."""
    kept: list[Finding] = []
    meant: set[tuple[Path, str]] = set()
    for one in found:
        is_placed = _is_unknown(one) and not _is_misspelt(one) and one.suggestion != foreign_names.A_LABEL
        owner = _owner(one, document, has) if is_placed else None
        if owner is None:
            kept.append(one)
            continue
        meant.add((owner, str(one.path[-1])))
        if one.path[-1] == "dependsOn" and owner == one.path[:-2]:
            kept.append(replace(one, suggestion="It stands beside `task`, and begins in the same column."))
            continue
        whose = _called(owner, document)
        advice = f"It is a property of {whose}: it begins in the same column as {'its' if owner else 'the'} `id`."
        kept.append(replace(one, suggestion=advice if "id" in at(document, owner) else f"It is a property of {whose}."))
    return [one for one in kept if (one.path, one.missing or _lacked(one)) not in meant]


def _lacked(one: Finding) -> str:
    """The property that a part is told to be without."""
    return "type" if one.message.endswith("without its `type`.") else ""


def _owner(one: Finding, document: Any, has: Has) -> Path | None:
    """The part that an unknown property belongs to: the one that ends before it, or one around its own."""
    outer, name = one.path[:-1], one.path[-1]
    beside = list(at(document, outer))
    near: list[Path] = []
    if beside.index(name):
        before = (*outer, beside[beside.index(name) - 1])
        value = at(document, before)
        near = [(*before, len(value) - 1), before] if isinstance(value, list) and value else [before]
    around = [outer[:length] for length in range(len(outer) - 1, -1, -1)]
    for path in (*near, *around):
        part = at(document, path)
        if isinstance(part, Mapping) and name not in part and has(path, str(name)):
            return path
    return None


def _called(path: Path, document: Any) -> str:
    if not path:
        return "the flow"
    name = at(document, path).get("id")
    return (
        f"`{name}`" if isinstance(name, str) else f"`{next(step for step in reversed(path) if isinstance(step, str))}`"
    )


def _is_misspelt(one: Finding) -> bool:
    """Whether a property is much like one that there is."""
    name, meant = str(one.path[-1]).lower(), MEANT.findall(one.suggestion)
    return any(SequenceMatcher(None, name, other.lower()).ratio() >= SPELT for other in meant)


def _is_unknown(one: Finding) -> bool:
    return one.code == "unknown-property"


def _below(path: Path, outer: Path) -> bool:
    return path[: len(outer)] == outer


def at(document: Any, path: Path) -> Any:
    """The value at a path that is there."""
    return reduce(lambda value, step: value[step], path, document)
