"""Java regular expressions and replacement texts on Python's engine, kept from running long.

Python's engine cannot be interrupted. A pattern whose worst case on a text is too much effort therefore runs in a
process of its own, which is stopped after a few seconds.
"""

import re
from functools import lru_cache
from typing import Any, Final

from engine.expressions import bounded
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
        fail(f"A regular expression is longer than {MAX_PATTERN} characters.")
    try:
        return re.compile(_translated(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        fail(
            f"The regular expression {pattern!r} cannot be read: {error}.",
            "A backslash before a mark takes it literally.",
        )


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


@lru_cache(maxsize=500)
def _growth(pattern: str) -> tuple[int, int, bool]:
    """How a search's effort may grow: a factor, the power of the text's length, and whether it is exponential."""
    factor, power, nested = _weigh(_regex_parser.parse(pattern, re.ASCII), inside=False, last=True)
    return factor, power, nested


def _weigh(parsed: Any, *, inside: bool, last: bool) -> tuple[int, int, bool]:
    factor, power, nested = 1, 0, False
    items = list(parsed)
    for number, (operator, argument) in enumerate(items):
        name = str(operator)
        final = last and number == len(items) - 1
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, body = argument
            more = _weigh(body, inside=True, last=False)
            varies = high != low
            nested |= more[2] or (varies and high > 1 and (more[1] > 0 or more[0] > 1))
            factor *= more[0]
            if varies and not (final and not inside) and name != "POSSESSIVE_REPEAT":
                power, factor = (power + 1, factor) if high > 100 else (power, factor * (high - low + 1))
            power += more[1]
        elif name == "BRANCH":
            parts = [_weigh(branch, inside=inside, last=False) for branch in argument[1]]
            factor *= sum(part[0] for part in parts)
            power += max(part[1] for part in parts)
            nested |= any(part[2] for part in parts)
        elif name == "GROUPREF":
            power += 1
        else:
            for body in _bodies(argument):
                more = _weigh(body, inside=inside, last=final and name == "SUBPATTERN")
                factor, power, nested = factor * more[0], power + more[1], nested or more[2]
    return min(factor, SAFE_EFFORT), power, nested


def _bodies(argument: Any) -> list[Any]:
    parts = argument if isinstance(argument, tuple) else (argument,)
    return [part for part in parts if isinstance(part, _regex_parser.SubPattern)]


def is_quick(pattern: re.Pattern[str], text: str) -> bool:
    """Whether searching a text is certain to end soon."""
    factor, power, nested = _growth(pattern.pattern)
    size = len(text) + 1
    if nested:
        return size <= 20
    return float(factor) * float(size) ** (power + 1) <= SAFE_EFFORT


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
