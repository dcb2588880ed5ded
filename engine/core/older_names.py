"""Older names of types and properties: they work, and this tells what each is called now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import AliasChoices, BaseModel

from engine.core.finding import Finding
from engine.core.flow_problems import part_at
from engine.core.inputs import Input
from engine.core.property import Instead
from engine.core.registry import Registry
from engine.core.yaml_text import Path, walk

NEWER = frozenset({"when"})  # names of the next generation of the language are no older than the first
DEFAULTS = frozenset({"pluginDefaults", "taskDefaults"})  # merged into the parts they are for, and told there

OF_INPUTS = {"ENUM": "SELECT"}  # types of inputs that are deprecated in Kestra 1.x


@dataclass(frozen=True, slots=True)
class OlderName:
    """An older name, where it stands, and what to write instead: "" when nothing takes its place."""

    path: Path
    name: str
    now: str
    how: str = ""
    is_type: bool = False

    @property
    def advice(self) -> str:
        """What to do about it."""
        more = f" {self.how}" if self.how else ""
        return f"write `{self.now}`{more}" if self.now else "without effect, leave it out"


def findings(data: Any, registry: Registry) -> Iterator[Finding]:
    """A warning for every older name in a flow's document."""
    for one in older_names(data, registry):
        code = "old-type" if one.is_type else "old-property"
        yield Finding(one.path, _message(one), code, "warning", f"W{one.advice[1:]}." if one.now else "Leave it out.")


def merged(found: Sequence[Finding]) -> list[Finding]:
    """What is found in a flow; of a value that is wrong under an older name both are said in one finding."""
    older = {one.path: one for one in found if one.code == "old-property"}
    errors = {one.path for one in found if one.severity == "error"} & older.keys()
    told = []
    for one in found:
        if one.path in errors and one.severity == "error" and one.code == "type":
            told.append(replace(one, suggestion=f"{one.suggestion} {older[one.path].message}".strip()))
        elif one.path not in errors or one is not older[one.path]:
            told.append(one)
    return told


def _message(one: OlderName) -> str:
    if one.how or ": " in one.now:  # not only the name differs
        return f"`{one.name}` is an older form of `{one.now}`."
    return f"`{one.name}` is an older name of `{one.now}`." if one.now else f"`{one.name}` has no effect any more."


def older_names(data: Any, registry: Registry) -> Iterator[OlderName]:
    """Every older name in a flow's document."""
    for path, value in walk(data):
        if not isinstance(value, Mapping) or not DEFAULTS.isdisjoint(path):
            continue
        kind = value.get("type")
        found = registry.find(kind) if isinstance(kind, str) and "." in kind else None
        now = (found.instead or found.type_names()[0]) if found is not None else None
        if found is not None and now is not None and kind != now and not str(kind).startswith(found.peers):
            yield OlderName((*path, "type"), str(kind), now, found.older_how(value), is_type=True)
        cls = part_at(path, data, registry)
        if isinstance(kind, str) and kind in OF_INPUTS and cls is not None and issubclass(cls, Input):
            yield OlderName((*path, "type"), kind, OF_INPUTS[kind], is_type=True)
        for key, mark in (older_properties(cls) if cls is not None else {}).items():
            if key in value and (mark.how or mark.name not in value):  # both names of one property are refused
                now = "" if ": " in mark.name and value[key] is False else mark.name  # `fetch: false` asks for nothing
                yield OlderName((*path, key), key, now, mark.how)


@lru_cache(maxsize=1024)
def older_properties(cls: type[BaseModel]) -> Mapping[str, Instead]:
    """Properties of a part that flows should no longer use → what to write instead."""
    older: dict[str, Instead] = {}
    for name, field in cls.model_fields.items():
        first = field.alias or name
        instead = next((mark for mark in field.metadata if isinstance(mark, Instead)), None)
        if isinstance(field.validation_alias, AliasChoices):
            first, *others = [choice for choice in field.validation_alias.choices if isinstance(choice, str)]
            older |= {other: instead or Instead(first) for other in others if other != name and other not in NEWER}
        if instead:
            older[first] = instead
    return older
