"""Where the expressions in shell text stand: in quotes or not."""

import re
from collections.abc import Iterator

_EXPRESSION = re.compile(r"\{\{-?(?P<expression>.*?)-?\}\}", re.DOTALL)
_HERE_DOCUMENT = re.compile(r"(?<!<)<<(?P<dash>-?)[ \t]*(?P<quote>['\"]?)(?P<word>[A-Za-z_]\w*)(?P=quote)")
_SHELL = re.compile(r"(?:^|[\s;&|(/])(?:(?:ba|da|k|z|s)?sh|eval|source)(?=\s|$)")


def unquoted(text: str) -> Iterator[tuple[str, int, int]]:
    """Expression, line and column (from 1) of every {{ template }} that stands outside quotes.

    What stands in a here-document is data: nothing in it starts a command, and quotes would be part of it. Only one
    that is handed to a shell is read as commands.
    """
    quote, position, end = "", 0, 0  # `end`: behind the here-documents that begin with the next line
    while position < len(text):
        sign = text[position]
        found = _EXPRESSION.match(text, position) if sign == "{" else None
        if found:
            if not quote:
                before = text[:position]
                column = position - before.rfind("\n")
                yield found["expression"].strip(), before.count("\n") + 1, column
            position = found.end()
            continue
        if sign == "\n" and position < end:
            position, end = end, 0
            continue
        opened = _HERE_DOCUMENT.match(text, position) if sign == "<" and not quote else None
        if opened:
            end = max(end, _behind(text, opened, end))
            position = opened.end()
            continue
        if sign == "\\" and quote != "'":
            position += 2
            continue
        if sign == "#" and not quote and (position == 0 or text[position - 1].isspace()):
            end_of_line = text.find("\n", position)
            position = len(text) if end_of_line < 0 else end_of_line
            continue
        if sign in "\"'":
            quote = "" if quote == sign else quote or sign
        position += 1


def _behind(text: str, opened: re.Match[str], start: int) -> int:
    """Where the line ends that closes a here-document; 0 when a shell reads it, or when nothing closes it."""
    line_end = text.find("\n", opened.end())
    if line_end < 0 or _SHELL.search(text, max(text.rfind("\n", 0, opened.start()), 0), line_end):
        return 0
    tabs = r"\t*" if opened["dash"] else ""
    closing = re.compile(rf"\n{tabs}{opened['word']}(?=\n|\Z)").search(text, max(start, line_end))
    return closing.end() if closing else 0
