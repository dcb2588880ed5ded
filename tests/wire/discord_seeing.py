"""What a text of Discord's Markdown says to a reader, and what of it looks or acts otherwise than text."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"\\(?P<escaped>[^0-9A-Za-z\s])"
    r"|```(?P<block>.+?)```"
    r"|(?P<ticks>`+)(?P<code>[^`](?:.*?[^`])?)(?P=ticks)(?!`)"
    r"|<(?P<address>https?://[^\s<>]+)>"
    r"|(?P<mention><(?:@[!&]?|\#)[0-9]+>|<id:\w+>|</[^<>:]+:[0-9]+>|@everyone|@here)"
    r"|(?P<time><t:-?[0-9]+(?::\w)?>)"
    r"|(?P<custom><a?:\w+:[0-9]+>)"
    r"|(?P<masked>\[[^\[\]\n]+\]\([^()\s]+[^()\n]*\))"
    r"|(?P<bare>https?://[^\s<]+)",
    re.DOTALL,
)
_AROUND = {  # what stands between two marks, of which nothing is left
    "bold": r"\*\*(.+?)\*\*",
    "underlined": r"__(.+?)__",
    "struck": r"~~(.+?)~~",
    "spoiler": r"\|\|(.+?)\|\|",
    "italic": r"\*(?=[^\s*])(.*?)\*",
    "slanted": r"(?<!\w)_(?=\S)(.*?)_(?!\w)",
}
_LOOKS = {
    "emoji": r":(?!\d+:)[\w+'-]+:",
    "heading": r"(?m:^)\#{1,3} ",
    "small": r"(?m:^)-\# ",
    "quote": r"(?m:^) *>(?:>>)? ",
    "list": r"(?m:^) *(?:[-*+]|[0-9]{1,9}[.)]) ",
}
_ATOM = "\ufffc"  # stands for what is no mark any more


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader sees, and the names of everything that is no plain text."""

    text: str
    looks: tuple[str, ...]
    links: tuple[str, ...] = ()


def read(markdown: str) -> Reading:
    """A text as Discord shows it, read as generously as any of its clients may."""
    atoms: list[str] = []
    looks: list[str] = []
    links: list[str] = []

    def atom(found: re.Match[str]) -> str:
        kind = found.lastgroup or ""
        if kind == "escaped":
            atoms.append(found["escaped"])
        elif kind in ("address", "bare"):
            atoms.append(found[kind])
            links.append(found[kind])
        else:
            looks.append(kind)
            atoms.append(found[0])
        return _ATOM

    bare = _TOKEN.sub(atom, markdown.replace(_ATOM, "?"))
    looks += [name for name, pattern in _LOOKS.items() if re.search(pattern, bare)]
    for name, pattern in _AROUND.items():
        bare, count = re.subn(pattern, r"\1", bare, flags=re.DOTALL if name == "spoiler" else 0)
        looks += [name] if count else []
    told = iter(atoms)
    return Reading("".join(next(told) if sign == _ATOM else sign for sign in bare), tuple(looks), tuple(links))
