"""Java's `String.format` for the conversions flows use."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from engine.expressions.allowance import spend
from engine.expressions.failures import fail, kind
from engine.expressions.limits import MAX_DIGITS, MAX_TEXT
from engine.expressions.printing import java_text
from engine.expressions.values import Value, is_number

_MARK = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_MAX_WIDTH: Final = 1_000
_WIDE: Final = Context(prec=MAX_DIGITS * 3)


def java_format(text: str, arguments: Sequence[Value]) -> str:
    """The text with its marks filled in; ExpressionFailed for a mark without argument or of the wrong kind."""
    out: list[str] = []
    at = following = 0
    room = MAX_TEXT
    for found in _MARK.finditer(text):
        out.append(_literal(text[at : found.start()]))
        at = found.end()
        spend(2)
        index, flags, width, precision, conversion = found.groups()
        if ("-" in flags and "0" in flags) or (("-" in flags or "0" in flags) and not width):
            fail(f"'format' cannot read the mark in {found[0][:10]!r}.", "`-` or `0` stands before a width.")
        if conversion in "n%":
            out.append(_padded("\n" if conversion == "n" else "%", flags, width))
            room = _fitting(room, out[-1])
            continue
        if index:
            position = int(index) - 1
        else:
            position, following = following, following + 1
        if not 0 <= position < len(arguments):
            fail(f"'format' has no argument for {found[0]}.", f"Give {position + 1} arguments.")
        if int(precision or 0) > _MAX_WIDTH:
            fail(f"'format' prints at most {_MAX_WIDTH} digits.")
        out.append(_converted(arguments[position], conversion, flags, width, precision))
        room = _fitting(room, out[-1])
    out.append(_literal(text[at:]))
    return "".join(out)


def _fitting(room: int, text: str) -> int:
    if room < len(text):
        fail(f"'format' makes a text of more than {MAX_TEXT:,} characters.")
    return room - len(text)


def _literal(text: str) -> str:
    if "%" in text:
        fail(f"'format' cannot read the mark in {text[text.index('%') :][:10]!r}.", "Write %% for a percent sign.")
    return text


def _padded(text: str, flags: str, width: str | None) -> str:
    size = int(width or 0)
    if size > _MAX_WIDTH:
        fail(f"'format' pads to at most {_MAX_WIDTH} characters.")
    return text.ljust(size) if "-" in flags else text.rjust(size)


def _converted(value: Value, conversion: str, flags: str, width: str | None, precision: str | None) -> str:
    lower = conversion.lower()
    if lower == "s":
        text = java_text(value)
        text = text[: int(precision)] if precision else text
    elif lower == "b":
        text = java_text(value) if isinstance(value, bool) else "false" if value is None else "true"
    elif value is None:
        text = "null"
    elif lower == "c" and isinstance(value, str) and len(value) == 1:
        text = value
    elif lower in "dxo" and isinstance(value, int) and not isinstance(value, bool):
        digits = format(abs(value) if lower == "d" else value & ((1 << 64) - 1), lower)
        text = _signed(
            f"{int(digits):,}" if "," in flags and lower == "d" else digits, value < 0 and lower == "d", flags, width
        )
    elif lower in "feg" and is_number(value) and not isinstance(value, int):
        exact = Decimal(repr(value)) if isinstance(value, float) else value
        text = _signed(_decimal_digits(exact, lower, flags, precision), exact.is_signed(), flags, width)
    else:
        fail(
            f"'format' cannot print {kind(value)} with %{conversion}.",
            "Use %s for anything, %d for integers, %f for decimals.",
        )
    return _padded(text.upper() if conversion.isupper() else text, flags, width)


def _decimal_digits(number: Decimal, conversion: str, flags: str, precision: str | None) -> str:
    """Digits without sign; halves are rounded up, as Java's formatter does."""
    places = int(precision) if precision else 6
    if not number.is_finite():
        return "NaN" if number.is_nan() else "Infinity"
    size = number.copy_abs()
    if abs(size.adjusted()) > MAX_DIGITS:
        fail(f"A number has more than {MAX_DIGITS} digits.")
    if conversion == "g":  # `precision` counts all digits that tell, and decides on the notation
        places = places or 1
        size = _rounded(size, places - 1 - size.adjusted()) if size else size
        if size and not Decimal("1e-4") <= size < Decimal(10) ** places:
            conversion, places = "e", places - 1
        else:
            places = max(0, places - 1 - size.adjusted()) if size else places - 1
    if conversion == "e":
        size = _rounded(size, places - size.adjusted()) if size else size
        return re.sub(r"e([-+])(\d)$", r"e\g<1>0\2", format(size, f".{places}e"))
    return format(_rounded(size, places), f"{',' if ',' in flags else ''}.{places}f")


def _rounded(number: Decimal, places: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _WIDE)


def _signed(digits: str, is_negative: bool, flags: str, width: str | None) -> str:
    sign = "-" if is_negative else "+" if "+" in flags else " " if " " in flags else ""
    if is_negative and "(" in flags:
        return f"({digits})"
    if "0" in flags and width and int(width) <= _MAX_WIDTH:
        digits = digits.rjust(int(width) - len(sign), "0")
    return sign + digits
