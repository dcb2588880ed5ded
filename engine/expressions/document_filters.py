"""JSON and jq: values to text, and text to values."""

from engine.expressions import jq_programs
from engine.expressions.allowance import excerpt
from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame
from engine.expressions.json_reading import first_value
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.printing import measure, to_json
from engine.expressions.text_filters import text_of
from engine.expressions.values import Value


@FILTERS.add("toJson", contextual=True, also=("json",))
def json_of(frame: Frame, value: Value) -> str:
    """JSON text of any value; a text is quoted, never read."""
    return to_json(value, frame.services.zone)


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
    try:
        found = first_value(value)
    except (ValueError, RecursionError) as error:
        fail(
            f"fromJson() was given {excerpt(value, 60)!r}, which is not JSON: {error}.",
            "Check what the task before put out.",
        )
    measure(found)
    return found


@FILTERS.add("jq", "expression", cost=200)
def jq(value: Value, expression: Value) -> Value:
    """`{{ outputs.call.body | jq('.items[].id') }}`: always a list of all outputs."""
    program = text_of(expression, "jq")
    return None if value is None else jq_programs.outputs(value, program)
