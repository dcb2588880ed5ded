"""Statements turned into closures that append what they print."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from engine.errors import ExpressionFailed, NameMissing
from engine.expressions import nodes
from engine.expressions.closures import Run
from engine.expressions.compiler import Compiler
from engine.expressions.failures import Position, fail, hardened, kind, located
from engine.expressions.frame import Frame, Out, Printed, Statement, Typed, printed
from engine.expressions.limits import MAX_CALLS
from engine.expressions.nodes import Node
from engine.expressions.operations import FILTERS, FUNCTIONS
from engine.expressions.operators import holds
from engine.expressions.printing import to_text
from engine.expressions.trust import is_outside, origins
from engine.expressions.values import Entry, Value, is_list, is_map


class StatementCompiler:
    """Compiles one template; `macros` and `blocks` fill up on the way."""

    def __init__(self, tree: nodes.Body) -> None:
        found = list(nodes.walk(tree))
        self.parts = len(found)
        assigned = {node.name for node in found if isinstance(node, (nodes.Set, nodes.For))}
        if any(isinstance(node, nodes.For) for node in found):
            assigned.add("loop")
        if any(isinstance(node, nodes.FilterBlock) for node in found):
            assigned.add("")
        self.assigned = frozenset(assigned)
        names = frozenset(node.name for node in found if isinstance(node, nodes.Macro))
        self.expressions = Compiler(self.assigned, names)
        self.macros: dict[str, Macro] = {}
        self.blocks: dict[str, Statement] = {}

    def statement(self, node: Node) -> Statement:
        """The closure of any statement."""
        return _COMPILE[type(node)](self, node)

    def body(self, node: nodes.Body) -> Statement:
        steps = tuple(self.statement(statement) for statement in node.statements)
        if len(steps) == 1:
            return steps[0]

        def run(frame: Frame, out: Out) -> None:
            for step in steps:
                step(frame, out)

        return run

    def text(self, node: nodes.Text) -> Statement:
        text, size = node.text, len(node.text)

        def run(frame: Frame, out: Out) -> None:
            left = frame.left
            left.room -= size
            if left.room < 0:
                left.overdrawn()
            out.append(text)

        def run_raw(frame: Frame, out: Out) -> None:
            run(frame, out)
            if frame.recording:
                out[-1] = printed(text, outside=False, raw=True)

        return run_raw if node.raw else run

    def print(self, node: nodes.Print) -> Statement:
        value_of, at = self.expressions.expression(node.expression), node.at
        weight, source, escaped = _weight(node), origins(node.expression), _escaped(node.expression)

        def run(frame: Frame, out: Out) -> None:
            left = frame.left
            left.steps -= weight
            value = value_of(frame)
            if frame.typed and type(value) is not str:
                if left.steps < 0:
                    left.overdrawn()
                out.append(Typed(value))
                return
            if type(value) is not str:
                value = _shown(value, frame, at)
            left.room -= len(value)
            if left.room < 0 or left.steps < 0:
                left.overdrawn()
            out.append(value if not frame.recording else printed(value, is_outside(source, frame), escaped=escaped))

        return run

    def condition(self, node: Node) -> Run:
        test, at = self.expressions.expression(node), node.at
        weight = _weight(node)

        def run(frame: Frame) -> bool:
            frame.charge(weight)
            try:
                return holds(test(frame))
            except NameMissing as error:
                raise located(hardened(error), at) from error
            except ExpressionFailed as error:
                located(error, at)
                raise

        return run

    def if_(self, node: nodes.If) -> Statement:
        branches = [(self.condition(test), self.body(body)) for test, body in node.branches]
        otherwise = self.body(node.otherwise) if node.otherwise else None

        def run(frame: Frame, out: Out) -> None:
            for test, body in branches:
                if test(frame):
                    body(frame, out)
                    return
            if otherwise:
                otherwise(frame, out)

        return run

    def for_(self, node: nodes.For) -> Statement:
        name, at, weight = node.name, node.at, _weight(node.values)
        values, body = self.expressions.expression(node.values), self.body(node.body)
        otherwise = self.body(node.otherwise) if node.otherwise else None
        source = origins(node.values)

        def run(frame: Frame, out: Out) -> None:
            frame.charge(weight)
            found = values(frame)
            if found is None:
                return
            items = _items(found, at)
            if not items:
                if otherwise:
                    otherwise(frame, out)
                return
            before = frame.tainted
            _taint(frame, name, is_outside(source, frame))
            loop = dict.fromkeys(("index", "revindex", "length", "first", "last"))
            length = loop["length"] = len(items)
            scope: dict[str, Value] = {}
            frame.scopes.append(scope)
            try:
                for index, item in enumerate(items):
                    frame.charge(1)
                    scope[name], scope["loop"] = item, {**loop, "index": index, "revindex": length - index - 1,
                                                        "first": index == 0, "last": index == length - 1}  # fmt: skip
                    body(frame, out)
            finally:
                frame.scopes.pop()
                # A name set in the loop from outside text stays marked: it may have been an outer one.
                frame.tainted = before | (frame.tainted - {name})

        return run

    def set(self, node: nodes.Set) -> Statement:
        name, at, weight = node.name, node.at, _weight(node)
        value_of, source = self.expressions.expression(node.value), origins(node.value)

        def run(frame: Frame, out: Out) -> None:
            frame.charge(weight)
            try:
                value = value_of(frame)
            except ExpressionFailed as error:
                located(error, at)
                raise
            for scope in reversed(frame.scopes):
                if name in scope:
                    scope[name] = value
                    break
            else:
                frame.scopes[0 if name in frame.root else -1][name] = value
            if is_outside(source, frame):
                _taint(frame, name, True)

        return run

    def macro(self, node: nodes.Macro) -> Statement:
        parameters = [
            (name, self.expressions.expression(default) if default else None) for name, default in node.parameters
        ]
        self.macros[node.name] = Macro(node.name, parameters, self.body(node.body))
        return lambda frame, out: None

    def filter_block(self, node: nodes.FilterBlock) -> Statement:
        body, at = self.body(node.body), node.at
        weight = _weight(node.filters[-1])
        run_filters: Run = lambda frame: frame.scopes[-1][""]  # noqa: E731 - it is wrapped again and again below
        for one in node.filters:
            run_filters = self.expressions.filter_on(one, run_filters)
        sources = [origins(one.arguments) for one in node.filters]

        def run(frame: Frame, out: Out) -> None:
            frame.charge(weight)
            text, outside = _captured(frame, body)
            frame.scopes.append({"": text})
            try:
                value = run_filters(frame)
            finally:
                frame.scopes.pop()
            shown = value if type(value) is str else _shown(value, frame, at)
            frame.left.room -= len(shown)
            if frame.left.room < 0:
                frame.left.overdrawn()
            marked = outside or any(is_outside(source, frame) for source in sources)
            out.append(printed(shown, marked) if frame.recording else shown)

        return run

    def block(self, node: nodes.Block) -> Statement:
        body = self.body(node.body)
        self.blocks[node.name] = body
        return body


_ESCAPERS: Final = frozenset({"escapeChar", "replace", "regexReplace", "toJson", "json", "slice"})


def _escaped(node: Node) -> str:
    """How an expression escapes what it prints: its last filter tells."""
    if not isinstance(node, nodes.Filter):
        return ""
    first = node.arguments.positional[0] if node.arguments.positional else None
    is_shell = node.name == "escapeChar" and isinstance(first, nodes.Constant) and first.value == "shell"
    return "shell" if is_shell or node.name == "sh" else "text" if node.name in _ESCAPERS else ""


def _weight(node: Node) -> int:
    """Steps that evaluating it takes: one a part, and what its filters and functions cost besides."""
    return sum(1 + _cost(one) for one in nodes.walk(node))


def _cost(node: Node) -> int:
    table = FILTERS if isinstance(node, nodes.Filter) else FUNCTIONS if isinstance(node, nodes.Call) else {}
    return table[node.name].cost if table and node.name in table else 0  # type: ignore[attr-defined]


def _taint(frame: Frame, name: str, outside: bool) -> None:
    if outside != (name in frame.tainted):
        frame.tainted = frame.tainted | {name} if outside else frame.tainted - {name}


def _shown(value: Value, frame: Frame, at: Position) -> str:
    try:
        return to_text(value, frame.services.zone)
    except ExpressionFailed as error:
        located(error, at)
        raise


def _items(found: Value, at: Position) -> Sequence[Value]:
    if is_map(found):
        return [Entry(key, value) for key, value in found.items()]
    if is_list(found):
        return list(found)
    return fail(
        f"`for` goes through lists and maps, not through {kind(found)}.",
        "Make a list with split(), or a range with `..`.",
        at,
    )


def _captured(frame: Frame, body: Statement) -> tuple[str, bool]:
    """What a body prints, as text, and whether any of it came from outside."""
    out: Out = []
    typed, frame.typed = frame.typed, False
    try:
        body(frame, out)
    finally:
        frame.typed = typed
    text = "".join(part for part in out if isinstance(part, str))
    return text, any(isinstance(part, Printed) and part.outside for part in out)


def captured(frame: Frame, body: Statement) -> str:
    """What a body prints, as text."""
    return _captured(frame, body)[0]


class Macro:
    """A compiled macro. It sees its arguments and nothing else."""

    __slots__ = ("body", "name", "parameters")

    def __init__(self, name: str, parameters: Sequence[tuple[str, Run | None]], body: Statement) -> None:
        self.name = name
        self.parameters = parameters
        self.body = body

    def call(self, frame: Frame, values: Sequence[Value], by_name: Mapping[str, Value]) -> str:
        """The text the macro prints for these arguments; ExpressionFailed when there are too many."""
        names = [name for name, _ in self.parameters]
        if len(values) > len(names) or not set(by_name) <= set(names):
            fail(f"The macro {self.name!r} takes ({', '.join(names)}).")
        if frame.calls >= MAX_CALLS:
            fail(f"Macros call each other more than {MAX_CALLS} deep.", "Use a loop.")
        given = {**dict(zip(names, values, strict=False)), **by_name}
        inner = frame.inner({})
        inner.tainted = frozenset(names)
        inner.scopes = [{}]
        inner.root = {
            name: given[name] if name in given else default(inner) if default else None
            for name, default in self.parameters
        }
        return captured(inner, self.body)


_COMPILE: Final[dict[type[Node], Callable[[StatementCompiler, Any], Statement]]] = {
    nodes.Body: StatementCompiler.body,
    nodes.Text: StatementCompiler.text,
    nodes.Print: StatementCompiler.print,
    nodes.If: StatementCompiler.if_,
    nodes.For: StatementCompiler.for_,
    nodes.Set: StatementCompiler.set,
    nodes.Macro: StatementCompiler.macro,
    nodes.FilterBlock: StatementCompiler.filter_block,
    nodes.Block: StatementCompiler.block,
}
