"""Hours in which nobody is reminded, in somebody's own time zone. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from engine.settings import Section

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Sequence[Weekday] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = 10  # days looked ahead for the end of silence


class QuietHours(Section):
    """From one time of day to another, over midnight when `to` comes first, and whole days in `days`."""

    zone: str = Field(default="UTC", description="IANA name, such as Europe/London.")
    from_: time | None = Field(default=None, alias="from")
    to: time | None = None
    days: tuple[Weekday, ...] = Field(default=(), description="Days that are quiet as a whole, such as sat and sun.")

    @field_validator("from_", "to", mode="before")
    @classmethod
    def _is_a_time(cls, said: object) -> object:
        """YAML reads 19:00 without quotes as a number of minutes."""
        if isinstance(said, int) and not isinstance(said, bool):
            if not 0 <= said < 24 * 60:
                raise ValueError('write a time of day in quotes, such as "19:00"')
            return time(*divmod(said, 60))
        return said

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{name!r} is no time zone: write an IANA name such as Europe/London") from error
        return name

    @model_validator(mode="after")
    def _is_whole(self) -> "QuietHours":
        if (self.from_ is None) != (self.to is None):
            raise ValueError("`from` and `to` go together")
        if self.from_ is None and not self.days:
            raise ValueError("give `from` and `to`, or `days`")
        if len(self.days) == len(DAYS):
            raise ValueError("with every day quiet nobody would ever be reminded")
        return self

    def after(self, when: datetime) -> datetime:
        """The moment itself, or the end of the silence it falls into; in UTC."""
        zone = ZoneInfo(self.zone)
        local = when.astimezone(zone)
        for _ in range(2 * LONGEST):
            until = self._end(local)
            if until is None:
                break
            # Through UTC: an hour that a zone skips or repeats must not stop the time.
            local = max(until.astimezone(UTC), local.astimezone(UTC)).astimezone(zone)
        return local.astimezone(UTC)

    def _end(self, local: datetime) -> datetime | None:
        """When the silence around a moment may end; None when it is not silent."""
        if DAYS[local.weekday()] in self.days:
            return datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)
        if self.from_ is None or self.to is None:
            return None
        clock = local.time()
        if self.from_ <= self.to:
            return datetime.combine(local.date(), self.to, local.tzinfo) if self.from_ <= clock < self.to else None
        if clock >= self.from_:
            return datetime.combine(local.date() + timedelta(days=1), self.to, local.tzinfo)
        return datetime.combine(local.date(), self.to, local.tzinfo) if clock < self.to else None
