"""Dates and times of day, read and printed as Java's `Instant`, `LocalDate` and `LocalTime` do."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from engine.core.durations import to_iso

_INSTANT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<clock>\d\d:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<offset>[Zz]|[-+]\d\d(?::?\d\d(?::\d\d)?)?)?(?:\[[\w/+-]+\])?",
    re.ASCII,
)
_CLOCK = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?", re.ASCII)


def parse_datetime(text: str, *, zoned: bool = True) -> datetime:
    """The moment of `2042-04-02T04:20:42.000Z`, with its offset; ValueError for anything else.

    With `zoned` false a text without an offset is read too and stays naive.
    """
    found = _INSTANT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a date and time; write it as `2042-04-02T04:20:42Z`.")
    if zoned and not found["offset"]:
        raise ValueError(f"{text!r} has no time zone; end it with `Z` or an offset such as `+02:00`.")
    offset = (found["offset"] or "").upper().replace("Z", "+00:00")
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    clock = found["clock"] if len(found["clock"]) == len("04:20:42") else f"{found['clock']}:00"
    moment = datetime.fromisoformat(f"{found['date']}T{clock}.{fraction}{offset}")
    if offset:
        in_utc(moment)
    return moment


def in_utc(moment: datetime) -> datetime:
    """The same aware moment in UTC; ValueError at an edge of the calendar, where UTC has no year for it."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{to_text(moment)!r} lies outside of the years 1 to 9999 in UTC.") from error


def parse_date(text: str) -> date:
    """The day of `2042-12-03`; ValueError for anything else."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip(), re.ASCII):
        raise ValueError(f"{text!r} is not a date; write it as `2042-12-03`.")
    return date.fromisoformat(text.strip())


def parse_time(text: str) -> time:
    """The time of day of `10:15:30` or `10:15`; ValueError for anything else."""
    if not _CLOCK.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a time of day; write it as `10:15:30`.")
    return time.fromisoformat(text.strip()[:15])


def to_text(value: Any) -> str:
    """A date, time, moment or duration as ISO text the way Java prints it; other values as `str` does."""
    match value:
        case datetime():
            moment = value.replace(tzinfo=None, microsecond=0).isoformat()
            return moment + _fraction(value.microsecond) + _offset(value)
        case date():
            return value.isoformat()
        case time():
            clock = f"{value:%H:%M}" if not value.second and not value.microsecond else f"{value:%H:%M:%S}"
            return clock + _fraction(value.microsecond)
        case timedelta():
            return to_iso(value)
        case _:
            return str(value)


def _fraction(micros: int) -> str:
    """`.042` or `.042100`: groups of three digits, as Java prints them."""
    if not micros:
        return ""
    return f".{micros // 1000:03d}" if micros % 1000 == 0 else f".{micros:06d}"


def _offset(moment: datetime) -> str:
    if moment.tzinfo is None:
        return ""
    return "Z" if moment.tzinfo is UTC else moment.isoformat()[-6:]
