"""Expressions about one record, as `io.kestra.plugin.transform` has them: `sum(items[].price) > 100 && active`."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import reduce
from typing import Any, Final

from engine.core.dates import to_text
from engine.plugin import TaskFailed
from engine.tasks.property_types import moment_from_text
from engine.tasks.sql_rows import json_value

Compute = Callable[[Mapping[str, Any]], Any]

ABSENT: Final = object()  # what an expression that is only a path gives when its last field is not there
DIGITS = 1_000  # before or after the point
LONGEST = 10_000  # characters of an expression
PLACES = Decimal("1E-10")  # of a division

_CONTEXT = Context(prec=100)
_TOKEN = re.compile(
    r"\s*(?:(?P<name>\$[0-9]+|[^\W\d]\w*)|(?P<number>[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<mark>&&|\|\||[=!<>]=|[=()<>,.\[\]+\-*/!]))",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", "/": "/"}


class Unfit(Exception):
    """What can't be made of a record; the text says why."""


def compiled(text: str) -> Compute:
    """What evaluates an expression on a record, raising Unfit; TaskFailed when the text is no expression."""
    try:
        return _guarded(_Parser(text).whole())
    except RecursionError as error:
        raise TaskFailed("An expression has too many brackets inside each other.") from error


def holds(value: Any) -> bool:
    """Whether a condition is met; Unfit when it is neither true nor false."""
    if value is None or value is ABSENT:
        raise Unfit("the condition is null")
    return _boolean(value)


def cast(value: Any, kind: str) -> Any:
    """A value as one of a type; Unfit when it is none."""
    return value if value is None else _CASTS[kind](value)


