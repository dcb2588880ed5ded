"""Dates moved by calendar units; months and years are clamped to the end of the month."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Final

from engine.expressions.failures import fail, nearest

_FIXED: Final = {
    "NANOS": timedelta(0), "MICROS": timedelta(microseconds=1), "MILLIS": timedelta(milliseconds=1),
    "SECONDS": timedelta(seconds=1), "MINUTES": timedelta(minutes=1), "HOURS": timedelta(hours=1),
    "HALF_DAYS": timedelta(hours=12),
}  # fmt: skip
_DAYS: Final = {"DAYS": 1, "WEEKS": 7}
_MONTHS: Final = {"MONTHS": 1, "YEARS": 12, "DECADES": 120, "CENTURIES": 1200, "MILLENNIA": 12000}
UNITS: Final = (*_FIXED, *_DAYS, *_MONTHS)


def moved(moment: date, amount: int, unit: str) -> date:
    """The date or date-time moved by an amount, which may be negative; ExpressionFailed for an unknown unit or year."""
    try:
        if unit in _FIXED:
            if not isinstance(moment, datetime):
                fail(f"A date without a time cannot be moved by {unit}.")
            step = timedelta(microseconds=amount // 1000) if unit == "NANOS" else _FIXED[unit] * amount
            if moment.tzinfo is None:
                return moment + step
            return (moment.astimezone(UTC) + step).astimezone(moment.tzinfo)
        if unit in _DAYS:
            return moment + timedelta(days=_DAYS[unit] * amount)
        if unit in _MONTHS:
            months = moment.year * 12 + moment.month - 1 + _MONTHS[unit] * amount
            year, month = divmod(months, 12)
            return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        fail(f"Moving {moment.isoformat()} by {amount} {unit} leaves the years 1 to 9999.")
    near = nearest(unit, UNITS)
    return fail(f"There is no date unit {unit!r}.", near or f"Use one of {', '.join(UNITS)}.")
