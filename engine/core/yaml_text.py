"""YAML text → plain values with the place of each, in our own dialect.

Only `true` and `false` are booleans; dates, times, octal and sexagesimal numbers stay text; keys are always text; a key
given twice is an error. (Stock PyYAML reads `12:30:00` as 45000, `on` as True and `010` as 8.)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml._yaml import CParser

from engine.core import yaml_slips
from engine.errors import FlowInvalid, Problem

Path = tuple[str | int, ...]

MAX_VALUES = 50_000  # anchors can multiply a small text into an endless document
MAX_DEPTH = 200
SAFE_LENGTH = 10_000  # a shorter text can't be nested so deep that composing it exhausts the C stack
_TAG = "tag:yaml.org,2002:"
_NEGATED = re.compile(r"!(?:inputs|outputs|vars|labels|trigger|execution|taskrun|flow)\.[\w.-]+")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an entry stands: its key (or list item), and its value with the quoting of it. Lines and columns from 1."""

    line: int
    column: int
    value_line: int = 0
    value_column: int = 0
    style: str = ""


class Map(dict[str, Any]):
    """A mapping that knows where its entries stand."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spots: dict[str | int, Spot] = {}


class Seq(list[Any]):
    """A list that knows where its items stand."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.spots: dict[str | int, Spot] = {}


class _Resolver(yaml.resolver.BaseResolver):
    """Which plain text is more than text."""


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _Resolver.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), [*_first.replace("\0", ""), ""])


class _Composer(CParser, _Resolver):
    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        _Resolver.__init__(self)


def read(text: str) -> Any:
    """The document as Map, Seq and scalars; FlowInvalid with line, column and a plain sentence when it is broken.

    Of keys that stand twice each is told, all in one FlowInvalid.
    """
    try:
        if len(text) > SAFE_LENGTH:
            _refuse_deep(text)
        composer = _Composer(text)
        try:
            node = _only_node(composer, text)
        finally:
            composer.dispose()
    except (yaml.YAMLError, RecursionError, UnicodeError) as error:
        raise _broken(error, text) from error
    reader = _Reader()
    value = reader.value(node, 0) if node is not None else None
    if reader.doubled:
        raise FlowInvalid(reader.doubled[0].message, fix=reader.doubled[0].suggestion, problems=reader.doubled)
    return value


def _only_node(composer: _Composer, text: str) -> yaml.Node | None:
    """The first document; what follows a second `---` must be empty."""
    node: yaml.Node | None = composer.get_node() if composer.check_node() else None
    while composer.check_node():
        more = composer.get_node()
        if more is not None and (not isinstance(more, yaml.ScalarNode) or more.value):
            before = text.split("\n")[: more.start_mark.line + 1]
            line = max((number for number, one in enumerate(before, 1) if one.startswith("---")), default=1)
            message = "A second document begins at this `---`, and only one is taken here. Give each a file of its own."
            raise FlowInvalid(message, problems=[Problem("", message, line=line, column=1, code="yaml-documents")])
    return node


def _refuse_deep(text: str) -> None:
    parser = _Composer(text)
    depth = 0
    try:
        while parser.check_event():
            event = parser.get_event()
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _problem(event, f"The document is nested more than {MAX_DEPTH} levels deep.", "yaml-depth")
    finally:
        parser.dispose()


def plain(value: Any) -> Any:
    """The same document without the places: plain dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of a document with its path, containers before what they hold."""
    yield path, value
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from walk(item, (*path, key))


def locate(document: Any, path: Path) -> Spot:
    """Where the deepest part of a path that exists stands; the start of the document when none does."""
    spot = Spot(1, 1, 1, 1)
    for step in path:
        spots = getattr(document, "spots", {})
        if step not in spots:
            break
        spot = spots[step]
        document = document[step]
    return spot


