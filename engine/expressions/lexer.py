"""Text to tokens. Every token keeps its offset; line and column are worked out when somebody asks."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from engine.expressions.failures import Position, fail
from engine.expressions.limits import MAX_NESTING, MAX_TEMPLATE, MAX_TOKENS

TokenKind = Literal[
    "text", "raw", "print", "end print", "tag", "end tag", "name", "operator", "mark",
    "integer", "decimal", "string", "open string", "close string", "open part", "close part", "end",
]  # fmt: skip

_OPENING = re.compile(r"\{(?:\{|%|#)")
_RAW = re.compile(r"\{%-*\s*raw\s*-*%\}")
_END_RAW = re.compile(r"\{%-*\s*endraw\s*-*%\}")
_VERBATIM = re.compile(r"\{%(-(?=\s))?\s*verbatim\s*-?%\}")
_END_VERBATIM = re.compile(r"\{%(-(?=\s))?\s*endverbatim\s*(-?)%\}")
_SPACE = re.compile(r"\s+")
_CLOSING: Final = {"end print": re.compile(r"(-?)\}\}"), "end tag": re.compile(r"(-?)%\}")}
_OPERATOR = re.compile(
    r"(?:is not|isIn|is|not|contains|equals|and|or)(?![A-Za-z0-9_])|\?\?\?|\?\?|\.\.|==|!=|<=|>=|[<>+\-*/%~|]"
)
_NAME = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_STRING = re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'|\"([^#\"\\]*(?:\\.[^#\"\\]*)*)\"", re.DOTALL)
_STRING_TEXT = re.compile(r"(?:[^#\"\\]++|\\.|#(?!\{))++", re.DOTALL)
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a template. `value` is the text without quotes and delimiters."""

    kind: TokenKind
    value: str
    start: int


