"""Amazon Ion's text as plain values: structures, lists, texts, numbers. What JSON has no kind for is a text."""

import base64
import json
import re
from typing import Any

MAX_DEPTH = 120
_TOKEN = re.compile(
    r"""(?P<skip>[\s]+|//[^\n]*|/\*.*?\*/)
    |(?P<long>'''(?:\\.|(?!''').)*''')
    |(?P<text>"(?:\\.|[^"\\\n])*")
    |(?P<quoted>'(?:\\.|[^'\\\n])*')
    |(?P<blob>\{\{(?:[^{}"']++|"(?:\\.|[^"\\\n])*"|'''(?:\\.|(?!''').)*''')*+\}\})
    |(?P<time>\d{4}(?:-\d\d(?:-\d\dT?)?T?|T)(?:\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?(?=[\s,\]})]|\Z))
    |(?P<number>-?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eEdD][+-]?\d+)?)(?=[\s,\]})/]|\Z))
    |(?P<unending>[+-]inf\b)
    |(?P<symbol>[A-Za-z_$][\w$]*(?:\.\w+)?)
    |(?P<mark>::|[{}\[\]():,])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r?\n)|(.))", re.DOTALL)
_MARKS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ENDS = {"[": "]", "(": ")"}


def read(text: str) -> Any:
    """The one value of a text, or the list of several; ValueError says where it breaks."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    except RecursionError as error:
        raise ValueError("it lies too deep") from error
    found = _Reader(text).values()
    if not found:
        raise ValueError("it is empty")
    return found[0] if len(found) == 1 else found


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"line {line} can't be read at `{text[at : at + 20]}`")
            if match.lastgroup != "skip":
                self.tokens.append((str(match.lastgroup), match[0], line))
            at, line = match.end(), line + match[0].count("\n")
        self.at = 0

    def values(self) -> list[Any]:
        found = []
        while self.at < len(self.tokens):
            found.append(self.value(0))
        return found

    def peek(self, ahead: int = 0) -> tuple[str, str, int]:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else ("end", "its end", 0)

    def take(self) -> tuple[str, str, int]:
        token = self.peek()
        self.at += 1
        return token

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("it lies too deep")
        while self.peek()[0] in ("symbol", "quoted") and self.peek(1)[1] == "::":
            self.at += 2  # an annotation
        kind, written, line = self.take()
        match kind:
            case "text" | "quoted":
                return _unescaped(written[1:-1])
            case "long":
                parts = [written]
                while self.peek()[0] == "long":
                    parts.append(self.take()[1])
                return "".join(_unescaped(part[3:-3]) for part in parts)
            case "number":
                return _number(written)
            case "time" | "unending":
                return written
            case "blob":
                return _blob(written[2:-2].strip(), line)
            case "symbol":
                return _symbol(written)
        if written == "{":
            return self.structure(depth)
        if written in _ENDS:
            return self.items(_ENDS[written], depth)
        raise ValueError(f"there is no value at {f'line {line}: ' if line else ''}{written}")

    def structure(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.peek()[1] != "}" or self.peek()[0] != "mark":
            kind, written, line = self.take()
            if kind not in ("symbol", "quoted", "text", "long") or self.take()[1] != ":":
                raise ValueError(f"a name and `:` are missing at {f'line {line}: ' if line else ''}{written}")
            edge = {"symbol": 0, "long": 3}.get(kind, 1)
            found[_unescaped(written[edge : len(written) - edge])] = self.value(depth + 1)
            self.comma("}")
        self.at += 1
        return found

    def items(self, end: str, depth: int) -> list[Any]:
        found = []
        while self.peek()[1] != end or self.peek()[0] != "mark":
            found.append(self.value(depth + 1))
            if end == "]":
                self.comma(end)
        self.at += 1
        return found

    def comma(self, end: str) -> None:
        kind, written, line = self.peek()
        if (kind, written) == ("mark", ","):
            self.at += 1
        elif (kind, written) != ("mark", end):
            raise ValueError(f"`,` or `{end}` is missing at {f'line {line}: ' if line else ''}{written}")


def _number(written: str) -> int | float:
    text = written.replace("_", "").lower()
    if "0x" in text or "0b" in text:
        return int(text, 0)
    if "." in text or "e" in text or "d" in text:
        return float(text.replace("d", "e"))
    return int(text)


def _symbol(written: str) -> Any:
    if written.partition(".")[0] == "null":
        return None
    return {"true": True, "false": False}.get(written, written)


def _blob(written: str, line: int) -> str:
    """What base64 stands for as it is written, and a clob's text."""
    if written[:1] in ("'", '"'):
        edge = 3 if written.startswith("'''") else 1
        return _unescaped(written[edge:-edge])
    try:
        base64.b64decode("".join(written.split()), validate=True)
    except ValueError as error:
        raise ValueError(f"line {line} holds no base64 in `{{{{ }}}}`") from error
    return "".join(written.split())


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1] or found[2] or found[3]
        if code:
            return chr(min(int(code, 16), 0x10FFFF))
        return "" if found[4] else _MARKS.get(found[5], found[5])

    return _ESCAPE.sub(one, text)
