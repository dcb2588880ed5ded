"""What pydantic found wrong, as a sentence for whoever wrote the flow."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

_SHAPES = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number that fits 64 bits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "`true` or `false`",
    "bool_parsing": "`true` or `false`",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "none_required": "empty",
    "time_delta_type": "a duration such as `PT30S` or `P1D`",
    "time_delta_parsing": "a duration such as `PT30S` or `P1D`",
    "datetime_type": "a date and time such as `2042-04-02T04:20:42Z`",
    "datetime_parsing": "a date and time such as `2042-04-02T04:20:42Z`",
    "datetime_from_date_parsing": "a date and time such as `2042-04-02T04:20:42Z`",
    "date_type": "a date such as `2042-04-02`",
    "date_parsing": "a date such as `2042-04-02`",
    "date_from_datetime_parsing": "a date such as `2042-04-02`",
    "time_type": "a time of day such as `10:15:30`",
    "time_parsing": "a time of day such as `10:15:30`",
}
_PATTERNS = {
    "^[a-z0-9][a-z0-9._-]*$": "lower case letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
    "^[a-zA-Z0-9][a-zA-Z0-9_-]*$": "letters, digits, `_` and `-`, and begins with a letter or digit",
    "^[a-zA-Z0-9][a-zA-Z0-9._-]*$": "letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
    "^[a-zA-Z0-9][.a-zA-Z0-9_-]*$": "letters, digits, `.`, `_` and `-`, and begins with a letter or digit",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS = {
    "string_too_short": ("min_length", "at least {} characters long"),
    "string_too_long": ("max_length", "at most {} characters long"),
    "too_short": ("min_length", "at least {} items long"),
    "too_long": ("max_length", "at most {} items long"),
}


def expectation(error: ErrorDetails) -> str | None:
    """What stands in the place of an error should be: `a whole number`; None when the error is of another kind."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _SHAPES:
        return _SHAPES[kind]
    if kind in ("literal_error", "enum"):
        return "one of " + str(context["expected"]).replace("'", "`").replace(" or ", ", ")
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]}"
    if kind in _LENGTHS:
        key, words = _LENGTHS[kind]
        if kind == "too_short" and context[key] == 1:
            return "a list with at least one item"
        return words.format(context[key])
    return None


def sentence(error: ErrorDetails) -> str:
    """What is wrong, to be read after the name of the place: `should be a whole number, but is "abc"`."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "too_short" and not error["input"]:
        return "is empty, but needs at least one item"
    expected = expectation(error)
    if expected:
        return f"should be {expected}, but is {_shown(error['input'])}"
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a property here"
    if kind == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return f"is {_shown(error['input'])}, but may hold only {_PATTERNS[context['pattern']]}"
    if kind == "string_pattern_mismatch":
        return f"is {_shown(error['input'])}, which does not match `{context['pattern']}`"
    raised = context.get("error") if isinstance(context, Mapping) else None
    if raised is not None:
        return str(raised)
    return error["msg"][:1].lower() + error["msg"][1:]


def _shown(value: Any) -> str:
    """A value in words, short; containers only by their kind."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        short = value if len(value) <= 60 else f"{value[:57]}…"
        return f'"{short}"'
    if isinstance(value, int | float):
        return f"`{value}`"
    return "a list" if isinstance(value, list | tuple) else "a mapping"
