"""JSON that came from somewhere: read, or refused, whatever stands in it."""

import json
from math import isfinite
from typing import Any

from engine.expressions.limits import MAX_DEPTH


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError when it is none, or lies deeper than templates and the store can follow."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it lies too deep") from error
    return bounded(found)


def bounded(found: Any, *, exact: bool = False) -> Any:
    """The value; ValueError when it lies deeper than templates and the store can follow. With `exact` also when a
    number in it has no JSON, as NaN has none: it would be kept as null."""
    level = [found]
    for _ in range(MAX_DEPTH):
        if exact and any(isinstance(one, float) and not isfinite(one) for one in level):
            raise ValueError("it holds a number that is none, or one without end")
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return found
    raise ValueError(f"it lies more than {MAX_DEPTH} levels deep")


def _inside(one: Any) -> Any:
    return one.values() if isinstance(one, dict) else one
