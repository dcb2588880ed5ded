"""Cron text → dates as in Unix: 0 and 7 are Sunday; when day of month and day of week are both set, either will do.

Where clocks change, a job at a fixed time runs once: in a skipped hour right after it, in a repeated hour the first
time. Jobs with `*` in minutes or hours run whenever the clock on the wall shows such a time. (cronsim would do both
where clocks change by an hour, but not where they do by half of one: it is only asked about times on the wall.)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from cronsim import CronSim, CronSimError

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_FIELD = re.compile(r"[0-9A-Za-z*,/-]+", re.ASCII)
LONGEST = 500  # characters: each of a list is gone through whenever a date is looked for
SECOND = timedelta(seconds=1)
LONGEST_TURN = timedelta(hours=3)  # no clock is set by more where hours change
_ANCHOR = datetime(2024, 1, 1, tzinfo=UTC)


_EVERY = re.compile(r"@every ([2-5]?[0-9])m", re.IGNORECASE)  # of the schedulers that are written in Go


class CronInvalid(ValueError):
    """The text is no cron expression."""


@lru_cache(maxsize=4096)
def expand(cron: str, with_seconds: bool = False) -> str:
    """The fields of a cron text, nicknames spelled out; CronInvalid says what is wrong."""
    text = cron.strip()
    if len(text) > LONGEST:
        raise CronInvalid(f"invalid cron expression '{cron[:40]}\u2026': it has more than {LONGEST} characters")
    if "{{" in text:
        raise CronInvalid(f"invalid cron expression '{cron}': templates are not rendered in it")
    if text.startswith("@"):
        if text.lower() not in NICKNAMES:
            every = _EVERY.fullmatch(text)
            meant = f"write `*/{every[1]} * * * *`" if every else f"use one of {', '.join(NICKNAMES)}"
            raise CronInvalid(f"invalid cron expression '{cron}': there is no {text}; {meant}")
        return ("0 " if with_seconds else "") + NICKNAMES[text.lower()]
    fields = text.split()
    wanted = 6 if with_seconds else 5
    if len(fields) != wanted:
        names = ", ".join((("second",) if with_seconds else ()) + _FIELDS)
        more = " or set `withSeconds: true`" if len(fields) == 6 else ""
        more = more or ("; every day at nine is `0 9 * * *`" if not _FIELD.match(text) or text[0].isalpha() else "")
        count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise CronInvalid(f"invalid cron expression '{cron}': it has {count}, but needs {wanted} ({names}){more}")
    for field in fields:
        if not _FIELD.fullmatch(field):
            more = "; write `*`" if field == "?" else ""
            raise CronInvalid(
                f"invalid cron expression '{cron}': {field!r} is not a number, name, list, range or step{more}"
            )
    expanded = " ".join(fields)
    try:
        CronSim(expanded, _ANCHOR)
    except CronSimError as error:
        raise CronInvalid(f"invalid cron expression '{cron}': {_reason(str(error), fields)}") from error
    return expanded


def next_after(cron: str, after: datetime, zone: tzinfo, with_seconds: bool = False) -> datetime | None:
    """The first date strictly after an aware one, in `zone`; None when there is none within 50 years."""
    return _step(cron, after, zone, with_seconds, reverse=False)


def previous_before(cron: str, before: datetime, zone: tzinfo, with_seconds: bool = False) -> datetime | None:
    """The last date strictly before an aware one, in `zone`; None when there is none within 50 years."""
    return _step(cron, before, zone, with_seconds, reverse=True)


def _step(cron: str, start: datetime, zone: tzinfo, with_seconds: bool, *, reverse: bool) -> datetime | None:
    fields, at = expand(cron, with_seconds), start.astimezone(UTC)
    try:
        walls = [_wall(at, zone)]
        around = at - LONGEST_TURN if reverse else at + LONGEST_TURN
        if abs(_wall(around, zone) - walls[0]) < LONGEST_TURN:  # the clock was set back, or will be
            walls.append(_turned_back(min(at, around), max(at, around), zone, reverse=reverse))
        found = [date for wall in walls if (date := _nearest(fields, wall, at, zone, reverse=reverse)) is not None]
    except OverflowError:
        return None
    return (max if reverse else min)(found).astimezone(zone) if found else None


def _nearest(fields: str, wall: datetime, at: datetime, zone: tzinfo, *, reverse: bool) -> datetime | None:
    """The nearest date beyond a moment, of those that the clock on the wall shows beyond a time."""
    for shown in CronSim(fields, wall, reverse=reverse):
        moments = [one for one in _moments(shown, zone, fields) if (one < at if reverse else one > at)]
        if moments:
            return max(moments) if reverse else min(moments)
    return None


def _moments(shown: datetime, zone: tzinfo, fields: str) -> list[datetime]:
    """When a job is due for a time that the clock on the wall shows, perhaps never or twice."""
    ahead = [shown.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1)]
    first, second = ((shown - one).replace(tzinfo=UTC) for one in ahead)
    if first == second:
        return [first]
    minute, hour = fields.split()[-5:-3]
    is_fixed = not minute.startswith("*") and not hour.startswith("*")
    if second < first:  # it is skipped
        return [_turn(second - SECOND, first, zone)] if is_fixed else []
    return [first] if is_fixed else [first, second]


def _turned_back(low: datetime, high: datetime, zone: tzinfo, *, reverse: bool) -> datetime:
    """Where the clock on the wall begins anew between two moments; going back, where it had come to."""
    turn = _turn(low, high, zone)
    return _wall(turn - SECOND, zone) + SECOND if reverse else _wall(turn, zone) - SECOND


def _turn(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The first second after which the clock on the wall goes as it does at `high`."""
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        if high - middle == _wall(high, zone) - _wall(middle, zone):
            high = middle
        else:
            low = middle
    return high


