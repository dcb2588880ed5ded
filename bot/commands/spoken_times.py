"""Dates, times and durations as people write them in chat: `tomorrow`, `1 december at 9`, `2pm`, `1h30m`. Pure."""

import re
from datetime import date, datetime, time, timedelta, tzinfo

from engine.core import dates, durations

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1, "day after tomorrow": 2}
_UNITS = {
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
    "d": 86400, "day": 86400, "days": 86400, "w": 604800, "week": 604800, "weeks": 604800,
}  # fmt: skip
_PIECE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)(?:\s*(?:,|and)\s*|\s*)")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?(?::(\d{2}))?\s*([ap])\.?m\.?")
_HOURS = re.compile(r"(\d{1,2})(?:[.h](\d{2})|\s?h|\s?o.?clock)")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]{3,9})\.?(?:,? (\d{4}))?")
_MONTH_DAY = re.compile(r"([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?")
_WITH_SLASHES = re.compile(r"\d{1,2}/\d{1,2}(?:/\d{2,4})?")


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
    """The day of `2026-03-31`, `tomorrow`, `in 3 days`, `friday` (the coming one), `1 december`; ValueError for
    anything else, also for `3/4`, which is another day elsewhere."""
    wanted = " ".join(text.lower().split())
    if (said := wanted.removeprefix("the ")) in _DAYS:
        return today + timedelta(days=_DAYS[said])
    day = wanted.removeprefix("on ").removeprefix("next ").removeprefix("this ").removeprefix("the ")
    if day in WEEKDAYS or day in [name[:3] for name in WEEKDAYS]:
        number = next(index for index, name in enumerate(WEEKDAYS) if name.startswith(day))
        return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
    if found := re.fullmatch(r"in (\d{1,5}) (day|days|week|weeks)", wanted):
        return today + timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    if found := _DAY_MONTH.fullmatch(day):
        return _named(found[2], int(found[1]), found[3], today)
    if found := _MONTH_DAY.fullmatch(day):
        return _named(found[1], int(found[2]), found[3], today)
    if _WITH_SLASHES.fullmatch(day):
        raise ValueError(f"{text!r} is one day here and another there: write `31 march` or `2026-03-31`")
    return dates.parse_date(text)


def month_of(name: str) -> int:
    """The number of `march` or `mar`; ValueError."""
    for number, month in enumerate(_MONTHS, 1):
        if name in (month, month[:3]) or (name, number) == ("sept", 9):
            return number
    raise ValueError(f"{name!r} is no month")


def _named(month: str, day: int, year: str | None, today: date) -> date:
    """A day of a month; without a year the coming one."""
    found = date(int(year or today.year), month_of(month), day)
    return found if year or found >= today else date(today.year + 1, found.month, day)


def read_time(text: str) -> time:
    """The time of `14:30`, `14:30:15`, `2pm`, `9.30`, `9h`, `noon`; ValueError for anything else."""
    wanted = text.strip().lower()
    if wanted in ("noon", "midday", "midnight"):
        return time(0 if wanted == "midnight" else 12)
    if found := _HOURS.fullmatch(wanted):
        return time(int(found[1]), int(found[2] or 0))
    if found := _CLOCK.fullmatch(wanted):
        hour = int(found[1])
        if not 1 <= hour <= 12:
            raise ValueError(f"{text!r} has no such hour")
        return time(hour % 12 + (12 if found[4] == "p" else 0), int(found[2] or 0), int(found[3] or 0))
    if not re.match(r"\d{1,2}:\d\d", wanted):
        raise ValueError(f"{text!r} is not a time of day; write it as `14:30` or `2pm`")
    return dates.parse_time(wanted if wanted[2] == ":" else f"0{wanted}")


def read_clock(text: str) -> time:
    """The same where a time must stand, such as behind `at`: there `9` is nine o'clock."""
    return read_time(f"{text.strip()}:00" if re.fullmatch(r"\d{1,2}", text.strip()) else text)


def read_datetime(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The moment of `2026-03-31T14:00Z`, of a text without offset in the reader's zone, of `tomorrow 14:00`,
    `friday at 9`, `in 2 hours`, or of seconds since 1970; ValueError for anything else."""
    wanted = " ".join(text.split())
    if re.fullmatch(r"\d{9,11}", wanted):
        return datetime.fromtimestamp(int(wanted), zone)
    if wanted.lower() == "now":
        return now.astimezone(zone)
    local = now.astimezone(zone)
    said = re.sub(r"\bhalf an hour\b", "30 minutes", wanted.lower())
    said = re.sub(r"\ban? (minute|hour|day|week)\b", r"1 \1", said)
    if found := re.fullmatch(r"in ([^@]+?)|(.+) from now", said):
        try:
            return local + read_duration(found[1] or found[2])
        except ValueError:
            if " at " not in said:
                raise
    try:
        moment = dates.parse_datetime(wanted, zoned=False)
    except ValueError as error:
        if (found_day := _on_a_day(said, local)) is not None:
            return found_day
        text = f"{wanted!r} is not a date and time; write it as `tomorrow 14:00` or `2042-04-02 14:00`"
        raise ValueError(text) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _on_a_day(said: str, local: datetime) -> datetime | None:
    """`tomorrow 14:00`, `friday at 9`, `tonight at 8pm`, `at 9:00 tomorrow`; None when no day and time stand there."""
    if said.startswith("tonight"):
        found_day = _on_a_day(said.replace("tonight", "today", 1), local)
        return found_day + timedelta(hours=12) if found_day is not None and found_day.hour < 12 else found_day
    if found := re.fullmatch(r"(.+?),? at (.+)", said):
        return _combined(found[1], read_clock(found[2]), local)
    if found := re.fullmatch(r"at (\S+(?: [ap]\.?m\.?)?) (.+)", said):
        return _combined(found[2], read_clock(found[1]), local)
    for words in (2, 1):  # `2 pm` and `14:00`
        day, clock = " ".join(said.split()[:-words]), " ".join(said.split()[-words:])
        try:
            at = read_time(clock)
        except ValueError:
            continue
        if day:
            return _combined(day, at, local)
    return None


def _combined(day: str, at: time, local: datetime) -> datetime:
    return datetime.combine(read_date(day, local.date()), at, local.tzinfo)


def read_coming(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The same, where a time alone is the next such time: `14:00`, `at 5pm`."""
    local = now.astimezone(zone)
    said = " ".join(text.lower().split())
    try:
        clock = read_clock(said.removeprefix("at ")) if said.startswith("at ") else read_time(said)
    except ValueError:
        return read_datetime(text, now, zone)
    today = datetime.combine(local.date(), clock, zone)
    return today if today > now else datetime.combine(local.date() + timedelta(days=1), clock, zone)
