"""Parsed templates: what they read, and what they give for some variables."""

from collections.abc import Callable, Mapping
from functools import cached_property
from threading import Lock
from typing import Final, NoReturn

from engine.errors import ExpressionFailed, NameMissing
from engine.expressions import nodes
from engine.expressions.allowance import enter, excerpt
from engine.expressions.closures import Run
from engine.expressions.failures import ODD_VALUE, Missing
from engine.expressions.frame import Frame, Out, Typed
from engine.expressions.limits import CACHED_PARTS, CACHED_TEMPLATES, MAX_SAID
from engine.expressions.parser import parse_template
from engine.expressions.printing import to_text
from engine.expressions.services import Services
from engine.expressions.statements import StatementCompiler
from engine.expressions.trust import path_of
from engine.expressions.values import Value

_LONG: Final = frozenset({"jq", "regexMatch", "regexExtract", "regexReplace", "replace", "split"})


class Template:
    """A parsed template. Build one with `parse`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_static = "{" not in text
        self.tree = nodes.Body((1, 1), (nodes.Text((1, 1), text),)) if self.is_static else parse_template(text)
        self._single: Run | None = None
        compiler = StatementCompiler(self.tree)
        self.parts = compiler.parts + (len(text) >> 4)
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
            return self._guarded(frame, lambda: self._single(frame))  # type: ignore[misc]
        frame.typed = True
        out: Out = []
        self.run(frame, out)
        parts = [part for part in out if part != ""]
        if len(parts) == 2 and isinstance(parts[0], Typed) and parts[1] == "\n":
            parts.pop()
        if len(parts) == 1 and isinstance(parts[0], Typed):
            return parts[0].value
        return self._guarded(frame, lambda: self._joined(frame, parts))

    def _joined(self, frame: Frame, parts: Out) -> str:
        found: list[str] = []
        for part in parts:
            if isinstance(part, Typed):
                found.append(to_text(part.value, frame.services.zone))
                frame.left.room -= len(found[-1])
                frame.charge(1)
                if frame.left.room < 0:
                    frame.left.overdrawn()
            else:
                found.append(part)
        return "".join(found)

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
        before = enter(frame.left)
        try:
            self._body(frame, out)
        except _FAILURES as error:
            _explain(error)
        finally:
            enter(before)

    def _guarded(self, frame: Frame, work: Callable[[], Value]) -> Value:
        before = enter(frame.left)
        try:
            return work()
        except _FAILURES as error:
            _explain(error)
        finally:
            enter(before)

    @cached_property
    def every_node(self) -> tuple[nodes.Node, ...]:
        """The nodes of its tree, in order."""
        return tuple(nodes.walk(self.tree))

    def names(self) -> frozenset[tuple[str, ...]]:
        """Attribute paths that are read: ("outputs", "ask", "value"). Names the template sets itself are left out."""
        own = {node.name for node in self.every_node if isinstance(node, (nodes.Set, nodes.For))} | {"loop", ""}
        own |= {name for node in self.every_node if isinstance(node, nodes.Macro) for name, _ in node.parameters}
        on_the_way = {id(node.target) for node in self.every_node if isinstance(node, nodes.Attribute)}
        reads = (
            path_of(node)
            for node in self.every_node
            if isinstance(node, (nodes.Name, nodes.Attribute)) and id(node) not in on_the_way
        )
        return frozenset(path for path in reads if path and path[0] not in own)

    def functions(self) -> frozenset[str]:
        """Functions that are called; macros of the template are none."""
        return frozenset(node.name for node in self.every_node if isinstance(node, nodes.Call)) - set(self._macros)

    def filters(self) -> frozenset[str]:
        """Filters that are used."""
        return frozenset(node.name for node in self.every_node if isinstance(node, nodes.Filter))

    @property
    def may_take_long(self) -> bool:
        """Whether it may take seconds: it loops, or has patterns or jq programs, which may run in another process."""
        return not _LONG.isdisjoint(self.filters()) or any(
            isinstance(node, nodes.For | nodes.Macro)
            or (
                isinstance(node, nodes.Attribute)
                and node.arguments is not None
                and getattr(node.key, "value", None) == "split"
            )
            for node in self.every_node
        )

    def tests(self) -> frozenset[str]:
        """Tests that are used."""
        return frozenset(node.name for node in self.every_node if isinstance(node, nodes.Test))


_FAILURES: Final = (ExpressionFailed, *ODD_VALUE)


def _explain(error: Exception) -> NoReturn:
    """Raise what went wrong in a render as an error of ours."""
    if isinstance(error, Missing):
        raise _brief(error.explained()) from None
    if isinstance(error, ExpressionFailed):
        raise _brief(error)
    if isinstance(error, RecursionError):
        raise ExpressionFailed("The template is nested too deep to be rendered.") from error
    raise ExpressionFailed(f"The template cannot be rendered: {error}.") from error


def _brief(error: ExpressionFailed) -> ExpressionFailed:
    if len(error.message) + len(error.fix) <= MAX_SAID:
        return error
    kind = NameMissing if isinstance(error, NameMissing) else ExpressionFailed
    said, fix = excerpt(error.message, MAX_SAID // 2), excerpt(error.fix, MAX_SAID // 2)
    return kind(f"{said}…", fix=fix, line=error.line, column=error.column)


class _Cache:
    """Templates by text; the oldest go when there are too many, or they have too many parts."""

    def __init__(self) -> None:
        self.found: dict[str, Template] = {}
        self.parts = 0
        self.lock = Lock()

    def keep(self, template: Template) -> None:
        with self.lock:
            if template.text in self.found or template.parts > CACHED_PARTS // 2:
                return
            self.found[template.text] = template
            self.parts += template.parts
            while len(self.found) > CACHED_TEMPLATES or self.parts > CACHED_PARTS:
                self.parts -= self.found.pop(next(iter(self.found))).parts


_CACHE = _Cache()


def parse(text: str) -> Template:
    """A template, parsed once; ExpressionFailed with line and column where it cannot be read."""
    if (known := _CACHE.found.get(text)) is not None:
        return known
    try:
        template = Template(text)
        _CACHE.keep(template)
        return template
    except RecursionError as error:
        raise ExpressionFailed("The template is nested too deep.", fix="Use {% set %} for the parts.") from error
