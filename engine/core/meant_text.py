"""Texts that say something else than their author meant: conditions that always hold, dates printed as minutes."""

import ast
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise, takewhile
from typing import Any

from engine.core import flow_validation
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.core.template_slips import spelt
from engine.core.yaml_text import Path, locate, walk
from engine.errors import ExpressionFailed
from engine.expressions import Template, nodes
from engine.expressions.date_formatting import format_date
from engine.expressions.date_names import ENGLISH

PLAIN_TEXTS = frozenset({  # where braces are those of no other language
    "message", "messageText", "format", "subject", "title", "summary", "text", "payload", "body", "prompt", "uri",
    "url", "htmlTextContent", "plainTextContent", "value", "values", "condition", "runIf", "when", "key", "name",
    "path", "to",
})  # fmt: skip
SURE = {  # what is read of these, to be told from what only looks alike
    "flow": ("id", "namespace", "revision", "tenantId"),
    "execution": ("id", "startDate"),
    "taskrun": ("value", "iteration"),
    "trigger": ("date", "body", "next", "previous"),
}
_BRACES = re.compile(
    r"(?<![{$%#\\])\$?\{ ?"
    r"(?P<path>(?P<root>inputs|outputs|vars|flow|execution|taskrun|trigger)\.(?P<name>\w+)[\w.]*)"
    r" ?\}(?!\})"
)
ESCAPES = {"\t": "t", "\a": "a", "\b": "b", "\v": "v", "\f": "f"}
_ESCAPED = re.compile(r"[A-Za-z]:[^\n]*?(?P<sign>[\t\x07\x08\x0b\x0c])[^\n]*")
CONDITIONS = frozenset({"condition", "conditions", "runIf", "when", "assert", "responseCondition"})
BLOCKS = frozenset({"tasks", "errors", "finally", "afterExecution", "outputs", "triggers"})
PLAIN = frozenset({"", "true", "false", "0", "1", "-0"})
LONGEST = 20_000  # characters of a program that is read
OF_LINES = (".py", ".yml", ".yaml", ".ini", ".toml", ".csv")
DATES = frozenset({"date", "dateFormat"})
EXAMPLE = datetime(2024, 3, 5, 14, 30, tzinfo=UTC)
_QUOTED = r"""(?>"[^"]*"|'[^']*'|.)*?"""  # braces in quotes end no tag
_TAG = re.compile(rf"\{{\{{{_QUOTED}\}}\}}|\{{%{_QUOTED}%\}}|\{{#.*?#\}}", re.DOTALL)
_CALL = re.compile(r"(?:secret|kv)\((['\"])[\w.-]+\1\)")
_WORD = re.compile(r"[\w-]+")
_PATH = re.compile(r"\s*(?:inputs|outputs|vars|trigger|taskrun|labels|execution|flow)(?:\.\w+|\[[^\]]+\])+\s*")
_OPERATOR = re.compile(r"[=!<>]=|[<>]|\s=\s|\b(?:and|or|not|is|contains|equals)\b")
# Letters that people take for others → what they are, and what is meant.
_LETTERS = (
    (re.compile(r"YYYY(?!.*w)"), "`YYYY` is the year that the week belongs to", "yyyy"),
    (re.compile(r"DD"), "`DD` is the day of the year", "dd"),
    (re.compile(r"(?<=[yY][-/.])mm|mm(?=[-/.][ydD])"), "`mm` are minutes", "MM"),
)


