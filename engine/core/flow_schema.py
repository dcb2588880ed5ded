"""JSON Schema (draft 7) of the whole language, for editors."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from engine.core import schema_forms
from engine.core.conditions import Condition
from engine.core.flow import Flow
from engine.core.inputs import INPUT_TYPES
from engine.core.plugin_defaults import BLOCKS
from engine.core.property import marker
from engine.core.registry import Registry
from engine.core.schema_forms import Schema
from engine.core.task import Part, Task, Typed, containers
from engine.core.triggers import Trigger

# Types a flow may still write by a name of an older family, whatever comes after it.
OLDER = (
    r"(io|org)\.kestra\.core\.|org\.kestra\.task\."
    r"|io\.kestra\.plugin\.((notifications|langchain4j|fs|sendgrid|whatsapp|messenger)\."
    r"|slack\.(chats|conversations|files|reactions)\.|docker\.cli\.|twilio\.Twilio)"
)
DEFAULTED = "Defaulted"  # ends the names of definitions for flows in which defaults may give what is required


def flow_schema(registry: Registry) -> Schema:
    """What an editor needs to complete and check flow files with the types of a registry."""
    classes = [cls for cls in registry.classes() if issubclass(cls, Typed)]
    models = list(dict.fromkeys(_reachable([Flow, *classes, *INPUT_TYPES.values()])))
    names, schema = models_json_schema([(cls, "validation") for cls in models], ref_template="#/$defs/{model}")
    refs = {cls: names[cls, "validation"]["$ref"] for cls in models}
    definitions: Schema = schema["$defs"]
    for cls, ref in refs.items():
        definition = definitions[ref.rpartition("/")[2]]
        _other_names(definition, cls)
        properties = definition.get("properties", {})
        for name in containers(cls) & properties.keys() if issubclass(cls, Part) else ():
            properties[name] = schema_forms.or_nothing(properties[name])
    demands = {refs[cls]: _take_demands(definitions[refs[cls].rpartition("/")[2]]) for cls in classes}
    kinds: dict[str, tuple[Sequence[type[BaseModel]], list[str]]] = {
        "AnyTask": ([cls for cls in classes if issubclass(cls, Task)], ["id", "type"]),
        "AnyTrigger": ([cls for cls in classes if issubclass(cls, Trigger)], ["id", "type"]),
        "AnyCondition": ([cls for cls in classes if issubclass(cls, Condition)], ["type"]),
        "AnyTyped": ([cls for cls in classes if not issubclass(cls, Task | Trigger | Condition)], ["type"]),
    }
    inputs = list(dict.fromkeys(INPUT_TYPES.values()))
    definitions |= {f"{name}Type": _types(members, OLDER) for name, (members, _) in kinds.items()}
    definitions |= {"AnyInputType": _types(inputs), "AnyInput": _choice("AnyInputType", inputs, refs, {}, ["type"])}
    definitions = {name: schema_forms.widened(schema_forms.bare(one)) for name, one in definitions.items()}
    for cls in _rendered(models):
        name = refs[cls].rpartition("/")[2]
        definitions[name] = schema_forms.opened(definitions[name])
    loose = {name: _choice(f"{name}Type", members, refs, {}, must) for name, (members, must) in kinds.items()}
    strict = {name: _choice(f"{name}Type", members, refs, demands, must) for name, (members, must) in kinds.items()}
    flow = refs[Flow]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Parley flow",
        "if": {"anyOf": [{"required": [block]} for block in BLOCKS]},
        "then": {"$ref": f"{flow}{DEFAULTED}"},
        "else": {"$ref": flow},
        "$defs": dict(sorted(schema_forms.shared(_both(definitions, strict, loose)).items())),
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


def _rendered(classes: Iterable[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The parts inside of properties that are rendered as a whole: a template may stand for anything in them."""
    fields = [field for cls in classes for field in cls.model_fields.values() if marker(field) is not None]
    return _reachable(held for field in fields for held in _held(field.annotation) if not _is_base(held))


def _is_base(cls: type[BaseModel]) -> bool:
    """Whether a class stands for all that derive from it: its `type` is any text."""
    field = cls.model_fields.get("type")
    return field is not None and field.annotation is str


def _type_names(cls: type[BaseModel]) -> tuple[str, ...]:
    return get_args(cls.model_fields["type"].annotation)


def _types(classes: Iterable[type[BaseModel]], older: str = "") -> Schema:
    """The values of `type`, each with what it does; older names are valid, and are not proposed."""
    first, others = [], []
    for cls in classes:
        names = _type_names(cls)
        about = (cls.__doc__ or "").strip()
        now, aliases = (names[:1], names[1:]) if "." in names[0] else (names, ())
        first += [{"const": name, "description": about} for name in now]
        others += [f"{re.escape(name)}$" for name in aliases]
    pattern = "|".join([*([older] if older else []), *others])
    return {"anyOf": [*first, *([{"type": "string", "pattern": f"^({pattern})"}] if pattern else [])]}


def _choice(
    types: str,
    classes: Iterable[type[BaseModel]],
    refs: Mapping[type[BaseModel], str],
    demands: Mapping[str, Sequence[Schema]],
    required: list[str],
) -> Schema:
    """`if` the type is one of a class's names, `then` that class and what it demands.

    A pattern, not an enum: while they complete, editors take the beginning of an enum's value for the value.
    """
    branches = []
    for cls in classes:
        same = [name for name in _type_names(cls) if not (issubclass(cls, Typed) and name.startswith(cls.reshaped))]
        names = "|".join(map(re.escape, same))
        then: Schema = {"$ref": refs[cls]}
        wanted = demands.get(refs[cls], ())
        when = {"properties": {"type": {"pattern": f"^({names})$"}}, "required": ["type"]}
        branches.append({"if": when, "then": {"allOf": [then, *wanted]} if wanted else then})
    return {
        "type": "object",
        "required": required,
        "properties": {"type": {"$ref": f"#/$defs/{types}"}},
        "allOf": branches,
    }


def _take_demands(definition: Schema) -> list[Schema]:
    """What a class requires beside `id` and `type`, taken out of its definition: defaults may give it.

    Its names of `type` are taken out too: whoever chooses the class has looked at them.
    """
    definition["properties"]["type"] = {"type": "string"}
    required = [name for name in definition.pop("required", []) if name not in ("id", "type")]
    return [*([{"required": required}] if required else []), *definition.pop("allOf", [])]


def _both(definitions: Schema, strict: Schema, loose: Schema) -> Schema:
    """The definitions for flows without defaults, and copies for flows with them of what leads to a choice of types."""
    leading = set(strict)
    found = True
    while found:
        more = {name for name, one in definitions.items() if schema_forms.references(one) & leading} - leading
        leading, found = leading | more, bool(more)
    renames = {f"#/$defs/{name}": f"#/$defs/{name}{DEFAULTED}" for name in leading}
    copies = {name: one for name, one in definitions.items() if name in leading} | loose
    return {
        **definitions,
        **strict,
        **{f"{name}{DEFAULTED}": schema_forms.redirected(one, renames) for name, one in copies.items()},
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
