"""jq programs. Those that cannot run long or make much run here; all others in a process of their own."""

import json
import re
from functools import lru_cache
from itertools import accumulate
from math import inf, log2
from typing import Any, Final

import jq

from engine.errors import ExpressionFailed
from engine.expressions import bounded
from engine.expressions.allowance import affords, current, excerpt, spend
from engine.expressions.failures import fail, kind
from engine.expressions.json_reading import first_value, only_value, parts_of, refuse_bomb, without_texts
from engine.expressions.limits import MAX_ITEMS, MAX_PROGRAM, SAFE_EFFORT
from engine.expressions.printing import to_json
from engine.expressions.values import Value

# Possessive: ways to go back would fill the memory. A backslash at the end of its line lets a comment go on.
_PIECE = re.compile(r'#(?:[^\\\n]++|\\(?:\r\n|.|\Z))*+|["()]|[^"#()]++', re.DOTALL)
_TEXT = re.compile(r'(?:[^"\\]++|\\[^(])*+(?:"|(?P<program>\\\()|\\?\Z)', re.DOTALL)
_LONG = re.compile(r'"(?:[^"\\]++|\\.)*+"|(?<![\d.])(-?\d{16,300})(?![\d.eE])')
_WORD = re.compile(r"(?<![.\w$@])[A-Za-z_]\w*(?!\s*:[^:])")
_FIELD = re.compile(r"\.\s*[A-Za-z_]\w*")
_SPREAD = re.compile(r"\[\s*\]|\.\.")
_STAGE = re.compile(r"[|\[({?;]|//|and\b|or\b")
_PAIRED = re.compile(
    r"""\b(?:contains|inside|index)\b(?!\s*\((?:""|-?\d+|true|false|null|[\s\[\]{},:])*\))  # of other than a literal
    |(?<=[\w.\])?"])\s*\[(?!\s*(?:\]|""\s*\]|-?\d*\s*:?\s*-?\d*\s*\]))  # an index that is worked out may be a list
    |-(?!\s*\d)""",
    re.VERBOSE,
)
_BRACKET = re.compile(r"[\[\]{}]")
_DIVIDED = re.compile(r"(?<!/)/(?!/)")
# Each of these looks at its input about once, and gives about as much as there was, but for what `_GROWING` tells.
_SIMPLE: Final = frozenset({
    "map", "map_values", "select", "empty", "not", "length", "type", "first", "last", "reverse", "keys",
    "keys_unsorted", "values", "to_entries", "from_entries", "with_entries", "startswith", "endswith", "join",
    "tostring", "tojson", "fromjson", "tonumber", "add", "any", "all", "min", "max", "min_by", "max_by", "unique",
    "unique_by", "sort", "sort_by", "group_by", "has", "contains", "inside", "index", "ascii_downcase",
    "ascii_upcase", "floor", "ceil", "round", "sqrt", "fabs", "and", "or", "if", "then", "elif", "else", "end",
    "try", "catch", "error", "true", "false", "null", "ltrimstr", "rtrimstr", "arrays", "objects", "iterables",
    "booleans", "numbers", "strings", "nulls", "scalars", "flatten", "utf8bytelength", "explode", "del", "paths",
    "now", "todate", "fromdate",
})  # fmt: skip
# Two to the power of what is here: so many times as much it may make of its input.
_GROWING: Final = {
    "tojson": 3, "tostring": 3, "explode": 6, "ascii_downcase": 6, "ascii_upcase": 6, "to_entries": 2,
    "with_entries": 2, "group_by": 4, "unique": 3, "unique_by": 3, "sort": 3, "sort_by": 3, "del": 3,
}  # fmt: skip
_FORBIDDEN = re.compile(
    r"\$\s*ENV\b|(?<![.\w$@])(?:env|input_filename|import|include|modulemeta|get_search_list|halt|halt_error)\b"
)


def outputs(value: Value, program: str) -> list[Value]:
    """All outputs of a program for a value; of text the JSON it begins with, whatever follows. ExpressionFailed."""
    program, bare = _allowed(program)
    document = value if isinstance(value, str) else to_json(value)
    refuse_bomb(document)
    moves = _effort(bare, program, document)
    is_quick = moves <= SAFE_EFFORT and affords(int(moves) >> 4)
    try:
        answer: list[Value] = run(program, document) if is_quick else bounded.jq(program, document)
    except ExpressionFailed:
        mask = current().mask
        if mask(document) == document and mask(program) == program:
            raise
        # jq shows beginnings of values.
        raise ExpressionFailed("A jq program failed that works on a secret, so what jq said stays out.") from None
    return answer


def check(program: str) -> None:
    """Whether a program can be read, before there is anything to run it on; ExpressionFailed."""
    whole, _ = _allowed(program)
    # jq multiplies texts while it reads a program: a short one may make gigabytes.
    _program(_parts(program)[2] if "*" in whole else whole)


def _allowed(program: str) -> tuple[str, str]:
    """The program to run, and its code without texts and the names of fields; ExpressionFailed when it may not run."""
    if len(program) > MAX_PROGRAM:
        fail(f"A jq program is longer than {MAX_PROGRAM:,} characters.", "Do the work in a script task.")
    spend(len(program) >> 2)
    whole, code, _ = _parts(program)
    bare = _FIELD.sub(".x", code)
    if found := _FORBIDDEN.search(bare):
        fail(f"jq's {found[0]!r} is not available: a flow cannot see the environment or files of this program.")
    return whole, bare


