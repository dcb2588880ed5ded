"""Values of Trino as plain JSON: over HTTP it writes those that JSON has no type for as text.

What becomes of each is as in plugin-jdbc-trino (`TrinoCellConverter`).
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from engine.core.durations import to_iso
from engine.tasks.sql_rows import json_value


def value_of(kind: str, value: Any, zone: tzinfo | None) -> Any:
    """A value of a column by its type (`decimal(10,2)`), moments that have a zone told in `zone`.

    A text that is not written as Trino writes that type (a year of five digits) stays as it came.
    """
    name = kind.partition("(")[0] + kind.partition(")")[2]
    if not isinstance(value, str) or (read := READERS.get(name)) is None:
        return value
    try:
        return json_value(read(value), zone)
    except (ValueError, InvalidOperation, OverflowError, KeyError, RecursionError):
        return value


def _moment(text: str) -> datetime:
    """`2001-08-22 03:04:05.321`, with the name or the offset of a zone behind it or without."""
    day, clock, *place = text.split(" ")
    found = datetime.fromisoformat(f"{day}T{clock}")
    return found.replace(tzinfo=_zone(place[0])) if place else found


def _zone(name: str) -> tzinfo:
    if name[0] not in "+-":
        return ZoneInfo(name)
    hours, minutes = name[1:].split(":")
    length = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-length if name[0] == "-" else length)


def _months(text: str) -> str:
    """`0-3`, years and months, as `P3M`."""
    sign, years, months = ("-" if text[0] == "-" else "", *text.lstrip("-").split("-"))
    return f"P{sign}{int(years) * 12 + int(months)}M"


def _length(text: str) -> str:
    """`2 00:00:00.000`, days and hours, as `PT48H`."""
    days, clock = text.lstrip("-").split(" ")
    hours, minutes, seconds = clock.split(":")
    length = timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return to_iso(-length if text[0] == "-" else length)


READERS: dict[str, Callable[[str], Any]] = {
    "decimal": Decimal,
    "double": float,
    "real": float,
    "json": json.loads,
    "timestamp": _moment,
    "timestamp with time zone": _moment,
    "interval year to month": _months,
    "interval day to second": _length,
}
