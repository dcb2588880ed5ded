"""What was typed into a field, made into a value of its type, or the sentence that says why not. Pure.

The engine validates again with the flow's own rules; here a person gets a helping hand: unique beginnings of choices,
dates in words, durations as they are spoken. A text never becomes a file: a typed path reaches no file of this machine.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final

from bot.commands.grammar import LineInvalid, read_json
from bot.commands.spoken_times import read_date, read_datetime, read_duration, read_time
from bot.conversation import Attachment, Field
from bot.forms.examples import in_chat
from bot.texts import Answer, answer, code, did_you_mean, listed
from engine.core import dates

ABSENT: Final = object()  # nothing was given: defaults apply
YES = frozenset({"true", "yes", "y", "on", "1"})
NO = frozenset({"false", "no", "n", "off", "0"})
LONG = 2**63
TEXT_TYPES = frozenset(
    {"STRING", "JSON", "YAML", "ION", "ARRAY", "TABLE", "MULTISELECT"}
)  # a file sent for one is read as its text


class FieldInvalid(Exception):
    """What was typed does not fit; `answer` is the sentence beside the field."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads and types: the time now, their zone, and whether secrets may be typed here (never in chat)."""

    now: datetime
    zone: tzinfo = UTC
    may_type_secrets: bool = False


def files_in(raw: Any) -> list[Attachment]:
    """The files of what was sent for a field."""
    return [one for one in (raw if isinstance(raw, list | tuple) else (raw,)) if isinstance(one, Attachment)]


def is_blank(raw: Any) -> bool:
    """Whether a field was left empty."""
    return raw is None or raw == [] or (isinstance(raw, str) and not raw.strip())


def value_of(field: Field, raw: Any, reader: Reader) -> Any:
    """The value to hand to the engine: text, number, bool, list or Attachment; FieldInvalid says what is wrong."""
    if field.type == "SECRET":
        if not reader.may_type_secrets:
            raise FieldInvalid(answer("E14", instead="Answer on the web page."))
        return str(raw)
    if field.type != "FILE" and (files := files_in(raw)):
        name = code(files[0].name)
        raise FieldInvalid(answer("E06", input=_name(field), value=name, what="a value", example=_example(field)))
    return _READERS[field.type](field, raw, reader)


def _name(field: Field) -> str:
    return code(field.id)


def _example(field: Field) -> str:
    return code(in_chat(field))


def _wrong(field: Field, raw: Any, what: str) -> FieldInvalid:
    shown = raw if isinstance(raw, str) else json.dumps(raw, default=str)
    return FieldInvalid(answer("E06", input=_name(field), value=code(shown), what=what, example=_example(field)))


def _string(field: Field, raw: Any, reader: Reader) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)


def _stripped(field: Field, raw: Any, reader: Reader) -> str:
    return _string(field, raw, reader).strip()


def _int(field: Field, raw: Any, reader: Reader) -> int:
    text = str(raw).strip()
    if isinstance(raw, bool) or not re.fullmatch(r"[-+]?\d[\d_]{0,40}", text, re.ASCII):
        raise _wrong(field, raw, "a whole number")
    number = int(text.rstrip("_"))
    if not -LONG <= number < LONG:
        raise _wrong(field, raw, "a whole number of 64 bits")
    _check_bounds(field, raw, number, float)
    return number


def _float(field: Field, raw: Any, reader: Reader) -> float:
    text = str(raw).strip().replace("_", "")
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        raise _wrong(field, raw, f"a number: write {code(text.replace(',', '.'))}")
    try:
        number = float(Decimal(text))
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise _wrong(field, raw, "a number") from error
    if isinstance(raw, bool) or not math.isfinite(number):
        raise _wrong(field, raw, "a number")
    _check_bounds(field, raw, number, float)
    return number


def _bool(field: Field, raw: Any, reader: Reader) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text not in YES | NO:
        raise _wrong(field, raw, "yes or no")
    return text in YES


def has_no_choice(field: Field) -> bool:
    """Whether a list that may be computed has nothing in it."""
    return field.type in ("SELECT", "MULTISELECT") and not field.options and not field.allow_custom


def _choice(field: Field, raw: Any, reader: Reader) -> str:
    text = _string(field, raw, reader)
    if has_no_choice(field):
        raise FieldInvalid(answer("no-choice", input=_name(field)))
    values = [option.value for option in field.options]
    if text in values:
        return text
    wanted = text.strip().lower()
    for matches in (
        [option.value for option in field.options if wanted in (option.value.lower(), option.label.lower())],
        [option.value for option in field.options if wanted and option.value.lower().startswith(wanted)],
    ):
        if len(matches) == 1 and not (field.allow_custom and matches[0].lower() != wanted):
            return matches[0]
    if field.allow_custom:
        return text
    guess = did_you_mean(get_close_matches(text, values, n=1, cutoff=0.5))
    raise FieldInvalid(answer("E08", input=_name(field), value=code(text), choices=listed(values), guess=guess))


def _items(field: Field, raw: Any) -> list[Any]:
    """A list: given as such, as a JSON array, one a line, or with commas."""
    if isinstance(raw, list | tuple):
        return list(raw)
    text = str(raw).strip()
    if text.startswith("["):
        try:
            found = read_json(text, field.id)
        except LineInvalid as error:
            raise FieldInvalid(error.answer) from error
        if isinstance(found, list):
            return found
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _choices(field: Field, raw: Any, reader: Reader) -> list[str]:
    return list(dict.fromkeys(_choice(field, item, reader) for item in _items(field, raw)))


