"""Dates, times and durations as people write them in chat: `tomorrow`, `next monday 14:00`, `2pm`, `1h30m`. Pure."""

import re
from datetime import date, datetime, time, timedelta, tzinfo

from engine.core import dates, durations

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400, "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_PIECE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)(?:\s*(?:,|and)\s*|\s*)")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*([ap])\.?m\.?")


def read_duration(text: str) -> timedelta:
    """The length of `PT1H30M`, `1h30m`, `90 minutes`, `2 days`; ValueError for anything else."""
    wanted = text.strip().lower()
    if wanted.lstrip("+-").startswith("p"):
        return durations.parse(wanted)
    seconds, at = 0.0, 0
    while found := _PIECE.match(wanted, at):
        if found[2] not in _UNITS:
            raise ValueError(f"{found[2]!r} is no unit of time")
        seconds += float(found[1]) * _UNITS[found[2]]
        at = found.end()
    if at == 0 or at != len(wanted):
        raise ValueError(f"{text!r} is not a duration")
    try:
        return timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long") from error


def read_date(text: str, today: date) -> date:
    """The day of `2026-03-31`, `tomorrow`, `in 3 days`, `friday` (the coming one); ValueError for anything else."""
    wanted = " ".join(text.lower().split())
    if wanted in _DAYS:
        return today + timedelta(days=_DAYS[wanted])
    day = wanted.removeprefix("next ").removeprefix("on ")
    if day in WEEKDAYS or day in [name[:3] for name in WEEKDAYS]:
        number = next(index for index, name in enumerate(WEEKDAYS) if name.startswith(day))
        return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
    if found := re.fullmatch(r"in (\d{1,5}) (day|days|week|weeks)", wanted):
        return today + timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    return dates.parse_date(text)


def read_time(text: str) -> time:
    """The time of `14:30`, `14:30:15`, `2pm`, `noon`; ValueError for anything else."""
    wanted = text.strip().lower()
    if wanted in ("noon", "midnight"):
        return time(12 if wanted == "noon" else 0)
    if found := _CLOCK.fullmatch(wanted):
        hour = int(found[1])
        if not 1 <= hour <= 12:
            raise ValueError(f"{text!r} has no such hour")
        return time(hour % 12 + (12 if found[4] == "p" else 0), int(found[2] or 0), int(found[3] or 0))
    return dates.parse_time(wanted if re.match(r"\d\d:", wanted) else f"0{wanted}")


def read_datetime(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The moment of `2026-03-31T14:00Z`, of a text without offset in the reader's zone, of `tomorrow 14:00`,
    `in 2 hours`, or of seconds since 1970; ValueError for anything else."""
    wanted = " ".join(text.split())
    if re.fullmatch(r"\d{9,11}", wanted):
        return datetime.fromtimestamp(int(wanted), zone)
    if wanted.lower() == "now":
        return now.astimezone(zone)
    if wanted.lower().startswith("in "):
        return now.astimezone(zone) + read_duration(wanted[3:])
    local = now.astimezone(zone)
    try:
        moment = dates.parse_datetime(wanted, zoned=False)
    except ValueError:
        day, _, clock = wanted.lower().replace(" at ", " ").rpartition(" ")
        if not day:
            raise
        return datetime.combine(read_date(day, local.date()), read_time(clock), zone)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
