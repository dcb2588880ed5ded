"""Which expressions hold only what the flow's author wrote. All else may be anybody's text, and is never evaluated."""

from dataclasses import dataclass
from typing import Final

from engine.expressions import nodes
from engine.expressions.frame import Frame
from engine.expressions.nodes import Node
from engine.expressions.operations import FUNCTIONS

OUTSIDE_ROOTS: Final = frozenset({
    "inputs", "outputs", "trigger", "taskrun", "parent", "parents", "item", "labels", "execution", "tasks", "files",
    "iteration", "error", "errors", "outputFiles", "inputFiles", "inputFile", "workingDir", "outputDir", "loop",
    "_context",
})  # fmt: skip
OUTSIDE_FUNCTIONS: Final = frozenset({
    "kv", "read", "http", "secret", "errorLogs", "subflow", "fetchContext", "printContext", "render", "renderOnce",
    "parentOutput", "iterationOutput", "loopOutputs", "tasksWithState", "decrypt", "block",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origins:
    """What an expression reads: attribute paths, and whether it calls something that brings in foreign text."""

    paths: frozenset[tuple[str, ...]]
    calls_outside: bool


def origins(node: Node) -> Origins:
    """Everything a node reads, whatever it does with it."""
    found = list(nodes.walk(node))
    on_the_way = {id(one.target) for one in found if isinstance(one, nodes.Attribute)}
    reads = (one for one in found if isinstance(one, (nodes.Name, nodes.Attribute)) and id(one) not in on_the_way)
    paths = frozenset(path for path in map(path_of, reads) if path)
    return Origins(paths, any(isinstance(one, nodes.Call) and _brings_text(one) for one in found))


def path_of(node: Node) -> tuple[str, ...]:
    """`a.b['c']` as ("a", "b", "c"), up to the first part known only at run time; nothing for other expressions."""
    parts: list[str] = []
    while isinstance(node, nodes.Attribute):
        constant = isinstance(node.key, nodes.Constant) and isinstance(node.key.value, str) and node.arguments is None
        if constant:
            parts.append(node.key.value)  # type: ignore[attr-defined]
        else:
            parts.clear()
        node = node.target
    if not isinstance(node, nodes.Name):
        return ()
    return (node.name, *reversed(parts))


def _brings_text(call: nodes.Call) -> bool:
    if call.name not in FUNCTIONS:  # a macro: its body may read anything
        return True
    if call.name == "read" and call.arguments.positional:
        path = call.arguments.positional[0]
        # A file of the namespace is part of the flow's sources; a storage URI holds what some task made.
        return not (isinstance(path, nodes.Constant) and isinstance(path.value, str) and "://" not in path.value)
    return call.name in OUTSIDE_FUNCTIONS


def is_outside(found: Origins, frame: Frame) -> bool:
    """Whether a value with these origins may hold text that is not the author's."""
    if found.calls_outside:
        return True
    more = frame.services.outside
    for path in found.paths:
        if path[0] in OUTSIDE_ROOTS or path[0] in frame.tainted:
            return True
        if more and (
            any(".".join(path[:length]) in more for length in range(1, len(path) + 1))
            or any(other.startswith(".".join(path) + ".") for other in more)
        ):
            return True
    return False
