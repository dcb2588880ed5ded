"""Markdown made into Slack's mrkdwn: values in, text out, and nothing of it can ping a channel or forge a link.

Slack reads `<…>` as markup, so `& < >` are always escaped; `@here` and its like are broken apart, since some of Slack's
paths read them without brackets. A link whose label looks like another address shows where it leads.

Marks that are data (escaped ones in Markdown, any in `literal`) stand in the fallback text of a date that Slack can't
draw: it has no escape of its own, and this is the one place where it shows text as it is. Zero-width characters would
not do: Slack formats beside them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from urllib.parse import urlsplit

from bot.cards.graphemes import clean, cut, shorten, size

JOINER = "\u2060"  # breaks `@here` without being seen
SPACE = "\u200b"  # Slack wants a boundary beside `*`
FENCE = "```"
_SHY = "\u00ad"  # before `&gt;` at the front of a line, which would be a quotation
_LINK_MAX = 1_000
_PIECE = 200  # source units of an overlong line drawn at a time: data that is kept as it is grows to fourteen of one

_CLOSES = r"(?:(?<=[^\s\\])|(?<=[^\\]\\\\))"  # before a mark that is not escaped, also where a backslash is
_TOKEN = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`{1,8})(?P<code>[^`]{1,2000}?)(?P=ticks)(?!`)"
    r"|!?\[(?P<label>(?:[^\[\]\\\n]|\\.){0,1000})\]\((?P<target>[^()\s]{0,1000}(?:\([^()\s]{0,200}\)[^()\s]{0,1000})?)"
    r"(?:\s\"[^\"]{0,200}\")?\)"
    r"|<(?P<auto>(?:https?://|mailto:)[^\s<>|]{1,1000})>"
    r"|(?P<bare>https?://[^\s<>|*`\"]{1,1000})"
    rf"|\*\*(?=\S)(?P<strong>[^\n]{{1,500}}?){_CLOSES}\*\*(?!\*)"
    rf"|(?<!\w)__(?=\S)(?P<strong2>[^\n]{{1,500}}?){_CLOSES}__(?!\w)"
    rf"|\*(?=[^\s*])(?P<em>[^*\n]{{1,500}}?){_CLOSES}\*(?!\*)"
    rf"|(?<!\w)_(?=[^\s_])(?P<em2>[^\n]{{1,500}}?){_CLOSES}_(?!\w)"
    rf"|~~(?=\S)(?P<strike>[^\n]{{1,500}}?){_CLOSES}~~"
)
_MARKUP = re.compile(r"[\\`*_~\[<]|https?:")  # without any of which a text has no token
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*\s*$")
_BULLET = re.compile(r"([ \t]*)[-*+][ \t]+(.*)$")
_QUOTE = re.compile(r" {0,3}>[ \t]?(.*)$")
_RULE = re.compile(r" {0,3}(?:-[ \t]*){3,}$|^ {0,3}(?:\*[ \t]*){3,}$|^ {0,3}(?:_[ \t]*){3,}$")
_FENCE_LINE = re.compile(r" {0,3}(`{3,}|~{3,})")
_EVERYBODY = re.compile(r"@(?=(?:here|channel|everyone)\b)", re.IGNORECASE)
_ADDRESS_LIKE = re.compile(r"(?:https?://)?((?:[\w-]+\.)+[a-z]{2,})\b", re.IGNORECASE)
_MARKS = {"b": "*", "i": "_", "s": "~", "c": "`"}
_DATA = "*_~`:"
_WIDE = "\uff0a\uff3f\uff40"  # wide forms, which Slack formats by and Markdown does not
_STANDINS = "".join(map(chr, range(0xFDD0, 0xFDD0 + len(_DATA + _WIDE))))  # no characters: no text has them
_HIDE = str.maketrans(_DATA + _WIDE, _STANDINS)
_HIDE_WIDE = str.maketrans(_WIDE, _STANDINS[len(_DATA) :])
_HIDE_MARKS = {sign: _HIDE[sign] for sign in _HIDE if sign != ord(":")}
_SHOW = str.maketrans(_STANDINS, _DATA + _WIDE)
_ALIKE = str.maketrans(_STANDINS, "\u2217\u02cd\u223c\u02cb:\ufe61\u2e0f\u02cb")  # a label takes no date
_NOTHING = dict.fromkeys(range(0xFDD0, 0xFDF0), "\ufffd")
_COLON = _STANDINS[len(_DATA) - 1]
_EMOJI = re.compile(rf"{_COLON}(?=[^\s:{_COLON}]{{1,100}}[:{_COLON}])")
_HARMLESS = re.compile(  # within a word, or alone: Slack formats from the edge of a word to the edge of one
    rf"(?<=[A-Za-z0-9])[{_STANDINS[:3]}](?=[A-Za-z0-9])|(?<![^\s])[{_STANDINS[:3]}](?![^\s])"
)
_KEPT = re.compile(rf"[{_STANDINS}](?:[^&<>|\n*_~`]*[{_STANDINS}])?")
_QUOTED = re.compile(r"^(\s*)(?=&gt;|\uff1e)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text that looks the same throughout; `marks` holds b, i, s or c."""

    text: str
    marks: str = ""
    url: str = ""
    is_data: bool = False


