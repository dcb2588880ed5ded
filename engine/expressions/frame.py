"""What one render carries along: variables, scopes, services, and how much it may still use."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import NoReturn, Protocol

from engine.expressions.failures import fail
from engine.expressions.limits import MAX_STEPS, MAX_TEXT
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

    __slots__ = (
        "blocks",
        "calls",
        "macros",
        "recording",
        "room",
        "root",
        "scopes",
        "services",
        "steps",
        "tainted",
        "typed",
    )

    def __init__(self, root: Mapping[str, Value], services: Services) -> None:
        self.root = root
        self.services = services
        self.scopes: list[MutableMapping[str, Value]] = []
        self.steps = MAX_STEPS
        self.room = MAX_TEXT
        self.typed = False
        self.recording = False
        self.calls = 0
        self.tainted: frozenset[str] = frozenset()  # names whose values came from outside
        self.macros: Mapping[str, MacroCall] = {}
        self.blocks: Mapping[str, Statement] = {}

    def inner(self, root: Mapping[str, Value]) -> "Frame":
        """A frame for a macro or nested render, which goes on using this one's allowance until `settle`."""
        frame = Frame(root, self.services)
        frame.steps, frame.room, frame.calls = self.steps, self.room, self.calls + 1
        frame.tainted, frame.macros, frame.blocks = self.tainted, self.macros, self.blocks
        return frame

    def settle(self, inner: "Frame") -> None:
        """Take over what an inner frame left."""
        self.steps, self.room = inner.steps, inner.room

    def visible(self) -> dict[str, Value]:
        """All variables as one map, the innermost assignment winning."""
        found = dict(self.root)
        for scope in self.scopes:
            found.update(scope)
        return found

    def charge(self, steps: int) -> None:
        """Count work; ExpressionFailed when the render has done too much."""
        self.steps -= steps
        if self.steps < 0:
            self.overdrawn()

    def weigh(self, value: Value) -> None:
        """Count the handling of a text or container, and refuse texts that are too long."""
        kind = type(value)
        if kind is str:
            if len(value) > 64:
                if len(value) > MAX_TEXT:
                    fail(f"A text is longer than {MAX_TEXT:,} characters.", "Hand it on as a file.")
                self.charge(len(value) >> 6)
        elif kind in SIZED and len(value) > 4:
            self.charge(len(value) >> 2)

    def overdrawn(self) -> NoReturn:
        """Stop the render."""
        if self.room < 0:
            fail(f"The template prints more than {MAX_TEXT:,} characters.", "Print less, or write a file in a task.")
        fail(f"The template needs more than {MAX_STEPS:,} steps.", "Loop over fewer items, or do the work in a task.")