def _wall(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _is_cron(text: str) -> bool:
    try:
        CronSim(text, _ANCHOR)
    except CronSimError:
        return False
    return True


def long_steps(cron: str) -> Iterator[tuple[str, int, int]]:
    """Steps that no second one fits behind: which field, the step, and the last value of the field."""
    minute, hour = expand(cron).split()[:2]
    for name, field, last in (("minute", minute, 59), ("hour", hour, 23)):
        step = field.removeprefix("*/")
        if step != field and step.isdecimal() and int(step) > last:
            yield name, int(step), last


@dataclass(frozen=True, slots=True)
class Burst:
    """A cron that fires every minute of some hours only: rarely what was meant."""

    runs: int
    first: str
    last: str
    suggestion: str


def burst(cron: str) -> Burst | None:
    """What to warn about when the minute field is `*` while the hour field names hours."""
    fields = expand(cron).split()
    minute, hour = fields[:2]
    if minute != "*" or hour.startswith("*"):
        return None
    simulated = CronSim(" ".join(("0", hour, "*", "*", "*")), datetime(2024, 1, 1) - timedelta(minutes=1))  # noqa: DTZ001
    hours = []
    for fired in simulated:
        if fired.day != 1:
            break
        hours.append(fired.hour)
    if len(hours) == 24:
        return None
    return Burst(60 * len(hours), f"{hours[0]}:00", f"{hours[-1]}:59", " ".join(("0", hour, *fields[2:])))


def _reason(problem: str, fields: list[str]) -> str:
    field = problem.removeprefix("Bad ").replace("-", " ")
    day, month = fields[-3:-1]
    if field == "day of month" and _is_cron(" ".join(("0", "0", day, "*", "*"))):
        return f"it never runs, because month {month} has no day {day}"
    ranges = {
        "second": "0-59",
        "minute": "0-59",
        "hour": "0-23",
        "day of month": "1-31",
        "month": "1-12",
        "day of week": "0-7",
    }
    return f"the {field} field is out of range {ranges[field]} or not understood" if field in ranges else problem
