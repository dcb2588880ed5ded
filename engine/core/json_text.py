"""JSON that came from somewhere: read, or refused, whatever stands in it."""

import json
from math import isfinite
from typing import Any

from engine.expressions.limits import MAX_DEPTH


def any_json(text: str | bytes) -> Any:
    """The value of a JSON text, however deep it lies; ValueError when it is none, or none that can be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it lies too deep") from error


def where(error: ValueError) -> str:
    """What is wrong with a JSON text, and in which line and column when that can be told."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    return str(error)


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError when it is none, or lies deeper than templates and the store can follow."""
    found = any_json(text)
    opened = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    return bounded(found) if opened > MAX_DEPTH else found


def bounded(found: Any, *, exact: bool = False) -> Any:
    """The value; ValueError when it lies deeper than templates and the store can follow. With `exact` also when a
    number in it has no JSON, as NaN has none: it would be kept as null."""
    level: list[Any] = [[found]]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[Any] = []
        for one in level:
            inside = one.values() if isinstance(one, dict) else one
            kinds = set(map(type, inside))  # of a million numbers this is quickly said
            if exact and float in kinds and not all(isfinite(inner) for inner in inside if type(inner) is float):
                raise ValueError("it holds a number that is none, or one without end")
            if any(issubclass(kind, dict | list) for kind in kinds):
                deeper += [inner for inner in inside if isinstance(inner, dict | list)]
        if not deeper:
            return found
        level = deeper
    raise ValueError(f"it lies more than {MAX_DEPTH} levels deep")
