"""Windows of time in which several executions must have happened before a Flow trigger fires."""

from datetime import datetime, time, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from engine.core.durations import Duration
from engine.core.task import Part
from engine.core.triggers import ZoneName

WindowKind = Literal["DURATION_WINDOW", "SLIDING_WINDOW", "DAILY_TIME_DEADLINE", "DAILY_TIME_WINDOW"]
DAY = timedelta(days=1)


class TimeWindow(Part):
    """`timeWindow` of preconditions and MultipleCondition. Without anything: one day, from midnight."""

    type: WindowKind = "DURATION_WINDOW"
    window: Duration | None = None
    window_advance: Duration | None = None
    deadline: time | None = None
    start_time: time | None = None
    end_time: time | None = None
    timezone: ZoneName | None = Field(default=None, description="Of midnights and times of day; the server's, if none.")

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
        if (zone := self._zone()) is not None:
            now = now.astimezone(zone)
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

    def _zone(self) -> tzinfo | None:
        """The offset of a time such as `09:00:00+01:00`, else the time zone."""
        times = (self.deadline, self.start_time, self.end_time)
        offset = next((one.tzinfo for one in times if one is not None and one.tzinfo is not None), None)
        return offset or (ZoneInfo(self.timezone) if self.timezone is not None else None)


class Window(Part):
    """`window` of `dependsOn` in newer flows: a deadline, a stretch of the day, a look back, or a length (a day)."""

    deadline: time | None = None
    from_: time | None = Field(default=None, alias="from")
    to: time | None = None
    every: Duration | None = None
    offset: Duration | None = None
    lookback: Duration | None = None
    timezone: ZoneName | None = None
    fire_once: bool = Field(default=False, description="True: all must be met again before it fires again.")

    @model_validator(mode="after")
    def _one_kind(self) -> "Window":
        if (self.from_ is None) != (self.to is None):
            raise ValueError("a window has `from` and `to`, or neither")
        kinds = {
            "deadline": self.deadline,
            "from": self.from_,
            "lookback": self.lookback,
            "every": self.every or self.offset,
        }
        given = [f"`{name}`" for name, value in kinds.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"a window is of one kind, but has {' and '.join(given)}")
        return self

    def as_time_window(self) -> TimeWindow:
        """The same window in the older form."""
        zone = self.timezone
        if self.deadline is not None:
            return TimeWindow(type="DAILY_TIME_DEADLINE", deadline=self.deadline, timezone=zone)
        if self.from_ is not None and self.to is not None:
            return TimeWindow(type="DAILY_TIME_WINDOW", start_time=self.from_, end_time=self.to, timezone=zone)
        if self.lookback is not None:
            return TimeWindow(type="SLIDING_WINDOW", window=self.lookback, timezone=zone)
        return TimeWindow(window=self.every, window_advance=self.offset, timezone=zone)


def _at(midnight: datetime, clock: time | None) -> datetime:
    found = clock or time()
    return midnight.replace(hour=found.hour, minute=found.minute, second=found.second)
