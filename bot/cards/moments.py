"""Times inside sentences: written in UTC, drawn in the reader's own zone by platforms that can. Pure."""

import re
from collections.abc import Callable
from datetime import datetime

_WRITTEN = re.compile(r"\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC\b")  # as `bot.cards.utc` writes them


def in_their_zone(text: str, draw: Callable[[datetime], str]) -> str:
    """The text with each time drawn in a platform's own way."""

    def drawn(found: re.Match[str]) -> str:
        try:
            return draw(datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00"))
        except (ValueError, OverflowError):
            return found[0]

    return _WRITTEN.sub(drawn, text)
