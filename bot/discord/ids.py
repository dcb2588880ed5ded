"""Ids of what this front end shows for itself: steps of a form, menus, questions back. The desk's own begin with `p1:`.

Everything needed to answer lies in the id or behind the form's id at the desk, so a click from before a restart works.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bot.cards.graphemes import cut, paired, size
from bot.discord.limits import CUSTOM_ID

Verb = Literal[
    "open",  # page, owner, form: show this page of a form
    "form",  # page, fingerprint, over, form: a modal that was filled
    "drop",  # form: close the card of a form
    "pick",  # field, page, form, typed: a page of choices
    "take",  # field, form: the chosen one
    "find",  # field, form: ask for a filter
    "sift",  # field, form: the filter that was typed
    "more",  # n: a menu of further actions
    "sure",  # action: ask before it goes out
    "yes",  # action: asked, and meant
    "no",  # close the question
    "say",  # text: a command on a button
]
_PREFIX = "d1"
_VERBS = frozenset(get_args(Verb))


@dataclass(frozen=True, slots=True)
class Local:
    """An id of ours, taken apart."""

    verb: Verb
    parts: tuple[str, ...]

    def number(self, index: int) -> int:
        """A part as a number, 0 when it is none."""
        return int(self.parts[index]) if index < len(self.parts) and self.parts[index].isdecimal() else 0

    def part(self, index: int) -> str:
        """A part, "" when there are fewer."""
        return self.parts[index] if index < len(self.parts) else ""


def write(verb: Verb, *parts: object) -> str:
    """An id; the last part is cut to what fits."""
    *head, last = (paired(str(part)) for part in parts) if parts else ("",)
    front = "|".join([_PREFIX, verb, *head, ""])
    return front + cut(last, CUSTOM_ID - size(front))[0]


def fits(verb: Verb, *parts: object) -> bool:
    """Whether `write` keeps all of it."""
    return size("|".join([_PREFIX, verb, *(str(part) for part in parts)])) <= CUSTOM_ID


_COUNTS = {"open": 3, "form": 4, "pick": 4, "take": 2, "find": 2, "sift": 2}


def read(custom_id: str) -> Local | None:
    """An id of ours; None for any other."""
    prefix, _, rest = custom_id.partition("|")
    verb, _, tail = rest.partition("|")
    if prefix != _PREFIX or verb not in _VERBS:
        return None
    return Local(verb, tuple(tail.split("|", _COUNTS.get(verb, 1) - 1)))  # type: ignore[arg-type]  # checked above


def fingerprint(texts: Sequence[str]) -> str:
    """A short check that two sides speak of the same list."""
    return f"{zlib.crc32(chr(0).join(texts).encode(errors='replace')):08x}"[:6]
