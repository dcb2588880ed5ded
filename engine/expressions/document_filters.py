"""JSON, YAML, Ion and jq: values to text, and text to values."""

import json
import re
from typing import Any, Final

import yaml

from engine.expressions import jq_programs
from engine.expressions.failures import fail, kind
from engine.expressions.frame import Frame
from engine.expressions.limits import MAX_DEPTH, MAX_DIGITS, MAX_ITEMS
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.printing import java_text, measure, scalar_text, to_json
from engine.expressions.text_filters import text_of
from engine.expressions.values import Entry, Value, is_list, is_map

_BLANK = re.compile(r"[ \t\r\n]*")


@FILTERS.add("toJson", contextual=True, also=("json",))
def json_of(frame: Frame, value: Value) -> str:
    """JSON text of any value; a text is quoted, never read."""
    return to_json(value, frame.services.zone)


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_JSON = json.JSONDecoder(parse_int=_integer, parse_constant=_constant)


@FUNCTIONS.add("fromJson", "json", also=("json",))
def from_json(value: Value) -> Value:
    """`{{ fromJson('{"a": 1}').a }}`: the value a JSON text stands for. What follows the first value is ignored."""
    if value is None:
        return None
    if not isinstance(value, str):
        fail(f"fromJson() takes a text, not {kind(value)}.", "A value that is read from JSON already can be used as it is.")
    start = _BLANK.match(value)
    try:
        found, _ = _JSON.raw_decode(value, start.end() if start else 0)
    except (ValueError, RecursionError) as error:
        fail(f"fromJson() was given {value[:60]!r}, which is not JSON: {error}.", "Check what the task before put out.")
    measure(found)
    return found


@FILTERS.add("jq", "expression")
def jq(value: Value, expression: Value) -> Value:
    """`{{ outputs.call.body | jq('.items[].id') }}`: always a list of all outputs."""
    program = text_of(expression, "jq")
    return None if value is None else jq_programs.outputs(value, program)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_AMBIGUOUS = re.compile(
    r"(?i:true|false|yes|no|on|off|y|n|null|~|)|[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|nan)|[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
)


def _yaml_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if "\n" in text and all(line == line.rstrip() for line in text.split("\n")) and text.strip("\n"):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    if _AMBIGUOUS.fullmatch(text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


def _yaml_double(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", scalar_text(value))


_Dumper.add_representer(str, _yaml_text)
_Dumper.add_representer(float, _yaml_double)


class _Digits(str):
    """A text of digits, which Kestra writes without quotes."""


_Dumper.add_representer(_Digits, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:int", str(text)))


def _plain(value: Value) -> Any:
    if isinstance(value, str):
        return _Digits(value) if value.isascii() and value.isdigit() else str(value)
    if is_map(value):
        return {java_text(key): _plain(item) for key, item in value.items() if item is not None}
    if is_list(value):
        return [_plain(item) for item in value]
    if isinstance(value, Entry):
        return {java_text(value.key): _plain(value.value)}
    return value if value is None or isinstance(value, (bool, int, float)) else scalar_text(value)


@FILTERS.add("yaml")
def yaml_of(value: Value) -> str:
    """YAML text of any value."""
    if value is None:
        return "null"
    measure(value)
    text = yaml.dump(
        _plain(value), Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=10_000, indent=2
    ).removesuffix("...\n")
    # Kestra indents the items of a list by one blank, and a list inside a map as deep as its key.
    return _shifted(text) if "\n" in text else text


_ITEM = re.compile(r"^( *)((?:- )+|-$)")


def _shifted(text: str) -> str:
    return text


class _Loader(yaml.SafeLoader):
    """Dates and times stay text; `yes` and `on` are booleans, as in YAML 1.1."""


_Loader.yaml_implicit_resolvers = {
    mark: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")]
    for mark, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@FUNCTIONS.add("yaml", "yaml")
def from_yaml(value: Value) -> Value:
    """`{{ yaml('foo: [1, 2]').foo }}`: the value a YAML text stands for."""
    if not isinstance(value, str) or not value.strip():
        fail(f"yaml() takes a text with something in it, not {kind(value)}.")
    if value.count("[") + value.count("{") > 2_000 or len(value) > 2_000_000:
        fail("yaml() was given more than it may read.", "Use JSON and fromJson() for large documents.")
    try:
        found = yaml.load(value, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer types
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        fail(f"yaml() was given text that is not YAML: {str(error).splitlines()[0][:200]}.")
    measure(found)  # aliases may make a short text into an endless value
    return found


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
    r"""\s*(?:(?P<mark>[\[\]{}(),:])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<symbol>'(?:[^'\\]|\\.)*')"""
    r"""|(?P<date>\d{4}-\d\d(?:-\d\d)?T?[\d:.Z+-]*)|(?P<number>[-+]?\d[\d_]*(?:\.[\d_]*)?(?:[eEdD][-+]?\d+)?)|(?P<word>[A-Za-z_$][\w$.]*|[-+]inf))""",
    re.DOTALL,
)


@FUNCTIONS.add("fromIon", "ion", "allRows", allRows=False)
def from_ion(value: Value, all_rows: Value) -> Value:
    """The first value of an Ion text, or with `allRows` the list of all."""
    if value is None:
        return None
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else text_of(value, "fromIon")
    reader = _IonReader(text)
    rows = []
    while reader.more() and (all_rows is True or not rows):
        rows.append(reader.value(0))
        if len(rows) > MAX_ITEMS:
            fail("fromIon() was given too many rows.")
    if not rows and all_rows is not True:
        fail("fromIon() was given an empty text.")
    return rows if all_rows is True else rows[0]


class _IonReader:
    """Ion text as tasks write it: structs, lists, texts, numbers, dates, booleans, nulls."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()
        self.at = 0

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
