"""Filters on numbers: reading, rounding, printing."""

import re
import struct
from datetime import date, datetime, time, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal, InvalidOperation
from typing import Final

from engine.errors import ExpressionFailed
from engine.expressions.allowance import excerpt
from engine.expressions.failures import fail, kind
from engine.expressions.limits import MAX_DIGITS, MAX_PATTERN
from engine.expressions.number_formats import java_format
from engine.expressions.operations import FILTERS, REST
from engine.expressions.printing import decimal_text, double_text, is_instant, java_text, scalar_text
from engine.expressions.values import Entry, Value, is_list, is_map, is_number

_TYPES: Final = ("INT", "FLOAT", "LONG", "DOUBLE", "BIGDECIMAL", "BIGINTEGER")
_BITS: Final = {"INT": 32, "LONG": 64}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[lLfFdD]?")
_HEX = re.compile(r"([-+]?)(?:0[xX]|#)([0-9A-Fa-f]+)")


def single_precision(value: float) -> float:
    """The number as 32 bits keep it, with the digits Java prints for it; OverflowError beyond their range."""
    exact = struct.unpack("f", struct.pack("f", value))[0]
    for places in range(1, 10):
        short = float(f"{exact:.{places}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == exact:
            return short
    return float(exact)


@FILTERS.add("number", "type", type=None, cost=20)
def number(value: Value, type: Value) -> Value:
    """`{{ '12.3' | number }}` → 12.3; `type` is INT, LONG, FLOAT, DOUBLE, BIGDECIMAL or BIGINTEGER."""
    if value is None:
        return None
    if not isinstance(value, str):
        fail(f"'number' reads a text, not {kind(value)}.", "Leave the filter out: it is a number already.")
    if len(value) > MAX_DIGITS:
        fail(f"'number' reads at most {MAX_DIGITS} characters.")
    wanted = type if type in _TYPES else ""
    try:
        found = _typed(value, wanted) if wanted else _found(value)
        if isinstance(found, Decimal) and abs(found.adjusted()) > MAX_DIGITS:
            fail(f"'number' reads numbers of at most {MAX_DIGITS} digits.")
        return found
    except (ValueError, ArithmeticError, struct.error) as error:
        what = f" as {wanted}" if wanted else ""
        raise ExpressionFailed(
            f"'number' cannot read {excerpt(value, 60)!r}{what}.",
            fix="Trim the text first, or say what it is: `number(type='…')`.",
        ) from error


def _typed(text: str, wanted: str) -> Value:
    if wanted in ("FLOAT", "DOUBLE"):
        if not _NUMBER.fullmatch(text.strip()):
            raise ValueError(text)
        found = float(text.strip().rstrip("fFdD"))
        return single_precision(found) if wanted == "FLOAT" else found
    if not re.fullmatch(
        r"[-+]?[0-9]+" if wanted != "BIGDECIMAL" else r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?", text
    ):
        raise ValueError(text)
    if wanted == "BIGDECIMAL":
        return Decimal(text)
    found_int = int(text)
    if wanted in _BITS and not -(1 << (_BITS[wanted] - 1)) <= found_int < 1 << (_BITS[wanted] - 1):
        raise ValueError(text)
    return found_int


def _found(text: str) -> Value:
    if hexadecimal := _HEX.fullmatch(text):
        return int(hexadecimal[1] + hexadecimal[2], 16)
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    suffix, digits = (text[-1].lower(), text[:-1]) if text[-1] in "lLfFdD" else ("", text)
    if suffix == "l" or (not suffix and re.fullmatch(r"[-+]?[0-9]+", text)):
        return _whole(digits)
    if suffix == "f":
        return single_precision(float(digits))
    exact, found = Decimal(digits), float(digits)
    if not suffix and (found in (float("inf"), float("-inf")) or Decimal(repr(found)) != exact):
        return exact
    return found


def _whole(digits: str) -> int:
    """Digits after a leading zero are octal, as Java reads them."""
    bare = digits.lstrip("+-")
    if len(bare) > 1 and bare.startswith("0"):
        return int(digits.replace(bare, bare[1:]), 8)
    return int(digits)


@FILTERS.add("string")
def string(value: Value) -> Value:
    """A number, or a text that is one, as text; null stays null."""
    if value is None:
        return None
    if is_number(value):
        return scalar_text(value)
    if isinstance(value, str) and len(value) <= MAX_DIGITS:
        try:
            found = Decimal(value) if _NUMBER.fullmatch(value) and value[-1] not in "lLfFdD" else None
        except InvalidOperation:
            found = None
        if found is not None:
            return decimal_text(found)
    return fail(
        f"'string' takes a number or a numeric text, not {excerpt(java_text(value), 40)!r}.", "Use `'' ~ value`."
    )


@FILTERS.add("abs")
def abs_(value: Value) -> Value:
    """The number without its sign."""
    if not is_number(value):
        fail(f"'abs' takes a number, not {kind(value)}.")
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


@FILTERS.add("format", REST, cost=20)
def format_(value: Value, *arguments: Value) -> Value:
    """`{{ '%s-%05.2f' | format('a', 1.5) }}` → a-01.50."""
    if not isinstance(value, str):
        fail(f"'format' takes a text with marks such as %s, not {kind(value)}.")
    return java_format(value, arguments)


@FILTERS.add("numberFormat", "format", format="#,##0.###", cost=20)
def number_format(value: Value, format: Value) -> Value:
    """`{{ 1234567.891 | numberFormat('#,##0.00') }}` → 1,234,567.89; halves go to the even neighbour."""
    if value is None:
        return None
    if not is_number(value):
        fail(f"'numberFormat' takes a number, not {kind(value)}.", "Read a text with `| number` first.")
    if not isinstance(format, str) or len(format) > MAX_PATTERN:
        fail("'numberFormat' takes a short text such as '#,##0.00'.")
    return decimal_format(value, format)


_WIDE: Final = Context(prec=MAX_DIGITS * 3)
_PATTERN = re.compile(r"((?:'[^']*'|[^#0,.'])*)([#0,]*(?:\.[#0]*)?)((?:'[^']*'|[^#0,.'])*)")


def decimal_format(value: float | Decimal, pattern: str) -> str:
    """A number printed by a pattern of `#`, `0`, `,`, `.` and `%`."""
    positive, _, negative = pattern.partition(";")
    found = _PATTERN.fullmatch(positive)
    if not found or not found[2].strip(","):
        fail(f"The number format {pattern!r} cannot be read.", "Use `#`, `0`, `,` and `.`, such as '#,##0.00'.")
    prefix, digits, suffix = (
        part.replace("'", "") if number != 1 else part for number, part in enumerate(found.groups())
    )
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else f"{'-' if value < 0 else ''}{prefix}∞{suffix}"
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if abs(exact.adjusted()) > MAX_DIGITS:
        fail(f"A number has more than {MAX_DIGITS} digits.")
    power = 2 if "%" in prefix + suffix else 3 if "‰" in prefix + suffix else 0
    exact = exact.scaleb(power, _WIDE)
    whole, _, fraction = digits.partition(".")
    rounded = _rounded(exact, len(fraction), value * 10**power if isinstance(value, float) and power else value)
    shown_whole, _, shown_fraction = format(abs(rounded), "f").partition(".")
    shown_whole = shown_whole.lstrip("0").rjust(whole.count("0"), "0")
    while len(shown_fraction) > fraction.count("0") and shown_fraction.endswith("0"):
        shown_fraction = shown_fraction[:-1]
    group = len(whole) - whole.rindex(",") - 1 if "," in whole else 0
    if group:
        head = len(shown_whole) % group
        parts = [shown_whole[:head], *(shown_whole[at : at + group] for at in range(head, len(shown_whole), group))]
        shown_whole = ",".join(part for part in parts if part)
    body = shown_whole + ("." + shown_fraction if shown_fraction else "") or "0"
    if (exact < 0) and (rounded or exact.is_signed()):
        if negative and (signed := _PATTERN.fullmatch(negative)):
            return signed[1].replace("'", "") + body + signed[3].replace("'", "")
        return f"-{prefix}{body}{suffix}"
    return f"{prefix}{body}{suffix}"


def _rounded(shown: Decimal, places: int, value: float | Decimal) -> Decimal:
    """Half to even; a double that only looks like a half goes where its exact value lies, as in Java."""
    unit = Decimal(1).scaleb(-places)
    if isinstance(value, float) and (exact := Decimal(value)) != shown:
        down = shown.quantize(unit, ROUND_DOWN, _WIDE)
        if _WIDE.subtract(shown, down).copy_abs() == unit / 2:
            return shown.quantize(unit, ROUND_UP if exact.copy_abs() > shown.copy_abs() else ROUND_DOWN, _WIDE)
    return shown.quantize(unit, ROUND_HALF_EVEN, _WIDE)


@FILTERS.add("className")
def class_name(found: tuple[str, Value]) -> str:
    """The Java class Kestra would hold the value in; for looking into a flow."""
    source, value = found
    if isinstance(value, int) and not isinstance(value, bool):
        if source.endswith("BIGINTEGER") or not -(1 << 63) <= value < 1 << 63:
            return "java.math.BigInteger"
        wide = source in ("long", "timestamp None") or source.endswith(" LONG") or not -(1 << 31) <= value < 1 << 31
        return "java.lang.Long" if wide else "java.lang.Integer"
    if isinstance(value, float):
        is_single = source == "number FLOAT" or (
            source == "number None" and double_text(single_precision(value)) == double_text(value)
        )
        return "java.lang.Float" if is_single else "java.lang.Double"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return "java.time.LocalDateTime"
        return "java.time.Instant" if is_instant(value) else "java.time.ZonedDateTime"
    if is_map(value):
        return "java.util.LinkedHashMap"
    if is_list(value):
        return "java.util.ArrayList"
    for type_, name in _CLASSES:
        if isinstance(value, type_):
            return name
    return fail(f"'className' has no class for {kind(value)}.")


_CLASSES: Final = (
    (bool, "java.lang.Boolean"), (str, "java.lang.String"), (Decimal, "java.math.BigDecimal"),
    (date, "java.time.LocalDate"), (time, "java.time.LocalTime"), (timedelta, "java.time.Duration"),
    (Entry, "java.util.Map.Entry"),
)  # fmt: skip
