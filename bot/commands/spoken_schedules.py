"""Schedules as people say them: `every weekday at 9:00`, `tomorrow 14:00`, or a cron expression. Pure.

What comes again is taken apart in any order: a zone at the end, the times of day, the hours between which it comes;
what is left says on which days. What could mean two things is asked about, never guessed.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from bot.commands.spoken_times import WEEKDAYS, month_of, read_clock, read_coming, read_date
from engine.core import cron as cron_text

EXAMPLES = (
    "`every weekday at 9:00`, `every 2 hours`, `every monday and friday at 14:30`, "
    "`on the 1st of every month at 8:00`, `tomorrow 14:00`, `0 9 * * 1-5`"
)
LONGEST = 200
_DAYS = {"day": "*", "weekday": "1-5", "weekend": "0,6"}
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 0}
_WHOLE = {"minute": 60, "hour": 24}
# What people write instead of what is read below, first to last.
_SAME = (
    (r"^(?:please |run )+|[.!]+$", ""),
    (r" ?@ ?", " at "),
    (r"(?<=[a-z])/(?=[a-z])", " and "),
    (r"&|\+| and at ", " and "),
    (r"\bonce (?:a|every) (?=(?:day|week|month|year|hour)\b)", "every "),
    (r"\bnightly\b", "every night"),
    (r"\bevery (?=(?:midnight|noon|midday)\b)", "every day at "),
    (r"^(.*day\b.*) every week$", r"every \1"),
    (r"^(?:on )?([a-z]+day) (morning|afternoon|evening|night)s\b", r"every \1 \2"),
    (r"\bdaily\b|\beveryday\b|\ball days\b", "every day"),
    (r"\bhourly\b", "every hour"),
    (r"\bweekly\b", "every week"),
    (r"\bmonthly\b", "every month"),
    (r"\bquarterly\b", "every quarter"),
    (r"\b(?:yearly|annually)\b", "every year"),
    (r"\b(?:fortnightly|every fortnight)\b", "every 2 weeks"),
    (r"\beach\b", "every"),
    (r"\b(?:week|working|business|work) ?day(s?)\b", r"weekday\1"),
    (r"\bhalf an? hour\b|\bhalf hour\b", "30 minutes"),
    (r"\bquarter (?:of an )?hour\b", "15 minutes"),
    (r"\bevery (\d*) ?m(?:ins?)?\b", r"every \1 minutes"),
    (r"\bevery (\d*) ?h(?:rs?)?\b", r"every \1 hours"),
    (r"\bevery hour,? on the hour\b", "every hour"),
    (r"\bevery hour at half past\b", "every hour at 30"),
    (r"\bevery (?=\d+(?:st|nd|rd|th)\b(?!.* of ))", "every month on the "),
    (r"\bevery other\b", "every 2"),
    (r"\b(tue|wed|thu)(?:s|nes|rs?|r)\b", r"\1"),
)  # fmt: skip
_AT = r"(?:\d{1,2}(?:[:.h]\d{2})? ?(?:[ap]\.?m\b\.?|o.?clock\b|h\b)?|noon|midday|midnight)"
_SURE = r"(?:\d{1,2}[:.h]\d{2} ?(?:[ap]\.?m\b\.?)?|\d{1,2} ?(?:[ap]\.?m\b\.?|o.?clock\b|h\b)|noon|midday|midnight)"
_TIMES = re.compile(
    rf"\bat ({_AT}(?:(?:, ?| and |, and ){_AT})*)(?![\w:.])"
    rf"|(?<![\w:.])({_SURE}(?:(?:, ?| and ){_SURE})*)(?![\w:.])"
)
_BETWEEN = re.compile(rf"\b(?:between|from) ({_AT}) ?(?:and|to|until|till|-|\u2013) ?({_AT})(?!\w)")
_PART = re.compile(r"\b(?:in the |at |every )?(morning|afternoon|evening|night)s?\b")
_PAST = re.compile(r"\bat (?::|minute )?(\d{1,2})(?: (?:minutes )?past)?$")
_EVERY = re.compile(r"every (?:(\d{1,4}) )?(minute|hour)s?(?: on)?(?: (.+))?")
_OF_MONTH = re.compile(
    r"every month(?: on)?(?: the)? (.+)|(?:on |every )?(?:the )?(.+?) (?:day )?of (?:the|every) month"
)
_OF_YEAR = re.compile(
    r"every (?:year )?(?:on )?(?:the )?(?:([a-z]+) (\d{1,2})|(\d{1,2})(?:st|nd|rd|th)? (?:of )?([a-z]+))"
)
_NAMES = "|".join(f"{day}|{day[:3]}" for day in WEEKDAYS)
_COMES_AGAIN = re.compile(
    rf"\bevery\b|\b(?:{'|'.join(WEEKDAYS)}|weekday|weekend)s\b|\bof the month\b"
    rf"|\b(?:{_NAMES}) ?(?:-|\u2013|to|through|thru|until) ?(?:{_NAMES})\b"
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A cron expression, or one moment. `zone`: the one that was said. `nth`: of the days, only the first (1) to fourth
    or the last (0) in a month."""

    cron: str = ""
    at: datetime | None = None
    zone: str = ""
    nth: int | None = None


