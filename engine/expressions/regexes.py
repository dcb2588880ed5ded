"""Java regular expressions and replacement texts on Python's engine, kept from running long.

Python's engine cannot be interrupted. A pattern whose worst case on a text is too much effort therefore runs in a
process of its own, which is stopped after a few seconds.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from dataclasses import replace as replace_in
from functools import lru_cache
from math import log2
from typing import Any, Final

from engine.expressions import bounded
from engine.expressions.allowance import affords, spend
from engine.expressions.failures import fail
from engine.expressions.limits import MAX_ITEMS, MAX_PATTERN, MAX_TEXT, SAFE_EFFORT

try:  # the parser's public place differs between versions of Python
    from re import _parser as _regex_parser  # type: ignore[attr-defined]
except ImportError:
    import sre_parse as _regex_parser

_POSIX: Final = {
    "Lower": "a-z", "Upper": "A-Z", "ASCII": r"\x00-\x7f", "Alpha": "A-Za-z", "Digit": "0-9", "Alnum": "A-Za-z0-9",
    "Punct": r"!-/:-@\[-`{-~", "Blank": r" \t", "Space": r"\s", "XDigit": "0-9A-Fa-f", "Cntrl": r"\x00-\x1f\x7f",
    "L": r"A-Za-zªµºÀ-ÖØ-öø-ʯͰ-ϿЀ-ԯԱ-Ֆա-ևא-תء-ي一-鿿ぁ-ヿ가-힣", "IsAlphabetic": r"A-Za-zªµºÀ-ÖØ-öø-ʯͰ-ϿЀ-ԯ",
    "Lu": "A-ZÀ-ÖØ-ÞΑ-ΩА-Я", "Ll": "a-zß-öø-ÿα-ωа-я", "N": "0-9²³¹¼-¾٠-٩०-९", "Nd": "0-9٠-٩०-९",
    "P": r"!-#%-*,-/:;?@\[-\]_{}¡§«¶·»¿‐-‧‰-⁞", "M": "\u0300-\u036f", "Mn": "\u0300-\u036f",
    "InCombiningDiacriticalMarks": "\u0300-\u036f",
}  # fmt: skip
_PROPERTY = re.compile(r"\\([pP])(?:\{(?:Is|In)?(\w+)\}|(\w))")
_TOKEN = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|\Z)|(?P<property>\\[pP](?:\{\w+\}|\w))|(?P<escape>\\.)|\(\?<(?P<group>[A-Za-z]\w*)>|(?P<open>\[\^?\]?)|(?P<close>\])|&&",
    re.DOTALL,
)
_FLAGS: Final = re.compile(r"(?:\(\?[a-zA-Z]+\))*")  # of the whole pattern: they stand at its beginning
_MANY: Final = 100  # repeats from which on a number counts as endless
_SET: Final = 2_000  # what a range costs besides its characters
_ESCAPES: Final = {
    r"\h": r"[ \t\xa0\u2000-\u200a]",
    r"\z": r"\Z",
    r"\Z": r"(?=\n?\Z)",
    r"\R": r"(?:\r\n|[\n\r\x0b\x0c\x85])",
    r"\e": r"\x1b",
}


@lru_cache(maxsize=500)
def compiled(pattern: str) -> re.Pattern[str]:
    """A Java pattern, ready to use; ExpressionFailed when it is not understood."""
    if len(pattern) > MAX_PATTERN:
        fail(f"A regular expression is longer than {MAX_PATTERN:,} characters.")
    spend(len(pattern) * 20)
    try:
        translated = _translated(pattern)
        spend(_members(_regex_parser.parse(translated, re.ASCII)) >> 3)
        return re.compile(translated, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        fail(
            f"The regular expression {pattern!r} cannot be read: {error}.",
            "A backslash before a mark takes it literally.",
        )


def _members(parsed: Any) -> int:
    """How many characters the sets hold: where case is ignored, the engine goes through all of them to build one."""
    found = 0
    for operator, argument in parsed:
        if str(operator) == "IN":
            found += sum(_SET + one[1] - one[0] for kind, one in argument if str(kind) == "RANGE")
        else:
            found += sum(map(_members, argument[1] if str(operator) == "BRANCH" else _bodies(argument)))
    return found


def _translated(pattern: str) -> str:
    out: list[str] = []
    at, in_class = 0, 0
    for found in _TOKEN.finditer(pattern):
        out.append(pattern[at : found.start()])
        at = found.end()
        if found["quoted"] is not None:
            out.append(re.escape(found["quoted"]))
        elif found["property"]:
            out.append(_property(found["property"], bool(in_class)))
        elif found["escape"]:
            escape = found["escape"]
            out.append(
                escape
                if in_class and escape != r"\h"
                else _ESCAPES.get(escape, escape)
                if escape != r"\h" or not in_class
                else r" \t\xa0"
            )
        elif found["group"]:
            out.append(f"(?P<{found['group']}>" if not in_class else found[0])
        elif found["open"]:
            if in_class:
                fail(f"The regular expression {pattern!r} has a class inside a class, which is not supported.")
            in_class = 1
            out.append(found[0])
        elif found["close"]:
            in_class = 0
            out.append("]")
        elif in_class:
            fail(f"The regular expression {pattern!r} intersects classes with &&, which is not supported.")
        else:
            out.append("&&")
    return "".join(out) + pattern[at:]


def _property(text: str, in_class: bool) -> str:
    found = _PROPERTY.match(text)
    name = (found[2] or found[3]) if found else ""
    members = _POSIX.get(name) or _POSIX.get(name.removeprefix("Is"))
    if members is None:
        fail(f"The class {text} of characters is not supported in regular expressions.")
    if not in_class:
        return f"[{'^' if text[1] == 'P' else ''}{members}]"
    if text[1] == "P":
        fail(f"The class {text} is not supported inside brackets.")
    return members


@dataclass(frozen=True, slots=True)
class _Growth:
    """How a search's effort may grow with the text's length: 2 ** bits * length ** power ways, or without bound.

    One way takes `moves` at the most, besides those of repeats that count as endless.
    """

    bits: float = 0.0
    power: int = 0
    endless: bool = False
    moves: float = 0.0

    def __add__(self, other: "_Growth") -> "_Growth":
        """One after the other: each way of the first with each of the second."""
        endless = self.endless or other.endless
        return _Growth(self.bits + other.bits, self.power + other.power, endless, self.moves + other.moves)

    def times(self, count: int) -> "_Growth":
        """Again and again."""
        return _Growth(self.bits * count, self.power * count, self.endless, self.moves)


@lru_cache(maxsize=500)
def _growth(pattern: str) -> _Growth:
    return _weigh(_regex_parser.parse(pattern, re.ASCII), inside=False, last=True)


def _weigh(parsed: Any, *, inside: bool, last: bool) -> _Growth:
    found = _Growth()
    items = list(parsed)
    for number, (operator, argument) in enumerate(items):
        name = str(operator)
        final = last and number == len(items) - 1
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            found += _repeated(argument, may_stop=inside or not final)
        elif name == "BRANCH":
            ways = [_weigh(branch, inside=inside, last=False) for branch in argument[1]]
            bits = max(way.bits for way in ways) + log2(len(ways))
            moves = sum(way.moves for way in ways)
            found += _Growth(bits, max(way.power for way in ways), any(way.endless for way in ways), moves)
        elif name == "GROUPREF":
            found += _Growth(power=1)
        else:
            found += _Growth(moves=len(argument) if name == "IN" else 1)
            for body in _bodies(argument):
                found += _weigh(body, inside=inside, last=final and name == "SUBPATTERN")
    return found


def _repeated(argument: Any, *, may_stop: bool) -> _Growth:
    """A repeat; one that cannot be forced to give back what it took (`may_stop`) adds no ways of its own."""
    low, high, body = int(argument[0]), int(argument[1]), argument[2]
    found = _weigh(body, inside=True, last=False)
    found = replace_in(found, moves=found.moves * max(1, low, high if high <= _MANY else 1))
    if high > 1 and (found.power or found.bits):  # what may match in several ways is repeated
        found = replace_in(found.times(min(high, _MANY)), endless=found.endless or (high != low and high > _MANY))
    if high == low or not may_stop:
        return found
    return found + (_Growth(power=1) if high > _MANY else _Growth(bits=log2(high - low + 1)))


def _bodies(argument: Any) -> list[Any]:
    parts = argument if isinstance(argument, tuple) else (argument,)
    return [part for part in parts if isinstance(part, _regex_parser.SubPattern)]


def effort(pattern: re.Pattern[str], text: str) -> float:
    """How many moves searching a text may take at the very most."""
    growth, size = _growth(pattern.pattern), len(text) + 1
    bits = growth.bits + (growth.power + 1) * log2(size) + log2(max(1.0, growth.moves))
    bits = 2.0 * size if growth.endless else bits
    return float(2.0 ** min(bits, 1000.0))


def is_quick(pattern: re.Pattern[str], text: str) -> bool:
    """Whether searching a text is certain to end soon, and the render can afford it; it then has paid."""
    moves = effort(pattern, text)
    return moves <= SAFE_EFFORT and affords(int(moves) >> 6)


def split(text: str, pattern: str, limit: int) -> list[str]:
    """Java's `String.split`: 0 drops empty texts at the end, a negative limit keeps them, n makes at most n parts."""
    expression = compiled(pattern)
    if not is_quick(expression, text):
        found: list[str] = bounded.regex("split", expression.pattern, text, str(limit))
        return found
    return split_with(expression, text, limit)


