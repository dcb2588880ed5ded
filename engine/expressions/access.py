"""`target.key`, `target[key]` and the few methods a value has: keys and indexes, never a Python attribute."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final, NoReturn

from engine.expressions.allowance import excerpt
from engine.expressions.date_arithmetic import moved
from engine.expressions.failures import Missing, Position, fail, kind
from engine.expressions.limits import MAX_TEXT
from engine.expressions.operators import equal
from engine.expressions.printing import java_text
from engine.expressions.regexes import java_split
from engine.expressions.values import Entry, Value, is_map


def item(target: Value, key: Value, at: Position) -> Value:
    """The value under a key or index; NameMissing when it is not there."""
    if target is None:
        raise Missing(f"{_shown(key)} is read from null.", at=at)
    if is_map(target):
        return _map_item(target, key, at)
    if isinstance(target, (list, tuple)):
        index = _index(key)
        if index is not None and index < len(target):
            return target[index]
        if index is not None:
            raise Missing(f"The list has {len(target)} items, so there is no item {index}.", name=key, at=at)
    if isinstance(key, str):
        return _method(target, key, at)()
    raise Missing(f"{_shown(key)} cannot be read from {kind(target)}.", at=at)


def _map_item(target: Mapping[Value, Value], key: Value, at: Position) -> Value:
    try:
        if key in target and not isinstance(key, bool):
            return target[key]
    except TypeError:
        fail(f"A map has no key that is {kind(key)}.", at=at)
    if isinstance(key, (int, float)) and not isinstance(key, bool) and isinstance(next(iter(target), 0), str):
        # As in Kestra: a number is never the key of such a map, so this is no value that may be absent.
        fail(
            f"The keys of the map are texts, and {_shown(key)} is a number.",
            f"Write ['{excerpt(java_text(key), 20)}'].",
            at,
        )
    raise Missing(f"There is no {_shown(key)} in the map.", name=key, known=target, at=at)


def call(target: Value, name: str, arguments: list[Value], at: Position) -> Value:
    """What a method gives; NameMissing when the value has no such method."""
    if target is None:
        raise Missing(f"{name}() is called on null.", at=at)
    return _method(target, name, at)(*arguments)


def _shown(key: Value) -> str:
    return repr(excerpt(java_text(key), 60))


def _index(key: Value) -> int | None:
    if isinstance(key, str) and key.isascii() and key.isdigit() and len(key) < 10:
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) and key >= 0 else None


def has_method(name: str) -> bool:
    """Whether a value of any kind has a method of that name."""
    return any(one in methods for _, methods in _METHODS for one in _forms(name.lower()))


def _method(target: Value, name: str, at: Position) -> Callable[..., Value]:
    for type_, methods in _METHODS:
        if isinstance(target, type_):
            wanted = next((methods[one] for one in _forms(name.lower()) if one in methods), None)
            if wanted is not None:
                return _bound(wanted, target, name, at)
            known = [one for one in methods.values() if one.shown]
            raise Missing(
                f"{kind(target).capitalize()} has no {name!r}.", name=name, known=(one.shown for one in known), at=at
            )
    raise Missing(f"{kind(target).capitalize()} has no {name!r}.", name=name, at=at)


def _forms(name: str) -> tuple[str, str, str]:
    """Names of a method that an attribute may mean, as in Java: `empty` is isEmpty(), getYear() is year()."""
    return name, f"is{name}", name.removeprefix("get")


class _Method:
    __slots__ = ("arity", "run", "shown")

    def __init__(self, shown: str, arity: int, run: Callable[..., Value]) -> None:
        self.shown = shown
        self.arity = arity
        self.run = run


def _bound(method: _Method, target: Value, name: str, at: Position) -> Callable[..., Value]:
    def run(*arguments: Value) -> Value:
        if len(arguments) != method.arity:
            raise Missing(f"{name}() takes {method.arity} arguments, not {len(arguments)}.", at=at)
        return method.run(target, *arguments)

    return run


def _text(value: Value) -> str:
    return value if isinstance(value, str) else _refuse_text(value)


def _refuse_text(value: Value) -> NoReturn:
    fail(f"The method takes a text, not {kind(value)}.")


def _table(**methods: tuple[int, Callable[..., Value]]) -> Mapping[str, _Method]:
    return MappingProxyType({name.lower(): _Method(name, arity, run) for name, (arity, run) in methods.items()})


def _add(unit: str, sign: int = 1) -> tuple[int, Callable[..., Value]]:
    def run(moment: Value, amount: Value) -> Value:
        if not isinstance(amount, int) or isinstance(amount, bool):
            fail(f"A date is moved by an integer, not by {kind(amount)}.")
        return moved(moment, sign * amount, unit)

    return 1, run


_MONTHS = (
    "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY",
    "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER",
)  # fmt: skip
_WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_TEXT = _table(
    length=(0, len),
    toUpperCase=(0, lambda text: text.upper()),
    toLowerCase=(0, lambda text: text.lower()),
    trim=(0, lambda text: text.strip("".join(map(chr, range(33))))),
    strip=(0, lambda text: text.strip()),
    startsWith=(1, lambda text, other: text.startswith(_text(other))),
    endsWith=(1, lambda text, other: text.endswith(_text(other))),
    replace=(2, lambda text, old, new: _replaced(text, _text(old), _text(new))),
    split=(1, lambda text, pattern: java_split(text, _text(pattern), 0)),
    isEmpty=(0, lambda text: text == ""),
    isBlank=(0, lambda text: text.strip() == ""),
    equalsIgnoreCase=(1, lambda text, other: isinstance(other, str) and text.lower() == other.lower()),
    toString=(0, lambda text: text),
)
_LIST = _table(size=(0, len), isEmpty=(0, lambda items: not items))
_MAP = _table(
    size=(0, len),
    isEmpty=(0, lambda found: not found),
    keySet=(0, lambda found: list(found)),
    values=(0, lambda found: list(found.values())),
    entrySet=(0, lambda found: [Entry(key, value) for key, value in found.items()]),
    get=(1, lambda found, key: next((value for name, value in found.items() if equal(name, key)), None)),
    containsKey=(1, lambda found, key: any(equal(name, key) for name in found)),
)
_ENTRY = _table(key=(0, lambda entry: entry.key), value=(0, lambda entry: entry.value),
                getKey=(0, lambda entry: entry.key), getValue=(0, lambda entry: entry.value))  # fmt: skip
_DAY: Final[dict[str, tuple[int, Callable[..., Value]]]] = {
    "year": (0, lambda day: day.year),
    "monthValue": (0, lambda day: day.month),
    "month": (0, lambda day: _MONTHS[day.month - 1]),
    "dayOfMonth": (0, lambda day: day.day),
    "dayOfYear": (0, lambda day: day.timetuple().tm_yday),
    "dayOfWeek": (0, lambda day: _WEEKDAYS[day.weekday()]),
    **{f"plus{unit.capitalize()}": _add(unit) for unit in ("DAYS", "WEEKS", "MONTHS", "YEARS")},
    **{f"minus{unit.capitalize()}": _add(unit, -1) for unit in ("DAYS", "WEEKS", "MONTHS", "YEARS")},
}
_CLOCK: Final[dict[str, tuple[int, Callable[..., Value]]]] = {
    "hour": (0, lambda clock: clock.hour),
    "minute": (0, lambda clock: clock.minute),
    "second": (0, lambda clock: clock.second),
    "nano": (0, lambda clock: clock.microsecond * 1000),
}
_MOMENT = _table(
    **_DAY,
    **_CLOCK,
    **{f"plus{unit.capitalize()}": _add(unit) for unit in ("HOURS", "MINUTES", "SECONDS")},
    **{f"minus{unit.capitalize()}": _add(unit, -1) for unit in ("HOURS", "MINUTES", "SECONDS")},
    toEpochSecond=(0, lambda moment: int(moment.timestamp())),
)
_DURATION = _table(
    toDays=(0, lambda length: length // timedelta(days=1)),
    toHours=(0, lambda length: length // timedelta(hours=1)),
    toMinutes=(0, lambda length: length // timedelta(minutes=1)),
    toSeconds=(0, lambda length: length // timedelta(seconds=1)),
    toMillis=(0, lambda length: length // timedelta(milliseconds=1)),
)
_METHODS: Final[tuple[tuple[type | tuple[type, ...], Mapping[str, _Method]], ...]] = (
    (str, _TEXT),
    ((list, tuple, set, frozenset), _LIST),
    (Mapping, _MAP),
    (Entry, _ENTRY),
    (datetime, _MOMENT),
    (date, _table(**_DAY)),
    (time, _table(**_CLOCK)),
    (timedelta, _DURATION),
)


def _replaced(text: str, old: str, new: str) -> str:
    count = text.count(old)
    if count * len(new) + len(text) > MAX_TEXT:
        fail(f"replace() makes a text of more than {MAX_TEXT:,} characters.")
    return text.replace(old, new)