def read_schedule(text: str, now: datetime, zone: tzinfo) -> Spoken:
    """What was said; ValueError says what is wrong with it, or asks what is meant."""
    wanted = " ".join(text.lower().split())
    if len(wanted) > LONGEST:
        raise ValueError("that is too long for a schedule")
    if wanted.startswith("@") or (re.fullmatch(r"\S+( \S+){4}", wanted) and re.match(r"[\d*]\S* \S*[\d*]", wanted)):
        cron_text.expand(wanted, False)
        return Spoken(wanted)
    wanted, place = _zone_said(wanted.rstrip(".!"))
    for pattern, same in _SAME:
        wanted = re.sub(pattern, same, wanted)
    wanted = " ".join(re.sub(r"\b(every|in) ([a-z]+)\b", _number, wanted).split())
    _ask(wanted)
    if _COMES_AGAIN.search(wanted):
        found = _again(wanted, text, place)
        cron_text.expand(found.cron)
        return found
    try:
        moment = _once(wanted, now, ZoneInfo(place) if place else zone)
    except ValueError as error:
        raise _unread(wanted, text, now, error) from error
    if moment <= now:
        raise ValueError(f"{moment:%Y-%m-%d %H:%M %Z} is over")
    return Spoken(at=moment, zone=place)


def _once(wanted: str, now: datetime, zone: tzinfo) -> datetime:
    """One moment; `tomorrow evening at 7` is 19:00."""
    part = _PART.search(wanted)
    if part is None:
        return read_coming(wanted, now, zone)
    moment = read_coming(_without(wanted, part), now, zone)
    return datetime.combine(moment.date(), _moved(moment.timetz(), wanted, part[1]))


def _number(found: re.Match[str]) -> str:
    said, word = found.groups()
    return f"{said} {_NUMBERS.index(word) + 1}" if word in _NUMBERS else found[0]


def _unread(wanted: str, text: str, now: datetime, error: ValueError) -> ValueError:
    """What is said of words that are no moment: what is missing, where that can be told."""
    if "one day here" in str(error):
        return error
    days = re.split(r", ?(?:and )?| and | ", wanted.partition(" at ")[0])
    if len(days) > 1 and all(_weekday(day) for day in days):
        return ValueError(f"once, or every week? Say `every {' and '.join(days)} at 9:00`")
    if re.match(r"(?:on )?the \d+(?:st|nd|rd|th)\b", wanted):
        return ValueError("once, or every month? Say `1 december at 9:00` or `on the 1st of every month at 9:00`")
    if found := re.fullmatch(r"(.+)(?<! at) (\d{1,2})", wanted):
        return ValueError(f"write `at {found[2]}` if that is the time")
    try:
        read_date(re.sub(_PART, "", wanted.replace("tonight", "today")), now.date())
    except ValueError:
        return ValueError(f"I can't read {text!r} as a time or a schedule")
    return ValueError(f"{text!r} at which time? Add for example `at 9:00`")


