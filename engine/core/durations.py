"""ISO-8601 durations, read and printed as Java's `Duration` does: days to fractions of a second, and nothing longer."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

LONGEST = timedelta(days=365_000)  # dates so far from today can still be counted
_TOO_LONG = "is longer than 1,000 years."
_SHAPE = re.compile(
    r"(?P<sign>[-+]?)P"
    r"(?:(?P<days>[-+]?\d+)D)?"
    r"(?P<time>T(?:(?P<hours>[-+]?\d+)H)?(?:(?P<minutes>[-+]?\d+)M)?"
    r"(?:(?P<seconds>[-+]?\d+)(?:[.,](?P<fraction>\d{0,9}))?S)?)?",
    re.IGNORECASE | re.ASCII,
)
_LONGER = re.compile(r"[-+]?P(?:[-+]?\d+[YMWD])+(?:T.*)?", re.IGNORECASE | re.ASCII)  # weeks, months or years
_SECONDS = re.compile(r"[-+]?\d{1,12}(?:\.\d{1,9})?", re.ASCII)
_UNIT = r"(?P<unit>s|m|h|d|w)(?:ec|in|our|r|ay|econd|inute|eek)?s?"
_COUNTED = re.compile(rf"(?P<number>\d+) ?{_UNIT}", re.IGNORECASE | re.ASCII)
_MISPLACED = re.compile(r"P(?:(?P<short>\d+[HMS])|T(?P<days>\d+D))", re.IGNORECASE | re.ASCII)
_CLOCK = re.compile(r"(?P<hours>\d{1,2}):(?P<minutes>\d\d)(?::(?P<seconds>\d\d))?", re.ASCII)
_MICROS = {
    "days": 86_400_000_000,
    "hours": 3_600_000_000,
    "minutes": 60_000_000,
    "seconds": 1_000_000,
}


def parse(text: str) -> timedelta:
    """The length of `PT5M6S`, `P1D`, `-PT0.5S`; ValueError when the text is no duration or longer than 1,000 years."""
    found = _SHAPE.fullmatch(text.strip())
    if not found and _LONGER.fullmatch(text.strip()):
        said = f"minutes stand behind a `T`: write `{near}`" if (near := meant(text)) else "write a week as `P7D`"
        raise ValueError(f"{text!r} is not a duration: days are the longest unit; {said}.")
    if not found or not any(found[unit] for unit in _MICROS) or found["time"] in ("T", "t"):
        raise ValueError(f"{text!r} is not a duration; write it as `PT30S`, `PT10M`, `PT1H30M` or `P1D`.")
    micros = sum(int(found[unit] or 0) * size for unit, size in _MICROS.items())
    fraction = int((found["fraction"] or "").ljust(6, "0")[:6])
    micros += -fraction if (found["seconds"] or "").startswith("-") else fraction
    if abs(micros) > LONGEST // timedelta(microseconds=1):
        raise ValueError(f"{text[:40]!r} {_TOO_LONG}")
    return timedelta(microseconds=-micros if found["sign"] == "-" else micros)


def meant(text: str) -> str:
    """What `10s`, `5 minutes` and `01:30:00` are as durations; "" for what is like none of these."""
    if counted := _COUNTED.fullmatch(text.strip()):
        unit = counted["unit"].upper()
        if unit == "W":
            return f"P{int(counted['number']) * 7}D"
        return f"P{'' if unit == 'D' else 'T'}{counted['number']}{unit}"
    if placed := _MISPLACED.fullmatch(text.strip()):
        return f"PT{placed['short']}".upper() if placed["short"] else f"P{placed['days']}".upper()
    if clock := _CLOCK.fullmatch(text.strip()):
        hours, minutes, seconds = (int(one or 0) for one in clock.groups())
        return to_iso(timedelta(hours=hours, minutes=minutes, seconds=seconds))
    return ""


def likely(given: Any) -> Any:
    """A number as the duration that it most likely stands for (from 1,000 on that many milliseconds), `10s` as `PT10S`;
    anything else as it is."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return (meant(given) if isinstance(given, str) else "") or given
    return to_iso(timedelta(milliseconds=given) if given >= 1000 else timedelta(seconds=given))


def to_iso(length: timedelta) -> str:
    """`PT26H3M0.5S`: hours are not folded into days, as in Java."""
    micros = length // timedelta(microseconds=1)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    hours, rest = divmod(micros, _MICROS["hours"])
    minutes, rest = divmod(rest, _MICROS["minutes"])
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{sign}{hours}H" if hours else ""
    text += f"{sign}{minutes}M" if minutes else ""
    if fraction:
        text += f"{sign}{seconds}.{fraction:06d}".rstrip("0") + "S"
    elif seconds:
        text += f"{sign}{seconds}S"
    return f"PT{text or '0S'}"


def of_field(value: Any) -> Any:
    """What a field for a duration takes text for: a duration, or a number of seconds; ValueError for anything else, and
    for what is longer than 1,000 years."""
    if isinstance(value, str) and _SECONDS.fullmatch(value.strip()):
        value = timedelta(seconds=float(value))
    if isinstance(value, timedelta) and abs(value) > LONGEST:
        raise ValueError(f"{to_iso(value)} {_TOO_LONG}")
    if isinstance(value, int | float) and not abs(value) <= LONGEST.total_seconds():
        raise ValueError(f"{value} seconds are no duration, or one longer than 1,000 years.")
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except ValueError as error:
        if _LONGER.fullmatch(value.strip()):
            raise
        raise PydanticKnownError("time_delta_parsing", {"error": str(error)}) from error


Duration = Annotated[timedelta, BeforeValidator(of_field)]  # of a field: `pt5m` and `PT-5M` are durations, too