def number(value: Any) -> Decimal:
    """A number, or text of one; Unfit."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise Unfit(f"{_shown(value)} is no number")
    try:
        found = value if isinstance(value, Decimal) else Decimal(str(value))
    except (ArithmeticError, ValueError) as error:
        raise Unfit(f"{_shown(value)} is no number") from error
    exponent = found.as_tuple().exponent
    if not isinstance(exponent, int) or (found and abs(found.adjusted()) > DIGITS) or abs(exponent) > DIGITS:
        raise Unfit(f"{_shown(value)} is no number that can be counted with")
    return found


def order(left: Any, right: Any) -> int:
    """-1, 0 or 1: text by its letters, everything else as numbers; Unfit."""
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    a, b = number(left), number(right)
    return int(a > b) - int(a < b)


def mean(total: Decimal, count: int) -> Decimal:
    """A sum divided by how many there are; count is not 0."""
    return _CONTEXT.divide(total, Decimal(count)).quantize(PLACES, ROUND_HALF_UP, context=_CONTEXT)


def total(values: Sequence[Any]) -> Decimal:
    """The sum of what is not null; Unfit."""
    return number(reduce(_CONTEXT.add, [number(value) for value in values if value is not None], Decimal(0)))


def _guarded(compute: Compute) -> Compute:
    def run(record: Mapping[str, Any]) -> Any:
        try:
            return compute(record)
        except (ArithmeticError, RecursionError) as error:
            raise Unfit("a number or the expression is too large to be counted with") from error

    return run


def _shown(value: Any) -> str:
    return text_of(value)[:80] or '""'


def text_of(value: Any) -> str:
    """A value as text."""
    return value if isinstance(value, str) else json.dumps(json_value(value), ensure_ascii=False)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Unfit(f"{_shown(value)} is neither true nor false")


def _whole(value: Any) -> int:
    found = number(value)
    if found != found.to_integral_value():
        raise Unfit(f"{_shown(value)} is no whole number")
    return int(found)


def _moment(value: Any) -> str:
    try:
        found = moment_from_text(value)
    except ValueError as error:
        raise Unfit(str(error)) from error
    if found is None:
        raise Unfit(f"{_shown(value)} is no date and time")
    return to_text(found.astimezone(UTC))


def _of(kind: type, name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unfit(f"{_shown(value)} is no {name}")
        return value

    return check


_CASTS: Final[dict[str, Callable[[Any], Any]]] = {
    "INT": _whole, "FLOAT": lambda value: float(number(value)), "DECIMAL": number, "STRING": text_of,
    "BOOLEAN": _boolean, "BOOL": _boolean, "TIMESTAMP": _moment, "LIST": _of(list, "list"), "STRUCT": _of(dict, "map"),
}  # fmt: skip


def _equal(left: Any, right: Any) -> bool:
    numbers = [isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in (left, right)]
    if all(numbers):
        return number(left) == number(right)
    return type(left) is type(right) and left == right


def _divided(left: Decimal, right: Decimal) -> Any:
    return _CONTEXT.divide(left, right).quantize(PLACES, ROUND_HALF_UP, context=_CONTEXT) if right else None


_ARITHMETIC: Final[dict[str, Callable[[Decimal, Decimal], Any]]] = {
    "+": _CONTEXT.add, "-": _CONTEXT.subtract, "*": _CONTEXT.multiply, "/": _divided,
}  # fmt: skip
_ORDER: Final[dict[str, Callable[[int], bool]]] = {
    ">": lambda way: way > 0, ">=": lambda way: way >= 0, "<": lambda way: way < 0, "<=": lambda way: way <= 0,
}  # fmt: skip


def _calculated(mark: str) -> Callable[[Any, Any], Any]:
    work = _ARITHMETIC[mark]

    def run(a: Any, b: Any) -> Any:
        found = None if a is None or b is None else work(number(a), number(b))
        return None if found is None else number(found)

    return run


def _compared(mark: str) -> Callable[[Any, Any], Any]:
    fits = _ORDER[mark]
    return lambda a, b: None if a is None or b is None else fits(order(a, b))


def _listed(work: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def run(value: Any) -> Any:
        if value is not None and not isinstance(value, list):
            raise Unfit(f"{_shown(value)} is no list")
        return None if value is None else work(value)

    return run


def _extreme(pick: Callable[[list[Decimal]], Decimal]) -> Callable[[list[Any]], Any]:
    def run(values: list[Any]) -> Any:
        found = [number(value) for value in values if value is not None]
        return pick(found) if found else None

    return run


def _average(values: list[Any]) -> Any:
    count = sum(value is not None for value in values)
    return mean(total(values), count) if count else None


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "toint": lambda value: cast(value, "INT"),
    "todecimal": lambda value: cast(value, "DECIMAL"),
    "tostring": lambda value: cast(value, "STRING"),
    "toboolean": lambda value: cast(value, "BOOLEAN"),
    "parsetimestamp": lambda value: cast(value, "TIMESTAMP"),
    "sum": _listed(total), "avg": _listed(_average), "count": _listed(len),
    "min": _listed(_extreme(min)), "max": _listed(_extreme(max)),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *values: "".join(text_of(value) for value in values if value is not None),
}  # fmt: skip


def _field(name: str) -> Callable[[Any], Any]:
    def step(value: Any) -> Any:
        if value is None or value is ABSENT:
            return None
        if not isinstance(value, Mapping):
            raise Unfit(f"there is no `{name}` in {_shown(value)}")
        return value.get(name, ABSENT)

    return step


def _walked(value: Any, steps: Sequence[Any]) -> Any:
    """What a path leads to; None among its steps stands for every entry of a list, a number for one."""
    for place, step in enumerate(steps):
        if callable(step):
            value = step(value)
            continue
        if value is None or value is ABSENT:
            return None
        if not isinstance(value, list):
            raise Unfit(f"{_shown(value)} is no list")
        if step is None:
            rest = steps[place + 1 :]
            return [_known(_walked(one, rest)) for one in value] if rest else value
        value = value[step] if step < len(value) else None
    return value


def _known(value: Any) -> Any:
    return None if value is ABSENT else value


def _operand(compute: Compute) -> Compute:
    return lambda record: _known(compute(record))


class _Parser:
    """One expression, read from left to right."""

    levels: Final[tuple[dict[str, Callable[[Any, Any], Any]], ...]] = (
        {"==": _equal, "=": _equal, "!=": lambda a, b: not _equal(a, b)},
        {mark: _compared(mark) for mark in _ORDER},
        {mark: _calculated(mark) for mark in "+-"},
        {mark: _calculated(mark) for mark in "*/"},
    )

    def __init__(self, text: str) -> None:
        self.text, self.at, self.tokens = text[:LONGEST], 0, list[tuple[str, str]]()
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at) if len(text) <= LONGEST else None
            if found is None:
                raise self.wrong(f"{text[at : at + 20].strip()!r} can't be read")
            self.tokens.append((str(found.lastgroup), str(found[str(found.lastgroup)])))
            at = found.end()
        self.tokens.append(("end", ""))

    def wrong(self, why: str) -> TaskFailed:
        return TaskFailed(f"{self.text[:200]!r} is no expression: {why}.", fix='Write it as `total > 5 && a.b == "x"`.')

    def taken(self, *texts: str, kind: str = "mark") -> str | None:
        found, text = self.tokens[self.at]
        if found != kind or (texts and text not in texts):
            return None
        self.at += 1
        return text

    def demand(self, mark: str) -> None:
        if self.taken(mark) is None:
            raise self.wrong(f"{self.tokens[self.at][1] or 'the end'!r} stands where {mark!r} is missing")

    def whole(self) -> Compute:
        found = self.logic("||")
        if self.tokens[self.at][0] != "end":
            raise self.wrong(f"{self.tokens[self.at][1]!r} is not expected")
        return found

    def logic(self, mark: str) -> Compute:
        """One side after the other; null where that decides nothing."""
        ways = [self.logic("&&") if mark == "||" else self.level(0)]
        while self.taken(mark):
            ways.append(self.logic("&&") if mark == "||" else self.level(0))
        if len(ways) == 1:
            return ways[0]
        decides = mark == "||"

        def run(record: Mapping[str, Any]) -> Any:
            for way in ways:
                value = _known(way(record))
                if value is None:
                    return None
                if _boolean(value) is decides:
                    return decides
            return not decides

        return run

    def level(self, depth: int) -> Compute:
        if depth == len(self.levels):
            return self.single()
        left = self.level(depth + 1)
        while True:
            if depth == 1 and self.taken("in", kind="name"):
                self.demand("(")
                left = self.among(_operand(left), self.arguments())
            elif mark := self.taken(*self.levels[depth]):
                left = self.joined(self.levels[depth][mark], _operand(left), _operand(self.level(depth + 1)))
            else:
                return left

    def among(self, left: Compute, choices: list[Compute]) -> Compute:
        return lambda record: any(_equal(left(record), choice(record)) for choice in choices)

    def joined(self, work: Callable[[Any, Any], Any], left: Compute, right: Compute) -> Compute:
        return lambda record: work(left(record), right(record))

    def single(self) -> Compute:
        if mark := self.taken("!", "-"):
            inner = _operand(self.single())
            work: Callable[[Any], Any] = (lambda v: not _boolean(v)) if mark == "!" else (lambda v: -number(v))
            return lambda record: None if (value := inner(record)) is None else work(value)
        if self.taken("("):
            found = self.logic("||")
            self.demand(")")
            return found
        if (text := self.taken(kind="number")) is not None:
            try:
                literal = number(text)
            except Unfit as error:
                raise self.wrong(str(error)) from error
            return lambda record: literal
        if (text := self.taken(kind="text")) is not None:
            return self.literal(self.unescaped(text))
        if (name := self.taken(kind="name")) is None:
            raise self.wrong(f"{self.tokens[self.at][1] or 'the end'!r} is not expected")
        if name.lower() in ("true", "false", "null"):
            return self.literal({"true": True, "false": False}.get(name.lower()))
        return self.call(name) if self.taken("(") else self.path(name)

    def literal(self, value: Any) -> Compute:
        return lambda record: value

    def unescaped(self, text: str) -> str:
        def one(found: re.Match[str]) -> str:
            if found[1] not in _ESCAPES:
                raise self.wrong(f"{found[0]!r} stands for nothing")
            return _ESCAPES[found[1]]

        return re.sub(r"\\(.)", one, text[1:-1], flags=re.DOTALL)

    def arguments(self) -> list[Compute]:
        found: list[Compute] = []
        if self.taken(")"):
            return found
        while True:
            found.append(_operand(self.logic("||")))
            if not self.taken(","):
                self.demand(")")
                return found

    def call(self, name: str) -> Compute:
        work, arguments = _FUNCTIONS.get(name.lower()), self.arguments()
        if work is None:
            raise self.wrong(f"there is no function `{name}`")
        if name.lower() not in ("coalesce", "concat") and len(arguments) != 1:
            raise self.wrong(f"`{name}` takes one argument")
        return lambda record: work(*[argument(record) for argument in arguments])

    def path(self, first: str) -> Compute:
        steps: list[Any] = [_field(first)]
        while True:
            if self.taken("."):
                name = self.taken(kind="name")
                if name is None:
                    raise self.wrong("a name is missing after a dot")
                steps.append(_field(name))
            elif self.taken("["):
                index, key = self.taken(kind="number"), self.taken(kind="text")
                if index is not None and not index.isdigit():
                    raise self.wrong(f"{index!r} is no place in a list")
                self.demand("]")
                steps.append(int(index) if index else _field(self.unescaped(key)) if key is not None else None)
            else:
                return lambda record: _walked(record, steps)