java_split = split


def split_with(expression: re.Pattern[str], text: str, limit: int) -> list[str]:
    """The split itself."""
    parts: list[str] = []
    start = 0
    for found in expression.finditer(text):
        if limit > 0 and len(parts) == limit - 1:
            break
        if found.end() == 0 or (found.start() == found.end() == len(text)):
            continue  # a match of nothing at either end splits nothing off
        parts.append(text[start : found.start()])
        start = found.end()
        if len(parts) > MAX_ITEMS:
            fail(f"'split' makes more than {MAX_ITEMS:,} parts.")
    if not parts:
        return [text]
    parts.append(text[start:])
    spend(len(parts))
    while limit == 0 and parts and parts[-1] == "":
        parts.pop()
    return parts


def search(text: str, pattern: str) -> list[str | None] | None:
    """The first match and its groups; nothing when there is none."""
    expression = compiled(pattern)
    if not is_quick(expression, text):
        answer: list[str | None] | None = bounded.regex("search", expression.pattern, text, "")
        return answer
    found = expression.search(text)
    return [found[0], *found.groups()] if found else None


def matches(text: str, pattern: str) -> bool:
    """Java's `String.matches`: whether a pattern matches a text from its beginning to its end."""
    return search(text, _whole(pattern)) is not None


def fitting(texts: Collection[str], pattern: str) -> frozenset[str]:
    """Those of some texts that a pattern matches from their beginning to their end."""
    compiled(pattern)  # which is the one to be told of when it can't be read
    expression = compiled(_whole(pattern))
    moves = sum(effort(expression, text) for text in texts)
    if moves <= SAFE_EFFORT and affords(int(moves) >> 6):
        return frozenset(fitting_of(expression, texts))
    found: list[str] = bounded.regex("fit", expression.pattern, json.dumps(list(texts)), "")
    return frozenset(found)


