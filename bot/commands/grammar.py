"""The command line people type in any chat: text in, a `Line` out. Pure; the words mean the same on every platform.

    command = verb { word | pair } { flag }
    pair    = id "=" value | id ":=" json | id "=@" attachment
    value   = bare | 'single' | "double with \\n \\" \\\\" | ```fenced block```
    flag    = "--" name [ "=" value ]

Chats change what people type: Slack wraps addresses, phones make quotes and dashes pretty. Both are undone here.
Positions count from 1 in the text as the person typed it, that is after unwrapping.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.texts import Answer, answer, code

_ADDRESS = re.compile(r"<(mailto:|tel:)?([^<>|\s]+)(?:\|[^<>]*)?>")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")
_PAIR = re.compile(r"([A-Za-z0-9][.A-Za-z0-9_-]*)(:=|=@|=)")
_FLAG = re.compile(r"(?:--|[\u2013\u2014]-?)([A-Za-z][A-Za-z0-9_-]*)(=?)")
_FENCE = "```"
_DOUBLE = {'"': '"', "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"'}
_SINGLE = {"'": "'", "\u2018": "'", "\u2019": "'", "\u201a": "'"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_LANGUAGE = re.compile(r"[A-Za-z0-9_+-]*[ \t]*\r?\n")


class LineInvalid(Exception):
    """What was typed cannot be read; `answer` is the sentence for the person, `at` the character it is about."""

    def __init__(self, answer: Answer, at: int) -> None:
        super().__init__(answer.text)
        self.answer = answer
        self.at = at


@dataclass(frozen=True, slots=True)
class Text:
    """A value typed as text: `name=value`."""

    value: str


@dataclass(frozen=True, slots=True)
class Json:
    """A value typed as JSON: `name:=[1, 2]`."""

    value: Any


@dataclass(frozen=True, slots=True)
class FromFile:
    """A value that came as an attachment: `name=@photo.png`."""

    name: str


Given = Text | Json | FromFile


@dataclass(frozen=True, slots=True)
class Word:
    """An argument that is neither pair nor flag. `at` is the position of its first character."""

    text: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A command as read. `verb` is in lower case and "" when nothing was typed. A flag without value is True."""

    verb: str
    words: tuple[Word, ...] = ()
    pairs: Mapping[str, Given] = field(default_factory=dict)
    flags: Mapping[str, str | bool] = field(default_factory=dict)

    def word(self, index: int) -> str:
        """The text of one word, "" when there are fewer."""
        return self.words[index].text if index < len(self.words) else ""

    def rest(self, index: int) -> str:
        """Words from `index` on, joined by blanks: reasons and search texts."""
        return " ".join(word.text for word in self.words[index:])

    def flag(self, name: str, default: str = "") -> str:
        """The value of a flag; `default` when it is absent or has none."""
        value = self.flags.get(name)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: int) -> int:
        """The value of a flag as a whole number; `default` when it is absent or none."""
        value = self.flag(name)
        return int(value) if re.fullmatch(r"[0-9]{1,6}", value) else default


def unwrap(text: str) -> str:
    """Addresses as people typed them: `<http://a|a>` is http://a, `<mailto:a@b|a@b>` is a@b; mentions stay."""

    def bare(found: re.Match[str]) -> str:
        kind, address = found.groups()
        return address if kind or _SCHEME.match(address) else found[0]

    return _ADDRESS.sub(bare, text)


def parse(text: str) -> Line:
    """Read a command; LineInvalid E12 for a quote that is never closed, E10 for JSON that breaks off."""
    return _Reader(unwrap(text)).line()


