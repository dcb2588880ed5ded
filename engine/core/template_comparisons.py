"""Comparisons in a template that never hold: a number or a truth with a text."""

import re
from collections.abc import Iterator, Mapping

from engine.expressions import Template, nodes
from engine.expressions.failures import Position
from engine.expressions.trust import path_of

TRUTHS = frozenset({"BOOL", "BOOLEAN"})
NUMBERS = frozenset({"INT", "FLOAT"})
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def never(template: Template, kinds: Mapping[str, str]) -> Iterator[tuple[str, str, Position]]:
    """Sentence, advice and where, of each; `kinds` are the types of the inputs by id."""
    for node in template.every_node:
        if isinstance(node, nodes.Binary) and node.operator in ("==", "!="):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                path, text = path_of(one), other.value if isinstance(other, nodes.Constant) else None
                if path[:1] == ("inputs",) and len(path) == 2 and isinstance(text, str):
                    yield from _never(path[1], kinds.get(path[1], ""), text, node)


def _never(name: str, kind: str, text: str, node: nodes.Binary) -> Iterator[tuple[str, str, Position]]:
    said = f"`inputs.{name}` is {'an' if kind == 'INT' else 'a'} {kind}, which never equals the text '{text}'."
    if kind in TRUTHS and text.lower() in ("true", "false"):
        is_meant = (text.lower() == "true") is (node.operator == "==")
        yield said, f"Write `{'' if is_meant else 'not '}inputs.{name}`.", node.at
    elif kind in NUMBERS:
        yield said, f"Write `{text}` without quotes." if NUMBER.fullmatch(text) else "", node.at
