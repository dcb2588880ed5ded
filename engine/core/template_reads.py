"""What a template reads: every path with its place, and whether it may be missing there without harm."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.core.finding import Finding
from engine.core.yaml_text import Path
from engine.errors import ExpressionFailed
from engine.expressions import nodes, parse
from engine.expressions.failures import Position
from engine.expressions.templates import Template
from engine.expressions.trust import path_of

GUARDING_TESTS = frozenset({"defined", "null", "empty"})
GUARDING_OPERATORS = frozenset({"??", "???"})


@dataclass(frozen=True, slots=True)
class Read:
    """`outputs.ask.value` as ("outputs", "ask", "value"), up to the first part known only at run time."""

    path: tuple[str, ...]
    at: Position
    guarded: bool
    conditional: bool = False  # read only when a condition in the template holds
    taker: str = ""  # the function that it is the whole argument of
    keys: tuple[str | None, ...] = ()  # the path to its end, with None for each part known only at run time
    behind: bool = False  # read only when what stands before the `and` or `or` leaves it open


def reads(template: Template) -> list[Read]:
    """Everything a template reads, in its order; names that it sets itself are left out.

    What is guarded once (`x ?? …`, `x is defined`, `x | default(…)`) counts as guarded wherever it stands.
    """
    own = _own(template)
    found = [read for read in _reads(template.tree, guarded=False) if read.path[0] not in own]
    guarded = {read.path[:2] for read in found if read.guarded}
    return [replace(read, guarded=True) if read.path[:2] in guarded else read for read in found]


def subtracted(template: Template) -> frozenset[Position]:
    """Where the names begin that stand behind a `-`."""
    minus = (one for one in template.every_node if isinstance(one, nodes.Binary) and one.operator == "-")
    return frozenset(_start(one.right) for one in minus)


def dashed(template: Template, read: Read, following: Sequence[Read]) -> str:
    """The name that a read and those behind it are written as, with no blank at a `-` (`vars.db-host`); "" for none."""
    (line, column), words = read.at, [read.path[-1]]
    end, minus = column + len(".".join(read.path)) + 1, subtracted(template)
    for one in following if len(read.path) == 2 else ():
        if one.at != (line, end) or one.at not in minus:
            break
        words.append(one.path[0])
        end += len(one.path[0]) + 1
    return "-".join(words) if words[1:] else ""


def compared(template: Template) -> frozenset[Position]:
    """Where a single name stands beside `==` or `!=`."""
    both = (one for one in template.every_node if isinstance(one, nodes.Binary) and one.operator in ("==", "!="))
    return frozenset(side.at for one in both for side in (one.left, one.right) if isinstance(side, nodes.Name))


def of_read(path: Path, read: Read, message: str, code: str, advice: str = "", severity: str = "warning") -> Finding:
    """What is found about one name in the template at a path."""
    return Finding(path, message, code, severity, advice, "", *read.at)


def keys(expression: str) -> tuple[str | None, ...]:
    """All keys of one path, with None for those known only at run time: `outputs.ask[taskrun.value].uri` as ("outputs",
    "ask", None, "uri"); nothing for anything else. `currentEachOutput(path)` counts as `path[taskrun.value]`."""
    try:
        tree = parse(f"{{{{ {expression} }}}}").tree
    except ExpressionFailed:
        return ()
    printed = next(tree.children(), None)
    node = printed.expression if isinstance(printed, nodes.Print) else None
    found: list[str | None] = []
    while isinstance(node, (nodes.Attribute, nodes.Call)):
        if isinstance(node, nodes.Call):
            if node.name != "currentEachOutput" or len(node.arguments.positional) != 1:
                return ()
            found.append(None)
            node = node.arguments.positional[0]
            continue
        known = isinstance(node.key, nodes.Constant) and isinstance(node.key.value, str)
        found.append(node.key.value if known else None)  # type: ignore[attr-defined]
        node = node.target
    return (node.name, *reversed(found)) if isinstance(node, nodes.Name) else ()


def _own(template: Template) -> set[str]:
    own = {""}
    for node in template.every_node:
        if isinstance(node, nodes.For):
            own.add("loop")
        if isinstance(node, (nodes.Set, nodes.For)):
            own.add(node.name)
        elif isinstance(node, nodes.Macro):
            own.update(name for name, _ in node.parameters)
    return own


def _reads(
    node: nodes.Node, *, guarded: bool, conditional: bool = False, taker: str = "", behind: bool = False
) -> Iterator[Read]:
    if isinstance(node, (nodes.Name, nodes.Attribute)):
        path = path_of(node)
        if path:
            yield Read(path, _start(node), guarded, conditional, taker, _keys(node), behind)
    guarded = guarded or _guards(node)
    first = next(_parts(node), None)
    branches = isinstance(node, (nodes.Conditional, nodes.If))
    shortens = isinstance(node, nodes.Binary) and node.operator in ("and", "or")
    taker = node.name if isinstance(node, nodes.Call) else taker if isinstance(node, nodes.Arguments) else ""
    for child in _parts(node):
        depends = conditional or (branches and child is not first)
        late = behind or (shortens and child is not first)
        yield from _reads(child, guarded=guarded, conditional=depends, taker=taker, behind=late)


def _keys(node: nodes.Node) -> tuple[str | None, ...]:
    found: list[str | None] = []
    while isinstance(node, nodes.Attribute):
        constant = isinstance(node.key, nodes.Constant) and isinstance(node.key.value, str) and node.arguments is None
        found.append(node.key.value if constant else None)  # type: ignore[attr-defined]
        node = node.target
    return (node.name, *reversed(found)) if isinstance(node, nodes.Name) else ()


def _parts(node: nodes.Node) -> Iterator[nodes.Node]:
    """Nodes below one; of an attribute path what stands in its brackets, and what it begins with unless a name."""
    if isinstance(node, nodes.Name):
        return
    if not isinstance(node, nodes.Attribute):
        yield from node.children()
        return
    start: nodes.Node = node
    while isinstance(start, nodes.Attribute):
        yield from (one for one in (start.key, start.arguments) if isinstance(one, nodes.Node))
        start = start.target
    if not isinstance(start, nodes.Name):
        yield start


def _guards(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Binary):
        return node.operator in GUARDING_OPERATORS
    if isinstance(node, nodes.Test):
        return node.name in GUARDING_TESTS
    return isinstance(node, nodes.Filter) and node.name == "default"


def _start(node: nodes.Node) -> Position:
    while True:
        match node:
            case nodes.Attribute():
                node = node.target
            case nodes.Binary():
                node = node.left
            case nodes.Filter():
                node = node.operand
            case nodes.Concat():
                node = node.parts[0]
            case _:
                return node.at
