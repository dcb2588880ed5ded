"""The expression tree turned into closures, once per template. A closure takes the frame and gives the value."""

from collections.abc import Callable
from typing import Any, Final

from engine.errors import ExpressionFailed
from engine.expressions import access, nodes, operators
from engine.expressions.closures import (
    Run,
    always,
    calculation,
    coalesce,
    failing,
    if_missing,
    or_null,
    placed,
    unexpected,
    unknown,
)
from engine.expressions.failures import ODD_VALUE, Missing, Position, fail, located
from engine.expressions.frame import Frame
from engine.expressions.limits import MAX_TEXT
from engine.expressions.nodes import Node
from engine.expressions.operations import FILTERS, FUNCTIONS, REST, TESTS, Operation
from engine.expressions.printing import java_text
from engine.expressions.trust import is_outside, origins
from engine.expressions.values import Value

LOCALE: Final = "en_US"
_RERENDER: Final = ("render", "renderOnce")
_CALCULATIONS: Final[dict[str, Callable[[Value, Value], Value]]] = {
    "+": operators.add, "-": operators.subtract, "*": operators.multiply, "/": operators.divide,
    "%": operators.remainder, "==": operators.equal, "equals": operators.equal, "!=": operators.unequal,
}  # fmt: skip
_UNARY: Final[dict[str, Callable[[Value], Value]]] = {
    "not": lambda value: not operators.holds(value),
    "-": operators.negative,
    "+": operators.positive,
}
_LOOKUPS: Final[dict[str, Callable[[Value, Value], Value]]] = {
    "contains": operators.contains,
    "startsWith": operators.starts_with,
    "endsWith": operators.ends_with,
    "isIn": operators.is_in,
    "..": operators.span,
}


