"""Expressions, by precedence climbing. As in Pebble `~` and `??` bind tighter than `|`, and `not` tighter than all."""

import re
from typing import Final, NoReturn

from engine.expressions import nodes
from engine.expressions.failures import Position, fail
from engine.expressions.lexer import OTHER_PROGRAMS, Source, Token, TokenKind
from engine.expressions.limits import MAX_CHAIN, MAX_DIGITS, MAX_NESTING
from engine.expressions.nodes import Node

BINARY: Final = {
    "..": 120, "??": 120, "???": 120, "isIn": 120,
    "~": 110,
    "|": 100,
    "*": 60, "/": 60, "%": 60,
    "+": 40, "-": 40,
    "==": 30, "equals": 30, "!=": 30, ">": 30, "<": 30, ">=": 30, "<=": 30,
    "is": 20, "is not": 20, "contains": 20, "startsWith": 20, "endsWith": 20,
    "starts": 20, "ends": 20,
    "and": 15,
    "or": 10,
}  # fmt: skip
NAMED: Final = frozenset({"startsWith", "endsWith"})  # operators between two values, names everywhere else
_BEFORE_WITH: Final = {"starts": "startsWith", "ends": "endsWith"}  # `a starts with b` is another way to write it
UNARY: Final = {"not": 500, "+": 500, "-": 500}
CONSTANTS: Final = {
    "true": True, "TRUE": True, "false": False, "FALSE": False, "null": None, "NULL": None, "none": None, "NONE": None,
}  # fmt: skip
RESERVED: Final = frozenset({"true", "false", "null", "none"})
DASHED: Final = re.compile(r"\d[\w-]*[A-Za-z_][\w-]*")  # an id that begins with a digit, such as `1-each`
CHAIN: Final = "Write `.` for `?.`, and behind the whole `?? ''`, or what else stands for nothing."
# What other languages write in an expression → how it is written here.
_INSTEAD: Final = {
    "=": "Two values are compared with `==`.",
    "in": "Write `list contains value`.",
    "not": "Write `not (list contains value)` for `not in`.",
    "matches": "Write `value | regexMatch('pattern')`.",
    "if": "Write `condition ? value : other`.",
    "AND": "Write `and`.",
    "OR": "Write `or`.",
    "NOT": "Write `not`.",
    ":": OTHER_PROGRAMS,
}
OF_TAGS: Final = frozenset({"if", "else", "elseif", "for", "set", "end", "endif", "endfor", "range", "with", "block"})


