"""Values inside the quotes of commands for PowerShell, which quotes by rules of its own (about_Quoting_Rules).

A backtick escapes, not a backslash; quotes may be typographic ones, too; and a here-string ends where a line begins
with its quote and `@`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.expressions.failures import fail
from engine.expressions.quote_guard import guarded

SINGLE = "'\u2018\u2019\u201a\u201b"
DOUBLE = '"\u201c\u201d\u201e'
_UNSAFE = frozenset("|&;<>()$`{}@#,%*?[]=\n\r " + SINGLE + DOUBLE)
_LINE_END = re.compile(r"[\r\n]")


@dataclass(slots=True)
class _Place:
    """What we are inside: plain, paren, single, double, here-single, here-double, comment or block comment."""

    kind: str
    depth: int = 0  # parentheses inside a subexpression
    line: str = ""  # of a here-string, so far


def guarded_powershell(pieces: Sequence[str], warn: Callable[[str], None]) -> str:
    """The commands with values escaped inside quotes; outside of quotes they stay as they are, with a warning."""
    return guarded(_Reader(), pieces, "PowerShell", warn)


class _Reader:
    def __init__(self) -> None:
        self.places = [_Place("plain")]
        self.skip = False  # after a backtick
        self.last = ""  # sign that was read, "" when it means nothing together with the next one
        self.escaped = False
        self.exposed = False

    def read(self, text: str) -> None:
        """Text of the author's."""
        for char in text:
            self.one(char)

    def one(self, char: str) -> None:
        """One sign of it."""
        was_skipped = self.skip
        self.skip = False
        place = self.places[-1]
        if place.kind.startswith("here"):
            self.in_here_string(place, char, was_skipped)
        elif not was_skipped and self.ends(place, char):
            self.places.pop()
        elif not was_skipped and place.kind in ("plain", "paren", "double"):
            self.skip = char == "`"
            if place.kind == "double":
                self.subexpression(char)
            else:
                self.in_plain(place, char)
        self.last = "" if was_skipped else char

    def ends(self, place: _Place, char: str) -> bool:
        """Whether a quote or a comment ends here."""
        ends = {"comment": "\r\n", "block": ">" if self.last == "#" else "", "single": SINGLE, "double": DOUBLE}
        return char in ends.get(place.kind, "")

    def subexpression(self, char: str) -> None:
        if self.last == "$" and char == "(":
            self.places.append(_Place("paren"))

    def in_plain(self, place: _Place, char: str) -> None:
        if char == "#" and self.last == "<":
            self.places.append(_Place("block"))
        elif char == "#" and (not self.last or self.last in " \t\r\n;|&(){},"):
            self.places.append(_Place("comment"))
        elif char in SINGLE:
            self.places.append(_Place("here-single", line="@") if self.last == "@" else _Place("single"))
        elif char in DOUBLE:
            self.places.append(_Place("here-double", line="@") if self.last == "@" else _Place("double"))
        elif place.kind == "paren" and char == "(":
            place.depth += 1
        elif place.kind == "paren" and char == ")":
            if place.depth:
                place.depth -= 1
            else:
                self.places.pop()

    def in_here_string(self, place: _Place, char: str, was_skipped: bool) -> None:
        quotes = SINGLE if place.kind == "here-single" else DOUBLE
        if char == "@" and len(place.line) == 1 and place.line in quotes:
            self.places.pop()
        elif char in "\r\n":
            place.line = ""
        else:
            place.line += char
            if place.kind == "here-double" and not was_skipped:
                self.skip = char == "`"
                self.subexpression(char)

    def value(self, text: str) -> str:
        """A value, escaped for the place we are at."""
        if not text:
            return ""
        place = self.places[-1]
        found = self.escape(text, place)
        if place.kind.endswith("double"):
            if self.skip or (self.last == "$" and text[0] in "({"):  # the author's sign right before it stays a sign
                found = f"`{found}"
        elif place.kind in ("plain", "paren") and not _UNSAFE.isdisjoint(text):
            self.exposed = True
        self.escaped = self.escaped or found != text
        self.skip, self.last = False, "x"
        return found

    def escape(self, text: str, place: _Place) -> str:
        if place.kind == "single":
            return "".join(char * 2 if char in SINGLE else char for char in text)
        if place.kind == "double":
            return _ticked(text)
        if place.kind == "comment":
            return _LINE_END.sub(" ", text)
        if place.kind == "block":
            return (" " if self.last == "#" else "") + text.replace("#>", "# >")
        if place.kind.startswith("here"):
            return self.in_document(text, place)
        return text

    def in_document(self, text: str, place: _Place) -> str:
        """Only the end of a here-string can't be escaped in one between single quotes."""
        is_literal = place.kind == "here-single"
        found = text if is_literal else _ticked(text)
        quotes = SINGLE if is_literal else DOUBLE
        lines = _LINE_END.split(place.line + found)
        if any(line[:1] in quotes and line[1:2] == "@" for line in lines if line):
            fail(
                f"A value holds a line that begins with `{quotes[0]}@`, which ends the here-string it stands in.",
                "Write the value to a file, or pass it in an environment variable.",
            )
        place.line = lines[-1]
        return found


def _ticked(text: str) -> str:
    return "".join(f"`{char}" if char in "`$" or char in DOUBLE else char for char in text)