class _Reader:
    """Goes through the text once, left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def line(self) -> Line:
        words: list[Word] = []
        pairs: dict[str, Given] = {}
        flags: dict[str, str | bool] = {}
        while self._skip_blanks():
            start = self.at
            if found := _FLAG.match(self.text, start):
                name = self._flag(found, flags)
                if name:
                    continue
            if found := _PAIR.match(self.text, start):
                self.at = found.end()
                pairs[found[1]] = self._pair_value(found[2], start)
                continue
            words.append(Word(self._value(), start + 1))
        verb = words[0].text.lower() if words else ""
        return Line(verb, tuple(words[1:]), pairs, flags)

    def _skip_blanks(self) -> bool:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    def _flag(self, found: re.Match[str], flags: dict[str, str | bool]) -> bool:
        after = found.end()
        if found[2]:
            self.at = after
            flags[found[1].lower()] = self._value()
            return True
        if after == len(self.text) or self.text[after].isspace():
            self.at = after
            flags[found[1].lower()] = True
            return True
        return False  # such as `--a:b`: not a flag's name, so an ordinary word

    def _pair_value(self, sign: str, start: int) -> Given:
        if sign == ":=":
            return Json(self._json(start))
        if sign == "=@":
            return FromFile(self._value())
        return Text(self._value())

    def _value(self) -> str:
        """Pieces up to the next blank: quotes may stand at the front of one or directly behind another quoted piece."""
        if self.at >= len(self.text):
            return ""
        char = self.text[self.at]
        if self.text.startswith(_FENCE, self.at):
            value = self._fenced()
        elif char in _DOUBLE:
            value = self._double()
        elif char in _SINGLE:
            return self._single()
        else:
            return self._bare()
        return value + self._bare()

    def _bare(self) -> str:
        start = self.at
        while self.at < len(self.text) and not self.text[self.at].isspace():
            self.at += 1
        return self.text[start : self.at]

    def _fenced(self) -> str:
        start = self.at + len(_FENCE)
        end = self.text.find(_FENCE, start)
        if end < 0:
            raise self._unclosed(self.at)
        self.at = end + len(_FENCE)
        language = _LANGUAGE.match(self.text, start, end)
        block = self.text[language.end() if language else start : end]
        return block.removesuffix("\n").removesuffix("\r") if language else block

    def _double(self) -> str:
        start = self.at
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char in _DOUBLE and (char == '"' or self.text[start] != '"'):
                return "".join(out)
            if char == "\\" and self.text[self.at : self.at + 1] in _ESCAPES:
                char = _ESCAPES[self.text[self.at]]
                self.at += 1
            out.append(char)
        raise self._unclosed(start)

    def _single(self) -> str:
        """Closed by a quote that ends the word, so that 'don't' needs no escape."""
        start = self.at
        end = start + 1
        while end < len(self.text):
            closes = _SINGLE.get(self.text[end]) and (self.text[end] == "'" or self.text[start] != "'")
            if closes and (end + 1 == len(self.text) or self.text[end + 1].isspace()):
                self.at = end + 1
                return self.text[start + 1 : end]
            end += 1
        raise self._unclosed(start)

    def _json(self, start: int) -> Any:
        begin = self.at
        name = _PAIR.match(self.text, start)
        label = name[1] if name else ""
        quoted = self.text.startswith(_FENCE, begin) or self.text[begin : begin + 1] in _SINGLE
        if quoted:
            value = self._value()
            return read_json(value, label, self.text.index(value, begin + 1) + 1)
        # Phones make pretty quotes inside JSON too; both are one character, so positions stay.
        plain = self.text[begin:]
        try:
            value, length = _decode(plain)
        except ValueError as first:
            try:
                value, length = _decode(plain.translate(_STRAIGHT))
            except ValueError:
                raise _broken(first, label, begin + 1) from first
        self.at = begin + length
        if self.at < len(self.text) and not self.text[self.at].isspace():
            extra = json.JSONDecodeError("something follows the value", self.text[begin:], length)
            raise _broken(extra, label, begin + 1)
        return value

    def _unclosed(self, at: int) -> LineInvalid:
        return LineInvalid(answer("E12", n=at + 1), at + 1)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_STRAIGHT = str.maketrans({"\u201c": '"', "\u201d": '"'})


def _decode(text: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _broken(error: ValueError, name: str, at: int) -> LineInvalid:
    if isinstance(error, json.JSONDecodeError):
        where = answer("E10", input=code(name), l=error.lineno, c=error.colno, why=error.msg)
        return LineInvalid(where, at + error.pos)
    return LineInvalid(answer("E10", input=code(name), l=1, c=1, why=str(error)), at)


def read_json(text: str, name: str, at: int = 1) -> Any:
    """A JSON document; LineInvalid E10 says where it breaks."""
    stripped = text.lstrip()
    try:
        value, end = _decode(stripped)
    except ValueError as error:
        if not isinstance(error, json.JSONDecodeError) or len(stripped) == len(text):
            raise _broken(error, name, at) from error
        shifted = json.JSONDecodeError(error.msg, text, error.pos + len(text) - len(stripped))
        raise _broken(shifted, name, at) from error
    if rest := stripped[end:].strip():
        extra = json.JSONDecodeError("something follows the value", text, text.rindex(rest))
        raise _broken(extra, name, at)
    return value


def quote(value: str) -> str:
    """A value as it must be typed so that `parse` reads it back unchanged."""
    if value and not re.search(r"[\s\"'`=<>\\\u2018-\u201e\u00ab\u00bb]", value) and value[0] not in "-@\u2013\u2014":
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def write(line: Line) -> str:
    """The text of a command; `parse(write(line))` is the line again."""
    parts = [quote(line.verb)] if line.verb else []
    parts += [quote(word.text) for word in line.words]
    for name, given in line.pairs.items():
        match given:
            case Text(value):
                parts.append(f"{name}={quote(value)}")
            case FromFile(file):
                parts.append(f"{name}=@{quote(file)}")
            case Json(value):
                parts.append(f"{name}:={json.dumps(value)}")
    parts += [f"--{name}" if value is True else f"--{name}={quote(str(value))}" for name, value in line.flags.items()]
    return " ".join(parts)


def whole(text: str) -> int | None:
    """A count that somebody wrote; None for what is none, and for one that no database has so much of."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