class Compiler:
    """Compiles the expressions of one template. `assigned` are the names it sets itself, `macros` those it defines."""

    def __init__(self, assigned: frozenset[str], macros: frozenset[str]) -> None:
        self.assigned = assigned
        self.macros = macros

    def expression(self, node: Node) -> Run:
        """The closure of any expression."""
        return _COMPILE[type(node)](self, node)

    def constant(self, node: nodes.Constant) -> Run:
        value = node.value
        return lambda frame: value

    def name(self, node: nodes.Name) -> Run:
        name, at = node.name, node.at

        def absent(frame: Frame) -> Value:
            if name == "locale":
                return LOCALE
            if name == "_context":
                return frame.visible()
            raise Missing(f"There is no variable {name!r}.", name=name, known=frame.names(), at=at)

        if name in self.assigned:

            def scoped(frame: Frame) -> Value:
                for scope in reversed(frame.scopes):
                    if name in scope:
                        return scope[name]
                return frame.root[name] if name in frame.root else absent(frame)

            return scoped

        def run(frame: Frame) -> Value:
            try:
                return frame.root[name]
            except KeyError:
                return absent(frame)

        return run

    def attribute(self, node: nodes.Attribute) -> Run:
        target, at = self.expression(node.target), node.at
        if node.arguments is not None:
            return self.method(node, target, node.arguments)
        if isinstance(node.key, nodes.Constant) and isinstance(node.key.value, str):
            key = node.key.value

            def field(frame: Frame) -> Value:
                found = target(frame)
                if type(found) is dict and key in found:
                    return found[key]
                return access.item(found, key, at)

            return field
        index = self.expression(node.key)

        def subscript(frame: Frame) -> Value:
            return access.item(target(frame), index(frame), at)

        return subscript

    def method(self, node: nodes.Attribute, target: Run, arguments: nodes.Arguments) -> Run:
        at = node.at
        name = node.key.value if isinstance(node.key, nodes.Constant) else ""
        given = [self.expression(argument) for argument in arguments.positional]
        if arguments.named:
            return failing(f"The method {name}() takes no arguments by name.", "", at)

        def run(frame: Frame) -> Value:
            found = target(frame)
            frame.weigh(found)
            values = [argument(frame) for argument in given]
            try:
                return access.call(found, name, values, at)
            except ExpressionFailed as error:
                located(error, at)
                raise
            except ODD_VALUE as error:
                raise unexpected("method", name, found, at) from error

        return run

    def list_literal(self, node: nodes.ListLiteral) -> Run:
        items = [self.expression(item) for item in node.items]
        return lambda frame: [item(frame) for item in items]

    def map_literal(self, node: nodes.MapLiteral) -> Run:
        pairs = [(self.expression(key), self.expression(value)) for key, value in node.pairs]
        at = node.at

        def run(frame: Frame) -> Value:
            try:
                return {key(frame): value(frame) for key, value in pairs}
            except TypeError:
                fail("The key of a map is a list or map.", "Use a text.", at)

        return run

    def interpolated(self, node: nodes.Interpolated | nodes.Concat) -> Run:
        parts = [self.expression(part) for part in node.parts]

        def run(frame: Frame) -> Value:
            texts = []
            for part in parts:
                value = part(frame)
                if value is not None:
                    texts.append(value if type(value) is str else java_text(value))
            size = sum(map(len, texts))
            if size > 64:
                if size > MAX_TEXT:
                    fail(f"A text is longer than {MAX_TEXT:,} characters.", "Hand it on as a file.")
                frame.charge(size >> 6)
            return "".join(texts)

        return run

    def unary(self, node: nodes.Unary) -> Run:
        operand, at = self.expression(node.operand), node.at
        work = _UNARY[node.operator]
        return placed(lambda frame: work(operand(frame)), at)

    def binary(self, node: nodes.Binary) -> Run:
        operator, at = node.operator, node.at
        left, right = self.expression(node.left), self.expression(node.right)
        if operator == "??":
            return coalesce(left, right)
        if operator == "???":
            return if_missing(left, right)
        if operator == "and":
            return placed(lambda frame: operators.holds(left(frame)) and operators.holds(right(frame)), at)
        if operator == "or":
            return placed(lambda frame: operators.holds(left(frame)) or operators.holds(right(frame)), at)
        if operator in _LOOKUPS:
            look = _LOOKUPS[operator]

            def lookup(frame: Frame) -> Value:
                a, b = left(frame), right(frame)
                frame.weigh(a)
                frame.weigh(b)
                found = look(a, b)
                frame.weigh(found)
                return found

            return placed(lookup, at)
        if operator in _CALCULATIONS:
            return calculation(_CALCULATIONS[operator], left, right, at)

        def comparison(a: Value, b: Value) -> bool:
            return operators.compare(a, b, operator)

        return calculation(comparison, left, right, at)

    def conditional(self, node: nodes.Conditional) -> Run:
        test, yes, no = self.expression(node.test), self.expression(node.yes), self.expression(node.no)
        holds = placed(lambda frame: operators.holds(test(frame), null=False), node.at)
        return lambda frame: yes(frame) if holds(frame) else no(frame)

    def filter(self, node: nodes.Filter) -> Run:
        """A filter on its operand. `default` catches a missing name, so it cannot be an ordinary one."""
        return self.filter_on(node, self.expression(node.operand))

    def filter_on(self, node: nodes.Filter, operand: Run) -> Run:
        """A filter on something already compiled."""
        if node.name == "default":
            operand = or_null(operand)
        operation = FILTERS.get(node.name)
        if operation is None:
            return unknown("filter", node.name, FILTERS, node.at)
        if node.name == "className":
            operand = self.classified(node.operand, operand)
        return self.operation("filter", operation, operand, node.arguments, node.at)

    def classified(self, node: Node, operand: Run) -> Run:
        """The operand with what the template shows about its number type: literals and sums are 64-bit in Java."""
        while isinstance(node, nodes.Filter) and node.name == "abs":
            node = node.operand  # keeps the type
        is_long = isinstance(node, (nodes.Constant, nodes.Unary)) or (
            isinstance(node, nodes.Binary) and node.operator in "+-*/%"
        )
        named = (
            node.arguments.positional + tuple(value for _, value in node.arguments.named)
            if isinstance(node, nodes.Filter)
            else ()
        )
        wanted = named[0].value if named and isinstance(named[0], nodes.Constant) else None
        source = "long" if is_long else f"{node.name} {wanted}" if isinstance(node, nodes.Filter) else ""
        return lambda frame: (source, operand(frame))

    def test(self, node: nodes.Test) -> Run:
        operand = self.expression(node.operand)
        if node.name == "defined":
            operand = or_null(operand)
        operation = TESTS.get(node.name)
        if operation is None:
            return unknown("test", node.name, TESTS, node.at)
        run = self.operation("test", operation, operand, node.arguments, node.at)
        return (lambda frame: not run(frame)) if node.negated else run

    def call(self, node: nodes.Call) -> Run:
        name, at = node.name, node.at
        if name in self.macros:
            return self.macro(node)
        operation = FUNCTIONS.get(name)
        if operation is None:
            return unknown("function", name, {**FUNCTIONS, **dict.fromkeys(self.macros)}, at)
        if name in _RERENDER and (node.arguments.positional or node.arguments.named):
            source = origins(node.arguments)
            return self.operation("function", operation, lambda frame: is_outside(source, frame), node.arguments, at)
        return self.operation("function", operation, None, node.arguments, at)

    def macro(self, node: nodes.Call) -> Run:
        given = [self.expression(argument) for argument in node.arguments.positional]
        named = [(name, self.expression(argument)) for name, argument in node.arguments.named]
        name, at = node.name, node.at

        def run(frame: Frame) -> Value:
            values = [argument(frame) for argument in given]
            by_name = {key: argument(frame) for key, argument in named}
            try:
                return frame.macros[name].call(frame, values, by_name)
            except ExpressionFailed as error:
                located(error, at)
                raise

        return run

    def operation(
        self, what: str, operation: Operation, operand: Run | None, arguments: nodes.Arguments, at: Position
    ) -> Run:
        """A call of an operation with its arguments bound; what is wrong with them is said when it is evaluated."""
        bound = self.bind(what, operation, arguments)
        if isinstance(bound, str):
            return failing(bound, f"{what.capitalize()} {operation.name!r} takes {operation.signature}.", at)
        call, name, contextual = operation.run, operation.name, operation.contextual
        given = bound if operand is None else [operand, *bound]
        single = given[0] if len(given) == 1 and not contextual else None

        def run_single(frame: Frame) -> Value:
            value = single(frame)  # type: ignore[misc]
            try:
                if type(value) is not str or len(value) > 64:
                    frame.weigh(value)
                found = call(value)
                if type(found) is not str or len(found) > 64:
                    frame.weigh(found)
                return found
            except ExpressionFailed as error:
                located(error, at)
                raise
            except ODD_VALUE as error:
                raise unexpected(what, name, value, at) from error

        def run(frame: Frame) -> Value:
            values = [argument(frame) for argument in given]
            try:
                for value in values:
                    frame.weigh(value)
                found = call(frame, *values) if contextual else call(*values)
                frame.weigh(found)
            except ExpressionFailed as error:
                located(error, at)
                raise
            except ODD_VALUE as error:
                raise unexpected(what, name, values[0] if values else None, at) from error
            return found

        return run if single is None else run_single

    def bind(self, what: str, operation: Operation, arguments: nodes.Arguments) -> list[Run] | str:
        """Closures of the arguments in the order of the parameters, or what is wrong with them."""
        if operation.lenient:
            return []
        if operation.parameters == (REST,):
            return [self.expression(argument) for argument in arguments.positional]
        named = {name: self.expression(argument) for name, argument in arguments.named}
        if refusal := operation.refusal(len(arguments.positional), named):
            return f"The {what} {operation.name!r} {refusal}."
        given = dict(zip(operation.parameters, map(self.expression, arguments.positional), strict=False)) | named
        defaults = zip(operation.parameters, operation.defaults, strict=True)
        return [given.get(parameter) or always(default) for parameter, default in defaults]


_COMPILE: Final[dict[type[Node], Callable[[Compiler, Any], Run]]] = {
    nodes.Constant: Compiler.constant,
    nodes.Name: Compiler.name,
    nodes.Attribute: Compiler.attribute,
    nodes.ListLiteral: Compiler.list_literal,
    nodes.MapLiteral: Compiler.map_literal,
    nodes.Interpolated: Compiler.interpolated,
    nodes.Concat: Compiler.interpolated,
    nodes.Unary: Compiler.unary,
    nodes.Binary: Compiler.binary,
    nodes.Conditional: Compiler.conditional,
    nodes.Filter: Compiler.filter,
    nodes.Test: Compiler.test,
    nodes.Call: Compiler.call,
}