def always_true(data: Any) -> Iterator[Finding]:
    """Hints for conditions whose text is no expression, or compares outside of its braces: such a text is true."""
    for path, text in walk(data):
        at = path[:-1] if path[-2:-1] == ("conditions",) else path  # those of Assert stand in a list
        if not path or at[-1] not in CONDITIONS or not isinstance(text, str) or not _is_condition(data, at):
            continue
        if not has_template(text) and text.strip().lower() not in PLAIN:
            message = f"`{at[-1]}` is a plain text, which is always true."
            is_word = _WORD.fullmatch(text.strip()) is not None  # `on_failure`: no expression that could be meant
            meant = "inputs.name == 'value'" if is_word else spelt(text.strip())[:80]
            advice = f"Write {'a template, such as ' if is_word else ''}`{{{{ {meant} }}}}`."
            yield Finding(path, message, "constant-condition", "hint", advice)
        elif has_template(text) and text.count("{{") == text.count("}}") and _OPERATOR.search(_TAG.sub("", text)):
            message = f"`{at[-1]}` compares outside of its braces: it is a text, which is always true."
            yield Finding(path, message, "constant-condition", "hint", "Put all of it between one {{ and }}.")


def braces(data: Any, flow: Flow) -> Iterator[Finding]:
    """Hints for `{ flow.id }` and `${inputs.name}` in texts that are rendered: they stay as they are."""
    known: Mapping[str, Collection[str]] = {
        "inputs": {one.id.partition(".")[0] for one in flow.inputs},
        "vars": flow.variables.keys(),
        "outputs": {task.id for _, task in flow_validation.tasks(flow)},
        **SURE,
    }
    for path, text in walk(data):
        if not isinstance(text, str) or "{" not in text or PLAIN_TEXTS.isdisjoint(path[-2:]):
            continue
        bare = _TAG.sub(lambda tag: " " * len(tag[0]), text)
        for found in _BRACES.finditer(bare) if path[0] in BLOCKS else ():
            if found["name"] in known[found["root"]]:
                start = found.start()
                line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
                message = f"`{found[0]}` is plain text."
                advice = f"Write `{{{{ {found['path']} }}}}` for its value."
                yield Finding(path, message, "plain-braces", "hint", advice, "", line, column)


def is_path(text: str) -> bool:
    """Whether a text is a path without its braces: `inputs.hosts`."""
    return _PATH.fullmatch(text) is not None


def calls(data: Any) -> Iterator[Finding]:
    """Hints for texts that are the call of a function and nothing else, without its braces; of an output of the flow,
    and of what an input is chosen from, also for such a path."""
    for path, text in walk(data):
        if not isinstance(text, str) or not path:
            continue
        is_sure = (path[0], path[-1]) in (("outputs", "value"), ("inputs", "expression"))
        if (_CALL.fullmatch(text) and (is_sure or path[0] in BLOCKS)) or (is_sure and is_path(text)):
            message = f"`{text}` is plain text."
            yield Finding(path, message, "plain-braces", "hint", f"Write `{{{{ {text} }}}}` for its value.")


def escaped(data: Any) -> Iterator[Finding]:
    """Hints for paths of Windows in double quotes, where `\\t` is a tab."""
    for path, text in walk(data):
        if isinstance(text, str) and (drive := _ESCAPED.fullmatch(text)):
            sign = f"\\{ESCAPES[drive['sign']]}"
            message = f'`{sign}` is no part of a path here: a backslash in "…" starts an escape.'
            yield Finding(path, message, "escaped-path", "hint", "Put the path in single quotes.")


def _is_condition(data: Any, path: Path) -> bool:
    """Whether a property of such a name is one of the language, and not some value that a task is given."""
    if path[0] in ("checks", "sla") or path[-2:-1] == ("dependsOn",):
        return True
    holder = reduce(lambda value, step: value[step], path[:-1], data)
    return isinstance(holder, Mapping) and "." in str(holder.get("type", ""))


def folded(document: Any, lines: Sequence[str]) -> Iterator[Finding]:
    """Hints for scripts whose lines YAML joins to one, and for files of lines that `>` joins."""
    for path, text in walk(document):
        if not path or not isinstance(text, str):
            continue
        spot = locate(document, path)
        name = f"`{path[-1]}`"
        if path[-1] == "script" and spot.style == "" and "\n" not in text and spot.value_line <= len(lines):
            first = lines[spot.value_line - 1][spot.value_column - 1 :].partition(" #")[0].strip()
            if text != first and text.startswith(first):
                yield _folded(path, f"The lines of {name} are joined to one.")
        elif spot.style == ">" and _is_of_lines(document, path):
            block = _block(lines[spot.value_line :])
            if _joins(block) and not _is_meant(path, block, text):
                yield _folded(path, f"`>` joins lines of {name} that stand below each other.")


