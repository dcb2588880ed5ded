"""Rows of a database as plain JSON values."""

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from engine.core.durations import to_iso
from engine.expressions.limits import MAX_DIGITS


def row_of(names: Sequence[str], values: Sequence[Any], zone: tzinfo | None) -> dict[str, Any]:
    """One row by the names of its columns."""
    return {name: json_value(value, zone) for name, value in zip(names, values, strict=False)}


def json_value(value: Any, zone: tzinfo | None = None) -> Any:
    """What stands in JSON for a value of a database; moments with an offset are told in `zone`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        if abs(value.adjusted()) > MAX_DIGITS:
            return str(value)
        return int(value) if value == value.to_integral_value() and _is_whole(value) else float(value)
    if isinstance(value, datetime):
        return (value.astimezone(zone) if zone is not None and value.tzinfo is not None else value).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return to_iso(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return {str(key): json_value(item, zone) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item, zone) for item in value]
    return str(value)


def _is_whole(value: Decimal) -> bool:
    """Whether the column has no decimal places: `2.00` stays a number with a fraction."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= 0
