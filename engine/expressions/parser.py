"""Templates: text, prints and tags."""

from collections.abc import Callable
from typing import Final

from engine.expressions import nodes
from engine.expressions.expression_parser import RESERVED, ExpressionParser
from engine.expressions.failures import nearest
from engine.expressions.lexer import Source, Token, tokens
from engine.expressions.nodes import Body, Node

_ELSEWHERE: Final = {
    "elif": "Write `elseif`.",
    "raw": "Close it with {% endraw %}.",
    "include": "Templates cannot load others; use render() with a variable.",
    "import": "Templates cannot load others; define the macro here.",
}


def parse_template(text: str) -> Body:
    """The tree of a template; ExpressionFailed says where it cannot be read."""
    source = Source(text)
    return _TemplateParser(source, tokens(source)).template()


class _TemplateParser(ExpressionParser):
    def __init__(self, source: Source, found: list[Token]) -> None:
        super().__init__(source, found)
        self.macros: set[str] = set()

    def template(self) -> Body:
        return self.body(())

    def body(self, ends: tuple[str, ...]) -> Body:
        """Statements up to one of the closing tags, whose name is left to be read."""
        where = self.position()
        self.enter()
        found: list[Node] = []
        while True:
            token = self.token
            if token.kind == "text":
                self.index += 1
                found.append(nodes.Text(self.position(token), token.value))
            elif token.kind == "raw":
                self.index += 1
                found.append(nodes.Text(self.position(token), token.value, raw=True))
            elif self.take("print"):
                found.append(nodes.Print(self.position(token), self.expression()))
                self.expect("end print", wanted="'}}' or an operator")
            elif token.kind == "tag":
                if (statement := self.tag(ends)) is None:
                    break
                found.append(statement)
            else:
                if ends:
                    self.fail(f"A tag is not closed: expected {{% {ends[-1]} %}}.")
                break
        self.nesting -= 1
        return Body(where, tuple(found))

    def tag(self, ends: tuple[str, ...]) -> Node | None:
        self.expect("tag")
        token = self.expect("name", wanted="the name of a tag")
        if token.value in ends:
            self.index -= 1
            return None
        reader = _TAGS.get(token.value)
        if reader is None:
            fix = _ELSEWHERE.get(token.value) or nearest(token.value, [*_TAGS, *ends, "raw", "verbatim"])
            self.fail(f"There is no tag {token.value!r} here.", fix or f"Tags are {', '.join(_TAGS)}.", token)
        return reader(self)

    def close(self, name: str | None = None) -> None:
        """The end of a tag, after the name of the closing tag."""
        if name:
            self.expect("name", name)
        self.expect("end tag", wanted="'%}'")

    def name(self) -> str:
        """A name that may be assigned to."""
        token = self.expect("name", wanted="a name")
        if token.value in RESERVED:
            self.fail(f"{token.value!r} cannot be the name of a variable.", token=token)
        return token.value

    def if_tag(self) -> Node:
        where = self.position()
        branches: list[tuple[Node, Body]] = []
        ends = ("elseif", "else", "endif")
        test = self.expression()
        self.close()
        branches.append((test, self.body(ends)))
        while self.take("name", "elseif"):
            test = self.expression()
            self.close()
            branches.append((test, self.body(ends)))
        otherwise = None
        if self.take("name", "else"):
            self.close()
            otherwise = self.body(("endif",))
        self.close("endif")
        return nodes.If(where, tuple(branches), otherwise)

    def for_tag(self) -> Node:
        where = self.position()
        name = self.name()
        self.expect("name", "in")
        values = self.expression()
        self.close()
        body = self.body(("else", "endfor"))
        otherwise = None
        if self.take("name", "else"):
            self.close()
            otherwise = self.body(("endfor",))
        self.close("endfor")
        return nodes.For(where, name, values, body, otherwise)

    def set_tag(self) -> Node:
        where = self.position()
        name = self.name()
        self.expect("mark", "=")
        value = self.expression()
        self.close()
        return nodes.Set(where, name, value)

    def macro_tag(self) -> Node:
        where = self.position()
        token, name = self.token, self.name()
        if name in self.macros:
            self.fail(f"There are two macros {name!r}.", "Give one of them another name.", token)
        self.macros.add(name)
        self.expect("mark", "(")
        parameters: list[tuple[str, Node | None]] = []
        while not self.take("mark", ")"):
            if parameters:
                self.expect("mark", ",", "',' or ')'")
            parameter = self.name()
            parameters.append((parameter, self.expression() if self.take("mark", "=") else None))
        self.close()
        body = self.body(("endmacro",))
        self.expect("name", "endmacro")
        self.take("name")
        self.close()
        return nodes.Macro(where, name, tuple(parameters), body)

    def filter_tag(self) -> Node:
        where = self.position()
        operand: Node = nodes.Name(where, "")
        filters: list[nodes.Filter] = []
        while not filters or self.take("operator", "|"):
            token = self.expect("name", wanted="the name of a filter")
            operand = nodes.Filter(self.position(token), operand, token.value, self.optional_arguments())
            filters.append(operand)
        self.close()
        body = self.body(("endfilter",))
        self.close("endfilter")
        return nodes.FilterBlock(where, tuple(filters), body)

    def block_tag(self) -> Node:
        where = self.position()
        name = self.take("string") or self.expect("name", wanted="the name of the block")
        self.close()
        body = self.body(("endblock",))
        self.expect("name", "endblock")
        self.take("name")
        self.close()
        return nodes.Block(where, name.value, body)


_TAGS: Final[dict[str, Callable[[_TemplateParser], Node]]] = {
    "if": _TemplateParser.if_tag,
    "for": _TemplateParser.for_tag,
    "set": _TemplateParser.set_tag,
    "macro": _TemplateParser.macro_tag,
    "filter": _TemplateParser.filter_tag,
    "block": _TemplateParser.block_tag,
}