def escape(text: str) -> str:
    """Data where nothing is formatted (code, notifications): no mention, no link."""
    whole = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _EVERYBODY.sub("@" + JOINER, whole)


def literal(text: str, marks: str = "") -> str:
    """Data as it is, all of it with `marks`: no markup, no mention, no link, no emoji's name."""
    hidden = text.translate(_NOTHING).translate(_HIDE)
    return _kept(_draw(Span(hidden, marks)))


def escape_within(text: str, limit: int) -> str:
    """As `escape`, in `limit` units, with an ellipsis where it was cut."""
    return _within(escape, text, limit)


def literal_within(text: str, limit: int) -> str:
    """As `literal`, in `limit` units, with an ellipsis where it was cut."""
    return _within(literal, text, limit)


def _within(draw: Callable[[str], str], text: str, limit: int) -> str:
    room = limit
    while size(drawn := draw(shorten(text, room))) > limit:
        room -= max(1, (size(drawn) - limit) // 14)
    return drawn


def _kept(drawn: str) -> str:
    """A drawn line whose data still has stand-ins for its marks."""
    bare = _EMOJI.sub(f":{JOINER}", drawn).replace(_COLON, ":")
    bare = _HARMLESS.sub(lambda found: found[0].translate(_SHOW), bare)
    kept = _KEPT.sub(lambda found: f"<!date^00000000^{{_}}|{found[0].translate(_SHOW)}>", bare)
    return _QUOTED.sub(rf"\1{_SHY}", kept)


def spans(text: str, marks: str = "") -> Iterator[Span]:
    """The inline Markdown of one line, taken apart."""
    at = 0
    for found in _TOKEN.finditer(text) if _MARKUP.search(text) else ():
        if found.start() > at:
            yield Span(text[at : found.start()], marks)
        at = found.end()
        yield from _token(found, marks)
    if at < len(text):
        yield Span(text[at:], marks)


def _token(found: re.Match[str], marks: str) -> Iterator[Span]:
    match found.lastgroup:
        case "escaped":
            yield Span(found["escaped"], marks, is_data=True)
        case "code":
            yield Span(found["code"].replace("\uff40", "\u02cb"), "c")  # a wide tick would end it
        case "target":
            yield from _link(plain_line(found["label"]), found["target"], marks)
        case "auto":
            yield Span(found["auto"].removeprefix("mailto:"), marks, found["auto"])
        case "bare":
            address = found["bare"].rstrip(".,;:!?)'")
            yield Span(address, marks, address)
            if rest := found["bare"][len(address) :]:
                yield Span(rest, marks)
        case "strong" | "strong2":
            yield from spans(found["strong"] or found["strong2"], _with(marks, "b"))
        case "em" | "em2":
            yield from spans(found["em"] or found["em2"], _with(marks, "i"))
        case _:
            yield from spans(found["strike"], _with(marks, "s"))


def _with(marks: str, mark: str) -> str:
    return marks if mark in marks else marks + mark


def _link(label: str, target: str, marks: str) -> Iterator[Span]:
    target = target.strip("<>")
    if not re.match(r"https?://\S|mailto:\S", target, re.IGNORECASE) or size(target) > _LINK_MAX:
        yield Span(f"{label} ({target})" if target else label, marks, is_data=True)
        return
    host = _host(target)
    claimed = _ADDRESS_LIKE.search(label)
    yield Span(label or target, marks, target)
    if claimed and claimed[1].lower() != host and not target.lower().startswith("mailto:"):
        yield Span(f" ({host or target})", marks, is_data=True)


def _host(target: str) -> str:
    try:
        return (urlsplit(target).hostname or "").lower()
    except ValueError:
        return ""


def _draw(span: Span) -> str:
    if not span.text:
        return ""
    if span.url:
        address = escape(span.url).replace("|", "%7C").replace(JOINER, "")
        inner = f"<{address}>" if span.text == span.url else f"<{address}|{_label(span.text)}>"
    else:
        inner = escape(span.text)
    core = inner.strip()
    if not core:
        return inner
    lead, tail = inner[: len(inner) - len(inner.lstrip())], inner[len(inner.rstrip()) :]
    for mark in reversed(span.marks):
        core = f"{_MARKS[mark]}{core}{_MARKS[mark]}"
    return f"{lead}{core}{tail}"


def _label(text: str) -> str:
    """What a link is called, which takes no date: marks there are drawn by signs that look alike."""
    hidden = _HARMLESS.sub(lambda found: found[0].translate(_SHOW), escape(text).translate(_HIDE_MARKS))
    return hidden.translate(_ALIKE).replace("|", "¦")


def inline(text: str, marks: str = "") -> str:
    """One line of Markdown as mrkdwn, all of it with `marks`."""
    drawn = ""
    before = Span("", marks)
    for span in _joined(spans(clean(text).translate(_NOTHING).replace("\n", " "), marks)):
        touching = before.text[-1:].isalnum() and span.text[:1].isalnum() and span.marks != before.marks
        drawn += (SPACE if touching else "") + _draw(span)
        before = span
    return _kept(drawn)


def _joined(every: Iterable[Span]) -> Iterator[Span]:
    """Stretches that look the same as one; what is data has stand-ins for its marks."""
    for (marks, url), same in groupby(every, attrgetter("marks", "url")):
        if url or marks == "c":
            yield from same
        else:
            yield Span("".join(span.text.translate(_HIDE if span.is_data else _HIDE_WIDE) for span in same), marks)


def plain_line(text: str) -> str:
    """One line of Markdown as bare text, for places without markup."""
    return "".join(span.text for span in spans(" ".join(clean(text).split()))).strip()


def _line(text: str) -> str:
    """One source line outside code: its block form, then its inline form."""
    if _RULE.match(text):
        return "———"
    if heading := _HEADING.match(text):
        return inline(heading[1], "b")
    if quote := _QUOTE.match(text):
        return "> " + inline(quote[1])
    if bullet := _BULLET.match(text):
        depth = len(bullet[1].expandtabs(4)) // 2
        return "\u2003" * min(depth, 6) + "• " + inline(bullet[2])
    return inline(text)


@dataclass(slots=True)
class _Packer:
    """Lines packed into sections of at most `each` units, `total` over all."""

    each: int
    total: int
    done: list[str]
    current: str = ""
    in_code: bool = False
    used: int = 0

    def add(self, line: str, *, code: bool, glued: bool) -> bool:
        """Whether the line still found room."""
        for _ in range(2):
            addition = self._join(line, code, glued)
            grown = size(self.current) + size(addition) + (4 if code else 0)
            if self.used + grown > self.total:
                return False
            if grown <= self.each:
                self.current += addition
                self.in_code = code
                return True
            self.flush()
        return False

    def _join(self, line: str, code: bool, glued: bool) -> str:
        if code and not self.in_code:
            return ("\n" if self.current else "") + FENCE + "\n" + line
        if not code and self.in_code:
            return "\n" + FENCE + "\n" + line
        return ("" if glued or not self.current else "\n") + line

    def flush(self) -> None:
        whole = self.current + ("\n" + FENCE if self.in_code else "")
        if whole.strip():
            self.done.append(whole.strip("\n"))
            self.used += size(whole)
        self.current, self.in_code = "", False


def sections(text: str, each: int, total: int) -> tuple[list[str], str]:
    """Markdown as pieces of mrkdwn of at most `each` units, `total` together, and the Markdown that found no room."""
    packer = _Packer(each, total, [])
    lines = clean(text).split("\n")
    fence = ""  # what opened the code block we are in
    for number, source in enumerate(lines):
        mark = _FENCE_LINE.match(source)
        if mark and fence in ("", mark[1][0]):
            fence = "" if fence else mark[1][0]
            continue
        left = _add_line(packer, source, bool(fence))
        if left is None:
            continue
        packer.flush()
        rest = "\n".join([left, *lines[number + 1 :]])
        return packer.done, f"{fence * 3}\n{rest}" if fence else rest
    packer.flush()
    return packer.done, ""


def _add_line(packer: _Packer, source: str, in_code: bool) -> str | None:
    """None when all of it found room; else what did not."""
    if size(source) <= packer.each:
        drawn = _code(source) if in_code else _line(source)
        if size(drawn) + 8 <= packer.each:
            return None if packer.add(drawn, code=in_code, glued=False) else source
    rest, glued = source, False
    while rest:
        head, tail = _piece(rest)
        drawn = _code(head) if in_code else inline(head)
        if not packer.add(drawn, code=in_code, glued=glued):
            return rest
        rest, glued = tail, True
    return None


def _piece(text: str) -> tuple[str, str]:
    near = text[: 2 * _PIECE]  # the whole of a long line need not be measured for each of its pieces
    head = cut(near, _PIECE)[0]
    if (len(head) - len(head.rstrip("\\"))) % 2 and len(head) > 1:
        head = head[:-1]  # what it escapes comes next
    tail = text[len(head) :]
    space = head.rfind(" ")
    if tail and space > _PIECE // 2:
        return head[: space + 1], text[space + 1 :]
    return head, tail


def _code(text: str) -> str:
    return escape(text).replace(FENCE, f"``{SPACE}`")
