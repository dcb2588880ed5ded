"""Templates from the grammar: trees by Hypothesis, printed as text with no more parentheses than the precedences need.

The precedences are the reference's table, written down once more: a printer that took them from the parser would agree
with any mistake in it.
"""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from engine.expressions import nodes
from engine.expressions.nodes import Node

AT = (1, 1)
TIGHT = {
    "..": 120, "??": 120, "???": 120, "isIn": 120, "~": 110, "|": 100, "*": 60, "/": 60, "%": 60, "+": 40, "-": 40,
    "==": 30, "equals": 30, "!=": 30, ">": 30, "<": 30, ">=": 30, "<=": 30, "contains": 20, "and": 15, "or": 10,
}  # fmt: skip
NAMES = ["s", "n", "l", "m", "nul", "t", "d", "o", "inputs", "vars", "missing", "loop", "x", "y"]
FIELDS = ["a", "b", "x", "size", "key", "value", "index", "__class__", "__dict__", "password", "not", "is"]
FILTERS = ["upper", "length", "first", "join", "default", "json", "replace", "split", "sort", "merge", "yaml", "date"]
FUNCTIONS = ["max", "range", "now", "fromJson", "render", "renderOnce", "f", "g", "fetchContext", "block"]
TESTS = ["defined", "null", "empty", "even", "map", "iterable", "json"]


def shape(value: Any) -> Any:
    """A tree without the places its nodes stand at."""
    if isinstance(value, Node):
        inner = (shape(getattr(value, field.name)) for field in fields(value) if field.name != "at")
        return type(value).__name__, *inner
    if isinstance(value, tuple):
        return tuple(map(shape, value))
    return type(value).__name__, value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


def tightness(node: Node) -> int:
    """How tight the outermost operator of a printed node binds."""
    match node:
        case nodes.Conditional():
            return 0
        case nodes.Binary():
            return TIGHT[node.operator]
        case nodes.Concat():
            return TIGHT["~"]
        case nodes.Filter():
            return TIGHT["|"]
        case nodes.Test():
            return 20
        case nodes.Unary():
            return 500
    return 1000


def source(node: Node, lowest: int = 0) -> str:
    """An expression as text, for a place where operators bind at least as tight as `lowest`."""
    text = _source(node)
    return f"({text})" if tightness(node) < lowest else text


def _source(node: Node) -> str:  # noqa: C901, PLR0912 - one case a kind of node
    match node:
        case nodes.Constant():
            return _constant(node.value)
        case nodes.Interpolated():
            return f'"{_parts(node)}"'
        case nodes.ListLiteral():
            return f"[{', '.join(map(source, node.items))}]"
        case nodes.MapLiteral():
            return "{" + ", ".join(f"{source(key)}: {source(value)}" for key, value in node.pairs) + "}"
        case nodes.Name():
            return node.name
        case nodes.Attribute():
            return _attribute(node)
        case nodes.Call():
            return node.name + _arguments(node.arguments)
        case nodes.Unary():
            return f"{node.operator} {source(node.operand, 500)}"
        case nodes.Concat():
            first, *others = node.parts
            return " ~ ".join([source(first, 110), *(source(part, 111) for part in others)])
        case nodes.Conditional():
            return f"{source(node.test, 1)} ? {source(node.yes)} : {source(node.no)}"
        case nodes.Filter():
            return f"{source(node.operand, 100)} | {node.name}{_arguments(node.arguments)}"
        case nodes.Test():
            word = "is not" if node.negated else "is"
            return f"{source(node.operand, 20)} {word} {node.name}{_arguments(node.arguments)}"
        case nodes.Binary():
            tight = TIGHT[node.operator]
            return f"{source(node.left, tight)} {node.operator} {source(node.right, tight + 1)}"
    raise TypeError(node)


