"""Templates that stand bare in shell text, but for those whose value can hold nothing that a shell acts on."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from engine.core import task_outputs, template_reads
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flow_scope import BY_VALUE, Scope
from engine.core.inputs import Input
from engine.core.property import marker
from engine.core.shell_text import unquoted
from engine.core.task import Part, Task
from engine.core.triggers import Scheduled
from engine.core.yaml_text import Path, walk

NO_TEXT = frozenset({"INT", "FLOAT", "BOOLEAN", "BOOL", "DATE", "TIME", "DATETIME", "DURATION"})
PLAIN = re.compile(r"[\w./:@%+=,-]+")
_WORD = r"""(-?\d+(\.\d+)?|'[\w./:@%+=,-]*'|"[\w./:@%+=,-]*")"""
TAMED = re.compile(  # one value whose last filter leaves nothing that a shell acts on, or one of two plain words
    r"[\w.]+(\s*\|\s*\w+(\([^()]*\))?)*"
    r"\s*\|\s*(slugify|urlencode|base64encode|length|number|md5|sha1|sha256|sha512)(\([^()]*\))?"
    rf"|[^?]*[^?\s]\s*\?\s*{_WORD}\s*:\s*{_WORD}"
)
DATED = re.compile(  # dates that the engine gives, one or the first of several
    r"(trigger\.(date|next|previous)|execution\.(startDate|endDate))"
    r"(\s*\?\?\s*(trigger\.(date|next|previous)|execution\.(startDate|endDate)))*(\s*\|\s*date\([^()|]*\))?"
)
RENDERED = re.compile(r"render\(\s*vars\.(\w+)\s*\)")
TEMPLATE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
ACTING = re.compile(r"[;&|<>`$()\\\n]|\{[%#]")  # begins another command, or may
ALONE = re.compile(r"\s*\{\{((?!\}\}).)*\}\}\s*")
LOOPS = frozenset({"Loop", *BY_VALUE})  # what `taskrun.value` and `item.value` can be of
OF_LOOP = re.compile(r"(parent\.|parents\[\d+\]\.)?taskrun\.value|item\.((parent\.)*|parents\[\d+\]\.)value")
OURS = ("taskrun.iteration", "taskrun.attemptsCount", "taskrun.id", "taskrun.startDate", "item.index")  # as made here
OWN_FILE = re.compile(r"""read\(\s*(['"])(?!kestra:)[^'"{}]*\1\s*\)""")  # of the namespace, by its name in the flow
RANGE = re.compile(r"\{\{\s*range\([\d,\s-]*\)\s*\}\}")
FROM_OUTSIDE = ("inputs", "outputs", "trigger", "taskrun", "item", "labels", "vars")


def findings(flow: Flow, every: Iterable[tuple[Path, BaseModel]]) -> Iterator[Finding]:
    """A hint for each template in shell text that stands outside of quotes and may hold anything."""
    scope = Scope(flow)
    plain = frozenset(_plain(flow))
    chosen = frozenset(f"inputs.{one.id}" for one in flow.inputs if _is_chosen(one))
    kinds = {task.id: type(task) for task in scope.tasks.values()}
    is_dated = all(isinstance(one, Scheduled) for one in flow.triggers)  # others hand on dates that they were told

    def is_safe(expression: str, path: Path) -> bool:
        if expression in plain or TAMED.fullmatch(expression) or _is_stored(expression, kinds):
            return True
        if OWN_FILE.fullmatch(expression) or (is_dated and DATED.fullmatch(expression)):
            return True
        if OF_LOOP.fullmatch(expression):
            return _is_listed(scope, path)
        found = RENDERED.fullmatch(expression)
        text = flow.variables.get(found[1]) if found else None
        if not isinstance(text, str) or ACTING.search(TEMPLATE.sub("", text)):
            return False
        inner = [one.strip() for one in TEMPLATE.findall(text)]
        return not any("render" in one for one in inner) and all(is_safe(one, path) for one in inner)

    for path, part in every:
        for inner, text in _shell_texts(part):
            for expression, line, column in unquoted(text):
                if not any(word in expression for word in FROM_OUTSIDE) and "read(" not in expression:
                    continue
                if is_safe(expression, path) or (expression in chosen and ALONE.fullmatch(text)):
                    continue
                message = f"`{{{{ {expression} }}}}` stands unquoted in shell text: a `;` in it starts a command."
                advice = 'Put it in double quotes: "{{ … }}".'
                if ALONE.fullmatch(text):
                    message = f"`{{{{ {expression} }}}}` is the command itself: whoever gives it says what runs."
                    advice = "Let people choose among commands that the flow lists, or write the program here."
                yield Finding((*path, *inner), message, "shell-quoting", "hint", advice, "", line, column)


def _shell_texts(part: BaseModel) -> Iterator[tuple[Path, str]]:
    for name in part.model_fields_set if isinstance(part, Part) else ():
        field = type(part).model_fields.get(name)
        mark = marker(field) if field is not None else None
        if field is not None and mark is not None and mark.guard == "shell":
            texts = walk(getattr(part, name), (field.alias or name,))
            yield from ((path, text) for path, text in texts if isinstance(text, str))


def _plain(flow: Flow) -> Iterator[str]:
    """Expressions whose value can't hold what a shell would act on: typed inputs, and plain words of the flow's own."""
    yield from OURS
    yield from (f"inputs.{one.id}" for one in flow.inputs if one.type in NO_TEXT or _one_of_tame(one))
    for name, value in flow.variables.items():
        if _is_tame(value):
            yield f"vars.{name}"
            yield f"render(vars.{name})"


def _is_stored(expression: str, kinds: Mapping[str, type[Task]]) -> bool:
    """Whether an expression is the address of a file that a task of the flow has put into internal storage: what is
    put there gets a name without any sign that a shell acts on."""
    keys = template_reads.keys(expression)
    if keys[:1] != ("outputs",) or len(keys) < 3:
        return False
    cls = kinds.get(keys[1] or "")
    return cls is not None and task_outputs.is_stored(cls, keys[2:])


def _is_listed(scope: Scope, path: Path) -> bool:
    """Whether all loops around a place go over nothing but plain words that the flow lists."""
    loops = [scope.tasks[one] for one in scope.around(path)[:-1] if scope.kind(one) in LOOPS]
    return all(_holds_plain(getattr(one, "values", None) or getattr(one, "value", None)) for one in loops)


def _holds_plain(values: Any) -> bool:
    """Whether a loop goes over nothing but plain words that the flow lists, be it as JSON."""
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except ValueError:
            return RANGE.fullmatch(values) is not None
    return isinstance(values, list | tuple) and all(map(_is_plain, values))


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and PLAIN.fullmatch(value) is not None)


def _is_tame(value: Any) -> bool:
    """Whether a text of the flow's own begins no other command, be it several words."""
    return _is_plain(value) or (isinstance(value, str) and "{{" not in value and not ACTING.search(value))


def _one_of_tame(one: Input) -> bool:
    return _is_chosen(one) and all(map(_is_tame, one.choices or ()))


def _is_chosen(one: Input) -> bool:
    """Whether an input takes nothing but what the flow lists."""
    if one.type not in ("SELECT", "ENUM") or not one.required or getattr(one, "expression", None):
        return False
    return not getattr(one, "allow_custom_value", False) and bool(one.choices)
