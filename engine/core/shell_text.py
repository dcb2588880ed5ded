"""Where the expressions in shell text stand: in quotes or not."""

import re
from collections.abc import Iterator

_EXPRESSION = re.compile(r"\{\{-?(?P<expression>.*?)-?\}\}", re.DOTALL)


def unquoted(text: str) -> Iterator[tuple[str, int, int]]:
    """Expression, line and column (from 1) of every {{ template }} that stands outside quotes."""
    quote, position = "", 0
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
        if sign == "\\" and quote != "'":
            position += 2
            continue
        if sign == "#" and not quote and (position == 0 or text[position - 1].isspace()):
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        if sign in "\"'":
            quote = "" if quote == sign else quote or sign
        position += 1
