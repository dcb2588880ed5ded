"""Values inside the string literals of a JSON document that a flow's author wrote with templates in it."""

import json
from collections.abc import Callable, Sequence

from engine.expressions.frame import Printed
from engine.expressions.json_reading import is_json


def guarded_json(pieces: Sequence[str], warn: Callable[[str], None]) -> str:
    """The document with values from outside escaped where they stand between quotes.

    A value of the author's own, or one that the author's filters escaped, is taken as JSON text, as in Kestra, unless
    it breaks out of its quotes.
    """
    plain = "".join(pieces)
    careful = _joined(pieces, lambda piece: piece.outside and not (piece.escaped and is_json(f'"{piece}"')))
    for candidate in (careful, _joined(pieces, lambda piece: True)):
        if is_json(candidate):
            if candidate != plain:
                warn("A value held quotes, backslashes or line breaks; it was escaped to stay inside its JSON text.")
            return candidate
    return plain


def _joined(pieces: Sequence[str], escapes: Callable[[Printed], bool]) -> str:
    out: list[str] = []
    in_string = escaped = False
    for piece in pieces:
        if isinstance(piece, Printed) and not piece.raw:
            out.append(json.dumps(piece, ensure_ascii=False)[1:-1] if in_string and escapes(piece) else piece)
            continue
        out.append(piece)
        for char in piece:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = in_string
            elif char == '"':
                in_string = not in_string
    return "".join(out)
