"""Documents cut into pieces that a model can take. Pure."""

import re
from typing import Literal

Kind = Literal["RECURSIVE", "PARAGRAPH", "LINE", "SENTENCE", "WORD"]
ENDS: dict[str, str] = {"PARAGRAPH": r"\n\s*\n", "LINE": r"\n", "SENTENCE": r"(?<=[.!?])\s+", "WORD": r"\s+"}
GLUE = {"PARAGRAPH": "\n\n", "LINE": "\n", "SENTENCE": " ", "WORD": " "}
FINER = {"PARAGRAPH": "LINE", "LINE": "SENTENCE", "SENTENCE": "WORD"}


def segments(text: str, kind: Kind, most: int, overlap: int) -> list[str]:
    """Pieces of at most `most` characters, cut at paragraphs, lines … and, where it must be, inside a word.

    Each begins with the end of the piece before it, as many whole sentences as fit into `overlap`.
    """
    coarse = "PARAGRAPH" if kind == "RECURSIVE" else kind
    found: list[str] = []
    for piece in _packed(_pieces(text, coarse, most), GLUE[coarse], most):
        tail = _tail(found[-1], min(overlap, most - len(piece) - 1)) if found else ""
        found.append(f"{tail} {piece}" if tail else piece)
    return found


def _pieces(text: str, kind: str, most: int) -> list[str]:
    found: list[str] = []
    for piece in re.split(ENDS[kind], text):
        if not piece.strip():
            continue
        if len(piece) <= most:
            found.append(piece.strip())
        elif kind in FINER:
            finer = FINER[kind]
            found += _packed(_pieces(piece, finer, most), GLUE[finer], most)
        else:
            found += [piece[at : at + most] for at in range(0, len(piece), most)]
    return found


def _packed(pieces: list[str], glue: str, most: int) -> list[str]:
    found: list[str] = []
    for piece in pieces:
        if found and len(found[-1]) + len(glue) + len(piece) <= most:
            found[-1] += glue + piece
        else:
            found.append(piece)
    return found


def _tail(text: str, most: int) -> str:
    """The last whole sentences of a text that fit."""
    found = ""
    for sentence in reversed(re.split(ENDS["SENTENCE"], text)):
        longer = f"{sentence} {found}".strip()
        if len(longer) > most:
            break
        found = longer
    return found
