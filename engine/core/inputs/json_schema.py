"""Values against a JSON Schema, draft 2020-12. A schema reads nothing from elsewhere, and none runs long or needs much
memory: not its patterns, and not what it says with `$ref`, `allOf` and their like about the same value many times over.

The library takes long to import, so this module is imported by a flow that has a schema, and by no other.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Any, Final, NoReturn
from urllib.parse import unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from engine.core.inputs.declaration import InputRefused
from engine.core.json_text import bounded
from engine.errors import ExpressionFailed
from engine.expressions import regexes
from engine.expressions.allowance import Allowance, TooLong, enter, spend
from engine.expressions.failures import fail

MOST = 3  # things that are told about one value
LONGEST = 200  # characters of one of them
COST: Final = 4  # steps of one keyword held against one value
DEAR: Final = {"$ref": 16, "$dynamicRef": 16}  # those that are looked up
# What the library raises where `$ref` leads to something that is no schema, or an `$id` is no address.
BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, UnknownType)
DATA = frozenset({"const", "default", "enum", "examples"})  # keywords that hold values, not schemas


class _Held(Allowance):
    """How much holding one value against a schema may use."""

    def overdrawn(self) -> NoReturn:
        """Stop it."""
        if self.is_short:
            raise TooLong
        fail("that takes too long.", "Say less about each part, or send less.")


def checked(text: str) -> None:
    """ValueError when a text is no schema, reads from elsewhere, or has a pattern that can't be read."""
    try:
        schema = bounded(json.loads(text), exact=True)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`jsonSchema` is no JSON: {error}") from error
    if not isinstance(schema, dict | bool):
        raise ValueError("`jsonSchema` is no schema: write a JSON object")
    _fits_the_rules(schema)
    places = {place for one in _schemas(schema) if isinstance(place := one.get("$id"), str)}
    has_one_base = not places or (len(places) == 1 and isinstance(schema, dict) and "$id" in schema)
    for one in _schemas(schema):
        ref = one.get("$ref", one.get("$dynamicRef"))
        if isinstance(ref, str) and "://" in ref and ref.partition("#")[0] not in places:
            raise ValueError(f"`jsonSchema` may not read `{ref}` from elsewhere: put that schema under its `$defs`")
        for address in (ref, one.get("$id")):
            _is_address(address)
        if isinstance(ref, str) and ref.startswith("#/") and has_one_base:
            _leads_to_a_schema(schema, ref)
        wanted, named = one.get("pattern"), one.get("patternProperties")
        patterns = [*([wanted] if isinstance(wanted, str) else []), *(named if isinstance(named, dict) else [])]
        for pattern in patterns:
            try:
                regexes.compiled(pattern)
            except ExpressionFailed as error:
                raise ValueError(f"`jsonSchema` has a pattern that can't be read. {error.message}") from error


def _fits_the_rules(schema: Any, named: str = "") -> None:
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        said = f"{_place(error)}{_shortened(error.message)}"
        raise ValueError(f"{named or '`jsonSchema`'} is no JSON Schema: {said}") from error
    except RecursionError as error:
        raise ValueError(f"{named or '`jsonSchema`'} lies too deep") from error


def _is_address(text: Any) -> None:
    try:
        urlsplit(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ValueError(f"`jsonSchema` names `{text}`, which is no address: {error}") from error


def _leads_to_a_schema(schema: Any, ref: str) -> None:
    """ValueError when a reference leads to a part that is no schema; nothing when it leads nowhere."""
    found = schema
    for step in unquote(ref[2:]).split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(name)] if name.isdecimal() and int(name[:9]) < len(found) else None
        else:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            return
    _fits_the_rules(found, f"what `{ref}` of `jsonSchema` names")


def check(text: str, value: Any) -> None:
    """InputRefused when a value does not fit a schema, with what is wrong and where in it."""
    before = enter(_Held())
    try:
        errors = list(islice(_validator(text).iter_errors(value), MOST))
    except Unresolvable as error:
        named = f"#{error.ref}" if error.ref.startswith("/") else error.ref
        raise InputRefused(f"its `jsonSchema` names `{named}`, which is not in it") from error
    except ExpressionFailed as error:
        raise InputRefused(f"it can't be held against its `jsonSchema`: {error.message}") from error
    except RecursionError as error:
        raise InputRefused("it lies too deep for its `jsonSchema`, or that refers to itself without end") from error
    except BROKEN as error:
        raise InputRefused(f"a part of its `jsonSchema` can't be read: {_shortened(str(error))}") from error
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


def _multiple_of(validator: Any, wanted: float, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(value, "number"):
        return
    is_endless = isinstance(value, float) and not isfinite(value)
    if is_endless or Fraction(str(value)) % Fraction(str(wanted)):  # as they are written: 0.3 is three 0.1
        yield ValidationError(f"{value!r} is not a multiple of {wanted!r}")


def _enum(validator: Any, wanted: list[Any], value: Any, schema: Any) -> Iterator[ValidationError]:
    # To Python 1 and true are equal; the library compares in many small steps.
    if value not in wanted or not any(_spelled(one) == _spelled(value) for one in wanted if one == value):
        yield ValidationError(f"{value!r} is not one of {wanted!r}")


# The library keeps what each of the alternatives says; each may show the whole value.


def _any_of(validator: Any, wanted: list[Any], value: Any, schema: Any) -> Iterator[ValidationError]:
    if not any(_fits(validator, one, value) for one in wanted):
        yield ValidationError(f"{value!r} is not valid under any of the given schemas")


def _one_of(validator: Any, wanted: list[Any], value: Any, schema: Any) -> Iterator[ValidationError]:
    fitting = sum(_fits(validator, one, value) for one in wanted)
    if fitting != 1:
        count = "any" if not fitting else f"only one, but {fitting}"
        yield ValidationError(f"{value!r} is not valid under {count} of the given schemas")


def _not(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if _fits(validator, wanted, value):
        yield ValidationError(f"{value!r} should not be valid under {wanted!r}")


def _if(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    branch = "then" if _fits(validator, wanted, value) else "else"
    if branch in schema:
        yield from validator.descend(value, schema[branch], schema_path=branch)


def _fits(validator: Any, schema: Any, value: Any) -> bool:
    error = next(validator.descend(value, schema), None)
    if error is not None:
        spend(len(error.message) >> 8)
    return error is None


def _counted(keyword: Callable[..., Any], cost: int) -> Callable[..., Any]:
    """The same keyword, which counts how often it is held against a value."""

    def counted(validator: Any, wanted: Any, value: Any, schema: Any) -> Any:
        spend(cost + (len(wanted) >> 2 if isinstance(wanted, list) else 0))
        return keyword(validator, wanted, value, schema)

    return counted


_BOUNDED: type[Validator] = extend(
    Draft202012Validator,
    {
        name: _counted(keyword, DEAR.get(name, COST))
        for name, keyword in {
            **Draft202012Validator.VALIDATORS,
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "uniqueItems": _unique_items,
            "multipleOf": _multiple_of,
            "enum": _enum,
            "anyOf": _any_of,
            "oneOf": _one_of,
            "not": _not,
            "if": _if,
        }.items()
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