@cache
def _places() -> dict[str, str]:
    """Zones by their names, and by their cities."""
    names = sorted(available_timezones())
    cities = {name.rpartition("/")[2].lower(): name for name in names if name.count("/") == 1 and "Etc" not in name}
    return {**cities, **{name.lower(): name for name in names}}


def _zone_said(wanted: str) -> tuple[str, str]:
    """The words without the zone at their end: `Europe/London`, `UTC`, `London time`, `New York time`."""
    found = re.fullmatch(r"(.+?),? (?:in )?((?:[a-z]+ ){0,2}[a-z]+) time", wanted)
    found = found or re.fullmatch(r"(.+?),? in ((?:[a-z]+ ){0,2}[a-z]+)", wanted)
    for words in range(3, 0, -1) if found else ():
        name = "_".join(found[2].split()[-words:]) if found else ""
        if found and (place := _places().get(name)):
            return f"{found[1]} {' '.join(found[2].split()[:-words])}".strip(), place
    front, _, last = wanted.rpartition(" ")
    last = last.strip("()")
    if front and ("/" in last or last in ("utc", "gmt")):
        place = _places().get("etc/utc" if last == "gmt" else last, "")
        if place:
            return front.removesuffix(" in"), "UTC" if last in ("utc", "gmt") else place
        raise ValueError(f"I know no time zone {last!r}; write one such as `Europe/London`")
    if re.fullmatch(r"[ceampw][sed]?t|[a-z]est|[cmp]d?st|edt|bst|ist|jst|cest", last) and re.search(r"\d", front):
        raise ValueError(f"{last.upper()} is not the same all over the world and all year; write `Europe/London`")
    return wanted, ""


def _again(wanted: str, text: str, place: str) -> Spoken:
    """A schedule that comes again."""
    rest, hours = wanted, ""
    if (found := _BETWEEN.search(rest)) and (stretch := _EVERY.search(rest)):
        hours = _hours(found, stretch[2])
        rest = _without(rest, found)
    if found := re.fullmatch(r"(every hour.*?) at .*", rest) and _PAST.search(rest):
        minute = int(found[1])
        rest = rest[: found.start()].strip()
        return Spoken(
            _with_days(f"{_in(minute, 59, 'minute')} {hours or '*'}", _EVERY.fullmatch(rest), text), zone=place
        )
    if found := _EVERY.fullmatch(rest):
        fields = _interval(int(found[1] or 1), found[2], hours)
        return Spoken(_with_days(fields, found, text), zone=place)
    clocks, rest, part = _clocks(rest)
    days, nth = _when(rest, text)
    if not clocks:
        raise ValueError(f"at which time{f' in the {part}' if part else ''}? Add for example `at 9:00`")
    return Spoken(f"{_clock_fields(clocks)} {days}", zone=place, nth=nth)


def _ask(wanted: str) -> None:
    """ValueError for what has two meanings, and for what no calendar can count."""
    if re.search(r"\bbi-?(weekly|monthly)\b", wanted):
        raise ValueError("twice each time, or every second time? Say the days: `every monday and thursday at 9:00`")
    if found := re.search(r"every second (\w+day)\b", wanted):
        day = found[1]
        raise ValueError(
            f"every other {day}, or the second {day} of the month? Of every other week I know nothing; "
            f"the other is `second {day} of every month at 9:00`"
        )
    if re.search(r"\bevery (?:second|\d+) (?:days?|weeks?|weekdays?|months?|quarters?|years?|\w+days?)\b", wanted):
        raise ValueError(
            "I can't count days, weeks or months from one time to the next. Say which: `every monday and thursday at "
            "9:00`, `on the 1st and 15th of every month at 9:00`"
        )
    if re.search(r"\bseconds?\b", wanted) and "month" not in wanted:
        raise ValueError("schedules from chat know whole minutes only")
    if re.search(r"\b(?:once|twice|\w+ times) (?:a|every) ", wanted):
        raise ValueError("at which times? Say for example `every day at 9:00 and 17:00`")


