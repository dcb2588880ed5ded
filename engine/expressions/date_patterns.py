"""Java's date patterns, cut into fields and literals."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from engine.expressions.failures import fail
from engine.expressions.limits import MAX_PATTERN

# The most letters a field may have; fields that are not here are errors, as in Java.
_LONGEST: Final = {
    "G": 5, "u": 15, "y": 15, "D": 3, "M": 5, "L": 5, "d": 2, "Q": 5, "q": 5, "Y": 15, "w": 2, "W": 1, "E": 5, "e": 5,
    "c": 5, "F": 1, "a": 1, "h": 2, "K": 2, "k": 2, "H": 2, "m": 2, "s": 2, "S": 9, "A": 19, "n": 19, "N": 19, "V": 2,
    "z": 4, "O": 4, "X": 5, "x": 5, "Z": 5,
}  # fmt: skip
_PIECE = re.compile(r"([A-Za-z])\1*|'((?:[^']|'')*)'|([\[\]])|([{}#'])|([^A-Za-z'\[\]{}#]+)")


@dataclass(frozen=True, slots=True)
class Field:
    """A letter and how often it stands there."""

    letter: str
    count: int


@dataclass(frozen=True, slots=True)
class Optional:
    """Pieces in square brackets."""

    pieces: "tuple[Piece, ...]"


Piece = Field | Optional | str


@lru_cache(maxsize=500)
def pieces_of(pattern: str) -> tuple[Piece, ...]:
    """The pieces of a pattern; ExpressionFailed for a letter that means nothing."""
    if len(pattern) > MAX_PATTERN:
        fail(f"A date pattern is longer than {MAX_PATTERN} characters.")
    stack: list[list[Piece]] = [[]]
    at = 0
    while at < len(pattern):
        found = _PIECE.match(pattern, at)
        if found is None or found[4]:
            fail(
                f"The date pattern {pattern!r} has {pattern[at]!r}, which means nothing.",
                "Put text between single quotes.",
            )
        at = found.end()
        if found[1]:
            stack[-1].append(_field(found[0], pattern))
        elif found[2] is not None:
            stack[-1].append(found[2].replace("''", "'") or "'")
        elif found[3] == "[":
            stack.append([])
        elif found[3] == "]":
            if len(stack) == 1:
                fail(f"The date pattern {pattern!r} has a ']' without '['.")
            inside = tuple(stack.pop())
            stack[-1].append(Optional(inside))
        else:
            stack[-1].append(found[0])
    while len(stack) > 1:
        inside = tuple(stack.pop())
        stack[-1].append(Optional(inside))
    return tuple(stack[0])


def _field(letters: str, pattern: str) -> Field:
    letter = letters[0]
    longest = _LONGEST.get(letter)
    if longest is None:
        fail(
            f"The date pattern {pattern!r} has the letter {letter!r}, which means nothing.",
            "Put text between single quotes, such as 'T'.",
        )
    if len(letters) > longest or letters == "V":
        fail(f"The date pattern {pattern!r} has {letters!r}, which is not possible.")
    return Field(letter, len(letters))
