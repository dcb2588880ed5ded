"""pluginDefaults: values merged into everything that has a `type`, before the flow is read.

Defaults of the flow come before global ones. What is not forced fills gaps, earlier entries first; what is forced
overrides, earlier entries last, so that the first forced entry wins. An entry with a `ref` is for the parts of its type
that ask for it with `pluginDefaultsRef`; these get it in place of what their type would, except for what is forced.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.yaml_text import Map, Seq

BLOCKS = ("pluginDefaults", "taskDefaults")
ASKED = "pluginDefaultsRef"


def merge(first: Any, second: Any) -> Any:
    """Maps merge deep, lists concatenate, nothing yields to something, otherwise the second wins."""
    if second is None:
        return first
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        merged = Map(first)
        merged.spots = {**getattr(first, "spots", {})}
        for key, value in second.items():
            merged[key] = merge(first[key], value) if key in first else value
            if key in getattr(second, "spots", {}) and value is not None:
                merged.spots[key] = second.spots[key]  # type: ignore[attr-defined]
        return merged
    if isinstance(first, list) and isinstance(second, list):
        joined = Seq([*first, *second])
        joined.spots = {**getattr(first, "spots", {})}
        for index, spot in getattr(second, "spots", {}).items():
            joined.spots[len(first) + int(index)] = spot
        return joined
    return second


def apply(
    document: Any,
    defaults: Sequence[Mapping[str, Any]],
    global_defaults: Sequence[Mapping[str, Any]] = (),
    canonical: Callable[[str], str] = lambda name: name,
    takes: Callable[[str, str], bool] = lambda kind, name: True,
) -> Any:
    """The document with defaults merged in; the block of defaults itself is left alone.

    `canonical` gives the current name of a type, so that a default under an older name applies to both. `takes` says
    whether a type has a property: a value is for the types of its entry that have it, and the others are left alone.
    """
    entries = [entry for entry in (*defaults, *global_defaults) if problem(entry) is None]
    return _walk(document, entries, _Types(canonical, takes), top=True) if entries else document


def problem(entry: Any) -> str | None:
    """What is wrong with one entry of pluginDefaults, in Kestra's words; None when it is fine."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
        return "Invalid Plugin Default: No 'type' provided"
    values = entry.get("values")
    if not isinstance(values, Mapping) or not values:
        return "Invalid Plugin Default: No 'values' provided"
    empty = next((key for key, value in values.items() if value is None), None)
    return None if empty is None else f"Invalid Plugin Default: No value provided for key '{empty}'"


@dataclass(frozen=True, slots=True)
class _Types:
    canonical: Callable[[str], str]
    takes: Callable[[str, str], bool]

    def values(self, entry: Mapping[str, Any], kind: str) -> Any:
        """The values of an entry for one type: those that it has."""
        values = entry["values"]
        kept = Map({name: value for name, value in values.items() if self.takes(kind, name)})
        kept.spots = {name: spot for name, spot in getattr(values, "spots", {}).items() if name in kept}
        return kept


def _walk(value: Any, entries: Sequence[Mapping[str, Any]], types: _Types, *, top: bool = False) -> Any:
    if isinstance(value, list):
        items = Seq(_walk(item, entries, types) for item in value)
        items.spots = getattr(value, "spots", {})
        return items
    if not isinstance(value, Mapping):
        return value
    done = Map({key: item if top and key in BLOCKS else _walk(item, entries, types) for key, item in value.items()})
    done.spots = getattr(value, "spots", {})
    kind = done.get("type")
    return done if top or not isinstance(kind, str) else _defaulted(done, kind, entries, types)


def _defaulted(value: Any, kind: str, entries: Sequence[Mapping[str, Any]], types: _Types) -> Any:
    canonical = types.canonical
    names = (kind, canonical(kind))
    asked = value.get(ASKED) if isinstance(value.get(ASKED), str) else None
    named = [
        entry
        for entry in entries
        if asked is not None and entry.get("ref") == asked and names[1] == canonical(entry["type"])
    ][:1]
    typed = [
        entry
        for entry in entries
        if entry.get("ref") is None
        and (asked is None or _forced(entry))
        and (names[0].startswith(entry["type"]) or names[1].startswith(canonical(entry["type"])))
    ]
    chosen = [*typed, *named]
    if named:
        spots = value.spots
        value = Map({key: item for key, item in value.items() if key != ASKED})
        value.spots = {key: spot for key, spot in spots.items() if key != ASKED}
    for entry in chosen:
        if not _forced(entry):
            value = merge(types.values(entry, kind), value)
    for entry in reversed(chosen):
        if _forced(entry):
            value = merge(value, types.values(entry, kind))
    return value


def _forced(entry: Mapping[str, Any]) -> bool:
    return entry.get("forced") is True
