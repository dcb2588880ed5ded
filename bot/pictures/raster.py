"""SVG as PNG, for chats that show no SVG."""

import logging
import re
from functools import cache

import resvg_py

from bot.pictures import svg

log = logging.getLogger(__name__)
ZOOM = 1.5
MOST_PIXELS = 12_000_000  # a chat shows no more; a larger picture is drawn smaller
_SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)"')
_ASIDE = re.compile(r"<tspan[^>]*>[^<]*</tspan>")  # emoji and Chinese, see `svg`


def png(picture: str) -> bytes | None:
    """The picture as PNG; None on a machine without fonts, where all words would be missing."""
    found = _SIZE.search(picture)
    if found is None or not has_fonts():
        return None
    pixels = float(found[1]) * float(found[2])
    zoom = min(ZOOM, (MOST_PIXELS / max(pixels, 1)) ** 0.5)
    return _drawn(picture, zoom) or _drawn(_ASIDE.sub("\u25a1", picture), zoom)


@cache
def has_fonts() -> bool:
    """Whether a word leaves anything on the paper; asked once."""
    empty, word = (svg.document(40, 20, [part], "") for part in ("", svg.text(2, 15, "Mg")))
    found = _drawn(empty, 1) != _drawn(word, 1)
    if not found:
        log.warning("No fonts are installed, so no pictures are drawn. Install fonts-dejavu-core, or any other font.")
    return found


def _drawn(picture: str, zoom: float) -> bytes | None:
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=picture, zoom=zoom, font_family="DejaVu Sans"))
    except ValueError as error:
        log.warning("A picture could not be drawn: %s", error)
        return None
    except BaseException as error:
        # What the library stumbles over itself (some emoji between marks, with some fonts) is no Exception in Python.
        if type(error).__name__ != "PanicException":
            raise
        log.warning("A picture could not be drawn as it is: %s", error)
        return None
