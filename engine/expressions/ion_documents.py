"""Amazon Ion text: what row files of Kestra hold."""

import json
import re
from typing import Final

from engine.expressions.allowance import spend
from engine.expressions.failures import fail
from engine.expressions.limits import MAX_DEPTH, MAX_DIGITS, MAX_ITEMS
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.printing import java_text, measure, scalar_text
from engine.expressions.text_filters import text_of
from engine.expressions.values import Value, is_list, is_map

_SYMBOL = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_KEYWORDS: Final = {"null", "true", "false", "nan"}


@FILTERS.add("toIon")
def to_ion(value: Value) -> str:
    """Amazon Ion text of a value."""
    measure(value)
    return _ion(value, 0)


def _ion(value: Value, depth: int) -> str:
    if depth > MAX_DEPTH:
        fail(f"A value is nested more than {MAX_DEPTH} levels deep.")
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = scalar_text(value)
        return {"NaN": "nan", "Infinity": "+inf", "-Infinity": "-inf"}.get(text) or (
            text.replace("E", "e") if "E" in text else f"{text}e0"
        )
    if is_map(value):
        pairs = (f"{_symbol(java_text(key))}:{_ion(item, depth + 1)}" for key, item in value.items())
        return "{" + ",".join(pairs) + "}"
    if is_list(value):
        return "[" + ",".join(_ion(item, depth + 1) for item in value) + "]"
    return scalar_text(value) if isinstance(value, int) else json.dumps(java_text(value), ensure_ascii=False)


def _symbol(text: str) -> str:
    if _SYMBOL.fullmatch(text) and text not in _KEYWORDS:
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_ION_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[\[\]{}(),:])|(?P<text>"(?:[^"\\]++|\\.)*+")|(?P<symbol>'(?:[^'\\]++|\\.)*+')"""
    r"""|(?P<date>\d{4}-\d\d(?:-\d\d)?T?[\d:.Z+-]*)|(?P<number>[-+]?\d[\d_]*(?:\.[\d_]*)?(?:[eEdD][-+]?\d+)?)|(?P<word>[A-Za-z_$][\w$.]*|[-+]inf))""",
    re.DOTALL,
)


@FUNCTIONS.add("fromIon", "ion", "allRows", allRows=False)
def from_ion(value: Value, all_rows: Value) -> Value:
    """The first value of an Ion text, or with `allRows` the list of all."""
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else text_of(value, "fromIon")
    spend(len(text) >> 3)
    reader = _IonReader(text)
    rows: list[Value] = []
    while reader.more() and (all_rows is True or not rows):
        rows.append(reader.value(0))
    if not rows and all_rows is not True:
        fail("fromIon() was given an empty text.")
    return rows if all_rows is True else rows[0]


class _IonReader:
    """Ion text as tasks write it: structs, lists, texts, numbers, dates, booleans, nulls."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()
        self.at = 0
        self.parts = MAX_ITEMS

    def more(self) -> bool:
        return self.at < len(self.text)

    def token(self) -> tuple[str, str]:
        found = _ION_TOKEN.match(self.text, self.at)
        if not found:
            fail(f"fromIon() cannot read {self.text[self.at : self.at + 30]!r}.")
        self.at = found.end()
        group = found.lastgroup or ""
        return group, found[group]

    def peek(self, mark: str) -> bool:
        found = _ION_TOKEN.match(self.text, self.at)
        if found and found["mark"] == mark:
            self.at = found.end()
            return True
        return False

    def value(self, depth: int) -> Value:
        spend(4)
        self.parts -= 1
        if self.parts < 0:
            fail(f"fromIon() was given a value of more than {MAX_ITEMS:,} parts.")
        if depth > MAX_DEPTH:
            fail(f"fromIon() was given a value nested more than {MAX_DEPTH} levels deep.")
        group, text = self.token()
        match group:
            case "text" | "symbol":
                return _unquoted(text)
            case "number":
                return _ion_number(text.replace("_", ""))
            case "date":
                return text
            case "word":
                return _ION_WORDS.get(text, None if text.startswith("null.") else text)
        if text == "{":
            found: dict[str, Value] = {}
            while not self.peek("}"):
                kind_, name = self.token()
                key = _unquoted(name) if kind_ in ("text", "symbol") else name
                if not self.peek(":"):
                    fail(f"fromIon() expected ':' after {key!r}.")
                found[key] = self.value(depth + 1)
                self.peek(",")
            return found
        if text == "[":
            items: list[Value] = []
            while not self.peek("]"):
                items.append(self.value(depth + 1))
                self.peek(",")
            return items
        return fail(f"fromIon() cannot read {text!r} here.")


_ION_WORDS: Final[dict[str, Value]] = {
    "true": True, "false": False, "null": None, "nan": float("nan"), "+inf": float("inf"), "-inf": float("-inf"),
}  # fmt: skip
_ION_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_ION_MARKS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "a": "\a", "v": "\v"}


def _unquoted(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else _ION_MARKS.get(found[3], found[3])

    return _ION_ESCAPE.sub(one, text[1:-1])


def _ion_number(text: str) -> Value:
    if len(text) > MAX_DIGITS:
        fail(f"A number has more than {MAX_DIGITS} digits.")
    if any(mark in text for mark in ".eEdD"):
        return float(text.replace("d", "e").replace("D", "e"))
    return int(text)
