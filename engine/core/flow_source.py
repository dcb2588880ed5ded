"""YAML text → Flow, and everything that can be said about the text with line and column."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from pydantic import ValidationError

from engine.core import (
    flow_hints,
    flow_mended,
    flow_problems,
    flow_templates,
    flow_validation,
    meant_text,
    plugin_defaults,
    yaml_text,
)
from engine.core import older_names as names
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flow_calls import FindFlow
from engine.core.registry import Registry
from engine.core.text_places import inside
from engine.errors import FlowInvalid, Problem

COMMENTED = re.compile(r":\s+#\S")
SEVERITIES = ("error", "warning", "hint")


def load(text: str, registry: Registry, *, file: str = "", globals_defaults: Sequence[Mapping[str, Any]] = ()) -> Flow:
    """The flow a text describes; FlowInvalid with every error, its line, column, path and suggestion."""
    flow, problems = examine(text, registry, file=file, globals_defaults=globals_defaults, hints=False)
    errors = [problem for problem in problems if problem.severity == "error"]
    if flow is None or errors:
        raise invalid(errors, file)
    return flow


def check(
    text: str,
    registry: Registry,
    file: str = "",
    *,
    globals_defaults: Sequence[Mapping[str, Any]] = (),
    find_flow: FindFlow | None = None,
    document: Any = None,
) -> list[Problem]:
    """Errors, warnings and hints about a text, by line.

    `find_flow` gives the flows it may call, `document` is what `yaml_text.read` gave for the text.
    """
    _, problems = examine(
        text, registry, file=file, globals_defaults=globals_defaults, find_flow=find_flow, document=document
    )
    return problems


def older_names(text: str, registry: Registry) -> list[str]:
    """What a flow that can be read calls by an older name: "`old` (write `new`)", each once."""
    found = names.older_names(yaml_text.plain(yaml_text.read(text)), registry)
    return list(dict.fromkeys(f"`{one.name}` ({one.advice})" for one in found))


def examine(
    text: str,
    registry: Registry,
    *,
    file: str = "",
    globals_defaults: Sequence[Mapping[str, Any]] = (),
    find_flow: FindFlow | None = None,
    hints: bool = True,
    document: Any = None,
) -> tuple[Flow | None, list[Problem]]:
    """The flow, None when it can't be read at all, and what is to be said about it."""
    try:
        document = yaml_text.read(text) if document is None else document
    except FlowInvalid as broken:
        return None, [replace(problem, file=file) for problem in broken.problems]
    if not isinstance(document, yaml_text.Map):
        empty = "The file is empty: a flow" if document is None else "A flow is a mapping that"
        message = f"{empty} has `id`, `namespace` and `tasks`."
        return None, [Problem(path="", message=message, line=1, column=1, code="not-a-flow", file=file)]

    if below := _below(document):
        at_the_top = "Begin `id`, `namespace` and `tasks` in the first column."
        found = Finding((below,), f"The flow stands below `{below}`.", "not-a-flow", suggestion=at_the_top)
        return None, [_problem(found, document, text.split("\n"), file)]

    def takes(kind: str, name: str) -> bool:
        cls = registry.find(kind)
        return cls is None or name in flow_problems.properties(cls)

    merged = plugin_defaults.apply(document, _defaults(document), globals_defaults, registry.canonical, takes)
    data = yaml_text.plain(merged)
    findings: list[Finding] = []
    flow = None
    try:
        flow = Flow.model_validate(data, context={"registry": registry, "source": True}, by_name=False, by_alias=True)
    except ValidationError as error:
        findings += flow_problems.translate(error, data, registry)
    mended = flow_mended.mended(data, findings, registry) if findings and hints else flow_mended.Mended(flow)
    looked_at = mended.flow
    findings += mended.found
    if looked_at is not None:
        findings += mended.apart(flow_validation.breaches(looked_at))
    findings += mended.of_names(flow_templates.findings(data, looked_at if hints else None))
    if looked_at is not None and hints:
        findings += mended.apart(flow_hints.hints(looked_at, data, registry, find_flow))
    lines = text.split("\n")
    findings += meant_text.folded(merged, lines) if hints else ()
    problems = [_problem(finding, merged, lines, file) for finding in dict.fromkeys(names.merged(findings))]
    # What stands once, in pluginDefaults or behind an anchor, is told once, for the first part that has it.
    problems = list({(one.line, one.column, one.code, one.message): one for one in reversed(problems)}.values())[::-1]
    problems.sort(key=lambda one: (one.line, one.column, SEVERITIES.index(one.severity)))
    return flow, problems


def invalid(errors: Sequence[Problem], file: str = "") -> FlowInvalid:
    """The error that says all of these; the first few are in its message."""
    told = "; ".join(f"{f'{one.path}: ' if one.path else ''}{one.message}" for one in errors[:5])
    more = f" (and {len(errors) - 5} more)" if len(errors) > 5 else ""
    where = f"{file}:{errors[0].line}: " if file and errors else f"line {errors[0].line}: " if errors else ""
    fix = next((one.suggestion for one in errors if one.suggestion), "")
    return FlowInvalid(f"Invalid flow: {where}{told}{more}", fix=fix, problems=errors)


def _defaults(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    declared: Any = next((document[name] for name in plugin_defaults.BLOCKS if document.get(name)), [])
    return [entry for entry in declared if isinstance(entry, Mapping)] if isinstance(declared, list) else []


def _below(document: Mapping[str, Any]) -> str:
    """The key that all of a flow stands below, "" when it stands at the top."""
    name, value = next(iter(document.items()), ("", None))
    return name if len(document) == 1 and isinstance(value, Mapping) and "tasks" in value else ""


def _at(document: Any, path: yaml_text.Path) -> Any:
    """The value at a path; None where a property goes by another of its names."""
    try:
        return reduce(lambda value, step: value[step], path, document)
    except (KeyError, IndexError, TypeError):
        return None


def _problem(finding: Finding, document: Any, lines: Sequence[str], file: str) -> Problem:
    spot = yaml_text.locate(document, finding.path)
    line, column = spot.line, spot.column
    value = _at(document, finding.path) if finding.line else None
    if isinstance(value, str):
        line, column = inside(spot, lines, value, finding.line, finding.column)
    suggestion = finding.suggestion
    if not suggestion and finding.message.endswith(" is empty.") and COMMENTED.search(lines[spot.line - 1]):
        suggestion = "What stands behind a `#` is a comment: put it in quotes."
    path = yaml_text.spell((*finding.path, finding.missing) if finding.missing else finding.path)
    return Problem(path, finding.message, finding.severity, line, column, finding.code, suggestion, file)
