"""Values inside the quotes of a shell command that a flow's author wrote with templates in it.

The author's text is followed the way a shell reads it; a value is escaped for the place where it lands. Values never
change where we are: that is the point.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.expressions.failures import fail
from engine.expressions.frame import Printed
from engine.expressions.quote_guard import guarded

_UNSAFE = frozenset("|&;<>()$`\\\"'*?[]#~=%{}!\n ")


@dataclass(slots=True)
class _Place:
    """A quote or substitution we are inside: plain, single, ansi, double, backtick, paren, brace, comment, heredoc."""

    kind: str
    depth: int = 0  # parentheses inside a substitution
    delimiter: str = ""
    literal: bool = False  # a here-document whose delimiter was quoted
    stripped: bool = False  # <<-


def guarded_shell(pieces: Sequence[str], warn: Callable[[str], None]) -> str:
    """The command with values escaped inside quotes; outside of quotes they stay as they are, with a warning."""
    return guarded(_Reader(), pieces, "a shell", warn)


class _Reader:
    def __init__(self) -> None:
        self.places = [_Place("plain")]
        self.waiting: list[_Place] = []
        self.skip = False  # after a backslash
        self.line = ""  # of a here-document, so far
        self.word_start = True
        self.pending = ""  # the announcement of a here-document, so far
        self.last = ""  # sign that was read, "" when it means nothing together with the next one
        self.before = ""  # sign that was read
        self.escaped = False
        self.exposed = False

    def read(self, text: str) -> None:
        for char in text:
            is_plain = self.skip or (char == self.last == "$")
            self.one(char)
            self.last = "" if is_plain else char
            self.before = char

    def one(self, char: str) -> None:
        place = self.places[-1]
        if place.kind == "heredoc":
            self.in_heredoc(place, char)
        elif self.skip:
            self.skip = False
            self.word_start = False
        elif place.kind == "comment":
            if char == "\n":
                self.places.pop()
                self.one(char)
        elif place.kind == "single":
            if char == "'":
                self.places.pop()
        elif place.kind == "ansi":
            if char == "\\":
                self.skip = True
            elif char == "'":
                self.places.pop()
        elif char == "\\":
            self.skip = True
        elif place.kind == "double":
            self.in_double(char)
        else:
            self.in_plain(place, char)

    def in_double(self, char: str) -> None:
        if char == '"':
            self.places.pop()
        else:
            self.substitution(char)

    def substitution(self, char: str) -> bool:
        """Whether a substitution begins or ends here."""
        if char == "`":
            if any(place.kind == "backtick" for place in self.places):
                while self.places[-1].kind != "backtick":
                    self.places.pop()
                self.places.pop()
            else:
                self.places.append(_Place("backtick"))
            return True
        if self.last == "$" and char in "({":
            self.places.append(_Place("paren" if char == "(" else "brace"))
            self.word_start = True
            return True
        return False

    def in_plain(self, place: _Place, char: str) -> None:
        if self.pending:
            self.announce(char)
            return
        if self.substitution(char):
            return
        if char == "#" and self.word_start and place.kind != "brace":
            self.places.append(_Place("comment"))
        elif char == "'":
            self.quote(place, "ansi" if self.last == "$" else "single")
        elif char == '"':
            self.places.append(_Place("double"))
        elif char == "<" and self.last == "<" and place.kind != "brace":
            self.pending = "<<"
        elif place.kind == "paren" and char == "(":
            place.depth += 1
        elif place.kind == "paren" and char == ")":
            if place.depth:
                place.depth -= 1
            else:
                self.places.pop()
        elif place.kind == "brace" and char == "}":
            self.places.pop()
        elif char == "\n":
            self.begin_heredocs()
        self.word_start = char in " \t\n;|&("

    def quote(self, place: _Place, kind: str) -> None:
        # In "${x:-'…'}" a single quote is a character like any other.
        quoted_brace = place.kind == "brace" and any(one.kind == "double" for one in self.places)
        if not quoted_brace:
            self.places.append(_Place(kind))

    def announce(self, char: str) -> None:
        """Read the delimiter behind `<<`."""
        if self.pending == "<<" and char == "<":
            self.pending = ""  # <<< is a here-string
        elif self.pending.strip("<-") == "" and char in " \t-":
            self.pending += "-" if char == "-" else ""
        elif char in " \t\n;|&()<>" and not (self.pending.count("'") % 2 or self.pending.count('"') % 2):
            raw = self.pending[2:]
            delimiter = raw.removeprefix("-")
            bare = delimiter.replace("'", "").replace('"', "").replace("\\", "")
            if bare:
                self.waiting.append(
                    _Place("heredoc", delimiter=bare, literal=bare != delimiter, stripped=raw.startswith("-"))
                )
            self.pending = ""
            self.in_plain(self.places[-1], char)
        else:
            self.pending += char

    def begin_heredocs(self) -> None:
        self.line = ""
        while self.waiting:
            self.places.append(self.waiting.pop())

    def in_heredoc(self, place: _Place, char: str) -> None:
        self.skip = char == "\\" and not self.skip and not place.literal
        if char != "\n":
            self.line += char
            return
        line = self.line.lstrip("\t") if place.stripped else self.line
        self.line = ""
        if line == place.delimiter:
            self.places.pop()
            self.word_start = True

    def value(self, text: str) -> str:
        """The value, escaped for the place we are at."""
        if not text:
            return ""
        behind = self.behind(text)
        self.last = self.before = ""
        self.word_start = False
        self.skip = False
        found = behind + self.escape(text)
        kinds = [place.kind for place in self.places]
        # What lies inside backticks is read once more before it runs, and inside quotes its quotes count then, too.
        if "backtick" in kinds and (found != text or self.quoted()):
            found = _backslashed(found, '\\`$"' if "double" in kinds[: kinds.index("backtick")] else "\\`$")
        if found != text:
            self.escaped = True
        elif not self.quoted() and not _UNSAFE.isdisjoint(text):
            self.exposed = True
        return found

    def behind(self, text: str) -> str:
        """What keeps the author's sign right before a value from meaning something together with it."""
        place = self.places[-1]
        if place.kind in ("single", "comment") or place.literal or not self.quoted():
            return ""
        is_opening = text[0] in "({" and place.kind != "ansi"
        # What lies inside backticks is read twice, and a sign may mean something the second time only.
        if any(one.kind == "backtick" for one in self.places):
            if self.before == "\\" or (self.before == "$" and is_opening):
                self.refuse()
            return ""
        if self.skip:
            return "\\"
        if self.last == "$" and is_opening:
            if place.kind != "double":
                self.refuse()
            return '""'
        return ""

    def refuse(self) -> None:
        fail(
            f"A value would mean something to the shell right behind the `{self.before}` before it.",
            "Put the value into an environment variable (`env`), and name that in its place.",
        )

    def quoted(self) -> bool:
        return self.places[-1].kind in ("single", "double", "ansi", "heredoc", "comment") or (
            self.places[-1].kind == "brace" and any(one.kind == "double" for one in self.places)
        )

    def escape(self, text: str) -> str:
        place = self.places[-1]
        if place.kind == "single":
            if isinstance(text, Printed) and text.escaped == "shell":
                return str(text)
            return text.replace("'", "'\\''")
        if place.kind == "ansi":
            return text.replace("\\", "\\\\").replace("'", "'\\''")
        if place.kind == "double":
            return _backslashed(text, '\\"$`')
        if place.kind == "brace" and self.quoted():
            return _backslashed(text, '\\"$`}')
        if place.kind == "comment":
            return text.replace("\n", " ").replace("\r", " ")
        if place.kind == "heredoc":
            return self.in_document(text, place)
        return text

    def in_document(self, text: str, place: _Place) -> str:
        lines = (self.line + text).split("\n")
        self.line = lines[-1]
        if any((line.lstrip("\t") if place.stripped else line) == place.delimiter for line in lines):
            fail(
                f"A value holds the line {place.delimiter!r}, which ends the here-document it stands in.",
                "Write the value to a file, or pass it in an environment variable.",
            )
        return text if place.literal else _backslashed(text, "\\$`")


def _backslashed(text: str, marks: str) -> str:
    return "".join(f"\\{char}" if char in marks else char for char in text)