def _without(text: str, found: re.Match[str]) -> str:
    return " ".join(f"{text[: found.start()]} {text[found.end() :]}".split())


def _in(number: int, most: int, what: str, least: int = 0) -> int:
    if not least <= number <= most:
        raise ValueError(f"there is no {what} {number}")
    return number


def _hours(found: re.Match[str], unit: str) -> str:
    """`9-17` for hours, `9-16` for the minutes up to 17:00."""
    start, end = read_clock(found[1]), read_clock(found[2])
    last = end.hour if unit == "hour" else end.hour - 1
    if start.minute or end.minute or last < start.hour:
        raise ValueError(
            f"between {found[1]} and {found[2]}? I can do whole hours of one day: `between 9:00 and 17:00`"
        )
    return f"{start.hour}-{last}"


def _interval(number: int, unit: str, hours: str) -> str:
    if unit == "minute" and number >= 60 and number % 60 == 0:
        number, unit = number // 60, "hour"
    whole = _WHOLE[unit]
    if number == whole == 24:
        return "0 0"
    if number < 1 or whole % number:
        fits = ", ".join(str(n) for n in range(1, whole) if whole % n == 0)
        raise ValueError(f"every {number} {unit}s does not come out even; it works with {fits}")
    step = "*" if number == 1 else f"*/{number}"
    if unit == "minute":
        return f"{step} {hours or '*'}"
    return f"0 {hours or '*'}{'' if number == 1 else f'/{number}'}"


def _with_days(fields: str, found: re.Match[str] | None, text: str) -> str:
    if found is None:
        raise ValueError(f"I can't read {text!r} as a schedule")
    days = _days(found[3]) if found[3] else "*"
    if not days:
        raise ValueError(f"I can't read {text!r} as a schedule")
    return f"{fields} * * {days}"


def _clocks(text: str) -> tuple[list[time], str, str]:
    """The times of day, what is left of the words, and the part of the day that was named."""
    part = ""
    if found := _PART.search(text):
        part = found[1]
        text = _without(text, found) if "every" not in found[0] else text.replace(found[0], "every day", 1)
    found = _TIMES.search(text)
    if found is None:
        if re.search(r"\bat ", text):
            said = text.partition("at ")[2]
            raise ValueError(f"{said!r} is not a time of day; write it as `14:30` or `2pm`")
        return [], text, part
    words = [word for word in re.split(r",| and ", found[1] or found[2]) if word.strip()]
    clocks = [_moved(read_clock(word), word, part) for word in words]
    return clocks, _without(text, found).removesuffix(" at").removesuffix(","), part


def _moved(clock: time, word: str, part: str) -> time:
    """`at 6 in the evening` is 18:00."""
    late = part in ("afternoon", "evening") or (part == "night" and clock.hour >= 6)
    if late and clock.hour < 12 and not re.search(r"[ap]\.?m", word):
        return clock.replace(hour=clock.hour + 12)
    return clock


def _clock_fields(clocks: list[time]) -> str:
    if any(clock.second for clock in clocks):
        raise ValueError("schedules from chat know whole minutes only")
    minutes = {clock.minute for clock in clocks}
    if len(minutes) > 1:
        one, *more = (f"`at {clock:%H:%M}`" for clock in clocks)
        raise ValueError(f"one schedule has one minute of the hour; make one {one} and another {' and '.join(more)}")
    return f"{minutes.pop()} {','.join(str(hour) for hour in sorted({clock.hour for clock in clocks}))}"


