"""Values as text: what `{{ v }}` prints, compact JSON, and the `toString` form that `~` and `+` use."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring
from typing import Final
from zoneinfo import ZoneInfo

from engine.expressions.allowance import spend
from engine.expressions.failures import fail
from engine.expressions.limits import MAX_DEPTH, MAX_DIGITS, MAX_ITEMS, MAX_TEXT
from engine.expressions.values import Entry, Value, is_list, is_map

_CONTROL = re.compile(r"\\u00[0-9a-f]{2}")
_TOO_LONG: Final = 10**MAX_DIGITS
_LIST_TYPES: Final = (list, tuple, set, frozenset)


def to_text(value: Value, zone: tzinfo = UTC) -> str:
    """What `{{ value }}` prints: nothing for null, compact JSON for lists and maps, numbers and dates as in Java."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return ""
    if kind is dict or kind is list or is_list(value) or is_map(value):
        return to_json(value, zone)
    return scalar_text(value)


def scalar_text(value: Value) -> str:
    """One number, date or other single value as Java prints it."""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return double_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int):
        return digits(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, datetime):
        return datetime_text(value)
    for type_, printer in _PRINTERS:
        if isinstance(value, type_):
            return printer(value)
    return str(value)


def digits(value: int) -> str:
    """An integer in full; ExpressionFailed when it is absurdly long."""
    if -(1 << 63) <= value < 1 << 64:
        return str(value)
    if abs(value) >= _TOO_LONG:
        fail(f"A number has more than {MAX_DIGITS} digits.")
    return str(value)


def double_text(value: float) -> str:
    """Shortest digits that read back as the same number, with an exponent from 1e7 and below 1e-3."""
    if value != value:
        return "NaN"
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e7:
        return repr(value)
    if size == float("inf"):
        return "Infinity" if value > 0 else "-Infinity"
    number = Decimal(repr(value))
    found = "".join(map(str, number.as_tuple().digits)).rstrip("0") or "0"
    return f"{'-' if value < 0 else ''}{found[0]}.{found[1:] or '0'}E{number.adjusted()}"


def decimal_text(value: Decimal) -> str:
    """Plain digits without exponent."""
    if value.is_finite() and abs(value.adjusted()) > MAX_DIGITS:
        fail(f"A number has more than {MAX_DIGITS} digits.")
    return format(value, "f")


def fraction_text(micros: int, grouped: bool = True) -> str:
    """`.123456`: in groups of three digits, or without trailing zeros; nothing for zero."""
    if not micros:
        return ""
    if grouped:
        return f".{micros // 1000:03d}" if micros % 1000 == 0 else f".{micros:06d}"
    return f".{micros:06d}".rstrip("0")


