"""Triggers with dates: a cron expression, or a list."""

from datetime import MAXYEAR, UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator

from engine.core import cron as cron_text
from engine.core.dates import parse_datetime
from engine.core.inputs import RenderFn
from engine.core.property import Instead, Property, has_template
from engine.core.triggers import Scheduled
from engine.errors import ExpressionFailed, TaskFailed


class Schedule(Scheduled):
    """Start an execution at every date of a cron expression."""

    examples = (
        """
        id: mornings
        type: io.kestra.plugin.core.trigger.Schedule
        cron: "0 9 * * 1-5"
        timezone: Europe/Paris
        inputs:
          day: "{{ trigger.date }}"
        """,
    )
    type: Literal["io.kestra.plugin.core.trigger.Schedule", "io.kestra.core.models.triggers.types.Schedule"]
    with_seconds: bool = Field(default=False, description="The cron expression has six fields, seconds first.")
    cron: str = Field(description="Five Unix fields (six with `withSeconds`), or a nickname such as `@daily`.")
    backfill: Annotated[Any, Instead("")] = None

    @field_validator("cron")
    @classmethod
    def _cron_is_valid(cls, text: str, info: ValidationInfo) -> str:
        cron_text.expand(text, bool(info.data.get("with_seconds")))
        return text

    def tick(self, start: datetime, *, back: bool = False) -> datetime | None:
        """The nearest date of the cron expression."""
        step = cron_text.previous_before if back else cron_text.next_after
        return step(self.cron, start, self.zone(start.tzinfo or ZoneInfo("UTC")), self.with_seconds)


class ScheduleOnDates(Scheduled):
    """Start an execution at each of some dates."""

    examples = (
        """
        id: deadlines
        type: io.kestra.plugin.core.trigger.ScheduleOnDates
        timezone: Europe/Paris
        dates: ["2027-01-15T09:00:00", "2027-04-15T09:00:00"]
        """,
    )
    type: Literal["io.kestra.plugin.core.trigger.ScheduleOnDates"]
    dates: Property[list[str]]

    @field_validator("dates")
    @classmethod
    def _dates_are_readable(cls, dates: list[str]) -> list[str]:
        if not has_template(dates):
            for text in dates:
                if not 1 < parse_datetime(text, zoned=False).year < MAXYEAR:
                    raise ValueError(f"{text!r} lies at an edge of the calendar: not every zone has a date for it.")
        return dates

    def next_date(self, after: datetime, render: RenderFn) -> datetime | None:
        """The first of the dates after another; ExpressionFailed when a template among them gives no date."""
        return super(ScheduleOnDates, self._known(render)).next_date(after, render)

    def previous_date(self, before: datetime, render: RenderFn) -> datetime | None:
        """The last of the dates before another; ExpressionFailed when a template among them gives no date."""
        return super(ScheduleOnDates, self._known(render)).previous_date(before, render)

    def _known(self, render: RenderFn) -> "ScheduleOnDates":
        def evaluated(value: Any, guard: str) -> Any:
            return [evaluated(one, guard) for one in value] if isinstance(value, list) else render(value, {}, False)

        try:
            return self.rendered(evaluated) if has_template(self.dates) else self
        except TaskFailed as error:
            raise ExpressionFailed(error.message) from error

    def tick(self, start: datetime, *, back: bool = False) -> datetime | None:
        """The nearest of the dates; one without an offset is meant in the trigger's zone."""
        zone = self.zone(start.tzinfo or ZoneInfo("UTC"))
        moments = (parse_datetime(text, zoned=False) for text in self.dates)
        # In UTC: in one zone, dates are compared as the clock on the wall shows them, also where it shows one twice.
        dates = sorted(moment.replace(tzinfo=moment.tzinfo or zone).astimezone(UTC) for moment in moments)
        at = start.astimezone(UTC)
        if back:
            found = next((date for date in reversed(dates) if date < at), None)
        else:
            found = next((date for date in dates if date > at), None)
        return found and found.astimezone(zone)
