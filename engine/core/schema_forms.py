"""Rewriting of a JSON Schema: what editors need otherwise than pydantic writes it. Schemas in, schemas out."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from engine.core.property import TEMPLATE
from engine.core.property_words import WORDS

Schema = dict[str, Any]

TEXT = ["string", "number"]  # a number in YAML stands for its text
PARTICULAR = frozenset({"enum", "const", "format", "pattern", "minLength"})
SCALARS = ("integer", "number", "boolean")
QUOTED = {"integer": r"^\s*[-+]?[0-9]+\s*$", "number": r"^\s*[-+]?[0-9.]", "boolean": "^([Tt]rue|[Ff]alse)$"}
LOOSER = ("time", "date-time")  # formats that ask for an offset, which may be left out
NAMED = ("properties", "$defs")  # keys whose values are schemas by name
OFTEN = 4  # a property that stands in so many definitions …
LONG = 60  # … and takes so many characters is written once
_TEMPLATE = {"type": "string", "pattern": TEMPLATE}


def bare(definition: Schema) -> Schema:
    """Without the titles of properties, which repeat their names, and without empty defaults, which get inserted.

    A property without a description of its own gets what its name means everywhere.
    """
    done = _changed(definition, _bare)
    for name, one in done.get("properties", {}).items():
        if name in WORDS and isinstance(one, dict) and "description" not in one:
            done["properties"][name] = {**one, "description": WORDS[name]}
    return done | ({"title": definition["title"]} if isinstance(definition.get("title"), str) else {})


def widened(definition: Schema) -> Schema:
    """Open for what the engine takes beyond it: templates in lists and maps, `5` and `true` as texts, and `"5"`."""
    return _changed(definition, _widened)


def or_nothing(schema: Schema) -> Schema:
    """Open for a key with nothing behind it."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else schema


def opened(definition: Schema) -> Schema:
    """With a template allowed in place of every property that is no text."""
    properties = {name: _or_template(one) for name, one in definition.get("properties", {}).items()}
    return {**definition, "properties": properties} if properties else definition


def _or_template(schema: Schema) -> Schema:
    if schema.get("type") == TEXT:
        return schema
    about = {"description": schema["description"]} if "description" in schema else {}
    return {**about, "anyOf": [{key: value for key, value in schema.items() if key != "description"}, _TEMPLATE]}


def redirected(definition: Schema, renames: Mapping[str, str]) -> Schema:
    """With other targets for some references."""

    def redirect(one: Schema) -> Schema:
        return {**one, "$ref": renames.get(one["$ref"], one["$ref"])} if "$ref" in one else one

    return _changed(definition, redirect)


def references(definition: Schema) -> set[str]:
    """Names of the definitions that one refers to."""
    found: set[str] = set()

    def note(one: Schema) -> Schema:
        if isinstance(one.get("$ref"), str):
            found.add(one["$ref"].rpartition("/")[2])
        return one

    _each(definition, note)
    return found


def shared(definitions: Schema) -> Schema:
    """The definitions, with properties that many of them have written once and referred to."""
    texts = Counter(
        (name, json.dumps(one, sort_keys=True))
        for definition in definitions.values()
        for name, one in definition.get("properties", {}).items()
    )
    places: dict[tuple[str, str], str] = {}
    for (name, text), count in sorted(texts.items()):
        if count >= OFTEN and len(text) > LONG:
            number = sum(known == name for known, _ in places)
            places[name, text] = f"{name}Property{number or ''}"
    kept = {place: json.loads(text) for (_, text), place in places.items()}

    def pointed(definition: Schema) -> Schema:
        properties = {
            name: {"$ref": f"#/$defs/{places[name, text]}"}
            if (name, text := json.dumps(one, sort_keys=True)) in places
            else one
            for name, one in definition["properties"].items()
        }
        return {**definition, "properties": properties}

    return kept | {name: pointed(one) if "properties" in one else one for name, one in definitions.items()}


def _changed(definition: Schema, change: Callable[[Schema], Schema]) -> Schema:
    done: Schema = _each(definition, change)
    return done


def _each(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A schema in which every schema, the innermost first, is changed."""
    if isinstance(schema, list):
        return [_each(one, change) for one in schema]
    if not isinstance(schema, dict):
        return schema
    done = {}
    for key, value in schema.items():
        if key in NAMED and isinstance(value, dict):
            done[key] = {name: _each(one, change) for name, one in value.items()}
        else:
            done[key] = value if key in ("default", "enum", "const", "examples") else _each(value, change)
    return change(done)


def _bare(schema: Schema) -> Schema:
    return {
        key: value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }


def _widened(schema: Schema) -> Schema:
    wide = dict(schema)
    if "prefixItems" in wide:
        wide["items"] = wide.pop("prefixItems")
    for key in ("items", "additionalProperties"):
        leaf = wide.get(key)
        if not isinstance(leaf, dict):
            continue
        if "enum" in leaf or leaf.get("pattern") in QUOTED.values():
            wide[key] = {"anyOf": [leaf, _TEMPLATE]}
        elif leaf.get("type") == TEXT:
            wide[key] = _text_in_a_list(leaf)
        elif "anyOf" in leaf:  # texts, or parts that hold one
            wide[key] = {
                **leaf,
                "anyOf": [_text_in_a_list(one) if one.get("type") == TEXT else one for one in leaf["anyOf"]],
            }
    if wide.get("format") in LOOSER:
        del wide["format"]
    elif wide.get("type") == "string" and (PARTICULAR.isdisjoint(wide) or wide.get("format") == "duration"):
        wide["type"] = TEXT  # a number is a duration, too: of seconds
    elif wide.get("type") in SCALARS and "enum" not in wide and "const" not in wide:
        wide |= {"type": [wide["type"], "string"], "pattern": QUOTED[wide["type"]]}
    return wide


def _text_in_a_list(schema: Schema) -> Schema:
    return {**schema, "type": [*TEXT, "boolean"]}
