"""The {{ templates }} of a flow: do they parse, and do the names in them exist?"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from engine.core import flow_validation
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.core.yaml_text import Path, walk
from engine.errors import ExpressionFailed
from engine.expressions import FILTERS, FUNCTIONS, parse

NOT_RENDERED = frozenset({"pluginDefaults", "taskDefaults", "listeners"})
PROSE = frozenset({"description", "displayName"})  # rendered by a few tasks only
ITEMS = ("_split", "_items", "_merge")  # task runs that a ForEachItem makes of itself


def findings(data: Mapping[str, Any], flow: Flow | None) -> list[Finding]:
    """Errors for templates that can't be parsed, warnings for filters, functions, tasks and inputs that don't exist."""
    names = _Names(flow) if flow is not None else None
    found: list[Finding] = []
    for path, value in walk(data):
        if isinstance(value, str) and has_template(value) and path[0] not in NOT_RENDERED:
            found += _template(path, value, names)
    return found


class _Names:
    """Ids that templates of a flow may refer to."""

    def __init__(self, flow: Flow) -> None:
        ids = [task.id for _, task in flow_validation.tasks(flow)]
        loops = [task.id for _, task in flow_validation.tasks(flow) if type(task).__name__ == "ForEachItem"]
        self.known = {
            "outputs": {*ids, *(f"{name}{suffix}" for name in loops for suffix in ITEMS)},
            "tasks": set(ids),
            "inputs": {one.id.partition(".")[0] for one in flow.inputs},
        }
        self.whole_inputs = {one.id for one in flow.inputs}


def _template(path: Path, text: str, names: _Names | None) -> Iterator[Finding]:
    lenient = path[0] == "variables" or path[-1] in PROSE  # variables are rendered only where `render()` asks for it
    severity = "warning" if lenient else "error"
    try:
        template = parse(text)
    except ExpressionFailed as error:
        yield Finding(
            path,
            f"The template can't be read: {error.message}",
            "template",
            severity,
            error.fix,
            "",
            error.line,
            error.column,
        )
        return
    yield from _unknown(path, "filter", template.filters(), FILTERS)
    yield from _unknown(path, "function", template.functions(), FUNCTIONS)
    if names is not None:
        yield from _references(path, template.names(), names)


def _unknown(path: Path, kind: str, used: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    installed = set(known)
    for name in sorted(set(used) - installed):
        near = get_close_matches(name, installed, n=1)
        advice = f"Did you mean `{near[0]}`?" if near else ""
        yield Finding(path, f"There is no {kind} `{name}`.", f"unknown-{kind}", "warning", advice)


def _references(path: Path, used: Iterable[tuple[str, ...]], names: _Names) -> Iterator[Finding]:
    said = set()
    for root, *rest in sorted(used):
        known = names.known.get(root)
        if known is None or not rest or not _is_own(path, root) or (root, rest[0]) in said:
            continue
        said.add((root, rest[0]))
        if rest[0] in known:
            continue
        what = "input" if root == "inputs" else "task"
        near = get_close_matches(rest[0], known, n=1)
        advice = f"Did you mean `{root}.{near[0]}`?" if near else ""
        yield Finding(path, f"`{root}.{rest[0]}` names no {what} of this flow.", f"unknown-{what}", "warning", advice)


@lru_cache(maxsize=4)
def _foreign(root: str) -> frozenset[str]:
    """Parts of a flow in which a name belongs to another execution or another list of inputs."""
    return frozenset({"triggers", "onResume"} if root == "inputs" else {"triggers"})


def _is_own(path: Path, root: str) -> bool:
    return _foreign(root).isdisjoint(path)
