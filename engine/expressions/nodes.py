"""The tree a template is parsed into. Every node knows where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from engine.expressions.failures import Position
from engine.expressions.values import Value


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all nodes."""

    at: Position

    def children(self) -> Iterator["Node"]:
        """All nodes directly below this one."""
        for field in fields(self):
            yield from _nodes(getattr(self, field.name))


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(tuple(found.children())))


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A text, number, boolean or null."""

    value: Value


@dataclass(frozen=True, slots=True)
class Interpolated(Node):
    """`"a#{b}c"`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    """`{'k': v}`; keys are expressions."""

    pairs: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Arguments(Node):
    """What stands in the parentheses of a call."""

    positional: tuple[Node, ...] = ()
    named: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`target.key`, `target[key]`, or `target.key(arguments)`."""

    target: Node
    key: Node
    arguments: Arguments | None = None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`name(arguments)`: a function or macro."""

    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`not x`, `-x`, `+x`."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two operands and the operator between them."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Concat(Node):
    """`a ~ b ~ c`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`test ? yes : no`."""

    test: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class Filter(Node):
    """`operand | name(arguments)`."""

    operand: Node
    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Test(Node):
    """`operand is name` or `operand is not name`."""

    operand: Node
    name: str
    arguments: Arguments
    negated: bool


@dataclass(frozen=True, slots=True)
class Text(Node):
    """Text as it stands, or the body of a `raw` block."""

    text: str
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Print(Node):
    """`{{ expression }}`."""

    expression: Node


@dataclass(frozen=True, slots=True)
class Body(Node):
    """Statements one after the other."""

    statements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    """Branches of condition and body, and what holds otherwise."""

    branches: tuple[tuple[Node, Body], ...]
    otherwise: Body | None


@dataclass(frozen=True, slots=True)
class For(Node):
    """A loop; `otherwise` is printed for an empty list."""

    name: str
    values: Node
    body: Body
    otherwise: Body | None


@dataclass(frozen=True, slots=True)
class Set(Node):
    """`{% set name = value %}`."""

    name: str
    value: Node


@dataclass(frozen=True, slots=True)
class Macro(Node):
    """A named piece with parameters and their defaults."""

    name: str
    parameters: tuple[tuple[str, Node | None], ...]
    body: Body


@dataclass(frozen=True, slots=True)
class FilterBlock(Node):
    """Filters over a body; each stands on the one before, the innermost on a Name that holds the body's text."""

    filters: tuple[Filter, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Block(Node):
    """A piece that `block('name')` prints again."""

    name: str
    body: Body
