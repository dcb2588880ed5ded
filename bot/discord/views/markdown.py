"""Markdown as Discord draws it, and data that must not be drawn as Markdown."""

import re

from bot.cards.graphemes import ELLIPSIS, clean, cut, line, size
from bot.commands.manual import MANAGING, slash
from bot.texts import literal

_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(")
_STRONG = re.compile(r"(?<![\w_])__(?=\S)([^_\n]+?)(?<=\S)__(?![\w_])")
_DEEP_HEADING = re.compile(r"^#{4,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
_EVERYBODY = re.compile(r"\\@(?=everyone|here)")  # escaped: Discord looks for these behind a backslash too
_FENCE_LINE = re.compile(r"^[ \t]*```", re.MULTILINE)
_FENCE_END = "\n```"
_MANAGE = slash(next(iter(MANAGING)), "discord")
_MANAGING = re.compile(rf"`/flow (?=(?:{'|'.join(sorted(MANAGING))})\b)")


def markdown(text: str) -> str:
    """CommonMark as Discord reads it: images become links, `__strong__` and deep headings bold; code stays as it is.
    Commands stand under the name they have here."""
    pieces = _CODE.split(clean(text))
    return "".join(_here(piece) if index % 2 else _translate(piece) for index, piece in enumerate(pieces)).strip()


def _here(code: str) -> str:
    return _MANAGING.sub(f"`{_MANAGE} ", code, 1) if code.startswith("`/flow ") else code


def _translate(text: str) -> str:
    return _DEEP_HEADING.sub(r"**\1**", _STRONG.sub(r"**\1**", _IMAGE.sub(r"[\1](", text)))


def escape(text: str) -> str:
    """Data shown as it is: no formatting, no mention, no masked link. Addresses stay whole."""
    return _EVERYBODY.sub("@\u200b", literal(clean(text)))


def title(text: str, limit: int) -> tuple[str, str]:
    """Data on one line, escaped, and what of it did not fit into `limit` units."""
    whole = line(text)
    if size(escape(whole)) <= limit:
        return escape(whole), ""
    room = limit - 1
    while (excess := size(escape(head := cut(whole, room)[0])) + 1 - limit) > 0:
        room -= max(1, excess // 2)  # a character is two at most once escaped
    return escape(head).rstrip() + ELLIPSIS, whole


def code_block(lines: str) -> str:
    """Text in a code block it cannot leave."""
    return "```\n" + clean(lines).replace("```", "`\u200b`\u200b`") + _FENCE_END


def excerpt(text: str, limit: int) -> tuple[str, bool]:
    """The front of a Markdown text in `limit` units, at a line or word end where there is one; whether it was cut."""
    if size(text) <= limit:
        return text, False
    room = limit - 1 - len(_FENCE_END)
    if room <= 0:
        return "", True
    head, _ = cut(text, room)
    for boundary in ("\n\n", "\n", " "):
        at = head.rfind(boundary)
        if at > len(head) * 3 // 5:
            head = head[:at]
            break
    head = head.rstrip() + ELLIPSIS
    if len(_FENCE_LINE.findall(head)) % 2:
        head += _FENCE_END
    return head, True


def inline(text: str, limit: int) -> tuple[str, bool]:
    """A Markdown text on one line in `limit` units; whether it was cut."""
    whole = " ".join(markdown(text).split())
    return (whole, False) if size(whole) <= limit else (cut(whole, limit - 1)[0].rstrip("\\ ") + ELLIPSIS, True)
