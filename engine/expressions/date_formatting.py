"""Dates printed by a Java pattern or one of the named formats."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from engine.expressions.allowance import spend
from engine.expressions.date_names import ENGLISH, Names
from engine.expressions.date_patterns import Field, Optional, Piece, pieces_of
from engine.expressions.printing import fraction_text, instant_text, offset_text

NAMED_PATTERNS: Final = {
    "iso": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "iso_sec": "yyyy-MM-dd'T'HH:mm:ssXXX",
    "sql": "yyyy-MM-dd HH:mm:ss.SSSSSS",
    "sql_seq": "yyyy-MM-dd HH:mm:ss",
}
_MIDDAY: Final = 12


def format_date(moment: datetime, pattern: str, names: Names) -> str:
    """The moment, which has a zone, as text."""
    spend(len(pattern))
    if (own := _NAMED.get(pattern.lower())) is not None:
        return own(moment)
    return "".join(_piece(piece, moment, names) for piece in pieces_of(named_pattern(pattern, names)))


def named_pattern(pattern: str, names: Names) -> str:
    """The pattern behind a name such as `sql`, or `short` in a language; any other pattern as it is."""
    name = pattern.lower()
    return NAMED_PATTERNS.get(name) or names.styles.get(name) or pattern


def _piece(piece: Piece, moment: datetime, names: Names) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, Optional):
        return "".join(_piece(inner, moment, names) for inner in piece.pieces)
    return _FIELDS[piece.letter](piece, moment, names)


def zone_id(moment: datetime) -> str:
    """`Europe/Paris`, `UTC` or `+02:00`."""
    if isinstance(moment.tzinfo, ZoneInfo):
        return moment.tzinfo.key
    return "UTC" if moment.tzinfo is UTC else offset_text(moment)


def _local(moment: datetime) -> str:
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{_clock(moment)}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}{fraction_text(moment.microsecond, grouped=False)}"


def _zoned(moment: datetime) -> str:
    zone = "" if zone_id(moment) == offset_text(moment) else f"[{zone_id(moment)}]"
    return _local(moment) + offset_text(moment) + zone


def _week(moment: datetime) -> str:
    year, week, day = moment.isocalendar()
    return f"{year:04d}-W{week:02d}-{day}{offset_text(moment)}"


def _rfc(moment: datetime) -> str:
    offset = offset_text(moment).replace(":", "")
    day = f"{ENGLISH.short_days[moment.weekday()]}, {moment.day} {ENGLISH.short_months[moment.month - 1]}"
    return f"{day} {moment.year:04d} {moment:%H:%M:%S} {'GMT' if offset == 'Z' else offset}"


_NAMED: Final[dict[str, Callable[[datetime], str]]] = {
    "iso_date_time": _zoned,
    "iso_zoned_date_time": _zoned,
    "iso_offset_date_time": lambda moment: _local(moment) + offset_text(moment),
    "iso_local_date_time": _local,
    "iso_date": lambda moment: _local(moment)[:10] + offset_text(moment),
    "iso_offset_date": lambda moment: _local(moment)[:10] + offset_text(moment),
    "iso_local_date": lambda moment: _local(moment)[:10],
    "iso_time": lambda moment: _clock(moment) + offset_text(moment),
    "iso_offset_time": lambda moment: _clock(moment) + offset_text(moment),
    "iso_local_time": _clock,
    "iso_instant": instant_text,
    "iso_ordinal_date": lambda moment: f"{moment.year:04d}-{moment.timetuple().tm_yday:03d}{offset_text(moment)}",
    "iso_week_date": _week,
    "basic_iso_date": lambda moment: f"{_local(moment)[:10].replace('-', '')}{offset_text(moment).replace(':', '')}",
    "rfc_1123_date_time": _rfc,
}
NAMED_FORMATS: Final = frozenset(_NAMED)


def _number(value: int, field: Field) -> str:
    return str(value).rjust(field.count, "0")


def _year(value: int, field: Field) -> str:
    return f"{value % 100:02d}" if field.count == 2 else _number(value, field)


def _month(field: Field, moment: datetime, names: Names) -> str:
    if field.count < 3:
        return _number(moment.month, field)
    named = names.short_months if field.count == 3 else names.months
    return named[moment.month - 1][:1].upper() if field.count == 5 else named[moment.month - 1]


def _weekday(field: Field, moment: datetime, names: Names) -> str:
    if field.count == 5:
        return names.days[moment.weekday()][:1].upper()
    return (names.days if field.count == 4 else names.short_days)[moment.weekday()]


def _weekday_number(field: Field, moment: datetime, names: Names) -> str:
    if field.count > 2:
        return _weekday(field, moment, names)
    return _number((moment.isoweekday() - names.first_weekday) % 7 + 1, field)


def _quarter(field: Field, moment: datetime, names: Names) -> str:
    quarter = (moment.month + 2) // 3
    if field.count < 3 or field.count == 5:
        return str(quarter).rjust(min(field.count, 2) if field.count < 3 else 1, "0")
    return f"Q{quarter}" if field.count == 3 else f"{quarter}{('st', 'nd', 'rd', 'th')[quarter - 1]} quarter"


def week_of(day: date, names: Names) -> tuple[int, int]:
    """Year and number of the week, as the locale counts weeks."""

    def start(year: int) -> date:
        first = date(year, 1, 1)
        before = (first.isoweekday() - names.first_weekday) % 7
        return first - timedelta(days=before) if 7 - before >= names.first_week else first + timedelta(days=7 - before)

    year = day.year
    if day.year < 9999 and day >= start(day.year + 1):
        year = day.year + 1
    elif day < start(day.year):
        year = day.year - 1
    return year, (day - start(year)).days // 7 + 1


def _week_of_month(field: Field, moment: datetime, names: Names) -> str:
    first = moment.date().replace(day=1)
    before = (first.isoweekday() - names.first_weekday) % 7
    offset = 1 if 7 - before >= names.first_week else 0
    return str((moment.day - 1 + before) // 7 + offset)


def _offset(field: Field, moment: datetime, names: Names) -> str:
    offset = moment.utcoffset() or timedelta(0)
    seconds = int(offset.total_seconds())
    if field.letter == "X" and not seconds:
        return "Z"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    if field.letter == "Z":
        if field.count == 4:
            return "GMT" if not seconds else f"GMT{sign}{hours:02d}:{minutes:02d}"
        if field.count == 5:
            return "Z" if not seconds else f"{sign}{hours:02d}:{minutes:02d}"
        return f"{sign}{hours:02d}{minutes:02d}"
    if field.count == 1:
        return f"{sign}{hours:02d}{f'{minutes:02d}' if minutes else ''}"
    colon = ":" if field.count in (3, 5) else ""
    tail = f"{colon}{rest:02d}" if rest and field.count > 3 else ""
    return f"{sign}{hours:02d}{colon}{minutes:02d}{tail}"


def _gmt(field: Field, moment: datetime, names: Names) -> str:
    seconds = int((moment.utcoffset() or timedelta(0)).total_seconds())
    if not seconds:
        return "GMT"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if field.count == 4:
        return f"GMT{sign}{hours:02d}:{minutes:02d}"
    return f"GMT{sign}{hours}{f':{minutes:02d}' if minutes else ''}"


_LONG_ZONES: Final = {
    "UTC": "Coordinated Universal Time", "GMT": "Greenwich Mean Time", "CET": "Central European Standard Time",
    "CEST": "Central European Summer Time", "EST": "Eastern Standard Time", "EDT": "Eastern Daylight Time",
    "CST": "Central Standard Time", "CDT": "Central Daylight Time", "MST": "Mountain Standard Time",
    "MDT": "Mountain Daylight Time", "PST": "Pacific Standard Time", "PDT": "Pacific Daylight Time",
    "BST": "British Summer Time", "JST": "Japan Standard Time", "IST": "India Standard Time",
}  # fmt: skip


def _zone_name(field: Field, moment: datetime, names: Names) -> str:
    name = moment.tzname() or ""
    if not isinstance(moment.tzinfo, ZoneInfo) and moment.tzinfo is not UTC:
        return offset_text(moment)
    return _LONG_ZONES.get(name, name) if field.count == 4 else name


def _fraction(field: Field, moment: datetime, names: Names) -> str:
    return f"{moment.microsecond:06d}000"[: field.count]


def _nano_of_day(moment: datetime) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000_000 + moment.microsecond * 1000


_FIELDS: Final[dict[str, Callable[[Field, datetime, Names], str]]] = {
    "y": lambda field, moment, names: _year(moment.year, field),
    "u": lambda field, moment, names: _year(moment.year, field),
    "Y": lambda field, moment, names: _year(week_of(moment.date(), names)[0], field),
    "M": _month,
    "L": _month,
    "d": lambda field, moment, names: _number(moment.day, field),
    "D": lambda field, moment, names: _number(moment.timetuple().tm_yday, field),
    "E": _weekday,
    "e": _weekday_number,
    "c": _weekday_number,
    "F": lambda field, moment, names: str((moment.day - 1) % 7 + 1),
    "Q": _quarter,
    "q": _quarter,
    "w": lambda field, moment, names: _number(week_of(moment.date(), names)[1], field),
    "W": _week_of_month,
    "H": lambda field, moment, names: _number(moment.hour, field),
    "k": lambda field, moment, names: _number(moment.hour or 24, field),
    "h": lambda field, moment, names: _number(moment.hour % _MIDDAY or _MIDDAY, field),
    "K": lambda field, moment, names: _number(moment.hour % _MIDDAY, field),
    "a": lambda field, moment, names: names.halves[moment.hour >= _MIDDAY],
    "m": lambda field, moment, names: _number(moment.minute, field),
    "s": lambda field, moment, names: _number(moment.second, field),
    "S": _fraction,
    "n": lambda field, moment, names: _number(moment.microsecond * 1000, field),
    "N": lambda field, moment, names: _number(_nano_of_day(moment), field),
    "A": lambda field, moment, names: _number(_nano_of_day(moment) // 1_000_000, field),
    "X": _offset,
    "x": _offset,
    "Z": _offset,
    "O": _gmt,
    "z": _zone_name,
    "V": lambda field, moment, names: zone_id(moment),
    "G": lambda field, moment, names: (
        ("Anno Domini" if names is ENGLISH else names.eras[1])
        if field.count == 4
        else "A"
        if field.count == 5
        else names.eras[1]
    ),
}
