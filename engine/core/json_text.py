"""JSON that came from somewhere: read, or refused, whatever stands in it."""

import json
from typing import Any

from engine.expressions.limits import MAX_DEPTH


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError when it is none, or lies deeper than templates and the store can follow."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("it lies too deep") from error
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return found
    raise ValueError(f"it lies more than {MAX_DEPTH} levels deep")


def _inside(one: Any) -> Any:
    return one.values() if isinstance(one, dict) else one
