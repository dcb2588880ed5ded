"""Parsed templates: what they read, and what they give for some variables."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache

from engine.errors import ExpressionFailed
from engine.expressions import nodes
from engine.expressions.closures import Run
from engine.expressions.failures import ODD_VALUE, Missing
from engine.expressions.frame import Frame, Out, Typed
from engine.expressions.limits import CACHED_TEMPLATES, MAX_CACHED_TEMPLATE
from engine.expressions.parser import parse_template
from engine.expressions.printing import to_text
from engine.expressions.services import Services
from engine.expressions.statements import StatementCompiler
from engine.expressions.trust import path_of
from engine.expressions.values import Value


class Template:
    """A parsed template. Build one with `parse`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_static = "{" not in text
        self.tree = nodes.Body((1, 1), (nodes.Text((1, 1), text),)) if self.is_static else parse_template(text)
        self._single: Run | None = None
        compiler = StatementCompiler(self.tree)
        self._body = compiler.body(self.tree)
        self._macros, self._blocks = compiler.macros, compiler.blocks
        self._scoped = bool(compiler.assigned)
        if len(self.tree.statements) == 1 and isinstance(self.tree.statements[0], nodes.Print):
            self._single = compiler.expressions.expression(self.tree.statements[0].expression)
        self.is_static = self.is_static or all(isinstance(node, nodes.Text) for node in self.tree.statements)

    def render(self, variables: Mapping[str, Value], services: Services) -> str:
        """The text the template prints; ExpressionFailed, or NameMissing when a name it needs is not there."""
        if "{" not in self.text:
            return self.text
        out: Out = []
        self.run(Frame(variables, services), out)
        return "".join(out)  # type: ignore[arg-type]

    def evaluate(self, variables: Mapping[str, Value], services: Services) -> Value:
        """The value of a template that is one expression; text when there is more around it."""
        frame = Frame(variables, services)
        if self._single is not None:
            return self._guarded(lambda: self._single(frame))  # type: ignore[misc]
        frame.typed = True
        out: Out = []
        self.run(frame, out)
        parts = [part for part in out if part != ""]
        if len(parts) == 2 and isinstance(parts[0], Typed) and parts[1] == "\n":
            parts.pop()
        if len(parts) == 1 and isinstance(parts[0], Typed):
            return parts[0].value
        return "".join(to_text(part.value, services.zone) if isinstance(part, Typed) else part for part in parts)

    def pieces(self, variables: Mapping[str, Value], services: Services) -> list[str]:
        """What it prints in pieces: those an expression printed are `Printed`."""
        frame = Frame(variables, services)
        frame.recording = True
        out: Out = []
        self.run(frame, out)
        return [part for part in out if isinstance(part, str)]

    def run(self, frame: Frame, out: Out) -> None:
        """Print into `out`, with a frame made by the caller."""
        frame.macros, frame.blocks = self._macros, self._blocks
        if self._scoped and not frame.scopes:
            frame.scopes = [{}]
        self._guarded(lambda: self._body(frame, out))

    def _guarded(self, work: Callable[[], Value]) -> Value:
        try:
            return work()
        except Missing as error:
            raise error.explained() from None
        except ExpressionFailed:
            raise
        except RecursionError as error:
            raise ExpressionFailed("The template is nested too deep to be rendered.") from error
        except ODD_VALUE as error:
            raise ExpressionFailed(f"The template cannot be rendered: {error}.") from error

    @cached_property
    def _nodes(self) -> tuple[nodes.Node, ...]:
        return tuple(nodes.walk(self.tree))

    def names(self) -> frozenset[tuple[str, ...]]:
        """Attribute paths that are read: ("outputs", "ask", "value"). Names the template sets itself are left out."""
        own = {node.name for node in self._nodes if isinstance(node, (nodes.Set, nodes.For))} | {"loop", ""}
        own |= {name for node in self._nodes if isinstance(node, nodes.Macro) for name, _ in node.parameters}
        on_the_way = {id(node.target) for node in self._nodes if isinstance(node, nodes.Attribute)}
        reads = (
            path_of(node)
            for node in self._nodes
            if isinstance(node, (nodes.Name, nodes.Attribute)) and id(node) not in on_the_way
        )
        return frozenset(path for path in reads if path and path[0] not in own)

    def functions(self) -> frozenset[str]:
        """Functions that are called; macros of the template are none."""
        return frozenset(node.name for node in self._nodes if isinstance(node, nodes.Call)) - set(self._macros)

    def filters(self) -> frozenset[str]:
        """Filters that are used."""
        return frozenset(node.name for node in self._nodes if isinstance(node, nodes.Filter))

    def tests(self) -> frozenset[str]:
        """Tests that are used."""
        return frozenset(node.name for node in self._nodes if isinstance(node, nodes.Test))


@lru_cache(maxsize=CACHED_TEMPLATES)
def _cached(text: str) -> Template:
    return Template(text)


def parse(text: str) -> Template:
    """A template, parsed once; ExpressionFailed with line and column where it cannot be read."""
    try:
        return _cached(text) if len(text) <= MAX_CACHED_TEMPLATE else Template(text)
    except RecursionError as error:
        raise ExpressionFailed("The template is nested too deep.", fix="Use {% set %} for the parts.") from error
