"""Dates read from text: ISO forms, or a Java pattern."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from engine.expressions.allowance import excerpt, spend
from engine.expressions.date_formatting import NAMED_FORMATS, named_pattern
from engine.expressions.date_names import ENGLISH, Names
from engine.expressions.date_patterns import Field, Optional, Piece, pieces_of
from engine.expressions.failures import fail
from engine.expressions.printing import java_text
from engine.expressions.values import Value

_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[Tt](?P<clock>\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)"
    r"(?P<offset>[Zz]|[-+]\d\d:\d\d(?::\d\d)?)?(?:\[(?P<zone>[\w/+:-]+)\])?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([-+])(\d{1,2})(?::?(\d\d))?(?::?(\d\d))?")


def zone_of(name: Value) -> tzinfo:
    """A zone from a region, an offset, or `Z`; ExpressionFailed when there is none of that name."""
    if isinstance(name, str):
        if name in ("Z", "UTC", "GMT", "UT"):
            return UTC
        if found := _OFFSET.fullmatch(name):
            seconds = int(found[2]) * 3600 + int(found[3] or 0) * 60 + int(found[4] or 0)
            if seconds <= 18 * 3600:
                return timezone(timedelta(seconds=-seconds if found[1] == "-" else seconds))
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            pass
    return fail(
        f"There is no time zone {excerpt(java_text(name), 60)!r}.",
        "Use a region such as Europe/Paris or an offset such as +02:00.",
    )


def read_iso(text: str) -> datetime | date:
    """An ISO date-time, with or without zone, or date; ExpressionFailed for anything else."""
    found = _ISO.fullmatch(text)
    if not found:
        fail(
            f"{excerpt(text, 60)!r} is not an ISO date.",
            "Give its pattern: date(existingFormat='dd/MM/yyyy HH:mm'), or write it as 2024-03-05T14:30:00Z.",
        )
    try:
        day = date.fromisoformat(found["date"])
        if not found["clock"]:
            return day
        clock = time.fromisoformat(found["clock"][:15])
    except ValueError as error:
        fail(f"{excerpt(text, 60)!r} is not a possible date: {error}.")
    naive = datetime.combine(day, clock)
    if found["zone"]:
        zone = zone_of(found["zone"])
        return (
            naive.replace(tzinfo=zone)
            if not found["offset"]
            else naive.replace(tzinfo=zone_of(found["offset"])).astimezone(zone)
        )
    return naive.replace(tzinfo=zone_of(found["offset"].upper())) if found["offset"] else naive


_ISO_NAMES: Final = {
    "iso_date_time", "iso_zoned_date_time", "iso_offset_date_time", "iso_local_date_time", "iso_date", "iso_local_date",
    "iso_instant",
}  # fmt: skip
_READING_PATTERNS: Final = {
    "rfc_1123_date_time": "[EEE, ]d MMM yyyy HH:mm[:ss] X",
    "basic_iso_date": "yyyyMMdd",
    "iso_ordinal_date": "yyyy-DDD",
}


def read_date(text: str, pattern: str, names: Names = ENGLISH) -> datetime | date:
    """A date-time or date by a Java pattern or the name of a format; ExpressionFailed when the text does not fit."""
    spend(len(pattern))
    named = pattern.lower()
    if named in _ISO_NAMES:
        return read_iso(text)
    pattern = _READING_PATTERNS.get(named) or named_pattern(pattern, names)
    if named in NAMED_FORMATS and named not in _READING_PATTERNS:
        fail(f"A date cannot be read with the format {pattern!r}.")
    found = _Reader(names).read(pieces_of(pattern), text, 0)
    if found is None or found[0] != len(text):
        fail(f"The date {excerpt(text, 60)!r} does not fit the pattern {pattern!r}.")
    return _built(found[1], text)


Fields = dict[str, int | str]
_NUMERIC: Final = {
    "d": "day", "H": "hour", "k": "hour24", "h": "hour12", "K": "hour11", "m": "minute", "s": "second", "D": "yearday",
    "n": "nano", "A": "milliday",
}  # fmt: skip


class _Reader:
    def __init__(self, names: Names) -> None:
        self.names = names

    def read(self, pieces: tuple[Piece, ...], text: str, at: int) -> tuple[int, Fields] | None:
        """How far the pieces go in the text, and what they hold; nothing when they do not fit."""
        found: Fields = {}
        for number, piece in enumerate(pieces):
            if isinstance(piece, Optional):
                inner = self.read(piece.pieces, text, at)
                if inner:
                    at = inner[0]
                    found.update(inner[1])
            elif isinstance(piece, str):
                if not text.startswith(piece, at):
                    return None
                at += len(piece)
            else:
                follows = pieces[number + 1] if number + 1 < len(pieces) else None
                adjacent = isinstance(follows, Field) and follows.letter in "yuMdHhmsSD"
                end = self.field(piece, text, at, found, adjacent)
                if end is None:
                    return None
                at = end
        return at, found

    def field(self, field: Field, text: str, at: int, found: Fields, adjacent: bool) -> int | None:
        letter, count = field.letter, field.count
        if letter in "yu":
            return self.year(field, text, at, found, adjacent)
        if letter in "ML":
            if count >= 3:
                return self.named("month", (self.names.months, self.names.short_months), text, at, found)
            return self.digits("month", count, text, at, found, adjacent)
        if letter in "Eec":
            return self.named("weekday", (self.names.days, self.names.short_days), text, at, found)
        if letter in _NUMERIC:
            return self.digits(_NUMERIC[letter], count, text, at, found, adjacent)
        if letter == "S":
            digits = text[at : at + count]
            if len(digits) < count or not (digits.isascii() and digits.isdigit()):
                return None
            found["nano"] = int(digits.ljust(9, "0"))
            return at + count
        if letter == "a":
            return self.named("half", (self.names.halves,), text, at, found)
        if letter in "XxZOzV":
            return self.zone(text, at, found)
        return fail(f"A date cannot be read with the letter {letter!r}.")

    def year(self, field: Field, text: str, at: int, found: Fields, adjacent: bool) -> int | None:
        if field.count == 2:
            end = self.digits("year", 2, text, at, found, True)
            if end is not None:
                found["year"] = 2000 + int(found["year"])
            return end
        return self.digits("year", field.count, text, at, found, adjacent or field.count == 4)

    def digits(self, name: str, count: int, text: str, at: int, found: Fields, exact: bool) -> int | None:
        longest = count if exact or count > 1 else 19
        end = at
        while end < len(text) and end - at < longest and text[end] in "0123456789":
            end += 1
        if end - at < count:
            return None
        found[name] = int(text[at:end])
        return end

    def named(self, name: str, tables: tuple[tuple[str, ...], ...], text: str, at: int, found: Fields) -> int | None:
        for table in tables:
            for number, one in sorted(enumerate(table), key=lambda pair: -len(pair[1])):
                if text.startswith(one, at):
                    found[name] = number + 1
                    return at + len(one)
        return None

    def zone(self, text: str, at: int, found: Fields) -> int | None:
        match = re.compile(r"Z|(?:UTC|GMT)?[-+]\d\d(?::?\d\d){0,2}|[A-Z][A-Za-z_]+(?:/[\w+-]+)*").match(text, at)
        if not match:
            return None
        found["zone"] = match[0]
        return match.end()


def _built(found: Fields, text: str) -> datetime | date:
    number = {name: int(value) for name, value in found.items() if isinstance(value, int)}
    hour = number.get("hour", number.get("hour24", 24) % 24 if "hour24" in number else None)
    if hour is None and ("hour12" in number or "hour11" in number):
        hour = (number["hour12"] % 12 if "hour12" in number else number["hour11"]) + (
            12 if number.get("half") == 2 else 0
        )
    if "year" not in number or not ("yearday" in number or ("month" in number and "day" in number)):
        fail(f"The pattern for {excerpt(text, 60)!r} gives no whole date.", "It needs a year, a month and a day.")
    try:
        if "yearday" in number:
            day = date(number["year"], 1, 1) + timedelta(days=number["yearday"] - 1)
        else:
            day = date(number["year"], number["month"], number["day"])
        if hour is None:
            return day
        clock = time(hour, number.get("minute", 0), number.get("second", 0), number.get("nano", 0) // 1000)
    except (ValueError, OverflowError) as error:
        fail(f"{excerpt(text, 60)!r} is not a possible date: {error}.")
    moment = datetime.combine(day, clock)
    return moment.replace(tzinfo=zone_of(found["zone"])) if "zone" in found else moment
