"""Functions on the calendar: weekdays, weekends, working days."""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from engine.expressions.allowance import excerpt, spend
from engine.expressions.date_filters import moment_of
from engine.expressions.date_reading import read_iso
from engine.expressions.failures import fail
from engine.expressions.frame import Frame
from engine.expressions.operations import FUNCTIONS
from engine.expressions.printing import java_text
from engine.expressions.values import Value, is_list

_WEEKDAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_ORDER: Final = ("FIRST", "SECOND", "THIRD", "FOURTH")
_SATURDAY: Final = 5


def _moment(frame: Frame, value: Value, function: str) -> datetime:
    if value is None:
        fail(f"{function}() needs a date, not null.")
    return moment_of(value, frame.services.zone)


def _day(frame: Frame, value: Value, function: str) -> date:
    """The day that is written: `2025-01-06T00:30:00+02:00` is a Monday wherever the server stands."""
    found = read_iso(value) if isinstance(value, str) else value
    return found if isinstance(found, date) else _moment(frame, value, function)


def _date(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


@FUNCTIONS.add("dayOfWeek", "date", contextual=True)
def day_of_week(frame: Frame, value: Value) -> str:
    """`MONDAY` to `SUNDAY`."""
    return _WEEKDAYS[_day(frame, value, "dayOfWeek").weekday()]


@FUNCTIONS.add("dayOfMonth", "date", contextual=True)
def day_of_month(frame: Frame, value: Value) -> int:
    """1 to 31."""
    return _day(frame, value, "dayOfMonth").day


@FUNCTIONS.add("monthOfYear", "date", contextual=True)
def month_of_year(frame: Frame, value: Value) -> int:
    """1 to 12."""
    return _day(frame, value, "monthOfYear").month


@FUNCTIONS.add("hourOfDay", "date", contextual=True)
def hour_of_day(frame: Frame, value: Value) -> int:
    """0 to 23, as it is written: it is not moved to another zone."""
    found = _day(frame, value, "hourOfDay")
    if not isinstance(found, datetime):
        fail("hourOfDay() needs a date with its time.", "Write it as `2042-04-02T04:20:42Z`.")
    return found.hour


@FUNCTIONS.add("isWeekend", "date", contextual=True)
def is_weekend(frame: Frame, value: Value) -> bool:
    """Whether it is a Saturday or Sunday."""
    return _day(frame, value, "isWeekend").weekday() >= _SATURDAY


@FUNCTIONS.add(
    "isPublicHoliday", "date", "countryCode", "subDivision", contextual=True, countryCode=None, subDivision=None
)
def is_public_holiday(frame: Frame, value: Value, country: Value, subdivision: Value) -> bool:
    """`isPublicHoliday(d, 'DE', 'BY')`: whether it is a public holiday of a country, or of a part of it.

    A part with no holidays of its own has those of its country.
    """
    day = _date(_day(frame, value, "isPublicHoliday"))
    names = ["" if one is None else java_text(one).strip().upper() for one in (country, subdivision)]
    if not names[0]:
        fail("isPublicHoliday() needs a country.", "Give two letters, as in `isPublicHoliday(trigger.date, 'FR')`.")
    return day in _holidays(names[0], names[1], day.year)


@lru_cache(maxsize=100)
def _holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    spend(50_000)
    import holidays  # noqa: PLC0415 - a fifth of a second that most flows need not wait for

    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))
    except NotImplementedError:  # by which the library says that it does not know the place
        if subdivision:
            return _holidays(country, "", year)
        fail(f"isPublicHoliday() knows no holidays of {country!r}.", "Give the two letters of a country, such as FR.")


@FUNCTIONS.add("isDayWeekInMonth", "date", "dayOfWeek", "dayInMonth", contextual=True)
def is_day_week_in_month(frame: Frame, value: Value, weekday: Value, order: Value) -> bool:
    """`isDayWeekInMonth(d, 'MONDAY', 'FIRST')`: whether it is the first Monday of its month."""
    day = _date(_day(frame, value, "isDayWeekInMonth"))
    wanted, place = java_text(weekday).upper(), java_text(order).upper()
    if wanted not in _WEEKDAYS:
        fail(f"There is no weekday {excerpt(java_text(weekday), 40)!r}.", f"Use one of {', '.join(_WEEKDAYS)}.")
    if place not in (*_ORDER, "LAST"):
        fail(
            f"There is no place {excerpt(java_text(order), 40)!r} in a month.", f"Use one of {', '.join(_ORDER)}, LAST."
        )
    if _WEEKDAYS[day.weekday()] != wanted:
        return False
    if place == "LAST":
        return day.day + 7 > monthrange(day.year, day.month)[1]
    return (day.day - 1) // 7 == _ORDER.index(place)


@FUNCTIONS.add("isLastWorkingDay", "date", "workingDays", contextual=True, workingDays=None)
def is_last_working_day(frame: Frame, value: Value, working_days: Value) -> bool:
    """Whether it is the month's last day from Monday to Friday, or of the given weekdays (a list, or text)."""
    day = _date(_day(frame, value, "isLastWorkingDay"))
    working = _working(working_days)
    last = date(day.year, day.month, monthrange(day.year, day.month)[1])
    while _WEEKDAYS[last.weekday()] not in working:
        last -= timedelta(days=1)
    return day == last


def _working(days: Value) -> set[str]:
    if days is None or days == "":
        return set(_WEEKDAYS[:_SATURDAY])
    named = re.split(r"[,\s]+", days.strip()) if isinstance(days, str) else days if is_list(days) else [days]
    working = {java_text(one).upper() for one in named}
    if wrong := sorted(working - set(_WEEKDAYS)):
        fail(
            f"isLastWorkingDay() was given {excerpt(wrong[0], 40)!r}, which is no weekday.",
            f"Use {', '.join(_WEEKDAYS)}.",
        )
    return working


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