def _folded(path: Path, message: str) -> Finding:
    return Finding(path, message, "folded-script", "hint", f"Write `{path[-1]}: |` to keep them apart.")


def _is_of_lines(document: Any, path: Path) -> bool:
    """Whether a text is one whose lines are statements or entries: a script of Python, a file such as `main.py`."""
    if path[-1] == "script":
        holder = reduce(lambda value, step: value[step], path[:-1], document)
        return ".python." in str(holder.get("type", ""))
    return path[-2:-1] == ("inputFiles",) and str(path[-1]).endswith(OF_LINES)


def _block(lines: Sequence[str]) -> list[str]:
    """The lines of a block as they stand, without the space before all of them."""
    margin = next((len(line) - len(line.lstrip()) for line in lines if line.strip()), 0)
    return [line[margin:] for line in takewhile(lambda one: not one.strip() or one.startswith(" " * margin), lines)]


def _joins(block: Sequence[str]) -> bool:
    """Whether two lines of a block stand below each other, without more space before either."""
    flush = [bool(line.strip()) and not line.startswith((" ", "\t")) for line in block]
    return any(one and other for one, other in pairwise(flush))


def _is_meant(path: Path, block: Sequence[str], text: str) -> bool:
    """Whether a block is a program of Python that is right as it is folded, as YAML that a program wrote may be."""
    if not str(path[-1]).endswith(("script", ".py")):
        return False
    program = _program(text)
    return program is not None and _program("\n".join(block)) in (None, program)


def _program(text: str) -> str | None:
    """What a program of Python says, apart from how it is written; None when it is none."""
    if len(text) > LONGEST:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def dates(template: Template) -> Iterator[tuple[str, str, str, nodes.Node]]:
    """What is wrong with the date patterns of a template: severity, sentence, advice, where."""
    for node in template.every_node:
        if not isinstance(node, nodes.Filter) or node.name not in DATES:
            continue
        given = dict(node.arguments.named).get("format") or next(iter(node.arguments.positional), None)
        if not isinstance(given, nodes.Constant) or not isinstance(given.value, str):
            continue
        pattern = given.value
        try:
            format_date(EXAMPLE, pattern, ENGLISH)
        except ExpressionFailed as error:
            yield "warning", error.message, error.fix, node
            continue
        if pattern in ("X", "x"):
            said = (
                f"The date pattern {pattern!r} is the offset from UTC, such as {format_date(EXAMPLE, 'X', ENGLISH)!r}."
            )
            yield "hint", said, "Write `| timestamp` for the seconds since 1970.", node
        told, mended = "", pattern
        for letters, are, meant in _LETTERS:
            if letters.search(mended):
                told, mended = told or are, letters.sub(meant, mended)
        if told:
            yield "hint", f"In the date pattern {pattern!r}, {told}.", f"Write `{mended}`.", node


def untaken(
    data: Mapping[str, Any], block: str, takes: Callable[[str, str], bool], canonical: Callable[[str], str]
) -> Iterator[tuple[int, str, list[str]]]:
    """Values in pluginDefaults that no type of the flow has: which entry, which name, for which types."""
    kinds = {
        value["type"]
        for path, value in walk(data)
        if isinstance(value, Mapping) and isinstance(value.get("type"), str) and path[:1] != (block,)
    }
    for index, entry in enumerate(data[block]):
        family = entry.get("type") if isinstance(entry, Mapping) else None
        if not isinstance(family, str) or not isinstance(entry.get("values"), Mapping):
            continue
        now = canonical(family)
        meant = sorted(kind for kind in kinds if kind.startswith(family) or canonical(kind).startswith(now))
        for name in entry["values"] if meant else ():
            if not any(takes(kind, name) for kind in meant):
                yield index, name, meant
