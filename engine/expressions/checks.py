"""Tests: what may stand after `is`."""

from engine.expressions import json_reading
from engine.expressions.allowance import spend
from engine.expressions.failures import fail, kind
from engine.expressions.operations import TESTS
from engine.expressions.values import Value, is_list, is_map


@TESTS.add("defined")
def is_defined(value: Value) -> bool:
    """There, and not null."""
    return value is not None


@TESTS.add("null")
def is_null(value: Value) -> bool:
    """There, and null."""
    return value is None


@TESTS.add("empty")
def is_empty(value: Value) -> bool:
    """Null, a blank text, or a list or map without items."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or ((is_list(value) or is_map(value)) and not value)


def _integer(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        fail(f"Only integers are even or odd, not {kind(value)}.")
    return value


@TESTS.add("even")
def is_even(value: Value) -> bool:
    """An even integer."""
    return _integer(value) % 2 == 0


@TESTS.add("odd")
def is_odd(value: Value) -> bool:
    """An odd integer."""
    return _integer(value) % 2 == 1


@TESTS.add("iterable")
def is_iterable(value: Value) -> bool:
    """A list; a map or text is none."""
    return is_list(value)


@TESTS.add("map")
def is_a_map(value: Value) -> bool:
    """A map."""
    return is_map(value)


@TESTS.add("json")
def is_json(value: Value) -> bool:
    """A text that is JSON."""
    if not isinstance(value, str):
        fail(f"Only a text can be tested for JSON, not {kind(value)}.")
    spend(len(value) >> 5)
    return not value.strip() or json_reading.is_json(value)
