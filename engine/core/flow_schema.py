"""JSON Schema (draft 7) of the whole language, for editors."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from engine.core.conditions import Condition
from engine.core.flow import Flow
from engine.core.inputs import INPUT_TYPES
from engine.core.property import TEMPLATE
from engine.core.registry import Registry
from engine.core.task import Task, Typed
from engine.core.triggers import Trigger

Schema = dict[str, Any]

_TEMPLATE = {"type": "string", "pattern": TEMPLATE}
_SCALARS = ("integer", "number", "boolean")


def flow_schema(registry: Registry) -> Schema:
    """What an editor needs to complete and check flow files with the types of a registry."""
    classes = [cls for cls in registry.classes() if issubclass(cls, Typed)]
    models = list(dict.fromkeys(_reachable([Flow, *classes, *INPUT_TYPES.values()])))
    names, schema = models_json_schema([(cls, "validation") for cls in models], ref_template="#/$defs/{model}")
    refs = {cls: names[cls, "validation"]["$ref"] for cls in models}
    definitions: Schema = schema["$defs"]
    for cls, ref in refs.items():
        _other_names(definitions[ref.rpartition("/")[2]], cls)
    definitions |= {
        "AnyTask": _choice("a task", [cls for cls in classes if issubclass(cls, Task)], refs, ["id", "type"]),
        "AnyTrigger": _choice("a trigger", [cls for cls in classes if issubclass(cls, Trigger)], refs, ["id", "type"]),
        "AnyCondition": _choice("a condition", [cls for cls in classes if issubclass(cls, Condition)], refs, ["type"]),
        "AnyTyped": _choice("a typed object", classes, refs, ["type"]),
        "AnyInput": _choice("an input", dict.fromkeys(INPUT_TYPES.values()), refs, ["type"]),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Parley flow",
        "allOf": [{"$ref": refs[Flow]}],
        "$defs": {name: _widened(definition) for name, definition in sorted(definitions.items())},
    }


def _reachable(classes: Iterable[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The classes and the parts they hold, but not the bases that a `type` chooses from."""
    seen: set[type[BaseModel]] = set()
    waiting = list(classes)
    while waiting:
        cls = waiting.pop(0)
        if cls in seen:
            continue
        seen.add(cls)
        yield cls
        for field in cls.model_fields.values():
            waiting += [held for held in _held(field.annotation) if not _is_base(held)]


def _held(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _held(inner)


def _is_base(cls: type[BaseModel]) -> bool:
    """Whether a class stands for all that derive from it: its `type` is any text."""
    field = cls.model_fields.get("type")
    return field is not None and field.annotation is str


def _choice(
    what: str, classes: Iterable[type[BaseModel]], refs: dict[type[BaseModel], str], required: list[str]
) -> Schema:
    """`if` the type is one of a class's names, `then` that class: an unknown type then lists the valid ones."""
    named = [(list(get_args(cls.model_fields["type"].annotation)), refs[cls]) for cls in classes]
    return {
        "type": "object",
        "required": required,
        "properties": {
            "type": {"description": f"What kind of thing {what} is.", "enum": [n for names, _ in named for n in names]}
        },
        "allOf": [
            {"if": {"properties": {"type": {"enum": names}}, "required": ["type"]}, "then": {"$ref": ref}}
            for names, ref in named
        ],
    }


def _other_names(definition: Schema, cls: type[BaseModel]) -> None:
    """Older and newer names of properties are properties too; a required one may be given under any of them."""
    properties: Schema = definition.get("properties", {})
    for name, field in cls.model_fields.items():
        first, others = _names(name, field)
        if first not in properties or not others:
            continue
        for other in others:
            properties[other] = properties[first]
        if first in definition.get("required", []):
            definition["required"] = [one for one in definition["required"] if one != first]
            definition.setdefault("allOf", []).append({"anyOf": [{"required": [one]} for one in (first, *others)]})


def _names(name: str, field: FieldInfo) -> tuple[str, list[str]]:
    if not isinstance(field.validation_alias, AliasChoices):
        return field.alias or name, []
    choices = [choice for choice in field.validation_alias.choices if isinstance(choice, str)]
    first, *others = choices
    return first, [other for other in others if other != name]


def _widened(schema: Any) -> Any:
    """The schema, open for what the engine takes beyond it: templates inside lists and maps, `true` as a text."""
    if isinstance(schema, list):
        return [_widened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    wide = {
        key: {name: _widened(one) for name, one in value.items()} if key == "properties" else _widened(value)
        for key, value in schema.items()
    }
    if "prefixItems" in wide:
        wide["items"] = wide.pop("prefixItems")
    for key in ("items", "additionalProperties"):
        leaf = wide.get(key)
        if not isinstance(leaf, dict):
            continue
        if leaf.get("type") in _SCALARS or "enum" in leaf:
            wide[key] = {"anyOf": [leaf, _TEMPLATE]}
        elif leaf == {"type": "string"} and key == "additionalProperties":
            wide[key] = {"type": ["string", "number", "boolean"]}
    return wide
