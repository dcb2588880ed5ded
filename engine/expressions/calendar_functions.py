"""Functions on the calendar: weekdays, weekends, working days."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from engine.expressions.allowance import spend
from engine.expressions.date_filters import moment_of
from engine.expressions.failures import fail
from engine.expressions.frame import Frame
from engine.expressions.operations import FUNCTIONS
from engine.expressions.printing import java_text
from engine.expressions.values import Value

_WEEKDAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_ORDER: Final = ("FIRST", "SECOND", "THIRD", "FOURTH")
_SATURDAY: Final = 5
_COUNTRY: Final = "US"  # of the locale, en_US


def _moment(frame: Frame, value: Value, function: str) -> datetime:
    if value is None:
        fail(f"{function}() needs a date, not null.")
    return moment_of(value, frame.services.zone)


@FUNCTIONS.add("dayOfWeek", "date", contextual=True)
def day_of_week(frame: Frame, value: Value) -> str:
    """`MONDAY` to `SUNDAY`."""
    return _WEEKDAYS[_moment(frame, value, "dayOfWeek").weekday()]


@FUNCTIONS.add("dayOfMonth", "date", contextual=True)
def day_of_month(frame: Frame, value: Value) -> int:
    """1 to 31."""
    return _moment(frame, value, "dayOfMonth").day


@FUNCTIONS.add("monthOfYear", "date", contextual=True)
def month_of_year(frame: Frame, value: Value) -> int:
    """1 to 12."""
    return _moment(frame, value, "monthOfYear").month


@FUNCTIONS.add("hourOfDay", "date", contextual=True)
def hour_of_day(frame: Frame, value: Value) -> int:
    """0 to 23."""
    return _moment(frame, value, "hourOfDay").hour


@FUNCTIONS.add("isWeekend", "date", contextual=True)
def is_weekend(frame: Frame, value: Value) -> bool:
    """Whether it is a Saturday or Sunday."""
    return _moment(frame, value, "isWeekend").weekday() >= _SATURDAY


@FUNCTIONS.add(
    "isPublicHoliday", "date", "countryCode", "subDivision", contextual=True, countryCode=None, subDivision=None
)
def is_public_holiday(frame: Frame, value: Value, country: Value, subdivision: Value) -> bool:
    """`isPublicHoliday(d, 'DE', 'BY')`: whether it is a public holiday of a country, or of a part of it."""
    day = _moment(frame, value, "isPublicHoliday").date()
    names = [None if one is None else java_text(one).upper() for one in (country, subdivision)]
    return day in _holidays(names[0] or _COUNTRY, names[1], day.year)


@lru_cache(maxsize=100)
def _holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    spend(50_000)
    import holidays  # noqa: PLC0415 - a fifth of a second that most flows need not wait for

    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))
    except NotImplementedError:
        where = f"{country!r}" if subdivision is None else f"{subdivision!r} of {country!r}"
        fail(f"isPublicHoliday() knows no holidays of {where}.", "Give two letters such as FR, then a part such as BY.")


@FUNCTIONS.add("isDayWeekInMonth", "date", "dayOfWeek", "dayInMonth", contextual=True)
def is_day_week_in_month(frame: Frame, value: Value, weekday: Value, order: Value) -> bool:
    """`isDayWeekInMonth(d, 'MONDAY', 'FIRST')`: whether it is the first Monday of its month."""
    day = _moment(frame, value, "isDayWeekInMonth").date()
    wanted, place = str(weekday).upper(), str(order).upper()
    if wanted not in _WEEKDAYS:
        fail(f"There is no weekday {str(weekday)[:40]!r}.", f"Use one of {', '.join(_WEEKDAYS)}.")
    if place not in (*_ORDER, "LAST"):
        fail(f"There is no place {str(order)[:40]!r} in a month.", f"Use one of {', '.join(_ORDER)}, LAST.")
    if _WEEKDAYS[day.weekday()] != wanted:
        return False
    if place == "LAST":
        return day.day + 7 > monthrange(day.year, day.month)[1]
    return (day.day - 1) // 7 == _ORDER.index(place)


@FUNCTIONS.add("isLastWorkingDay", "date", "days", contextual=True, days=None)
def is_last_working_day(frame: Frame, value: Value, days: Value) -> bool:
    """Whether it is the month's last day from Monday to Friday, or one of the given weekdays."""
    day = _moment(frame, value, "isLastWorkingDay").date()
    working = {str(one).upper() for one in days} if isinstance(days, (list, tuple)) else set(_WEEKDAYS[:_SATURDAY])
    last = date(day.year, day.month, monthrange(day.year, day.month)[1])
    while working & set(_WEEKDAYS) and _WEEKDAYS[last.weekday()] not in working:
        last -= timedelta(days=1)
    return day == last


@FUNCTIONS.add("isDateBefore", "date", "before", contextual=True)
def is_date_before(frame: Frame, value: Value, before: Value) -> bool:
    """Whether a date lies before another."""
    return _moment(frame, value, "isDateBefore") < _moment(frame, before, "isDateBefore")


@FUNCTIONS.add("isDateAfter", "date", "after", contextual=True)
def is_date_after(frame: Frame, value: Value, after: Value) -> bool:
    """Whether a date lies after another."""
    return _moment(frame, value, "isDateAfter") > _moment(frame, after, "isDateAfter")


@FUNCTIONS.add("isDateBetween", "date", "after", "before", contextual=True)
def is_date_between(frame: Frame, value: Value, after: Value, before: Value) -> bool:
    """Whether a date lies after one and before another."""
    moment = _moment(frame, value, "isDateBetween")
    return _moment(frame, after, "isDateBetween") < moment < _moment(frame, before, "isDateBetween")
