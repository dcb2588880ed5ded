"""Filters and functions on dates. What they print is always in `timeZone`, or else in the server's zone."""

from datetime import UTC, date, datetime, time, tzinfo

from engine.expressions.date_arithmetic import moved
from engine.expressions.date_formatting import format_date
from engine.expressions.date_names import names_of
from engine.expressions.date_reading import read_date, read_iso, zone_of
from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.values import Value


def moment_of(value: Value, zone: tzinfo, existing_format: Value = None, locale: Value = None) -> datetime:
    """Any date as a moment in a zone: dates without time are noon, dates in text midnight, numbers epoch seconds."""
    if isinstance(value, str):
        found = read_iso(value) if existing_format is None else _by_pattern(value, existing_format, locale)
        if not isinstance(found, datetime):
            return datetime.combine(found, time(0), tzinfo=zone)
        value = found
    if isinstance(value, datetime):
        return value.replace(tzinfo=zone) if value.tzinfo is None else _shifted(value, zone)
    if isinstance(value, date):
        return datetime.combine(value, time(12), tzinfo=zone)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC).astimezone(zone)
        except (OverflowError, ValueError, OSError):
            fail(f"{value} seconds are outside the years 1 to 9999.", "Divide milliseconds by 1000.")
    return fail(f"A date is expected, not {kind(value)}.")


def _shifted(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except (OverflowError, ValueError):
        fail(f"{moment.isoformat()} is outside the years 1 to 9999 there.")


def _by_pattern(text: str, pattern: Value, locale: Value) -> datetime | date:
    if not isinstance(pattern, str):
        fail(f"'existingFormat' is a date pattern, not {kind(pattern)}.")
    return read_date(text, pattern, names_of(locale))


def _zone(frame: Frame, name: Value) -> tzinfo:
    return frame.services.zone if name is None else zone_of(name)


def _printed(moment: datetime, pattern: Value, locale: Value) -> str:
    if pattern is None:
        pattern = "iso"
    if not isinstance(pattern, str):
        fail(f"The format of a date is a text, not {kind(pattern)}.")
    return format_date(moment, pattern, names_of(locale))


@FILTERS.add(
    "date", "format", "timeZone", "existingFormat", "locale",
    contextual=True, also=("dateFormat",), format=None, timeZone=None, existingFormat=None, locale=None, cost=20,
)  # fmt: skip
def date_(frame: Frame, value: Value, pattern: Value, zone: Value, existing: Value, locale: Value) -> Value:
    """`{{ now() | date('yyyy-MM-dd', timeZone='Europe/Paris') }}`: a date as text."""
    if value is None:
        return None
    return _printed(moment_of(value, _zone(frame, zone), existing, locale), pattern, locale)


@FILTERS.add(
    "dateAdd", "amount", "unit", "format", "timeZone", "existingFormat", "locale",
    contextual=True, format=None, timeZone=None, existingFormat=None, locale=None, cost=20,
)  # fmt: skip
def date_add(
    frame: Frame, value: Value, amount: Value, unit: Value, pattern: Value, zone: Value, existing: Value, locale: Value
) -> Value:
    """`{{ now() | dateAdd(-7, 'DAYS') }}`: a date moved by an amount, which may be negative, as text."""
    if value is None:
        return None
    if not isinstance(amount, int) or isinstance(amount, bool):
        fail(f"'dateAdd' moves by an integer, not by {kind(amount)}.", "Read a text with `| number` first.")
    if not isinstance(unit, str):
        fail(f"'dateAdd' takes a unit such as 'DAYS', not {kind(unit)}.")
    moment = moved(moment_of(value, _zone(frame, zone), existing, locale), amount, unit)
    return _printed(moment if isinstance(moment, datetime) else moment_of(moment, UTC), pattern, locale)


def _micros(frame: Frame, value: Value, zone: Value, existing: Value) -> int:
    moment = moment_of(value, _zone(frame, zone), existing).astimezone(UTC)
    days = moment.toordinal() - date(1970, 1, 1).toordinal()
    return (days * 86_400 + moment.hour * 3600 + moment.minute * 60 + moment.second) * 1_000_000 + moment.microsecond


@FILTERS.add("timestamp", "timeZone", "existingFormat", contextual=True, timeZone=None, existingFormat=None)
def timestamp(frame: Frame, value: Value, zone: Value, existing: Value) -> Value:
    """Seconds since 1970."""
    return None if value is None else _micros(frame, value, zone, existing) // 1_000_000


@FILTERS.add("timestampMilli", "timeZone", "existingFormat", contextual=True, timeZone=None, existingFormat=None)
def timestamp_milli(frame: Frame, value: Value, zone: Value, existing: Value) -> Value:
    """Milliseconds since 1970, as text."""
    return None if value is None else str(_micros(frame, value, zone, existing) // 1_000)


@FILTERS.add("timestampMicro", "timeZone", "existingFormat", contextual=True, timeZone=None, existingFormat=None)
def timestamp_micro(frame: Frame, value: Value, zone: Value, existing: Value) -> Value:
    """Microseconds since 1970, as text."""
    return None if value is None else str(_micros(frame, value, zone, existing))


@FILTERS.add("timestampNano", "timeZone", "existingFormat", contextual=True, timeZone=None, existingFormat=None)
def timestamp_nano(frame: Frame, value: Value, zone: Value, existing: Value) -> Value:
    """Nanoseconds since 1970, as text."""
    return None if value is None else f"{_micros(frame, value, zone, existing)}000"


@FUNCTIONS.add(
    "now", "format", "timeZone", "existingFormat", "locale",
    contextual=True, format=None, timeZone=None, existingFormat=None, locale=None, cost=20,
)  # fmt: skip
def now(frame: Frame, pattern: Value, zone: Value, _existing: Value, locale: Value) -> str:
    """`{{ now('yyyy-MM-dd') }}`: the current time as text."""
    return _printed(moment_of(frame.services.now(), _zone(frame, zone)), pattern, locale)
