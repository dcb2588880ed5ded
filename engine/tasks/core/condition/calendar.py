"""Conditions on a date: weekdays, weekends, holidays, and stretches of time."""

from datetime import UTC, datetime, time, timedelta, timezone
from typing import Literal

from pydantic import Field, field_validator

from engine.core.conditions import WEEK, ConditionContext, DateCondition, DayCondition, DayOfWeek, is_true
from engine.core.dates import parse_datetime
from engine.errors import ExpressionFailed

DayInMonth = Literal["FIRST", "SECOND", "THIRD", "FOURTH", "LAST"]
_OFFSET_TIME = r"^\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[-+]\d\d:\d\d)?$"


class DayWeek(DayCondition):
    """The date is a given day of the week."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.DayWeek
        dayOfWeek: MONDAY
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.DayWeek",
        "io.kestra.plugin.core.condition.DayWeekCondition",
        "io.kestra.core.models.conditions.types.DayWeekCondition",
    ]
    day_of_week: DayOfWeek

    def holds(self, context: ConditionContext) -> bool:
        return WEEK[context.moment(self.date).weekday()] == self.day_of_week


class DayWeekInMonth(DayCondition):
    """The date is, for instance, the first Monday of its month."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.DayWeekInMonth
        dayOfWeek: MONDAY
        dayInMonth: FIRST
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.DayWeekInMonth",
        "io.kestra.plugin.core.condition.DayWeekInMonthCondition",
        "io.kestra.core.models.conditions.types.DayWeekInMonthCondition",
    ]
    day_of_week: DayOfWeek
    day_in_month: DayInMonth

    def holds(self, context: ConditionContext) -> bool:
        date = context.moment(self.date)
        if WEEK[date.weekday()] != self.day_of_week:
            return False
        if self.day_in_month == "LAST":
            return (date + timedelta(days=7)).month != date.month
        return (date.day - 1) // 7 == ("FIRST", "SECOND", "THIRD", "FOURTH").index(self.day_in_month)


class Weekend(DayCondition):
    """The date is a Saturday or Sunday."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.Weekend
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.Weekend",
        "io.kestra.plugin.core.condition.WeekendCondition",
        "io.kestra.core.models.conditions.types.WeekendCondition",
    ]

    def holds(self, context: ConditionContext) -> bool:
        return context.moment(self.date).weekday() >= 5


class PublicHoliday(DayCondition):
    """The date is a public holiday of a country."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.PublicHoliday
        country: DE
        subDivision: BY
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.PublicHoliday",
        "io.kestra.plugin.core.condition.PublicHolidayCondition",
        "io.kestra.core.models.conditions.types.PublicHolidayCondition",
    ]
    country: str = Field(default="US", description="Two letters, such as FR.")
    sub_division: str | None = Field(default=None, description="A part of the country, such as BY.")

    def holds(self, context: ConditionContext) -> bool:
        asked = {
            "holidayDate": context.moment(self.date).date().isoformat(),
            "holidayCountry": context.text(self.country),
            "holidayDivision": context.text(self.sub_division) if self.sub_division else None,
        }
        call = "isPublicHoliday(holidayDate, holidayCountry" + (", holidayDivision" if self.sub_division else "") + ")"
        return is_true(context.render("{{ " + call + " }}", {**context.extra, **asked}, False))


class DateTimeBetween(DateCondition):
    """The moment lies after one and before another; either may be left out."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.DateTimeBetween
        after: "2027-01-01T00:00:00Z"
        before: "2027-04-01T00:00:00Z"
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.DateTimeBetween",
        "io.kestra.plugin.core.condition.DateTimeBetweenCondition",
        "io.kestra.core.models.conditions.types.DateTimeBetweenCondition",
    ]
    after: str | None = None
    before: str | None = None

    def holds(self, context: ConditionContext) -> bool:
        moment = _zoned(context.moment(self.date))
        after = None if self.after is None else _zoned(context.moment(self.after))
        before = None if self.before is None else _zoned(context.moment(self.before))
        return (after is None or moment > after) and (before is None or moment < before)


class TimeBetween(DateCondition):
    """The time of day lies after one and before another, each with its offset (`16:19:11+02:00`)."""

    examples = (
        """
        type: io.kestra.plugin.core.condition.TimeBetween
        after: "08:00:00+01:00"
        before: "17:00:00+01:00"
        """,
    )
    type: Literal[
        "io.kestra.plugin.core.condition.TimeBetween",
        "io.kestra.plugin.core.condition.TimeBetweenCondition",
        "io.kestra.core.models.conditions.types.TimeBetweenCondition",
    ]
    after: str | None = Field(default=None, pattern=_OFFSET_TIME)
    before: str | None = Field(default=None, pattern=_OFFSET_TIME)

    @field_validator("after", "before")
    @classmethod
    def _is_a_time(cls, text: str | None) -> str | None:
        if text is not None:
            _clock(text)
        return text

    def holds(self, context: ConditionContext) -> bool:
        text = context.text(self.date)
        moment = _as_instant(_zoned(context.moment(self.date)).timetz()) if "T" in text else _as_instant(_clock(text))
        after = None if self.after is None else _as_instant(_clock(self.after))
        before = None if self.before is None else _as_instant(_clock(self.before))
        return (after is None or moment > after) and (before is None or moment < before)


def _zoned(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _clock(text: str) -> time:
    try:
        return parse_datetime(f"2000-01-01T{text}", zoned=False).timetz()
    except ValueError as error:
        raise ExpressionFailed(f"{text!r} is not a time of day; write it as `16:19:11+02:00`.") from error


def _as_instant(clock: time) -> timedelta:
    """Times of day of different offsets in one order, as Java compares OffsetTime: by the moment they stand for."""
    zone = clock.tzinfo if isinstance(clock.tzinfo, timezone) else None
    offset = clock.utcoffset() or (zone.utcoffset(None) if zone else timedelta(0))
    return (
        timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second, microseconds=clock.microsecond) - offset
    )
