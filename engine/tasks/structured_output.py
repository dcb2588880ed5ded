"""JSON schemas as flows write them, and JSON as language models write it. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Any

from engine.core.json_text import any_json
from engine.plugin import TaskFailed

TOKEN = re.compile(
    r"""\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/"""  # what is skipped
    r"""|(?P<mark>[{}\[\]:,])"""
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w$]))"""
    r"""|(?P<word>[A-Za-z_$][\w$.-]*)""",
    re.DOTALL,
)
WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that could be read; `warning` says what was wrong with its text ("" when nothing)."""

    value: dict[str, Any]
    warning: str = ""

    @property
    def is_array(self) -> bool:
        """Whether the document itself, not something inside it, is to be an array."""
        return self.value.get("type") == "array"


def parse_schema(text: str, name: str = "jsonResponseSchema") -> Schema:
    """The schema a text describes, however carelessly; TaskFailed with line and column when it cannot be made out."""
    stripped = text.strip()
    try:
        return Schema(_checked(json.loads(stripped), name))
    except json.JSONDecodeError as error:
        strict = error
    try:
        value, end = json.JSONDecoder().raw_decode(stripped)
    except json.JSONDecodeError:
        pass
    else:
        rest = stripped[end:].strip()
        return Schema(_checked(value, name), f"`{name}` is followed by {rest[:20]!r}, which is ignored.")
    try:
        value = _Lenient(stripped).document()
    except ValueError as error:
        line, column = strict.lineno, strict.colno
        raise TaskFailed(
            f"`{name}` is not JSON: {strict.msg} in line {line}, column {column} ({error}).", fix="Correct the schema."
        ) from strict
    where = f"line {strict.lineno}, column {strict.colno}"
    return Schema(
        _checked(value, name), f"`{name}` is not strict JSON ({strict.msg} in {where}); it is read leniently."
    )


def _checked(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TaskFailed(f"`{name}` is JSON but not a map.", fix='A schema begins like {"type": "object", …}.')
    return value


class _Lenient:
    """JSON with bare keys, missing and trailing commas, single quotes and comments."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"unexpected {text[at]!r}")
            if found.lastgroup:
                self.tokens.append((found.lastgroup, found[0]))
            at = found.end()
        self.at = 0

    def document(self) -> Any:
        """The first value; what follows it is ignored."""
        return self.value(0)

    def value(self, depth: int) -> Any:
        if depth > 100:
            raise ValueError("too deep")
        kind, text = self.take()
        if text == "{" and kind == "mark":
            return self.map(depth + 1)
        if text == "[" and kind == "mark":
            return self.list(depth + 1)
        if kind == "mark":
            raise ValueError(f"unexpected {text!r}")
        return self.scalar(kind, text)

    def scalar(self, kind: str, text: str) -> Any:
        if kind == "string":
            body = text[1:-1]
            if text[0] == "'":
                body = body.replace("\\'", "'").replace('"', '\\"')
            return json.loads(f'"{body}"')
        return json.loads(text) if kind == "number" else WORDS.get(text, text)

    def map(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.closes("}"):
            kind, key = self.take()
            if kind == "mark":
                raise ValueError(f"a key was expected, not {key!r}")
            if self.take()[1] != ":":
                raise ValueError(f"no colon after {key}")
            found[str(self.scalar(kind, key)) if kind == "string" else key] = self.value(depth)
        return found

    def list(self, depth: int) -> list[Any]:
        found = []
        while not self.closes("]"):
            found.append(self.value(depth))
        return found

    def closes(self, mark: str) -> bool:
        while self.at < len(self.tokens) and self.tokens[self.at] == ("mark", ","):
            self.at += 1
        if self.at < len(self.tokens) and self.tokens[self.at] == ("mark", mark):
            self.at += 1
            return True
        return False

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise ValueError("it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]


FENCED = re.compile(r"\A\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def unfenced(reply: str) -> str:
    """A reply without the code fence around it, when all of it is fenced."""
    found = FENCED.match(reply)
    return found[1] if found else reply


def is_json(text: str) -> bool:
    """Whether a text is one JSON document."""
    try:
        any_json(text)
    except ValueError:
        return False
    return True


def as_asked(reply: str, schema: Schema | None) -> str:
    """A reply as its reader expects it: a lone object becomes a list of one when the schema's top level is an array."""
    reply = unfenced(reply)
    if schema is not None and schema.is_array and is_json(reply) and not isinstance(json.loads(reply), list):
        return f"[{reply.strip()}]"
    return reply


def missing_keys(reply: str, schema: Schema) -> list[str]:
    """Keys the schema's top level describes and a reply lacks, for a line in the log."""
    properties = schema.value.get("properties")
    try:
        value = any_json(reply)
    except ValueError:
        return []
    if not isinstance(properties, dict) or not isinstance(value, dict):
        return []
    return [key for key in properties if key not in value]