@lru_cache(maxsize=100)
def _parts(program: str) -> tuple[str, str, str]:
    """A program without its comments, the code in it, and the program with nothing in its texts but their programs.

    The first is what runs: in a program without comments, jq takes nothing for code that is a text here.
    """
    whole: list[str] = []
    hollow: list[str] = []
    code: list[str] = []
    around: list[int] = []  # for each text that a program inside it interrupts, how many brackets were open
    brackets, at = 0, 0
    while found := _PIECE.match(program, at):
        piece, at = " " if found[0].startswith("#") else found[0], found.end()
        brackets += (piece == "(") - (piece == ")")
        goes_on = piece == ")" and around[-1:] == [brackets]
        whole.append(piece)
        hollow.append(piece)
        code.append('""' if piece == '"' else piece)
        if goes_on:
            around.pop()
        if (goes_on or piece == '"') and (text := _TEXT.match(program, at)):
            at = text.end()
            whole.append(text[0])
            hollow.append(text["program"] or '"' * text[0].endswith('"'))
            if text["program"]:
                around.append(brackets)
                brackets += 1
                code.append("(")
    return "".join(whole), "".join(code), "".join(hollow)


def _effort(bare: str, program: str, document: str) -> float:
    """How many moves the program may take at the very most, or `inf` when it may make too many values."""
    if "\\(" in program or "=" in re.sub(r"[=!<>]=", "", bare) or "*" in bare or "$" in bare or "@" in bare:
        return inf
    words = _WORD.findall(bare)
    if any(word not in _SIMPLE for word in words):
        return inf
    levels = bare.count("..") + sum(word in ("flatten", "paths") for word in words)
    if "fromjson" in words or document.lstrip().startswith('"'):  # more of it may stand in its texts
        depth = held = len(document) + 1
    else:
        depth, held = _depth(document) if levels else 1, parts_of(document)
    bits = levels * log2(depth)
    bits += bare.count(",") + bare.count("+") + 3 * len(_DIVIDED.findall(bare))
    bits += sum(_GROWING.get(word, 0) for word in words)
    size, parts = log2(len(document) + 10), log2(held) + bits
    if parts > log2(MAX_ITEMS):
        return inf
    spreads = len(_SPREAD.findall(bare)) + sum(word in ("map", "map_values", "with_entries", "paths") for word in words)
    power = max(1, spreads) + len(_PAIRED.findall(bare))
    stages = len(words) + len(_STAGE.findall(bare)) + 1
    # join() copies what it has so far for each part, 64 characters at once.
    copied = words.count("join") * max(0.0, parts + log2(len(program) + 1) - 12)
    return float(2.0 ** min(1000.0, power * size + bits + log2(stages) + copied))


def _depth(document: str) -> int:
    """How many levels deep a JSON text is."""
    spend(len(document) >> 5)
    steps = (1 if mark in "[{" else -1 for mark in _BRACKET.findall(without_texts(document)))
    return max(1, max(accumulate(steps), default=0)) + 1


@lru_cache(maxsize=100)
def _program(text: str) -> Any:
    spend(20_000)  # jq reads its own library each time
    try:
        return jq.compile(text)
    except ValueError as error:
        reason = str(error).split("\n", 1)[0].removeprefix("jq: error: ")
        # Within '…' it stays, so that jq gets it.
        fix = 'Write " without the backslash.' if '\\"' in text else ""
        fail(f"The jq program {excerpt(text, 80)!r} cannot be read: {reason[:200]}.", fix)


def run(program: str, document: str) -> list[Value]:
    """The outputs, worked out here and now."""
    work = _program(program)
    try:
        loaded = first_value(document)
    except (ValueError, RecursionError) as error:
        fail(
            f"jq needs JSON, but was given the text {excerpt(document, 60)!r}: {error}.",
            "Check what the task before put out.",
        )
    try:
        # A JSON text that holds JSON once more comes from `x | json | jq(…)`: what is meant is what is inside.
        if isinstance(loaded, str) and (inner := _inner(loaded)) is not None:
            loaded = inner
        text = json.dumps(loaded)
        found: list[Value] = work.input_text(text).all()
    except ValueError as error:
        fail(f"The jq program {program[:80]!r} failed on {kind(loaded)}: {str(error)[:200]}.")
    exact = _long_integers(text)
    return [_restored(one, exact) for one in found] if exact else found


def _long_integers(text: str) -> dict[int, int]:
    """Integers of a document that jq, which counts in doubles, rounds: what it makes of each that it cannot confuse."""
    exact: dict[int, set[int]] = {}
    for found in _LONG.finditer(text):
        if found[1]:
            value = int(found[1])
            exact.setdefault(int(float(value)), set()).add(value)
    return {rounded: values.pop() for rounded, values in exact.items() if len(values) == 1}


def _restored(value: Value, exact: dict[int, int]) -> Value:
    if isinstance(value, list):
        return [_restored(item, exact) for item in value]
    if isinstance(value, dict):
        return {key: _restored(item, exact) for key, item in value.items()}
    return exact.get(value, value) if type(value) is int else value


def _inner(text: str) -> Any:
    try:
        found = only_value(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, (dict, list)) else None