def _when(rest: str, text: str) -> tuple[str, int | None]:
    """The fields of days, months and weekdays; and which of the weekdays in a month."""
    rest = rest.removesuffix(" on").strip(" ,")
    if found := _OF_MONTH.fullmatch(rest):
        return _in_month((found[1] or found[2]).removesuffix(" day"), text)
    if rest in ("every quarter", "on every quarter"):
        return "1 1,4,7,10 *", None
    if found := re.fullmatch(r"every week (?:on )?(.+)", rest):
        rest = f"every {found[1]}"
    if rest in ("every week", "every month", "every year"):
        which = {"week": "`every monday at 9:00`", "month": "`on the 1st of every month at 9:00`",
                 "year": "`every year on 1 march at 9:00`"}[rest[6:]]  # fmt: skip
        raise ValueError(f"on which day? Say for example {which}")
    if days := _days(rest):
        return f"* * {days}", None
    if (found := re.fullmatch(r"(.+) (\d{1,2})", rest)) and _days(found[1]):
        raise ValueError(f"write `at {found[2]}` if that is the time")
    if found := _OF_YEAR.fullmatch(rest):
        day, month = _in(int(found[2] or found[3]), 31, "day", 1), month_of(found[1] or found[4])
        return f"{day} {month} *", None
    raise ValueError(f"I can't read {text!r} as a schedule")


def _in_month(said: str, text: str) -> tuple[str, int | None]:
    """`1st`, `1st and 15th`, `first`, `last day`, `first monday`."""
    which, _, day = said.partition(" ")
    weekday = _weekday(day)
    number = _NTH.get(which, int(which[0]) if re.fullmatch(r"[1-4](?:st|nd|rd|th)", which) else None)
    if number is not None and weekday:
        return f"* * {weekday}", number
    if said in ("last", "end"):
        return "L * *", None
    words = [word for word in re.split(r"[, ]+|\band\b|\bthe\b", said) if word]
    days = [str(_NTH.get(word) or word.rstrip("stndrh")) for word in words]
    if not days or not all(day.isdecimal() for day in days):
        raise ValueError(f"I can't read {text!r} as a schedule")
    if wrong := next((day for day in days if not 1 <= int(day) <= 31), None):
        raise ValueError(f"no month has a day {wrong}")
    return f"{','.join(sorted(days, key=int))} * *", None


def _days(text: str) -> str:
    """The fifth field of a cron expression; "" when the words name no days that come again. Without `every`, only the
    plural comes again: `mondays`, not `monday`; and a stretch: `monday to friday`."""
    every, wanted = text.startswith("every "), text.removeprefix("every ").removeprefix("on ")
    wanted, _, without = wanted.partition(" except ")
    is_stretch = re.search(r"\b(to|through|thru|until)\b|[-\u2013]", wanted) is not None
    wanted = re.sub(r" ?(?:\b(?:to|through|thru|until)\b|[-\u2013]) ?", "-", wanted)
    words = [word for word in re.split(r"[, ]+|\band\b|\bon\b", wanted) if word]
    numbers: set[int] = set()
    for word in words:
        single = word.removesuffix("s")
        if not (every or is_stretch or word.endswith("s")):
            return ""
        if single in _DAYS and len(words) == 1 and not without:
            return _DAYS[single]
        found = _range(single)
        if not found:
            return ""
        numbers |= found
    for word in re.split(r"[, ]+|\band\b|\bon\b", without):
        numbers -= _range(word.removesuffix("s"))
    if not numbers and words:
        raise ValueError("no day is left")
    return ",".join(str(number) for number in sorted(numbers)) if numbers != {1, 2, 3, 4, 5} else "1-5"


def _range(word: str) -> set[int]:
    if word in ("day", "weekday", "weekend"):
        return {"day": set(range(7)), "weekday": {1, 2, 3, 4, 5}, "weekend": {0, 6}}[word]
    first, _, last = word.partition("-")
    start, end = _weekday(first), _weekday(last or first)
    if not start or not end:
        return set()
    return {day % 7 for day in range(int(start) or 7, (int(end) or 7) + 1)} or {
        day % 7 for day in range(int(start) or 7, (int(end) or 7) + 8)
    }


def _weekday(word: str) -> str:
    """Sunday is 0; "" for what is no day."""
    word = word.removesuffix("s")
    return next((str(n % 7) for n, day in enumerate(WEEKDAYS, 1) if word in (day, day[:3])), "")
