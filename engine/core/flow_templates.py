"""The {{ templates }} of a flow: do they parse, and do the names in them exist?"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.core import (
    flow_validation,
    foreign_operations,
    meant_text,
    template_calls,
    template_roots,
    template_slips,
)
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flow_references import References
from engine.core.property import has_template
from engine.core.template_reads import reads
from engine.core.yaml_text import Path, spell, walk
from engine.expressions import FILTERS, FUNCTIONS, Template, nodes

NOT_RENDERED = frozenset({"pluginDefaults", "taskDefaults", "listeners", "extend"})
ONE_CAUSE = "not-rendered"  # one forgotten `render()` shows wherever the variable is read
SHOWN = 3  # other places of it that are named
PROSE = frozenset({"description", "displayName"})  # rendered by a few tasks only


def findings(data: Mapping[str, Any], flow: Flow | None) -> list[Finding]:
    """Errors for templates that can't be parsed, warnings for filters, functions, tasks and inputs that don't exist."""
    references = References(flow) if flow is not None else None
    raw = _raw(flow) if flow is not None else frozenset()
    found: list[Finding] = []
    disabled: list[Path] = []  # what is switched off is removed before anything of it is rendered
    for path, value in walk(data):
        if isinstance(value, Mapping) and value.get("disabled") is True:
            disabled.append(path)
        if isinstance(value, str) and has_template(value) and path[0] not in NOT_RENDERED and not _is_prose(path):
            off = any(path[: len(part)] == part for part in disabled)
            own = data["inputs"][path[1]] if path[0] == "inputs" and isinstance(path[1], int) else None
            told = _template(path, value, references, raw, _reading(own, flow))
            found += _switched_off(told) if off else told
    return _once(found)


def _once(found: list[Finding]) -> list[Finding]:
    """What has one cause is told where it shows first, with the other places."""
    kept: dict[str, Finding] = {}
    others: dict[str, list[str]] = {}
    for one in found:
        if one.code == ONE_CAUSE and kept.setdefault(one.message, one) is not one:
            others.setdefault(one.message, []).append(f"`{spell(one.path)}`")
    return [
        replace(one, message=f"{one.message[:-1]}; so it does in {_listed(others[one.message])}.")
        if one.message in others
        else one
        for one in found
        if one.code != ONE_CAUSE or kept[one.message] is one
    ]


def _listed(places: list[str]) -> str:
    """The first few, and how many more."""
    more = len(places) - SHOWN
    return f"{', '.join(places[:SHOWN])}{f' and {more} more' if more > 0 else ''}"


def _switched_off(told: Iterable[Finding]) -> Iterator[Finding]:
    """What is to be said of a part that doesn't run for now: an error fails nothing, a hint waits."""
    for one in told:
        if one.severity != "hint":
            yield replace(one, severity="warning")


def _is_prose(path: Path) -> bool:
    """Whether a text is shown as it is: what a flow, an input or an output is for. A task may render its own."""
    return path[-1] in PROSE and (len(path) == 1 or path[0] in ("inputs", "outputs"))


def _raw(flow: Flow) -> frozenset[str]:
    """Variables that hold templates, which `render()` alone evaluates."""
    if any(type(task).__name__ == "SetVariables" for _, task in flow_validation.tasks(flow)):
        return frozenset()
    return frozenset(name for name, value in flow.variables.items() if isinstance(value, str) and _asks(value))


def _asks(text: str) -> bool:
    """Whether a text holds a template that asks for something a flow has: Ansible, dbt and GitHub have braces, too."""
    if not has_template(text):
        return False
    _, template = template_slips.errors(text)
    roots = {read.path[0] for read in reads(template)} if template is not None else set()
    ours = template_roots.MEANT | template_roots.GIVEN | template_roots.ELSEWHERE.keys()
    return not roots or not roots.isdisjoint(ours)


def _reading(own: Any, flow: Flow | None) -> frozenset[str]:
    """Variables whose templates read one input: its own default can't be made of them."""
    name = own.get("id") if isinstance(own, Mapping) else None
    texts = {key: text for key, text in flow.variables.items() if isinstance(text, str)} if flow and name else {}
    return frozenset(key for key, text in texts.items() if _reads_input(text, str(name)))


def _reads_input(text: str, name: str) -> bool:
    _, template = template_slips.errors(text)
    return template is not None and any(read.path[:2] == ("inputs", name) for read in reads(template))


def _template(
    path: Path, text: str, references: References | None, raw: frozenset[str], circular: frozenset[str]
) -> Iterator[Finding]:
    lenient = path[0] == "variables" or path[-1] in PROSE  # variables are rendered only where `render()` asks for it
    severity = "warning" if lenient else "error"
    broken, template = template_slips.errors(text)
    for one in broken:
        said = f"The template can't be read: {one.message}"
        yield Finding(path, said, "template", severity, one.fix, "", one.line, one.column)
    if template is None:
        return
    yield from _unknown(path, "filter", template.filters() - FILTERS.keys(), template, FILTERS)
    yield from _unknown(path, "function", template.functions() - FUNCTIONS.keys(), template, FUNCTIONS)
    for how_bad, said, advice, node in meant_text.dates(template):
        yield Finding(path, said, "date-pattern", how_bad, advice, "", *node.at)
    for said, advice, node in template_calls.failing(template):
        yield Finding(path, said, "template-call", "warning", advice, "", *node.at)
    if references is not None:
        yield from references.findings(path, template)
    if raw and not lenient and "render" not in text:
        yield from _as_written(path, template, raw, circular)


def _as_written(path: Path, template: Template, raw: frozenset[str], circular: frozenset[str]) -> Iterator[Finding]:
    """Variables that hold a template where `render()` is forgotten, or would ask for what it is to give."""
    there = {one.path[1]: one.at for one in reversed(reads(template)) if one.path[0] == "vars" and len(one.path) == 2}
    for name in sorted(raw & there.keys()):
        said = f"`vars.{name}` holds a template, which stands here as it is written."
        advice = "It reads this very input: write a default that does not." if name in circular else ""
        yield Finding(path, said, ONE_CAUSE, "hint", advice or f"Write `render(vars.{name})`.", "", *there[name])


def _unknown(
    path: Path, kind: str, used: Collection[str], template: Template, installed: Collection[str]
) -> Iterator[Finding]:
    for name in sorted(used):
        advice = foreign_operations.instead(kind, name, installed)
        calls = (one for one in template.every_node if isinstance(one, (nodes.Call, nodes.Filter)))
        at = next(one.at for one in calls if one.name == name)
        yield Finding(path, f"There is no {kind} `{name}`.", f"unknown-{kind}", "warning", advice, "", *at)
