"""Triggers: what starts executions by itself. Models with pure questions, which the scheduler and the store ask."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from engine.core.conditions import AnyCondition, ConditionContext, is_true
from engine.core.inputs.resolution import RenderFn
from engine.core.labels import Labels
from engine.core.property import Property
from engine.core.state import State
from engine.core.task import ByType, LogLevel, Part, Typed, WorkerSelector
from engine.errors import ExpressionFailed

Dated = dict[str, str]  # `date`, `next`, `previous`: ISO text with offset, to the second

SEARCH = timedelta(days=3653)  # conditions are tried on dates up to ten years away …
CANDIDATES = 20_000  # … and on this many at most: a schedule by the second must not stop the clock


def known_zone(name: str) -> str:
    """The name of a time zone as it came; ValueError when there is no such zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = _nearest_zone(name)
        advice = f"did you mean `{near}`?" if near else "write it as `Europe/Paris` or `UTC`"
        raise ValueError(f"there is no time zone {name!r}; {advice}") from error
    return name


def _nearest_zone(name: str) -> str:
    """A zone of that city, or one whose name is written much like it; "" when there is none."""
    lowered = {zone.lower(): zone for zone in sorted(available_timezones())}
    city = next((zone for low, zone in lowered.items() if low.endswith(f"/{name.lower()}")), "")
    is_short = len(name) <= 5 and name.isupper()  # `CEST` is no slip of `EST`
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.8) if not is_short else []
    return city or (lowered[near[0]] if near else "")


ZoneName = Annotated[str, AfterValidator(known_zone)]


class Trigger(Typed):
    """Properties every trigger has."""

    is_of_flow = True
    noun = "a trigger"
    stands_in = "`triggers`"
    id: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$", max_length=256)
    description: str | None = None
    disabled: bool = False
    conditions: tuple[AnyCondition, ...] = Field(
        default=(), validation_alias=AliasChoices("conditions", "scheduleConditions")
    )
    when: str | bool | int | None = Field(
        default=None, description="Falsy: nothing starts. `conditions` in older flows."
    )
    inputs: dict[str, Any] = Field(default_factory=dict)
    labels: Labels = ()
    stop_after: tuple[State, ...] = ()
    allow_concurrent: bool = False
    fail_on_trigger_error: bool = False
    log_level: LogLevel | None = Field(
        default=None, validation_alias=AliasChoices("logLevel", "minLogLevel", "log_level")
    )
    log_to_file: bool = False
    worker_group: Any = None
    worker_selector: WorkerSelector | None = None
    policy_refs: Any = None
    assets: Any = None
    version: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _conditions_of_both_names(cls, data: Any) -> Any:
        """Kestra 1.x takes `scheduleConditions` beside `conditions`: all of them have to hold."""
        old, new = "scheduleConditions", "conditions"
        if isinstance(data, Mapping) and isinstance(data.get(old), list) and isinstance(data.get(new), list):
            rest = {key: value for key, value in data.items() if key != old}
            return {**rest, new: [*data[new], *data[old]]}
        return data

    @property
    def needs_inputs(self) -> bool:
        """Whether nothing starts when its flow asks for an input that nobody gives: a trigger that names none may."""
        return "inputs" in self.model_fields_set

    def holds(self, context: ConditionContext) -> bool:
        """Whether all conditions are met; ExpressionFailed when one can't be told."""
        if not all(condition.holds(context) for condition in self.conditions):
            return False
        return self.when is None or is_true(context.text(self.when) if isinstance(self.when, str) else self.when)


class Scheduled(Trigger):
    """A trigger with dates. Dates are aware; without `timezone` they are in the zone of the date asked about."""

    timezone: ZoneName | None = None
    recover_missed_schedules: Literal["ALL", "LAST", "NONE"] | None = None
    late_maximum_delay: Property[timedelta] | None = None

    @property
    def needs_inputs(self) -> bool:
        """A schedule always gives what its flow asks for."""
        return True

    @abstractmethod
    def tick(self, start: datetime, *, back: bool = False) -> datetime | None:
        """The nearest date strictly after (or, going back, before) another, whatever the conditions say."""

    def zone(self, default: tzinfo) -> tzinfo:
        """The time zone of its dates."""
        return ZoneInfo(self.timezone) if self.timezone else default

    def next_date(self, after: datetime, render: RenderFn) -> datetime | None:
        """The first date strictly after another whose conditions hold, None when there is none.

        A date whose conditions can't be rendered counts as one: `holds_at` then raises the reason where it shows.
        """
        return self._search(after, render, back=False)

    def previous_date(self, before: datetime, render: RenderFn) -> datetime | None:
        """The last date strictly before another whose conditions hold."""
        return self._search(before, render, back=True)

    def holds_at(self, date: datetime, render: RenderFn) -> bool:
        """Whether the conditions let it fire at one of its dates; ExpressionFailed."""
        return self.holds(_context(date, render))

    def variables_at(self, date: datetime, render: RenderFn) -> Dated:
        """What expressions see as `trigger` (and `schedule`) in an execution for a date."""
        local = date.astimezone(self.zone(date.tzinfo or ZoneInfo("UTC")))
        found = {"date": local, "next": self.next_date(local, render), "previous": self.previous_date(local, render)}
        return {name: moment.isoformat(timespec="seconds") for name, moment in found.items() if moment is not None}

    def _search(self, start: datetime, render: RenderFn, *, back: bool) -> datetime | None:
        date = self.tick(start, back=back)
        free = not self.conditions and self.when is None
        for _ in range(CANDIDATES):
            if date is None or free:
                return date
            if abs(date - start) > SEARCH:
                return None
            try:
                if self.holds(_context(date, render)):
                    return date
                whole_day = any(c.by_day and not c.holds(_context(date, render)) for c in self.conditions)
            except ExpressionFailed:
                return None if back else date
            date = self.tick(_edge_of_day(date, back=back) if whole_day else date, back=back)
        return None


class FlowPart(Part):
    """A flow that others wait for, in `preconditions` and `dependsOn`."""

    namespace: str | None = Field(default=None, description="Exactly this one; none: any.")
    flow_id: str | None = None
    states: tuple[State, ...] | None = None
    labels: Labels = ()
    when: str | bool | None = None


AnyTrigger = Annotated[Trigger, ByType("AnyTrigger", "a trigger", lambda: Trigger)]


def _context(date: datetime, render: RenderFn) -> ConditionContext:
    text = date.isoformat(timespec="seconds")
    return ConditionContext(render, {"trigger": {"date": text}, "schedule": {"date": text}})


def _edge_of_day(date: datetime, *, back: bool) -> datetime:
    """The last moment of a day, or the first going back, so that the next date looked for lies in another day."""
    if back:
        return date.replace(hour=0, minute=0, second=0, microsecond=0)
    return date.replace(hour=23, minute=59, second=59, microsecond=999_999)
