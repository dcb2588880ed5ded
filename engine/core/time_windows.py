"""Windows of time in which several executions must have happened before a Flow trigger fires."""

from datetime import datetime, time, timedelta
from typing import Literal

from pydantic import Field, model_validator

from engine.core.task import Part

WindowKind = Literal["DURATION_WINDOW", "SLIDING_WINDOW", "DAILY_TIME_DEADLINE", "DAILY_TIME_WINDOW"]
DAY = timedelta(days=1)


class TimeWindow(Part):
    """`timeWindow` of preconditions and MultipleCondition. Without anything: one day, from midnight."""

    type: WindowKind = "DURATION_WINDOW"
    window: timedelta | None = None
    window_advance: timedelta | None = None
    deadline: time | None = None
    start_time: time | None = None
    end_time: time | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "TimeWindow":
        if self.type == "DAILY_TIME_DEADLINE" and self.deadline is None:
            raise ValueError("a DAILY_TIME_DEADLINE needs its `deadline`")
        if self.type == "DAILY_TIME_WINDOW" and (self.start_time is None or self.end_time is None):
            raise ValueError("a DAILY_TIME_WINDOW needs its `startTime` and `endTime`")
        if self.type == "SLIDING_WINDOW" and not self.window:
            raise ValueError("a SLIDING_WINDOW needs its `window`")
        if self.window is not None and self.window <= timedelta(0):
            raise ValueError("`window` must be longer than nothing")
        return self

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """Start and end of the window that an aware moment counts for; the end is not part of it.

        When the moment lies in none (before a DAILY_TIME_WINDOW, after a deadline) the two are equal.
        """
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        match self.type:
            case "SLIDING_WINDOW":
                return now - (self.window or DAY), now + timedelta(microseconds=1)
            case "DAILY_TIME_DEADLINE":
                end = _at(midnight, self.deadline)
                return (midnight, end) if now < end else (midnight, midnight)
            case "DAILY_TIME_WINDOW":
                start, end = _at(midnight, self.start_time), _at(midnight, self.end_time)
                return (start, end) if start <= now < end else (start, start)
        length = self.window or DAY
        origin = midnight + (self.window_advance or timedelta(0))
        start = origin + (now - origin) // length * length
        return start, start + length


class Window(Part):
    """`window` of `dependsOn` in newer flows."""

    deadline: time | None = None
    from_: time | None = Field(default=None, alias="from")
    to: time | None = None
    every: timedelta | None = None
    offset: timedelta | None = None
    lookback: timedelta | None = None
    timezone: str | None = None

    def as_time_window(self) -> TimeWindow:
        """The same window in the older form."""
        if self.deadline is not None:
            return TimeWindow(type="DAILY_TIME_DEADLINE", deadline=self.deadline)
        if self.from_ is not None and self.to is not None:
            return TimeWindow(type="DAILY_TIME_WINDOW", start_time=self.from_, end_time=self.to)
        if self.lookback is not None:
            return TimeWindow(type="SLIDING_WINDOW", window=self.lookback)
        return TimeWindow(window=self.every, window_advance=self.offset)


def _at(midnight: datetime, clock: time | None) -> datetime:
    found = clock or time()
    return midnight.replace(hour=found.hour, minute=found.minute, second=found.second)
