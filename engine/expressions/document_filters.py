"""JSON and jq: values to text, and text to values."""

import json
import re

from engine.expressions import jq_programs
from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame
from engine.expressions.limits import MAX_DIGITS
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.printing import measure, to_json
from engine.expressions.text_filters import text_of
from engine.expressions.values import Value

_BLANK = re.compile(r"[ \t\r\n]*")


@FILTERS.add("toJson", contextual=True, also=("json",))
def json_of(frame: Frame, value: Value) -> str:
    """JSON text of any value; a text is quoted, never read."""
    return to_json(value, frame.services.zone)


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_JSON = json.JSONDecoder(parse_int=_integer, parse_constant=_constant)


@FUNCTIONS.add("fromJson", "json", also=("json",))
def from_json(value: Value) -> Value:
    """`{{ fromJson('{"a": 1}').a }}`: the value a JSON text stands for. What follows the first value is ignored."""
    if value is None:
        return None
    if not isinstance(value, str):
        fail(
            f"fromJson() takes a text, not {kind(value)}.",
            "A value that is read from JSON already can be used as it is.",
        )
    start = _BLANK.match(value)
    try:
        found, _ = _JSON.raw_decode(value, start.end() if start else 0)
    except (ValueError, RecursionError) as error:
        fail(f"fromJson() was given {value[:60]!r}, which is not JSON: {error}.", "Check what the task before put out.")
    measure(found)
    return found


@FILTERS.add("jq", "expression")
def jq(value: Value, expression: Value) -> Value:
    """`{{ outputs.call.body | jq('.items[].id') }}`: always a list of all outputs."""
    program = text_of(expression, "jq")
    return None if value is None else jq_programs.outputs(value, program)