class ExpressionParser:
    """Reads expressions from a row of tokens."""

    def __init__(self, source: Source, found: list[Token]) -> None:
        self.source = source
        self.tokens = found
        self.index = 0
        self.nesting = 0

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.index]

    def position(self, token: Token | None = None) -> Position:
        """Where a token stands."""
        return self.source.position((token or self.token).start)

    def fail(self, message: str, fix: str = "", token: Token | None = None) -> NoReturn:
        """Refuse the template at a token."""
        fail(message, fix, self.position(token))

    def unexpected(self, wanted: str) -> NoReturn:
        """Refuse what stands here."""
        token = self.token
        before = self.tokens[self.index - 1] if self.index else token
        what = "the end of the template" if token.kind == "end" else f"{token.value[:40]!r}"
        if before.kind == "name" and before.value == "NOT" and wanted.endswith("an operator"):
            self.fail(f"Expected {wanted} but found {before.value!r}.", _INSTEAD["NOT"], before)
        self.fail(f"Expected {wanted} but found {what}.", self.instead_of(token, before, wanted))

    def instead_of(self, token: Token, before: Token, wanted: str) -> str:
        """What to write in the place of what stands here, behind what."""
        value = token.value
        if wanted == "a value" and value in (".", "}}"):
            return CHAIN if value == "." and self.source.text[: token.start].endswith("?") else OTHER_PROGRAMS
        if value == "if" and "%}" in wanted:
            return "Write `elseif`."
        if value == "|" and "filter" in wanted:
            return "Two conditions are joined with `or`; what stands for nothing is behind `??`."
        if value == ":" and wanted == "']'":
            return "A part of a text or a list is `value | slice(0, 3)`."
        if value == "}" and wanted == "':'":
            return "Inside a template a name stands without braces of its own."
        if value == "=" and before.value in ("==", "!="):
            return f"Write `{before.value}`."
        if value == ">" and before.value == "<":
            return "Write `!=`."
        if value == "=" and self.source.text.startswith(("=>", "=<"), token.start):
            return f"Write `{self.source.text[token.start + 1]}=`."
        if wanted.startswith("':'"):
            return "Write `condition ? value : other`."
        is_behind_name = before.kind == "name" and wanted.endswith("an operator") and token.kind in ("name", "string")
        if is_behind_name and before.value in OF_TAGS and self.tokens[self.index - 2].kind == "print":
            return f"`{before.value}` stands in a tag: {{% {before.value} … %}}."
        if value == ":" and before.kind == "name" and self.tokens[self.index - 2].value == "|":
            return f"Arguments stand in brackets: `{before.value}(…)`. {OTHER_PROGRAMS}"
        return _INSTEAD.get(value, "") if token.kind in ("name", "operator", "mark") else ""

    def at(self, kind: TokenKind, value: str | None = None) -> bool:
        """Whether the next token is of a kind, and has a value."""
        token = self.tokens[self.index]
        return token.kind == kind and (value is None or token.value == value)

    def take(self, kind: TokenKind, value: str | None = None) -> Token | None:
        """The next token if it is the wanted one."""
        if self.at(kind, value):
            self.index += 1
            return self.tokens[self.index - 1]
        return None

    def expect(self, kind: TokenKind, value: str | None = None, wanted: str = "") -> Token:
        """The next token, which must be the wanted one."""
        return self.take(kind, value) or self.unexpected(wanted or repr(value or kind))

    def enter(self) -> None:
        """Go one level deeper."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            self.fail(f"The template is nested more than {MAX_NESTING} levels deep.", "Use {% set %} for the parts.")

    def expression(self, lowest: int = 0) -> Node:
        """An expression whose operators bind at least as tight as `lowest`."""
        self.enter()
        found = self.operand()
        chain = 0
        while self.at_binary() and BINARY.get(self.token.value, -1) >= lowest:
            chain += 1
            if chain > MAX_CHAIN:
                self.fail(
                    f"An expression has more than {MAX_CHAIN} operators in a row.", "Use {% set %} for the parts."
                )
            found = self.binary(found)
        if lowest == 0 and (mark := self.take("mark", "?")):
            yes = self.expression()
            self.expect("mark", ":", "':' and what holds otherwise")
            found = nodes.Conditional(self.position(mark), found, yes, self.expression())
        self.nesting -= 1
        return found

    def at_binary(self) -> bool:
        """Whether an operator between two values may stand here."""
        token = self.tokens[self.index]
        if token.kind == "name" and token.value in _BEFORE_WITH:
            following = self.tokens[self.index + 1]
            return following.kind == "name" and following.value == "with"
        return token.kind == "operator" or (token.kind == "name" and token.value in NAMED)

    def operand(self) -> Node:
        token = self.token
        if token.kind == "operator" and token.value in UNARY:
            self.index += 1
            return nodes.Unary(self.position(token), token.value, self.expression(UNARY[token.value]))
        if self.take("mark", "("):
            inner = self.expression()
            self.expect("mark", ")")
            return self.postfix(inner)
        if self.at("mark", "["):
            return self.list_literal()
        if self.at("mark", "{"):
            return self.map_literal()
        return self.postfix(self.primary())

    def binary(self, left: Node) -> Node:
        token = self.tokens[self.index]
        self.index += 1
        where, operator = self.position(token), token.value
        if token.kind == "name" and operator in _BEFORE_WITH:
            self.index += 1
            operator = _BEFORE_WITH[operator]
        if operator == "|":
            name = self.expect("name", wanted="the name of a filter")
            return nodes.Filter(self.position(name), left, name.value, self.optional_arguments())
        if operator in ("is", "is not"):
            name = self.expect("name", wanted="the name of a test")
            return nodes.Test(self.position(name), left, name.value, self.optional_arguments(), operator == "is not")
        right = self.expression(BINARY[operator] + 1)
        if operator == "~":
            parts = (*left.parts, right) if isinstance(left, nodes.Concat) else (left, right)
            return nodes.Concat(where, parts)
        return nodes.Binary(where, operator, left, right)

    def primary(self) -> Node:
        token = self.token
        where = self.position(token)
        self.index += 1
        match token.kind:
            case "name":
                if token.value in CONSTANTS:
                    return nodes.Constant(where, CONSTANTS[token.value])
                if self.at("mark", "("):
                    return nodes.Call(where, token.value, self.arguments())
                return nodes.Name(where, token.value)
            case "integer":
                return nodes.Constant(where, self.integer(token))
            case "decimal":
                return nodes.Constant(where, float(token.value))
            case "string":
                return nodes.Constant(where, token.value)
            case "open string":
                return self.interpolated(where)
        self.index -= 1
        return self.unexpected("a value")

    def integer(self, token: Token) -> int:
        if len(token.value) > MAX_DIGITS or int(token.value) >= 1 << 63:
            self.fail(f"The number {token.value[:30]} does not fit 64 bits.", "Write it as a text.", token)
        return int(token.value)

    def interpolated(self, where: Position) -> Node:
        parts: list[Node] = []
        while not self.take("close string"):
            if text := self.take("string"):
                parts.append(nodes.Constant(self.position(text), text.value))
            else:
                self.expect("open part")
                parts.append(self.expression())
                self.expect("close part", wanted="'}'")
        return parts[0] if len(parts) == 1 else nodes.Interpolated(where, tuple(parts))

    def postfix(self, target: Node) -> Node:
        chain = 0
        while True:
            token = self.token
            if self.take("mark", "."):
                name = self.take("name") or self.after_dot()
                key: Node = nodes.Constant(self.position(name), name.value)
                arguments = self.arguments() if self.at("mark", "(") else None
                target = nodes.Attribute(self.position(name), target, key, arguments)
            elif self.take("mark", "["):
                key = self.expression()
                self.expect("mark", "]")
                target = nodes.Attribute(self.position(token), target, key)
            else:
                return target
            chain += 1
            if chain > MAX_CHAIN:
                self.fail(f"A value has more than {MAX_CHAIN} attributes in a row.")

    def after_dot(self) -> Token:
        token = self.token
        word = DASHED.match(self.source.text, token.start)
        key = word[0] if word and token.kind == "integer" else token.value
        fix = f"Write ['{key}'] instead of .{key}." if token.kind in ("operator", "integer") else ""
        self.fail(f"Expected the name of an attribute after '.' but found {token.value[:40]!r}.", fix)

    def list_literal(self) -> Node:
        where = self.position(self.expect("mark", "["))
        items: list[Node] = []
        while not self.take("mark", "]"):
            if items:
                self.expect("mark", ",", "',' or ']'")
            items.append(self.expression())
        return nodes.ListLiteral(where, tuple(items))

    def map_literal(self) -> Node:
        where = self.position(self.expect("mark", "{"))
        pairs: list[tuple[Node, Node]] = []
        while not self.take("mark", "}"):
            if pairs:
                self.expect("mark", ",", "',' or '}'")
            key = self.expression()
            self.expect("mark", ":")
            pairs.append((key, self.expression()))
        return nodes.MapLiteral(where, tuple(pairs))

    def optional_arguments(self) -> nodes.Arguments:
        return self.arguments() if self.at("mark", "(") else nodes.Arguments(self.position())

    def arguments(self) -> nodes.Arguments:
        """`(a, b, name=c)`."""
        where = self.position(self.expect("mark", "("))
        positional: list[Node] = []
        named: list[tuple[str, Node]] = []
        while not self.take("mark", ")"):
            if positional or named:
                self.expect("mark", ",", "',' or ')'")
            if (
                self.at("name")
                and self.tokens[self.index + 1].kind == "mark"
                and self.tokens[self.index + 1].value == "="
            ):
                name = self.token.value
                self.index += 2
                named.append((name, self.expression()))
            elif named:
                self.fail("An argument without a name stands after one with a name.", "Give this one its name, too.")
            else:
                positional.append(self.expression())
        return nodes.Arguments(where, tuple(positional), tuple(named))
