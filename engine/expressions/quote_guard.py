"""What the guards of commands share: the author's text is read, and the values in it are escaped for their place."""

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.expressions.frame import Printed


class Reader(Protocol):
    """Reads a command from its beginning, and knows inside which quotes it is."""

    escaped: bool  # a value was changed
    exposed: bool  # a value that means something stands outside of quotes

    def read(self, text: str) -> None:
        """Take text of the author's."""

    def value(self, text: Printed) -> str:
        """A value, escaped for the place we are at; ExpressionFailed where it can't be."""


def guarded(reader: Reader, pieces: Sequence[str], program: str, warn: Callable[[str], None]) -> str:
    """The command with values escaped inside quotes; outside of quotes they stay as they are, with a warning."""
    out: list[str] = []
    for piece in pieces:
        if isinstance(piece, Printed) and not piece.raw:
            out.append(reader.value(piece))
        else:
            reader.read(piece)
            out.append(piece)
    if reader.escaped:
        warn(f"A value held characters that mean something to {program}; it was escaped to stay inside its quotes.")
    if reader.exposed:
        warn(f"A value that means something to {program} stands outside of quotes; put double quotes around it.")
    return "".join(out)
