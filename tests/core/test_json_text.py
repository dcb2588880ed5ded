"""JSON that somebody sent: however deep it lies, it is read or refused, and nothing breaks."""

import pytest

from engine.core.json_text import read_json
from engine.core.loop_items import items_of
from engine.core.request_triggers import read_body
from engine.errors import ExpressionFailed
from engine.expressions import Services
from engine.expressions.limits import MAX_DEPTH
from engine.rendering import list_value

DEEP = [MAX_DEPTH + 1, 900, 100_000]


def nested(depth):
    return "[" * depth + "]" * depth


def test_json_is_read_as_deep_as_templates_go():
    assert read_json('{"a": [1, {"b": null}], "c": {}}') == {"a": [1, {"b": None}], "c": {}}
    assert read_json(b'"text"') == "text"
    assert read_json(nested(MAX_DEPTH)) is not None


@pytest.mark.parametrize("depth", DEEP)
def test_what_lies_too_deep_is_no_json(depth):
    with pytest.raises(ValueError, match="deep"):
        read_json(nested(depth))
    assert read_body(nested(depth)) == nested(depth)
    with pytest.raises(ValueError, match="no list"):
        items_of(nested(depth))
    with pytest.raises(ExpressionFailed, match="Expected a JSON list"):
        list_value("{{ inputs.posted }}", {"inputs": {"posted": nested(depth)}}, Services())


def test_a_body_of_more_values_than_anything_could_work_with_is_refused_before_it_is_read():
    with pytest.raises(ExpressionFailed, match="more than 1,000,000 values"):
        read_body("[" + "1," * 1_000_001 + "1]")
    rows = "a,b\n" * 1_000_001
    assert read_body(rows) is rows