def _array(field: Field, raw: Any, reader: Reader) -> list[Any]:
    kind = _ITEM_TYPES.get(field.item_type or "STRING", "STRING")
    if kind == "FILE":
        raise _wrong(field, raw, "a list of files: send them along")
    single = replace(field, type=kind, options=(), minimum=None, maximum=None)
    values: list[Any] = []
    for number, item in enumerate(_items(field, raw), 1):
        try:
            value = value_of(single, item, reader)
        except FieldInvalid as error:
            told = replace(error.answer, text=f"item {number}: {error.answer.text}")
            raise FieldInvalid(told) from error
        # JSON items travel inside a JSON list: as what they are, not as text.
        values.append(json.loads(value) if kind == "JSON" else value)
    return values


_SCALARS = ("STRING", "INT", "FLOAT", "BOOLEAN", "DATE", "TIME", "DATETIME", "DURATION", "JSON", "URI", "EMAIL", "FILE")
_ITEM_TYPES: Mapping[str, Any] = {name: name for name in _SCALARS} | {"BOOL": "BOOLEAN"}


def _date(field: Field, raw: Any, reader: Reader) -> str:
    try:
        day = read_date(str(raw), reader.now.astimezone(reader.zone).date())
    except (ValueError, OverflowError) as error:
        what = 'dates as 2026-03-31 (or "tomorrow")'
        raise FieldInvalid(answer("E09", input=_name(field), what=what, value=code(raw))) from error
    _check_bounds(field, raw, day, dates.parse_date)
    return day.isoformat()


def _time(field: Field, raw: Any, reader: Reader) -> str:
    try:
        clock = read_time(str(raw))
    except ValueError as error:
        what = 'times as 14:30 (or "2pm")'
        raise FieldInvalid(answer("E09", input=_name(field), what=what, value=code(raw))) from error
    _check_bounds(field, raw, clock, dates.parse_time)
    return clock.isoformat()


def _datetime(field: Field, raw: Any, reader: Reader) -> str:
    try:
        moment = read_datetime(str(raw), reader.now, reader.zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        what = 'moments as 2026-03-31T14:00Z (or "tomorrow 14:00")'
        raise FieldInvalid(answer("E09", input=_name(field), what=what, value=code(raw))) from error
    _check_bounds(field, raw, moment, dates.parse_datetime)
    return dates.to_text(moment)


def _duration(field: Field, raw: Any, reader: Reader) -> str:
    try:
        length = read_duration(str(raw))
    except (ValueError, OverflowError) as error:
        raise _wrong(field, raw, "a duration such as PT1H30M or 1h30m") from error
    _check_bounds(field, raw, length, read_duration)
    return dates.to_text(length)


def _json(field: Field, raw: Any, reader: Reader) -> str:
    if not isinstance(raw, str):
        return json.dumps(raw, ensure_ascii=False)
    try:
        read_json(raw, field.id)
    except LineInvalid as error:
        raise FieldInvalid(error.answer) from error
    return raw


def _table(field: Field, raw: Any, reader: Reader) -> str:
    """Rows as text, which the input itself takes apart."""
    if isinstance(raw, list | tuple):
        return "\n".join(_string(field, row, reader) for row in raw)
    return _string(field, raw, reader)


def _files(field: Field, raw: Any, reader: Reader) -> Attachment | list[Attachment]:
    if field.several:
        return [_file(field, one) for one in (raw if isinstance(raw, list | tuple) else (raw,))]
    return _file(field, raw[0] if isinstance(raw, list | tuple) and len(raw) == 1 else raw)


def _file(field: Field, file: Any) -> Attachment:
    if not isinstance(file, Attachment):
        raise _wrong(field, file if isinstance(file, str) else "this", "a file: send one along")
    if field.extensions and not file.name.lower().endswith(tuple(ending.lower() for ending in field.extensions)):
        what = f"a file ending in {' or '.join(field.extensions)}"
        raise _wrong(field, file.name, what)
    return file


_READERS: Mapping[str, Callable[[Field, Any, Reader], Any]] = {
    "STRING": _string,
    "SELECT": _choice,
    "MULTISELECT": _choices,
    "INT": _int,
    "FLOAT": _float,
    "BOOLEAN": _bool,
    "DATE": _date,
    "TIME": _time,
    "DATETIME": _datetime,
    "DURATION": _duration,
    "JSON": _json,
    "YAML": _string,
    "ION": _string,
    "TABLE": _table,
    "ARRAY": _array,
    "URI": _stripped,
    "EMAIL": _stripped,
    "FILE": _files,
}


def _check_bounds(field: Field, raw: Any, value: Any, parse: Callable[[str], Any]) -> None:
    """Bounds are inclusive. A bound that can't be read is the engine's to report."""
    try:
        low = parse(field.minimum) if field.minimum is not None else None
        high = parse(field.maximum) if field.maximum is not None else None
        is_inside = (low is None or low <= value) and (high is None or value <= high)
    except (ValueError, TypeError):
        return
    if is_inside:
        return
    if low is not None and high is not None:
        bounds = f"between {field.minimum} and {field.maximum}"
    else:
        bounds = f"at least {field.minimum}" if low is not None else f"at most {field.maximum}"
    raise FieldInvalid(answer("E07", input=_name(field), bounds=bounds, value=code(raw)))


def shown(value: Any) -> Any:
    """A value as it stands in a field: text, a list of texts, a bool, or an attachment."""
    match value:
        case None | bool() | str() | Attachment():
            return value
        case datetime() | date() | time() | timedelta():
            return dates.to_text(value)
        case list() | tuple():
            return [item if isinstance(item, str | Attachment) else _as_text(item) for item in value]
        case _:
            return _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, datetime | date | time | timedelta):
        return dates.to_text(value)
    return json.dumps(value, ensure_ascii=False, default=str)
