"""Schedules as people say them: `every weekday at 9:00`, `tomorrow 14:00`, or a cron expression. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo

from bot.commands.spoken_times import WEEKDAYS, read_datetime, read_time
from engine.core import cron as cron_text

EXAMPLES = (
    "`every weekday at 9:00`, `every 2 hours`, `every monday and friday at 14:30`, `tomorrow 14:00`, `0 9 * * 1-5`"
)
_DAYS = {"day": "*", "weekday": "1-5", "workday": "1-5", "weekend": "0,6"}
_EVERY = re.compile(r"every (?:(\d{1,2}) )?(minute|hour)s?")
_MONTHLY = re.compile(r"every month on the (\d{1,2})(?:st|nd|rd|th)?(?: at (.+))?")
_DAILY = re.compile(r"(?:every |on )?([a-z, ]+?)(?: at (.+))?")
_WHOLE = {"minute": 60, "hour": 24}


@dataclass(frozen=True, slots=True)
class Spoken:
    """A cron expression, or one moment."""

    cron: str = ""
    at: datetime | None = None


def read_schedule(text: str, now: datetime, zone: tzinfo) -> Spoken:
    """What was said; ValueError says what is wrong with it."""
    wanted = " ".join(text.lower().split()).removesuffix(".")
    if wanted.startswith("@") or (re.fullmatch(r"\S+( \S+){4}", wanted) and re.match(r"[\d*]", wanted)):
        cron_text.expand(wanted, False)
        return Spoken(wanted)
    wanted = {"hourly": "every hour", "daily": "every day"}.get(wanted, wanted).replace("daily at", "every day at")
    if found := _EVERY.fullmatch(wanted):
        return Spoken(_interval(int(found[1] or 1), found[2]))
    if found := _MONTHLY.fullmatch(wanted):
        if not 1 <= int(found[1]) <= 31:
            raise ValueError(f"no month has a day {found[1]}")
        return Spoken(f"{_clock(found[2])} {int(found[1])} * *")
    if (found := _DAILY.fullmatch(wanted)) and (days := _days(found[1], is_every=wanted.startswith("every "))):
        return Spoken(f"{_clock(found[2])} * * {days}")
    if wanted.startswith("every "):
        raise ValueError(f"I can't read {text!r} as a schedule")
    moment = read_datetime(text, now, zone)
    if moment <= now:
        raise ValueError(f"{moment:%Y-%m-%d %H:%M %Z} is over")
    return Spoken(at=moment)


def _interval(number: int, unit: str) -> str:
    whole = _WHOLE[unit]
    if number < 1 or whole % number:
        fits = ", ".join(str(n) for n in range(1, whole) if whole % n == 0)
        raise ValueError(f"every {number} {unit}s does not come out even; it works with {fits}")
    step = "*" if number == 1 else f"*/{number}"
    return f"{step} * * * *" if unit == "minute" else f"0 {step} * * *"


def _clock(text: str | None) -> str:
    if not text:
        raise ValueError("at which time? Add for example `at 9:00`")
    at = read_time(f"{text}:00" if re.fullmatch(r"\d{1,2}", text) else text)
    if at.second:
        raise ValueError("schedules from chat know whole minutes only")
    return f"{at.minute} {at.hour}"


def _days(text: str, *, is_every: bool) -> str:
    """The fifth field of a cron expression; "" when the words name no days that come again."""
    words = [word for word in re.split(r"[, ]+|\band\b", text) if word]
    if len(words) == 1 and (known := _DAYS.get(words[0].removesuffix("s"))) and (is_every or words[0].endswith("s")):
        return known
    numbers = [_weekday(word, is_every=is_every) for word in words]
    return ",".join(str(n) for n in sorted(set(numbers))) if numbers and -1 not in numbers else ""


def _weekday(word: str, *, is_every: bool) -> int:
    """Sunday is 0. Without `every`, only the plural comes again: `mondays`, not `monday`."""
    single = word if is_every and word in (*WEEKDAYS, *(day[:3] for day in WEEKDAYS)) else word.removesuffix("s")
    if not is_every and single == word:
        return -1
    return next((n % 7 for n, day in enumerate(WEEKDAYS, 1) if single in (day, day[:3])), -1)