class Source:
    """A template's text, able to say where an offset lies."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines: list[int] | None = None

    def position(self, offset: int) -> Position:
        """Line and column, counted from 1."""
        if self._lines is None:
            self._lines = [0, *(found.end() for found in re.finditer("\n", self.text))]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


def tokens(source: Source) -> list[Token]:
    """All tokens of a template, ending with an `end`; ExpressionFailed where the text cannot be cut."""
    if len(source.text) > MAX_TEMPLATE:
        fail(f"The template is longer than {MAX_TEMPLATE:,} characters.", "Read long text from a file.")
    return _Lexer(source).run()


class _Lexer:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 0
        self.found: list[Token] = []
        self.trimming = False  # the tag before ended with a trim sign

    def run(self) -> list[Token]:
        text = self.text
        while self.at < len(text):
            opening = _OPENING.search(text, self.at)
            if opening is None:
                self.add_text(text[self.at :], trim_right=False)
                self.at = len(text)
                break
            start = opening.start()
            if self.take_whole_tag(start):
                continue
            trimmed = text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4].isspace()
            self.add_text(text[self.at : start], trim_right=trimmed)
            self.at = start + (3 if trimmed else 2)
            if opening[0] == "{#":
                self.skip_comment(start)
            elif opening[0] == "{{":
                self.found.append(Token("print", "{{", start))
                self.expression("end print", start)
            else:
                self.found.append(Token("tag", "{%", start))
                self.expression("end tag", start)
        self.found.append(Token("end", "", len(text)))
        return self.found

    def take_whole_tag(self, start: int) -> bool:
        """`raw` and `verbatim` take their body as it stands, so they are cut before anything in them is read."""
        if opening := _RAW.match(self.text, start):
            closing = self.closing(_END_RAW, opening, "raw")
            self.add_text(self.text[self.at : start], trim_right=False)
            self.found.append(Token("raw", self.text[opening.end() : closing.start()], start))
            self.at = closing.end()
            return True
        if opening := _VERBATIM.match(self.text, start):
            closing = self.closing(_END_VERBATIM, opening, "verbatim")
            self.add_text(self.text[self.at : start], trim_right=bool(opening[1]))
            body = self.text[opening.end() : closing.start()].lstrip()
            self.found.append(Token("text", body.rstrip() if closing[1] else body, start))
            self.trimming = bool(closing[2])
            self.at = closing.end()
            return True
        return False

    def closing(self, pattern: re.Pattern[str], opening: re.Match[str], name: str) -> re.Match[str]:
        found = pattern.search(self.text, opening.end())
        if found is None:
            self.fail(f"{{% {name} %}} is not closed.", opening.start(), f"Close it with {{% end{name} %}}.")
        return found

    def add_text(self, text: str, *, trim_right: bool) -> None:
        start = self.at
        if self.trimming:
            text = text.lstrip()
            self.trimming = False
        if trim_right:
            text = text.rstrip()
        if text:
            self.found.append(Token("text", text, start))

    def skip_comment(self, start: int) -> None:
        end = self.text.find("#}", self.at)
        if end < 0:
            self.fail(
                "A comment that starts with {# is not closed.",
                start,
                "Close it with #}, or put shell text such as ${#name} between {% raw %} and {% endraw %}.",
            )
        self.trimming = self.text[end - 1] == "-" and end > start + 2
        self.at = end + 2

    def fail(self, message: str, offset: int, fix: str = "") -> NoReturn:
        fail(message, fix, self.source.position(offset))

    def expression(self, closing: Literal["end print", "end tag"], opened: int) -> None:
        """Tokens up to the closing delimiter, which counts only outside brackets."""
        text, close = self.text, _CLOSING[closing]
        brackets: list[str] = []
        while True:
            if space := _SPACE.match(text, self.at):
                self.at = space.end()
            if self.at >= len(text):
                mark = "}}" if closing == "end print" else "%}"
                self.fail(f"{text[opened : opened + 2]} is not closed.", opened, f"Close it with {mark}.")
            if not brackets and (end := close.match(text, self.at)):
                self.found.append(Token(closing, end[0], self.at))
                self.trimming = bool(end[1])
                self.at = end.end()
                return
            self.one(brackets)

    def one(self, brackets: list[str]) -> None:
        text, start = self.text, self.at
        if len(self.found) > MAX_TOKENS:
            self.fail(f"The template has more than {MAX_TOKENS:,} parts.", start, "Make it from several smaller ones.")
        for kind, pattern in _PLAIN:
            if found := pattern.match(text, start):
                self.at = found.end()
                actual: TokenKind = "decimal" if kind == "integer" and "." in found[0] else kind
                self.found.append(Token(actual, found[0], start))
                if actual == "integer" and text[self.at : self.at + 1] == "L":
                    self.at += 1
                return
        char = text[start]
        if char in "([{":
            if len(brackets) >= MAX_NESTING:
                self.fail(f"Brackets are nested more than {MAX_NESTING} deep.", start, "Use {% set %} for the parts.")
            brackets.append(char)
            self.mark(char)
        elif char in ")]}":
            opened = brackets.pop() if brackets else ""
            if opened != _PAIRS[char]:
                message, fix = _unpaired(char, opened)
                self.fail(message, start, fix)
            self.mark(char)
        elif char in ",.:=?":
            self.mark(char)
        elif char in "'\"":
            self.string(char, len(brackets))
        else:
            self.fail(f"{char!r} has no meaning in an expression.", start, _advice(text[start : start + 2]))

    def mark(self, char: str) -> None:
        self.found.append(Token("mark", char, self.at))
        self.at += 1

    def string(self, quote: str, depth: int) -> None:
        start = self.at
        if whole := _STRING.match(self.text, start):
            self.at = whole.end()
            value = whole[1] if quote == "'" else whole[2]
            self.found.append(Token("string", value.replace("\\" + quote, quote), start))
            return
        if quote == "'":
            self.fail("A text is not closed.", start, "Close it with the quote it began with.")
        self.found.append(Token("open string", '"', start))
        self.at += 1
        while True:
            if part := _STRING_TEXT.match(self.text, self.at):
                self.found.append(Token("string", part[0], self.at))
                self.at = part.end()
            elif self.text.startswith('"', self.at):
                self.found.append(Token("close string", '"', self.at))
                self.at += 1
                return
            elif self.text.startswith("#{", self.at):
                self.interpolated(depth)
            else:
                self.fail("A text is not closed.", start, "Close it with the quote it began with.")

    def interpolated(self, depth: int) -> None:
        opened = self.at
        self.found.append(Token("open part", "#{", opened))
        self.at += 2
        brackets: list[str] = ["("] * (depth + 1)
        while True:
            if space := _SPACE.match(self.text, self.at):
                self.at = space.end()
            if self.at >= len(self.text):
                self.fail("#{ is not closed.", opened, "Close it with }.")
            if len(brackets) == depth + 1 and self.text[self.at] == "}":
                self.found.append(Token("close part", "}", self.at))
                self.at += 1
                return
            self.one(brackets)


_PLAIN: Final[tuple[tuple[TokenKind, re.Pattern[str]], ...]] = (
    ("operator", _OPERATOR),
    ("name", _NAME),
    ("integer", _NUMBER),
)

OTHER_PROGRAMS: Final = "Text for other programs that holds {{ or {% belongs between {% raw %} and {% endraw %}."


def _unpaired(char: str, opened: str) -> tuple[str, str]:
    """What is wrong with a closing bracket, and what to do."""
    if opened:
        closing = next(one for one, other in _PAIRS.items() if other == opened)
        return f"{char!r} closes what {opened!r} opened.", f"A {closing!r} is missing before it."
    return f"{char!r} has no opening bracket.", "A template ends with `}}`." if char == "}" else ""


def _advice(text: str) -> str:
    if text[:1] in ("\u2018", "\u2019", "\u201c", "\u201d", "\u201e"):
        return "Write plain quotes, ' or \"."
    if text.startswith("&"):
        return "Write `and`." if text == "&&" else "Two conditions are joined with `and`, two texts with `~`."
    if text.startswith("!"):
        return "Write `not`."
    if text.startswith("`"):
        return f"Texts stand in quotes, ' or \". {OTHER_PROGRAMS}"
    if text.startswith("$"):
        return f"Names stand without a `$`. {OTHER_PROGRAMS}"
    return OTHER_PROGRAMS