def _constant(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    return {None: "null", True: "true", False: "false"}[value] if value is None or (value in (True, False) and type(
        value
    ) is bool) else repr(value)  # fmt: skip


def _parts(node: nodes.Interpolated) -> str:
    out, plain = "", False
    for part in node.parts:
        plain = not plain and isinstance(part, nodes.Constant) and isinstance(part.value, str)
        out += part.value if plain else "#{" + source(part) + "}"  # type: ignore[attr-defined]
    return out


def _attribute(node: nodes.Attribute) -> str:
    simple = isinstance(node.target, (nodes.Name, nodes.Call, nodes.Attribute))
    target = source(node.target) if simple else f"({source(node.target)})"
    word = node.key.value if isinstance(node.key, nodes.Constant) else ""
    if isinstance(word, str) and word.isidentifier() and word not in ("not", "is", "and", "or", "contains", "equals"):
        return f"{target}.{word}{'' if node.arguments is None else _arguments(node.arguments, empty='()')}"
    return f"{target}[{source(node.key)}]"


def _arguments(given: nodes.Arguments, empty: str = "()") -> str:
    inner = [*map(source, given.positional), *(f"{name}={source(value)}" for name, value in given.named)]
    return f"({', '.join(inner)})" if inner else empty


def document(node: Node) -> str:
    """A statement as text."""
    match node:
        case nodes.Text():
            return f"{{% raw %}}{node.text}{{% endraw %}}" if node.raw else node.text
        case nodes.Print():
            return f"{{{{ {source(node.expression)} }}}}"
        case nodes.Body():
            return "".join(map(document, node.statements))
        case nodes.If():
            words = ["if", *["elseif"] * (len(node.branches) - 1)]
            pairs = zip(words, node.branches, strict=True)
            out = "".join(f"{{% {word} {source(test)} %}}{document(body)}" for word, (test, body) in pairs)
            return out + (f"{{% else %}}{document(node.otherwise)}" if node.otherwise else "") + "{% endif %}"
        case nodes.For():
            out = f"{{% for {node.name} in {source(node.values)} %}}{document(node.body)}"
            return out + (f"{{% else %}}{document(node.otherwise)}" if node.otherwise else "") + "{% endfor %}"
        case nodes.Set():
            return f"{{% set {node.name} = {source(node.value)} %}}"
        case nodes.Macro():
            names = (f"{name}={source(value)}" if value else name for name, value in node.parameters)
            return f"{{% macro {node.name}({', '.join(names)}) %}}{document(node.body)}{{% endmacro %}}"
        case nodes.FilterBlock():
            row = " | ".join(f"{one.name}{_arguments(one.arguments)}" for one in node.filters)
            return f"{{% filter {row} %}}{document(node.body)}{{% endfilter %}}"
        case nodes.Block():
            return f"{{% block {node.name} %}}{document(node.body)}{{% endblock %}}"
    raise TypeError(node)


_words = st.sampled_from(NAMES)
_texts = st.text(st.characters(exclude_characters="\\{", exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["{{ s }}", "a,b", "{{ secret('X') }}", "[1]", "}}", "%}"]
)
_numbers = st.integers(0, 2**63 - 1) | st.tuples(st.integers(0, 999), st.integers(0, 999)).map(
    lambda pair: float(f"{pair[0]}.{pair[1]}")
)
_leaves = (_texts | _numbers | st.none() | st.booleans()).map(lambda value: nodes.Constant(AT, value)) | _words.map(
    lambda name: nodes.Name(AT, name)
)


def _given(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[nodes.Arguments]:
    named = st.lists(st.tuples(st.sampled_from(["a", "x", "separator", "format"]), inner), max_size=1)
    return st.builds(
        nodes.Arguments, st.just(AT), st.lists(inner, max_size=2).map(tuple), named.map(tuple)
    )  # fmt: skip


def _concat(parts: list[Node]) -> Node:
    return nodes.Concat(AT, (*(parts[0].parts if isinstance(parts[0], nodes.Concat) else parts[:1]), *parts[1:]))


def _interpolated(parts: list[Node]) -> Node:
    """Parts as the parser gives them: no two plain texts side by side, none empty, never just one."""
    found: list[Node] = []
    for part in parts:
        text = part.value if isinstance(part, nodes.Constant) and isinstance(part.value, str) else None
        if text is not None and (
            not text or set(text) & set('"#\\') or (found and isinstance(found[-1], nodes.Constant))
        ):
            part = nodes.Name(AT, "s")
        found.append(part)
    return nodes.Interpolated(AT, tuple(found))


def _wider(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    at, some = st.just(AT), st.lists(inner, max_size=3).map(tuple)
    key = st.sampled_from(FIELDS).map(lambda name: nodes.Constant(AT, name)) | inner
    method = st.sampled_from(["size", "trim", "get", "values", "leak"]).map(lambda name: nodes.Constant(AT, name))
    return st.one_of(
        st.builds(nodes.ListLiteral, at, some),
        st.builds(nodes.MapLiteral, at, st.lists(st.tuples(inner, inner), max_size=2).map(tuple)),
        st.builds(nodes.Attribute, at, inner, key),
        st.builds(nodes.Attribute, at, inner, method, _given(inner)),
        st.builds(nodes.Call, at, st.sampled_from(FUNCTIONS), _given(inner)),
        st.builds(nodes.Unary, at, st.sampled_from(["not", "-", "+"]), inner),
        st.builds(nodes.Binary, at, st.sampled_from(sorted(set(TIGHT) - {"~", "|"})), inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(_concat),
        st.lists(inner, min_size=2, max_size=3).map(_interpolated),
        st.builds(nodes.Conditional, at, inner, inner, inner),
        st.builds(nodes.Filter, at, inner, st.sampled_from(FILTERS), _given(inner)),
        st.builds(nodes.Test, at, inner, st.sampled_from(TESTS), _given(inner), st.booleans()),
    )


EXPRESSIONS: st.SearchStrategy[Node] = st.recursive(_leaves, _wider, max_leaves=8)


def _filter_block(row: list[tuple[str, nodes.Arguments]], body: nodes.Body) -> Node:
    operand: Node = nodes.Name(AT, "")
    filters = []
    for name, given in row:
        operand = nodes.Filter(AT, operand, name, given)
        filters.append(operand)
    return nodes.FilterBlock(AT, tuple(filters), body)


def _body(statements: list[Node]) -> nodes.Body:
    """Statements as the parser gives them: no two plain texts side by side."""
    found: list[Node] = []
    for one in statements:
        if isinstance(one, nodes.Text) and not one.raw and found and isinstance(found[-1], nodes.Text):
            continue
        found.append(one)
    return nodes.Body(AT, tuple(found))


_plain = st.text(st.characters(exclude_characters="{", exclude_categories=["Cs"]), min_size=1, max_size=8)
_pieces = (
    st.builds(nodes.Text, st.just(AT), _plain)
    | st.builds(nodes.Text, st.just(AT), st.sampled_from(["{{ s }}", "{% if %}", "{# x #}"]), st.just(True))
    | st.builds(nodes.Print, st.just(AT), EXPRESSIONS)
    | st.builds(nodes.Set, st.just(AT), st.sampled_from(["x", "y", "n"]), EXPRESSIONS)
)


def _tags(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    at, body = st.just(AT), st.lists(inner, max_size=3).map(_body)
    filters = st.lists(st.tuples(st.sampled_from(FILTERS), _given(EXPRESSIONS)), min_size=1, max_size=2)
    return st.one_of(
        st.builds(nodes.If, at, st.lists(st.tuples(EXPRESSIONS, body), min_size=1, max_size=2).map(tuple),
                  st.none() | body),
        st.builds(nodes.For, at, st.sampled_from(["x", "y"]), EXPRESSIONS, body, st.none() | body),
        st.builds(_filter_block, filters, body),
        st.builds(nodes.Block, at, st.sampled_from(["a", "b"]), body),
    )  # fmt: skip


_macros = st.builds(
    nodes.Macro, st.just(AT), st.just("f"),
    st.just((("a", None), ("x", nodes.Constant(AT, 1)))), st.lists(_pieces, max_size=2).map(_body),
)  # fmt: skip
DOCUMENTS: st.SearchStrategy[nodes.Body] = st.tuples(
    st.none() | _macros, st.lists(st.recursive(_pieces, _tags, max_leaves=6), max_size=4)
).map(lambda pair: _body([*([pair[0]] if pair[0] else []), *pair[1]]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.decimals() | st.binary(max_size=4)  # noqa: E501
    | st.datetimes() | st.dates() | st.times() | st.timedeltas() | st.sampled_from(["{{ s }}", "{% set %}", "1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from(FIELDS), inner, max_size=3),  # noqa: E501
    max_leaves=6,
)  # fmt: skip
