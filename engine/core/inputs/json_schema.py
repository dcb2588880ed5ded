"""Values against a JSON Schema, draft 2020-12. A schema reads nothing from elsewhere, and no pattern of it runs long.

The library takes long to import, so this module is imported by a flow that has a schema, and by no other.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from engine.core.inputs.declaration import InputRefused
from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.expressions.allowance import Allowance, enter

MOST = 3  # things that are told about one value
LONGEST = 200  # characters of one of them
DATA = frozenset({"const", "default", "enum", "examples"})  # keywords that hold values, not schemas


def checked(text: str) -> None:
    """ValueError when a text is no schema, reads from elsewhere, or has a pattern that can't be read."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`jsonSchema` is no JSON: {error}") from error
    if not isinstance(schema, dict | bool):
        raise ValueError("`jsonSchema` is no schema: write a JSON object")
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        raise ValueError(f"`jsonSchema` is no JSON Schema: {_place(error)}{_shortened(error.message)}") from error
    places = {place for one in _schemas(schema) if isinstance(place := one.get("$id"), str)}
    for one in _schemas(schema):
        ref = one.get("$ref", one.get("$dynamicRef"))
        if isinstance(ref, str) and "://" in ref and ref.partition("#")[0] not in places:
            raise ValueError(f"`jsonSchema` may not read `{ref}` from elsewhere: put that schema under its `$defs`")
        wanted, named = one.get("pattern"), one.get("patternProperties")
        patterns = [*([wanted] if isinstance(wanted, str) else []), *(named if isinstance(named, dict) else [])]
        for pattern in patterns:
            try:
                regexes.compiled(pattern)
            except ExpressionFailed as error:
                raise ValueError(f"`jsonSchema` has a pattern that can't be read. {error.message}") from error


def check(text: str, value: Any) -> None:
    """InputRefused when a value does not fit a schema, with what is wrong and where in it."""
    before = enter(Allowance())
    try:
        errors = list(islice(_validator(text).iter_errors(value), MOST))
    except Unresolvable as error:
        named = f"#{error.ref}" if error.ref.startswith("/") else error.ref
        raise InputRefused(f"its `jsonSchema` names `{named}`, which is not in it") from error
    except ExpressionFailed as error:
        raise InputRefused(f"it can't be held against its `jsonSchema`: {error.message}") from error
    except RecursionError as error:
        raise InputRefused("it lies too deep for its `jsonSchema`, or that refers to itself without end") from error
    finally:
        enter(before)
    if errors:
        said = "; ".join(f"{_place(error)}{_shortened(error.message)}" for error in errors)
        raise InputRefused(f"it must match the json schema: {said}")


def _schemas(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a schema that may be one itself."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += [inner for key, inner in one.items() if key not in DATA]
        elif isinstance(one, list):
            waiting += one


@lru_cache(maxsize=100)
def _validator(text: str) -> Validator:
    found: Validator = _BOUNDED(json.loads(text), registry=EMPTY_REGISTRY)
    return found


def _pattern(validator: Any, wanted: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not _matches(wanted, value):
        yield ValidationError(f"{value!r} does not match {wanted!r}")


def _pattern_properties(validator: Any, wanted: Mapping[str, Any], value: Any, schema: Any) -> Iterator[Any]:
    for name, item in _named(validator, value):
        for pattern, inner in wanted.items():
            if _matches(pattern, name):
                yield from validator.descend(item, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, item in _named(validator, value):
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if validator.is_type(wanted, "object"):
            yield from validator.descend(item, wanted, path=name)
        elif not wanted:
            yield ValidationError(f"{name!r} is no property of it")


def _unique_items(validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:
    is_asked = wanted and validator.is_type(value, "array")
    if is_asked and len({_spelled(item) for item in value}) < len(value):
        yield ValidationError("has an item twice")


_BOUNDED: type[Validator] = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    },
)


def _matches(pattern: str, text: str) -> bool:
    return regexes.search(text, pattern) is not None


def _named(validator: Any, value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if validator.is_type(value, "object") else []


def _spelled(value: Any) -> str:
    """The same text for equal values: the library compares each item with each other one."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {key: _whole(item) for key, item in value.items()} if isinstance(value, dict) else value


def _place(error: Any) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path]
    return f"`{''.join(steps).removeprefix('.')}`: " if steps else ""


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}\u2026"
