"""Signs of other languages in a template: each is told where it stands, and what is behind it is looked at, too."""

import re

from engine.errors import ExpressionFailed
from engine.expressions import Template, parse

MOST = 10  # slips of one template that are told
# What stands around the place that can't be read: the text before it, from it → as long, what is looked at instead.
_SLIPS = (
    (re.compile(r""), re.compile(r"&&"), "or"),
    (re.compile(r"\|"), re.compile(r"\|"), "or"),
    (re.compile(r"=="), re.compile(r"="), "=="),
    (re.compile(r"!="), re.compile(r"="), "!="),
    (re.compile(r"<"), re.compile(r">"), "!="),
    (re.compile(r"\?"), re.compile(r"\."), " ."),
    (re.compile(r""), re.compile(r"!(?!=)"), "+"),
    (re.compile(r""), re.compile(r"=>"), ">="),
    (re.compile(r""), re.compile(r"=<"), "<="),
    (re.compile(r""), re.compile(r"=(?!=)"), "<"),
    (re.compile(r"else "), re.compile(r"if(?= )"), "elseif "),
    (re.compile(r""), re.compile(r"(?:AND|not in)\b"), "or"),
    (re.compile(r""), re.compile(r"(?:OR|in)\b"), "or"),
    (re.compile(r""), re.compile(r"NOT(?= )"), "not"),
)
# Signs in a condition that stands without braces → how they are written here.
_SPELT = (
    (re.compile(r"\s*&&\s*"), " and "),
    (re.compile(r"\s*\|\|\s*"), " or "),
    (re.compile(r"([=!]=)="), r"\1"),
    (re.compile(r"\s*<>\s*"), " != "),
    (re.compile(r"(?<![=!<>])\s*=(?!=)\s*"), " == "),
    (re.compile(r"!(?!=)\s*"), "not "),
)
_QUOTED = re.compile(r"""('[^']*'|"[^"]*")""")


def errors(text: str) -> tuple[list[ExpressionFailed], Template | None]:
    """What can't be read of a template, one after the other, and the template with something as long in its place, so
    that places in it are those of the text; None when that can't be read either."""
    found: list[ExpressionFailed] = []
    while len(found) < MOST:
        try:
            return found, parse(text)
        except ExpressionFailed as error:
            if any((one.line, one.column) == (error.line, error.column) for one in found):
                break
            found.append(error)
            mended = _mended(text, error)
            if mended == text:
                break
            text = mended
    return found, None


def spelt(condition: str) -> str:
    """A condition with the signs that it is written with here: `a && !b` as `a and not b`."""
    return "".join(part if _QUOTED.fullmatch(part) else _plain(part) for part in _QUOTED.split(condition))


def _plain(part: str) -> str:
    for sign, ours in _SPELT:
        part = sign.sub(ours, part)
    return part


def _mended(text: str, error: ExpressionFailed) -> str:
    at = sum(len(line) + 1 for line in text.split("\n")[: error.line - 1]) + error.column - 1
    for before, sign, instead in _SLIPS:
        if (found := sign.match(text, at)) and (begun := _ending(before, text, at)) is not None:
            return text[:begun] + instead.ljust(found.end() - begun) + text[found.end() :]
    return text


def _ending(before: re.Pattern[str], text: str, at: int) -> int | None:
    """Where the text begins that matches and ends at a place."""
    longest = 5
    return next((start for start in range(max(0, at - longest), at + 1) if before.fullmatch(text, start, at)), None)
