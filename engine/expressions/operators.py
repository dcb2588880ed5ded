"""Arithmetic, comparison and truth as Java and Pebble have them."""

import math
from datetime import datetime
from decimal import Context, Decimal
from enum import Enum
from typing import Final

from engine.errors import ExpressionFailed
from engine.expressions.allowance import excerpt, spend
from engine.expressions.date_reading import read_iso
from engine.expressions.failures import fail, kind
from engine.expressions.limits import MAX_DEPTH, MAX_DIGITS, MAX_ITEMS, MAX_RANGE
from engine.expressions.printing import java_text, to_text
from engine.expressions.values import Entry, Value, is_list, is_map, is_number

_LOW: Final = -(1 << 63)
_HIGH: Final = (1 << 63) - 1
_DECIMAL128: Final = Context(prec=34, Emax=MAX_DIGITS, Emin=-MAX_DIGITS)


def wrap(value: int) -> int:
    """Overflow as 64-bit integers do."""
    return value if _LOW <= value <= _HIGH else ((value - _LOW) & ((1 << 64) - 1)) + _LOW


def number(value: Value, operator: str) -> int | float | Decimal:
    """The operand as a number: numeric text is converted."""
    if is_number(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        try:
            return float(value) if any(mark in value for mark in ".eE") else wrap_checked(value)
        except ValueError:
            fail(
                f"{operator!r} needs numbers, but one side is the text {excerpt(value, 40)!r}.",
                "Use `~` to join texts.",
            )
    return fail(
        f"{operator!r} needs numbers, but one side is {kind(value)}.", "Guard a value that may be null with `??`."
    )


def wrap_checked(text: str) -> int:
    """A 64-bit integer from its digits; ValueError."""
    if len(text) > 20 or "_" in text or not text.isascii() or text.strip() != text or not _LOW <= int(text) <= _HIGH:
        raise ValueError(text)
    return int(text)


def add(left: Value, right: Value) -> Value:
    """Sum, concatenation of texts, or a list with more items."""
    if type(left) is int and type(right) is int:
        return wrap(left + right)
    if isinstance(left, str) or isinstance(right, str):
        return java_text(left) + java_text(right)
    if is_list(left):
        return [*left, *(right if is_list(right) else (right,))]
    return _arithmetic("+", left, right)


def subtract(left: Value, right: Value) -> Value:
    """Difference, or a list without the items of another."""
    if is_list(left):
        gone = right if is_list(right) else [right]
        allowance = [MAX_ITEMS]
        found = [item for item in left if not any(_equal(item, other, allowance, 0) for other in gone)]
        spend(MAX_ITEMS - allowance[0] >> 1)
        return found
    return _arithmetic("-", left, right)


def multiply(left: Value, right: Value) -> Value:
    """Product."""
    return _arithmetic("*", left, right)


def divide(left: Value, right: Value) -> Value:
    """Quotient; integers give an integer, cut toward zero."""
    return _arithmetic("/", left, right)


def remainder(left: Value, right: Value) -> Value:
    """Remainder, with the sign of the dividend."""
    return _arithmetic("%", left, right)


def _arithmetic(operator: str, left: Value, right: Value) -> Value:
    a, b = number(left, operator), number(right, operator)
    if isinstance(a, int) and isinstance(b, int):
        return _integers(operator, a, b)
    try:
        if isinstance(a, Decimal) or isinstance(b, Decimal):
            return _decimals(operator, _decimal(a), _decimal(b))
        return _doubles(operator, float(a), float(b))
    except ArithmeticError:
        return fail(f"{to_text(a)} {operator} {to_text(b)} has no result.")


def _integers(operator: str, a: int, b: int) -> int:
    if operator == "+":
        return wrap(a + b)
    if operator == "-":
        return wrap(a - b)
    if operator == "*":
        return wrap(a * b)
    if b == 0:
        fail("An integer is divided by zero.", "Check the divisor first: `d == 0 ? 0 : n / d`.")
    quotient = abs(a) // abs(b)
    quotient = -quotient if (a < 0) != (b < 0) else quotient
    return wrap(quotient if operator == "/" else a - b * quotient)


def _doubles(operator: str, a: float, b: float) -> float:
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    if operator == "%":
        return math.fmod(a, b) if b and math.isfinite(a) else math.nan
    if b:
        return a / b
    return math.nan if not a or a != a else math.copysign(math.inf, a) * math.copysign(1, b)


def _decimal(value: float | Decimal) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def _decimals(operator: str, a: Decimal, b: Decimal) -> Decimal:
    work = {
        "+": _DECIMAL128.add, "-": _DECIMAL128.subtract, "*": _DECIMAL128.multiply,
        "/": _DECIMAL128.divide, "%": _DECIMAL128.remainder,
    }  # fmt: skip
    return work[operator](a, b)


def negative(value: Value) -> Value:
    """`-x`."""
    found = number(value, "-")
    if isinstance(found, int):
        return wrap(-found)
    return found.copy_negate() if isinstance(found, Decimal) else -found


def positive(value: Value) -> Value:
    """`+x`."""
    return number(value, "+")


def holds(value: Value, *, null: bool | None = None) -> bool:
    """Whether a value counts as true; lists, maps, dates are errors, and so is null unless `null` says what it is."""
    if type(value) is bool:
        return value
    if isinstance(value, str):
        return value != ""
    if is_number(value):
        return bool(value) and value == value
    if value is None and null is not None:
        return null
    if value is None:
        fail("null is neither true nor false.", "Write `x ?? false`, or `x is not null`.")
    return fail(f"{kind(value).capitalize()} is neither true nor false.", "Write `x is not empty`, or compare it.")


def equal(left: Value, right: Value) -> bool:
    """Numbers by value, a state and its name by name, everything else by what it is; never an error."""
    if type(left) is str and type(right) is str:
        return left == right
    allowance = [MAX_ITEMS]
    found = _equal(left, right, allowance, 0)
    spend(MAX_ITEMS - allowance[0] >> 1)
    return found


def _equal(left: Value, right: Value, left_over: list[int], depth: int) -> bool:
    left_over[0] -= 1 + (len(left) >> 6) if type(left) is str else 1
    if left_over[0] < 0 or depth > MAX_DEPTH:
        fail(f"Values are too big to compare: over {MAX_ITEMS:,} parts or {MAX_DEPTH} levels deep.")
    if left is right:
        return True
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return False
    if isinstance(left, Enum) or isinstance(right, Enum):
        return (
            to_text(left) == to_text(right)
            if isinstance(left, (str, Enum)) and isinstance(right, (str, Enum))
            else False
        )
    if is_map(left) and is_map(right):
        return len(left) == len(right) and all(
            key in right and _equal(item, right[key], left_over, depth + 1) for key, item in left.items()
        )
    if is_list(left) and is_list(right):
        if isinstance(left, (set, frozenset)) or isinstance(right, (set, frozenset)):
            return bool(left == right)
        return len(left) == len(right) and all(
            _equal(a, b, left_over, depth + 1) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, Entry) and isinstance(right, Entry):
        return _equal([left.key, left.value], [right.key, right.value], left_over, depth + 1)
    return type(left) is type(right) and bool(left == right)


def unequal(left: Value, right: Value) -> bool:
    """`!=`."""
    return not equal(left, right)


def compare(left: Value, right: Value, operator: str) -> bool:
    """`<`, `>`, `<=`, `>=` of two numbers, or two dates written with their offsets; false when one is null."""
    if left is None or right is None:
        return False
    if not is_number(left) or not is_number(right):
        earlier, later = _moment(left), _moment(right)
        if earlier is None or later is None:
            wrong = left if not is_number(left) else right
            fix = "Turn texts into numbers with `| number`, dates with `| timestamp`."
            fail(f"{operator!r} compares numbers, but one side is {kind(wrong)}.", fix)
        left, right = earlier, later
    if operator == "<":
        return bool(left < right)
    if operator == ">":
        return bool(left > right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left >= right)


def _moment(value: Value) -> datetime | None:
    """What a text such as `2042-04-02T04:20:42Z` means wherever the server stands; none for anything else."""
    try:
        found = read_iso(value) if isinstance(value, str) else None
    except ExpressionFailed:
        return None
    return found if isinstance(found, datetime) and found.tzinfo is not None else None


def contains(left: Value, right: Value) -> bool:
    """Whether a list has an item (or all of a list), a map a key, a text another text."""
    if left is None:
        return False
    if isinstance(left, str):
        return java_text(right) in left
    if is_map(left):
        return _is_key(left, right)
    if is_list(left):
        wanted = right if is_list(right) else [right]
        allowance = [MAX_ITEMS]
        found = all(any(_equal(item, one, allowance, 0) for item in left) for one in wanted)
        spend(MAX_ITEMS - allowance[0] >> 1)
        return found
    return fail(f"'contains' looks into lists, maps and texts, not into {kind(left)}.")


def starts_with(left: Value, right: Value) -> bool:
    """Whether a text begins with another; nothing begins with anything."""
    return left is not None and java_text(left).startswith(java_text(right))


def ends_with(left: Value, right: Value) -> bool:
    """Whether a text ends with another; nothing ends with anything."""
    return left is not None and java_text(left).endswith(java_text(right))


def _is_key(found: Value, key: Value) -> bool:
    try:
        return key in found
    except TypeError:
        return False


def is_in(left: Value, right: Value) -> bool:
    """Whether a value is, as text, an item of a list, or a key or value of a map."""
    if left is None or right is None:
        return False
    wanted = java_text(left)
    if is_map(right):
        return any(wanted == java_text(item) for pair in right.items() for item in pair)
    return is_list(right) and any(wanted == java_text(item) for item in right)


def span(start: Value, end: Value, step: Value = 1) -> list[Value]:
    """Numbers or letters from start to end, both included."""
    if not _is_step(step):
        fail("range() steps by an integer that is not 0.")
    if _is_letter(start) and _is_letter(end):
        return [chr(code) for code in _codes(ord(start), ord(end), step)]
    if not _is_integer(start) or not _is_integer(end):
        fail(f"A range goes from one integer or letter to another, not from {kind(start)} to {kind(end)}.")
    return list(_codes(start, end, step))


def _is_integer(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_step(value: Value) -> bool:
    return _is_integer(value) and value != 0


def _is_letter(value: Value) -> bool:
    return isinstance(value, str) and len(value) == 1


def _codes(start: int, end: int, step: int) -> range:
    found = range(start, end + (1 if step > 0 else -1), step)
    # len() of a range refuses what does not fit the machine's integers.
    if abs(end - start) // abs(step) >= MAX_RANGE:
        fail(f"A range has more than {MAX_RANGE:,} items.", "Loop over fewer.")
    return found
