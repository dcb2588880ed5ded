"""Shapes and texts as SVG. Texts are measured, so that none leaves its place. Pure."""

import unicodedata
from collections.abc import Mapping
from html import escape
from itertools import groupby

from bot.cards.graphemes import clusters

FONT = "'DejaVu Sans', 'Noto Sans', Arial, sans-serif"
# Who draws us looks for another font only where another family is named, so what few fonts have names its own.
_EMOJI = "'Noto Color Emoji', 'Apple Color Emoji', 'Segoe UI Emoji', 'Noto Emoji', 'DejaVu Sans'"
_HAN = "'Noto Sans CJK SC', 'Noto Sans CJK JP', 'WenQuanYi Zen Hei', 'PingFang SC', 'Microsoft YaHei', 'DejaVu Sans'"
INK, QUIET, LINE, PAPER, GROUND = "#1c2733", "#5f6f7f", "#dbe2e9", "#ffffff", "#f3f6f9"
_NARROW, _BROAD = frozenset("iljtfrI.,:;'|!()[]{} "), frozenset("mwMW@%&")
_CLUSTER = 1.3  # of the font's size: what is joined of several characters, emoji among them


def measure(text: str, size: float) -> float:
    """About how broad a text is drawn, rather too much than too little."""
    return sum(_width(cluster) for cluster in clusters(text)) * size


def _width(cluster: str) -> float:
    char = cluster[0]
    if unicodedata.east_asian_width(char) in "WF" or ord(char) > 0xFFFF:
        return _CLUSTER
    if char in _NARROW:
        return 0.4
    if char in _BROAD:
        return 1.02
    return 0.76 if char.isupper() else 0.63


def fit(text: str, size: float, room: float) -> str:
    """A text on one line, cut between characters as people see them when it is broader than its room."""
    line = " ".join("".join(char if _is_drawn(char) else " " for char in text).split())
    if measure(line, size) <= room:
        return line
    kept, used = [], measure("\u2026", size)
    for cluster in clusters(line):
        used += _width(cluster) * size
        if used > room:
            break
        kept.append(cluster)
    is_turned = bool(kept) and unicodedata.bidirectional(kept[0][0]) in ("R", "AL")
    return "".join(kept).rstrip() + ("\u2026\u200f" if is_turned else "\u2026")  # at the end of the reading


def _is_drawn(char: str) -> bool:
    """Control characters can't stand in XML, and those that turn the direction would turn what follows."""
    joins = char in "\u200c\u200d\ufe0f"
    return joins or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def text(
    x: float, y: float, content: str, size: float = 13, *, fill: str = INK, anchor: str = "start", bold: bool = False
) -> str:
    """One line of text with its baseline at y; make it `fit` first."""
    weight = ' font-weight="bold"' if bold else ""
    where = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}"{where}{weight}>{_runs(content)}</text>'


def _runs(content: str) -> str:
    """The text, with emoji and Chinese in fonts that have them."""
    families = ((family, "".join(joined)) for family, joined in groupby(map(_single, clusters(content)), key=_family))
    return "".join(
        f'<tspan font-family="{family}">{escape(run)}</tspan>' if family else escape(run) for family, run in families
    )


def _single(cluster: str) -> str:
    """Of several emoji joined to one the first: the rasterer stumbles over glyphs that stand for many characters."""
    return cluster[0] if _family(cluster) == _EMOJI else cluster


def _family(cluster: str) -> str:
    if "\ufe0f" in cluster or "\u200d" in cluster or 0x1F000 <= ord(cluster[0]) <= 0x1FAFF:
        return _EMOJI
    return _HAN if unicodedata.east_asian_width(cluster[0]) in "WF" else ""


def rect(x: float, y: float, width: float, height: float, fill: str, *, radius: float = 3, **more: str) -> str:
    """A rectangle; further attributes such as `stroke`."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
        f'fill="{fill}"{_attributes(more)}/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = LINE, **more: str) -> str:
    """A straight line."""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{stroke}" fill="none"{_attributes(more)}/>'


def _attributes(more: Mapping[str, str]) -> str:
    return "".join(f' {name.replace("_", "-")}="{escape(value)}"' for name, value in more.items())


def document(width: float, height: float, parts: list[str], title: str) -> str:
    """A whole picture on paper, with a title for those who hear it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" font-family="{FONT}">'
    )
    paper = rect(0, 0, width, height, PAPER, radius=0)
    return "\n".join([head, f"<title>{escape(fit(title, 13, 1300))}</title>", paper, *parts, "</svg>"])