def fitting_of(expression: re.Pattern[str], texts: Iterable[str]) -> list[str]:
    """The choosing itself."""
    return [text for text in texts if expression.search(text)]


def _whole(pattern: str) -> str:
    rest = _FLAGS.sub("", pattern, count=1)
    flags = pattern.removesuffix(rest)
    end = "\n" if "x" in flags else ""  # a comment at the end of the pattern ends there
    return rf"{flags}\A(?:{rest}{end})\z"


def replace(text: str, pattern: str, replacement: str) -> str:
    """Every match replaced; `$1` and `${name}` stand for groups, a backslash takes the next mark literally."""
    expression = compiled(pattern)
    template = _replacement(replacement, expression)
    longest = sum(len(text) if not isinstance(part, str) else len(part) for part in template)
    if not is_quick(expression, text) or (len(text) + 1) * longest > MAX_TEXT * 10:
        answer: str = bounded.regex("replace", expression.pattern, text, replacement)
        return answer
    return replace_with(expression, text, template)


def replace_with(expression: re.Pattern[str], text: str, template: list[str | int]) -> str:
    """The replacing itself."""
    room = MAX_TEXT

    def one(found: re.Match[str]) -> str:
        nonlocal room
        made = "".join(part if isinstance(part, str) else (found[part] or "") for part in template)
        room -= len(made)
        if room < 0:
            fail(f"Replacing makes a text of more than {MAX_TEXT:,} characters.")
        return made

    return expression.sub(one, text)


def replacement_template(replacement: str, expression: re.Pattern[str]) -> list[str | int]:
    """A Java replacement as texts and group numbers; ExpressionFailed for a group that is not there."""
    out: list[str | int] = []
    at = 0
    while at < len(replacement):
        char = replacement[at]
        if char == "\\" and at + 1 < len(replacement):
            out.append(replacement[at + 1])
            at += 2
        elif char == "$":
            group, at = _group(replacement, at + 1, expression)
            out.append(group)
        else:
            out.append(char)
            at += 1
    return out


_replacement = replacement_template


def _group(replacement: str, at: int, expression: re.Pattern[str]) -> tuple[int, int]:
    named = re.compile(r"\{(\w+)\}").match(replacement, at)
    if named:
        if named[1] not in expression.groupindex:
            fail(f"The replacement names the group {named[1]!r}, which the pattern does not have.")
        return expression.groupindex[named[1]], named.end()
    found = re.compile(r"[0-9]+").match(replacement, at)
    if not found:
        fail("A `$` in a replacement is not followed by the number of a group.", "Write `\\$` for the mark itself.")
    digits = found[0]
    while len(digits) > 1 and int(digits) > expression.groups:
        digits = digits[:-1]
    if int(digits) > expression.groups:
        fail(
            f"The replacement names group {digits}, but the pattern has {expression.groups}.",
            "Write `\\$` for the mark.",
        )
    return int(digits), at + len(digits)
