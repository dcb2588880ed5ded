"""What one render carries along: variables, scopes, services, and how much it may still use."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Protocol

from engine.expressions.allowance import Allowance
from engine.expressions.failures import fail
from engine.expressions.limits import MAX_ITEMS, MAX_TEXT
from engine.expressions.services import Services
from engine.expressions.values import Value

SIZED = frozenset({str, list, dict, tuple, set})


class Printed(str):
    """Text that an expression printed, where it must be told from the template's own.

    `outside` when its value may be anybody's; `raw` for the body of a raw block, which is the template's own but final;
    `escaped` is how the author escaped it already: "" | "text" | "shell".
    """

    outside: bool
    raw: bool
    escaped: str


def printed(text: str, outside: bool, *, raw: bool = False, escaped: str = "") -> Printed:
    """Mark a text as printed."""
    found = Printed(text)
    found.outside = outside
    found.raw = raw
    found.escaped = escaped
    return found


class Typed:
    """A value printed while a typed result is wanted."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value


Out = list[str | Typed]
Statement = Callable[["Frame", Out], None]


class MacroCall(Protocol):
    """A macro, as expressions see it."""

    def call(self, frame: "Frame", values: Sequence[Value], by_name: Mapping[str, Value]) -> str:
        """The text it prints."""


class Frame:
    """The state of one render. `scopes` are the template's own assignments, innermost last; `root` stays as it is."""

    # A render makes one of these, so what most of them leave alone stands here and costs nothing.
    typed = False
    recording = False
    calls = 0
    tainted: frozenset[str] = frozenset()  # names whose values came from outside
    macros: Mapping[str, MacroCall] = {}  # replaced, never changed
    blocks: Mapping[str, Statement] = {}

    def __init__(self, root: Mapping[str, Value], services: Services) -> None:
        self.root = root
        self.services = services
        self.scopes: list[MutableMapping[str, Value]] = []
        self.left = Allowance()
        self.left.mask, self.left.hide = services.mask, services.hide

    def inner(self, root: Mapping[str, Value]) -> "Frame":
        """A frame for a macro or nested render, which uses up this one's allowance."""
        frame = Frame(root, self.services)
        frame.left, frame.calls = self.left, self.calls + 1
        frame.tainted, frame.macros, frame.blocks = self.tainted, self.macros, self.blocks
        return frame

    def visible(self) -> dict[str, Value]:
        """All variables as one map, the innermost assignment winning."""
        found = dict(self.root)
        for scope in self.scopes:
            found.update(scope)
        return found

    def names(self) -> Iterator[str]:
        """Names of all variables, worked out when somebody asks."""
        yield from self.root
        for scope in self.scopes:
            yield from scope

    def charge(self, steps: int) -> None:
        """Count work; ExpressionFailed when the render has done too much."""
        left = self.left
        left.steps -= steps
        if left.steps < 0:
            left.overdrawn()

    def weigh(self, value: Value) -> None:
        """Count the handling of a text or container, and refuse those that are too long."""
        kind = type(value)
        if kind is str:
            if len(value) > 64:
                if len(value) > MAX_TEXT:
                    fail(f"A text is longer than {MAX_TEXT:,} characters.", "Hand it on as a file.")
                self.charge(len(value) >> 6)
        elif kind in SIZED and len(value) > 4:
            if len(value) > MAX_ITEMS:
                fail(f"A list or map has more than {MAX_ITEMS:,} items.", "Work on a part of it, or in a task.")
            self.charge(len(value) >> 2)