def offset_text(moment: datetime) -> str:
    """`Z` or `+02:00`."""
    offset = moment.utcoffset()
    if not offset:
        return "Z"
    seconds = int(offset.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    text = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def is_instant(moment: datetime) -> bool:
    """Whether it is a point in time without a zone of its own: this is how an aware date in UTC is kept."""
    return moment.tzinfo is UTC


def instant_text(moment: datetime) -> str:
    """`2024-03-05T12:30:15.123456Z`."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction_text(utc.microsecond) + "Z"


def time_text(value: time | datetime) -> str:
    """`12:30`, `12:30:15` or `12:30:15.123`."""
    text = f"{value.hour:02d}:{value.minute:02d}"
    if value.second or value.microsecond:
        text += f":{value.second:02d}" + fraction_text(value.microsecond)
    return text


def datetime_text(moment: datetime) -> str:
    """Java's toString of an instant, a date-time with a zone, or one without."""
    if is_instant(moment):
        return instant_text(moment)
    text = f"{moment.date().isoformat()}T{time_text(moment)}"
    if moment.tzinfo is None:
        return text
    zone = f"[{moment.tzinfo.key}]" if isinstance(moment.tzinfo, ZoneInfo) else ""
    return text + offset_text(moment) + zone


def duration_text(value: timedelta) -> str:
    """ISO-8601 with hours, minutes and seconds: `PT1H30M`."""
    micros = value // timedelta(microseconds=1)
    if not micros:
        return "PT0S"
    sign = -1 if micros < 0 else 1
    seconds, micros = divmod(abs(micros), 1_000_000)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = [f"{sign * amount}{unit}" for amount, unit in ((hours, "H"), (minutes, "M")) if amount]
    if seconds or micros:
        parts.append(f"{'-' if sign < 0 else ''}{seconds}{fraction_text(micros, grouped=False)}S")
    return "PT" + "".join(parts)


_PRINTERS: Final[tuple[tuple[type, Callable[[Value], str]], ...]] = (
    (float, double_text),
    (Decimal, decimal_text),
    (date, date.isoformat),
    (time, time_text),
    (timedelta, duration_text),
    (bytes, lambda value: value.decode("utf-8", "replace")),
    (Entry, lambda entry: f"{java_text(entry.key)}={java_text(entry.value)}"),
)


def _quoted(text: str) -> str:
    quoted = encode_basestring(text)
    return _CONTROL.sub(lambda found: "\\u" + found[0][2:].upper(), quoted) if "\\u00" in quoted else quoted


def to_json(value: Value, zone: tzinfo = UTC) -> str:
    """Compact JSON: null entries of maps dropped, dates as ISO text in `zone`, durations as seconds."""
    out: list[str] = []
    writer = _JsonWriter(out, zone)
    writer.write(value, 0)
    writer.pay()
    spend(MAX_TEXT - writer.room >> 6)
    return "".join(out)


class _JsonWriter:
    def __init__(self, out: list[str], zone: tzinfo) -> None:
        self.out = out
        self.zone = zone
        self.nodes = MAX_ITEMS
        self.room = MAX_TEXT
        self.paid = 0

    def pay(self) -> None:
        """Count the parts that were written since it was called last."""
        due = MAX_ITEMS - self.nodes >> 1
        spend(due - self.paid)
        self.paid = due

    def write(self, value: Value, depth: int) -> None:
        self.nodes -= 1
        if not self.nodes & 1023:
            self.pay()
        if self.nodes < 0 or depth > MAX_DEPTH:
            fail(
                f"A value is too big to print: over {MAX_ITEMS:,} parts or {MAX_DEPTH} levels deep.",
                "Print the part that is needed, or hand it on as a file.",
            )
        if isinstance(value, str):
            self.put(_quoted(value))
        elif isinstance(value, dict) or is_map(value):
            self.write_map(value, depth)
        elif isinstance(value, _LIST_TYPES):
            mark = "["
            for item in value:
                self.out.append(mark)
                self.write(item, depth + 1)
                mark = ","
            self.out.append("[]" if mark == "[" else "]")
        elif isinstance(value, Entry):
            self.write_map({value.key: value.value}, depth)
        else:
            self.put(self.scalar(value))

    def put(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            fail(f"A value is too big to print: over {MAX_TEXT:,} characters.", "Hand it on as a file.")
        self.out.append(text)

    def write_map(self, value: Mapping[Value, Value], depth: int) -> None:
        mark = "{"
        for key, item in value.items():
            if item is not None:
                self.out.append(mark)
                self.put(_quoted(key if type(key) is str else "null" if key is None else to_text(key, self.zone)))
                self.out.append(":")
                self.write(item, depth + 1)
                mark = ","
        self.out.append("{}" if mark == "{" else "}")

    def scalar(self, value: Value) -> str:
        if value is None:
            return "null"
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):
            return f'"{double_text(value)}"'
        if isinstance(value, (bool, int, float, Decimal)) and not isinstance(value, Enum):
            return scalar_text(value)
        if isinstance(value, timedelta):
            micros = value // timedelta(microseconds=1)
            return f"{'-' if micros < 0 else ''}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}000"
        if isinstance(value, datetime) and value.tzinfo is not None and not is_instant(value):
            local = value.astimezone(self.zone)
            seconds = f"{local.date().isoformat()}T{local:%H:%M:%S}{fraction_text(local.microsecond, grouped=False)}"
            return f'"{seconds}{offset_text(local)}"'
        return _quoted(scalar_text(value))


def java_text(value: Value) -> str:
    """The `toString` form: `{a=1, b={c=x}}`, `[1, 2, 3]`, `null`."""
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if not is_list(value) and not is_map(value):
        return scalar_text(value)
    out: list[str] = []
    left = [MAX_ITEMS]
    _write_java(value, out, left, 0)
    size = sum(map(len, out))
    if size > MAX_TEXT:
        fail(f"A value is too big to print: over {MAX_TEXT:,} characters.")
    spend((MAX_ITEMS - left[0] >> 1) + (size >> 6))
    return "".join(out)


def _write_java(value: Value, out: list[str], left: list[int], depth: int) -> None:
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        fail(f"A value is too big to print: over {MAX_ITEMS:,} parts or {MAX_DEPTH} levels deep.")
    if is_map(value):
        out.append("{")
        for number, (key, item) in enumerate(value.items()):
            out.append(f"{', ' if number else ''}{java_text(key)}=")
            _write_java(item, out, left, depth + 1)
        out.append("}")
    elif is_list(value):
        out.append("[")
        for number, item in enumerate(value):
            if number:
                out.append(", ")
            _write_java(item, out, left, depth + 1)
        out.append("]")
    else:
        out.append(java_text(value))


def measure(value: Value) -> bool:
    """Refuse a structure that is too big to walk through; shared parts count each time they are met.

    Whether an `Entry` of a map is in it.
    """
    has_entries = False
    left, room = MAX_ITEMS - 1, MAX_TEXT
    waiting = [(value, 0)]
    paid = 0
    while waiting:
        if MAX_ITEMS - left >> 1 > paid + 1000:
            spend((MAX_ITEMS - left >> 1) - paid)
            paid = MAX_ITEMS - left >> 1
        found, depth = waiting.pop()
        if isinstance(found, str):
            room -= len(found)
            if room < 0:
                fail(f"A value is too big to work on: over {MAX_TEXT:,} characters.")
            continue
        if is_map(found):
            items = found.values()
        elif is_list(found):
            items = found
        elif isinstance(found, Entry):
            has_entries, items = True, (found.key, found.value)
        else:
            continue
        left -= len(items)
        if left < 0 or depth > MAX_DEPTH:
            fail(f"A value is too big to work on: over {MAX_ITEMS:,} parts or {MAX_DEPTH} levels deep.")
        waiting.extend((item, depth + 1) for item in items)
    spend((MAX_ITEMS - left >> 1) - paid + (MAX_TEXT - room >> 6))
    return has_entries


def truthy(text: object) -> bool:
    """Whether a rendered condition holds: everything but nothing, `0`, `-0` and `false`."""
    return to_text(text) not in ("", "0", "-0", "false")
