"""JSON texts read: whatever stands in them, they make no more than a bounded number of values."""

import json
import re
from typing import Any

from engine.expressions.failures import fail
from engine.expressions.limits import MAX_DIGITS, MAX_ITEMS

_TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # one that is not closed goes to the end
_BLANK = re.compile(r"[ \t\r\n]*")


def parts_of(text: str) -> int:
    """At most so many values a JSON text holds."""
    found = _marks(text)
    return found if found <= MAX_ITEMS else _marks(without_texts(text))


def without_texts(text: str) -> str:
    """A JSON text whose texts are empty."""
    return _TEXT.sub('""', text)


def _marks(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{") + 1


def refuse_bomb(text: str) -> None:
    """ExpressionFailed for a text of more values than one structure may have: it would fill the memory."""
    if len(text) > MAX_ITEMS and parts_of(text) > MAX_ITEMS:
        fail(f"A JSON text holds more than {MAX_ITEMS:,} values.", "Work on it in a script task.")


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_JSON = json.JSONDecoder(parse_int=_integer, parse_constant=_constant)


def first_value(text: str) -> Any:
    """The value a text begins with, whatever follows; ValueError, RecursionError, ExpressionFailed."""
    refuse_bomb(text)
    start = _BLANK.match(text)
    return _JSON.raw_decode(text, start.end() if start else 0)[0]


def only_value(text: str) -> Any:
    """The value a text is; ValueError, RecursionError, ExpressionFailed."""
    refuse_bomb(text)
    return json.loads(text, parse_int=_integer)


def is_json(text: str) -> bool:
    """Whether a text is one JSON document; ExpressionFailed when it is too big to tell."""
    try:
        only_value(text)
    except (ValueError, RecursionError):
        return False
    return True