def spell(path: Path) -> str:
    """`tasks[0].then[1].uri`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


class _Reader:
    """Nodes → values, counting what anchors multiply."""

    def __init__(self) -> None:
        self.count = 0
        self.open: set[int] = set()
        self.doubled: list[Problem] = []  # keys that a mapping has twice

    def value(self, node: yaml.Node, depth: int) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _problem(
                node, f"The document unfolds to more than {MAX_VALUES} values; use fewer aliases.", "yaml-size"
            )
        if depth > MAX_DEPTH:
            raise _problem(node, f"The document is nested more than {MAX_DEPTH} levels deep.", "yaml-depth")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if id(node) in self.open:
            raise _problem(node, "An alias stands inside the value that it names.", "yaml-alias")
        self.open.add(id(node))
        try:
            return self.sequence(node, depth) if isinstance(node, yaml.SequenceNode) else self.mapping(node, depth)
        finally:
            self.open.discard(id(node))

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "merge" | "timestamp":
                return text
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if re.fullmatch(r"[-+]?[0-9]{1,300}", text):
                return int(text)
            case "float" if (number := _float(text)) is not None:
                return number
        raise _odd_tag(node)

    def sequence(self, node: yaml.SequenceNode, depth: int) -> Seq:
        self.check_tag(node, "seq")
        items = Seq()
        for index, item in enumerate(node.value):
            items.append(self.value(item, depth + 1))
            items.spots[index] = _spot(item, item)
        return items

    def mapping(self, node: yaml.Node, depth: int) -> Map:
        self.check_tag(node, "map")
        entries, inherited = Map(), Map()
        follows = False
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                self.inherit(inherited, value_node, depth)
                continue
            key = self.key(key_node, node)
            value = self.value(value_node, depth + 1)
            if key in entries:
                if not follows:
                    self.tell_doubled(key, key_node, entries.spots[key])
                follows = follows or key == "id"  # the rest of an item that lacks its dash
                continue
            entries[key] = value
            entries.spots[key] = _spot(key_node, value_node)
        for key, item in inherited.items():
            if key not in entries:
                entries[key], entries.spots[key] = item, inherited.spots[key]
        return entries

    def tell_doubled(self, key: str, node: yaml.Node, first: Spot) -> None:
        """Note a key that its mapping has already; once, though aliases have a mapping read again."""
        advice = "Begin this line with `- ` if it is another item." if key == "id" else ""
        message = f"The key `{key}` is given twice; it stands in line {first.line} already."
        problem = _problem(node, message, "duplicate-key", advice).problems[0]
        self.doubled += [problem] if problem not in self.doubled else []

    def inherit(self, into: Map, node: yaml.Node, depth: int) -> None:
        """`<<: *anchor`, or a list of them: the first to name a key wins."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise _problem(source, "`<<` takes a mapping, or a list of mappings.", "yaml-merge")
            found = self.value(source, depth + 1)
            for key, item in found.items():
                if key not in into:
                    into[key], into.spots[key] = item, found.spots[key]

    def key(self, node: yaml.Node, owner: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if isinstance(node, yaml.MappingNode):
            raise _problem(owner, yaml_slips.QUOTE_TEMPLATE, "yaml-template")
        raise _problem(node, "A key must be text.", "yaml-key")

    def check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != _TAG + expected:
            raise _odd_tag(node)


def _odd_tag(node: yaml.Node) -> FlowInvalid:
    tag = node.tag.replace(_TAG, "!!")
    advice = "Put text that starts with `!` in quotes." if not tag.startswith("!!") else ""
    if _NEGATED.fullmatch(tag):
        advice = f'Write "{{{{ not {tag[1:]} }}}}", in quotes.'
    return _problem(node, f"The tag `{tag}` does not fit here; write the value without a tag.", "yaml-tag", advice)


def _float(text: str) -> float | None:
    named = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
    try:
        return named[text.lower()] if text.lower() in named else float(text)
    except ValueError:
        return None  # the tag `!!float` before what is no number


def _spot(key: yaml.Node, value: yaml.Node) -> Spot:
    start, mark = key.start_mark, value.start_mark
    style = getattr(value, "style", None) or ""
    return Spot(start.line + 1, start.column + 1, mark.line + 1, mark.column + 1, style)


def _problem(node: Any, message: str, code: str, advice: str = "") -> FlowInvalid:
    mark = node.start_mark
    problem = Problem("", message, line=mark.line + 1, column=mark.column + 1, code=code, suggestion=advice)
    return FlowInvalid(message, fix=advice, problems=[problem])


def _broken(error: Exception, text: str) -> FlowInvalid:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    opened = getattr(error, "context_mark", None)
    said = " ".join(str(getattr(error, part, "") or "") for part in ("problem", "context")).strip() or str(error)
    at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if isinstance(error, RecursionError) or "nesting" in said:
        found = yaml_slips.Slip(f"The document is nested more than {MAX_DEPTH} levels deep.", *at)
    else:
        found = yaml_slips.slip(text, said, at, (opened.line + 1, opened.column + 1) if opened else None)
    problem = Problem(path="", message=found.sentence, line=found.line, column=found.column, code="yaml")
    return FlowInvalid(found.sentence, problems=[problem])
