"""What must hold for a flow as a whole, in Kestra's words, with the path of each breach."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from engine.core.durations import to_iso
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.inputs import Input, InputRefused
from engine.core.inputs.bounded import BoundedInput
from engine.core.inputs.declaration import standing_for
from engine.core.labels import ALLOWED_SYSTEM, SYSTEM
from engine.core.plugin_defaults import problem as default_problem
from engine.core.property import has_template
from engine.core.retries import Retry
from engine.core.task import Part, Task
from engine.core.yaml_text import Path

CALLS_FLOWS = ("Subflow", "ForEachItem", "Flow")


def parts(value: Any, path: Path = ()) -> Iterator[tuple[Path, BaseModel]]:
    """Every part inside a part with its path in the flow, the outer ones first."""
    if isinstance(value, BaseModel):
        yield path, value
        for name, field in type(value).model_fields.items():
            if name in value.model_fields_set:
                yield from parts(getattr(value, name), (*path, field.alias or name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from parts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from parts(item, (*path, index))


def tasks(flow: Flow) -> list[tuple[Path, Task]]:
    """Every task with its path, at any depth, in the order of the flow."""
    found = []
    for block in ("tasks", "errors", "finally_", "after_execution"):
        name = Flow.model_fields[block].alias or block
        found += [(path, part) for path, part in parts(getattr(flow, block), (name,)) if isinstance(part, Task)]
    return found


def breaches(flow: Flow) -> list[Finding]:
    """All breaches of the rules for whole flows; each is an error."""
    found = tasks(flow)
    every = list(parts(flow))
    return [
        *_duplicates("Duplicate task id with name [{}]", [(path, task.id) for path, task in found]),
        *_duplicates("Duplicate trigger id with name [{}]", _ids("triggers", flow.triggers)),
        *_duplicates(
            "Duplicate input with name [{}]",
            [(("inputs", *one.path(index)), one.id) for index, one in enumerate(flow.inputs)],
        ),
        *_duplicates("Duplicate output with name [{}]", _ids("outputs", flow.outputs)),
        *_calls_itself(flow, found),
        *_inputs(flow.inputs, ("inputs",)),
        *(
            one
            for path, part in found
            for name in ("on_resume", "inputs")
            if isinstance(getattr(part, name, None), tuple)
            for one in _inputs(
                [item for item in getattr(part, name) if isinstance(item, Input)], (*path, _alias(part, name))
            )
        ),
        *_labels(flow),
        *(one for path, part in every if isinstance(part, Retry) for one in _retry(part, path)),
        *_defaults(flow),
    ]


def _alias(part: Part, name: str) -> str:
    return type(part).model_fields[name].alias or name


def _ids(block: str, items: Iterable[Any]) -> list[tuple[Path, str]]:
    return [((block, index), item.id) for index, item in enumerate(items)]


def _duplicates(message: str, named: list[tuple[Path, str]]) -> Iterator[Finding]:
    counted = Counter(name for _, name in named)
    repeated = [name for name, count in counted.items() if count > 1]
    if not repeated:
        return
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            advice = "Rename one of them, and what refers to it."
            yield Finding((*path, "id"), message.format(", ".join(repeated)), "duplicate-id", suggestion=advice)
            return
        if name in repeated:
            seen.add(name)


def _calls_itself(flow: Flow, found: list[tuple[Path, Task]]) -> Iterator[Finding]:
    for path, task in found:
        names = (getattr(task, "namespace", None), getattr(task, "flow_id", None))
        if type(task).__name__ in CALLS_FLOWS and names == (flow.namespace, flow.id):
            yield Finding((*path, "flowId"), f"Recursive call to flow [{flow.namespace}.{flow.id}]", "recursive-call")


def _inputs(inputs: Iterable[Input], path: Path) -> Iterator[Finding]:
    declared = {one.id: one for one in inputs}
    asked = {name: one.depends_on.inputs if one.depends_on else () for name, one in declared.items()}
    needs = {name: [id_ for one in names for id_ in standing_for(one, declared)] for name, names in asked.items()}
    circles: list[set[str]] = []
    for index, one in enumerate(inputs):
        for name in asked[one.id]:
            if not standing_for(name, declared):
                message = f"Input with id '{one.id}' depends on a non-existent input '{name}'."
                sibling = f"{one.id.rpartition('.')[0]}.{name}"
                near = [sibling] if sibling in declared else get_close_matches(name, declared.keys() - {one.id}, n=1)
                advice = f"Write `{near[0]}`." if near else ""
                yield Finding((*path, *_at(one, index, "dependsOn")), message, "unknown-input", suggestion=advice)
        if isinstance(one, BoundedInput) and one.is_empty:
            said = f"No value fits the input `{one.id}`: its `{one.limits.low}` lies beyond its `{one.limits.high}`."
            yield Finding((*path, *_at(one, index, one.limits.low)), said, "bounds", "warning", "Exchange the two.")
        elif isinstance(one, BoundedInput) and (refused := _default_refused(one)):
            said = f"The default of input `{one.id}` does not fit: {refused[0]}."
            yield Finding((*path, *_at(one, index, "defaults")), said, "default", refused[1])
        circle = _circle(one.id, needs)
        if circle and set(circle) not in circles:
            circles.append(set(circle))
            message = f"Cycle dependency detected for input with id '{one.id}': [{', '.join(circle)}]"
            yield Finding((*path, *_at(one, index, "dependsOn")), message, "input-cycle")
        above = next((other for other in declared if one.id.startswith(f"{other}.")), None)
        if above:
            message = f"Input `{one.id}` would stand inside the value of input `{above}`; rename one of them."
            yield Finding((*path, *one.path(index), "id"), message, "input-conflict")


def _at(one: Input, index: int, name: str) -> Path:
    """Where a property of an input was written: with itself, or with the input it stands in."""
    place = one.path(index)
    own = getattr(one.written, {"dependsOn": "depends_on"}.get(name, name)) is not None
    return (*(place if own else place[:-2]), name)


def unfit_defaults(flow: Flow) -> Iterator[Finding]:
    """Warnings for defaults that would be refused when nothing is given."""
    for index, one in enumerate(flow.inputs):
        refused = None if isinstance(one, BoundedInput) else _default_refused(one)
        if refused:
            message = f"The default of input `{one.id}` would be refused: {refused[0]}."
            is_bare = one.type in ("MULTISELECT", "ARRAY") and str(one.defaults).strip()[:1] != "["
            advice = f"Write `[{one.defaults}]`." if is_bare else ""
            yield Finding(("inputs", *_at(one, index, "defaults")), message, "default", "warning", advice)
        text = one.defaults if one.type in ("BOOLEAN", "BOOL") and not has_template(one.defaults) else None
        if isinstance(text, str) and text.strip().lower() not in ("true", "false"):
            message = f"The default of input `{one.id}` counts as false: it is the text `{text}`."
            advice = "Write `true` or `false`."
            yield Finding(("inputs", *_at(one, index, "defaults")), message, "default", "warning", advice)


def unmet_refs(flow: Flow) -> Iterator[Finding]:
    """Warnings for tasks that ask for an entry of pluginDefaults which is not here."""
    for path, task in tasks(flow):
        if isinstance(task.plugin_defaults_ref, str):
            message = f"No entry of `pluginDefaults` for {task.type} has the ref `{task.plugin_defaults_ref}`."
            yield Finding((*path, "pluginDefaultsRef"), message, "plugin-default", "warning")


def shared_preconditions(flow: Flow) -> Iterator[Finding]:
    """Warnings for `preconditions` of one id in several triggers, which Kestra refuses from 1.1 on (its FlowValidator);
    here each trigger keeps its own count."""
    first: dict[str, str] = {}
    for index, trigger in enumerate(flow.triggers):
        name = getattr(getattr(trigger, "preconditions", None), "id", None)
        if isinstance(name, str) and first.setdefault(name, trigger.id) != trigger.id:
            message = f"`{first[name]}` has preconditions of the id `{name}`, too: Kestra refuses a flow with both."
            path = ("triggers", index, "preconditions", "id")
            yield Finding(path, message, "duplicate-id", "warning", "Rename one of them; nothing else reads it.")


def _default_refused(one: Input) -> tuple[str, str] | None:
    """Why a default will not do, and how bad that is: out of bounds, another value must be given each time."""
    if one.defaults is None or has_template(one.defaults):
        return None
    try:
        value = one.coerce(one.defaults)
    except InputRefused as refusal:
        return str(refusal), "error"
    try:
        if getattr(one, "expression", None) is None:
            one.check(value)
    except InputRefused as refusal:
        return str(refusal), "warning"
    return None


def _circle(start: str, needs: dict[str, list[str]]) -> list[str]:
    """Ids from one input along its dependencies back to itself, empty when there is no way."""
    trails = [[start]]
    visited: set[str] = set()
    while trails:
        trail = trails.pop()
        for name in needs.get(trail[-1], ()):
            if name == start:
                return trail
            if name not in visited:
                visited.add(name)
                trails.append([*trail, name])
    return []


def _labels(flow: Flow) -> Iterator[Finding]:
    for key, value in flow.labels:
        if key.startswith(SYSTEM) and key not in ALLOWED_SYSTEM:
            message = f"System labels can only be set by Kestra itself, offending label: {key}={value}"
            yield Finding(("labels", key), message, "system-label")


def _retry(retry: Retry, path: Path) -> Iterator[Finding]:
    def less(name: str, value: timedelta | None, bound: str, limit: timedelta | None) -> Iterator[Finding]:
        if value is not None and limit is not None and value >= limit:
            yield Finding(path, f"'{name}' must be less than '{bound}' but is {to_iso(value)}", "retry")

    if retry.type in ("constant", "exponential"):
        yield from less("interval", retry.interval, "maxDuration", retry.max_duration)
    if retry.type == "exponential":
        yield from less("interval", retry.interval, "maxInterval", retry.max_interval)
    if retry.type == "random":
        yield from less("minInterval", retry.min_interval, "maxDuration", retry.max_duration)
        yield from less("maxInterval", retry.max_interval, "maxDuration", retry.max_duration)
        yield from less("minInterval", retry.min_interval, "maxInterval", retry.max_interval)


def _defaults(flow: Flow) -> Iterator[Finding]:
    for index, entry in enumerate(flow.plugin_defaults):
        message = default_problem(entry)
        if message:
            names: Iterable[str] = entry if isinstance(entry, Mapping) else ()
            beside = [f"`{name}`" for name in names if name not in ("type", "forced", "ref", "values")]
            advice = f"Put {', '.join(beside)} below `values`." if beside and "values" not in names else ""
            if beside and "type" not in names and "." in (kind := beside[0].strip("`")):
                advice = f"Write `- type: {kind}`, and below it `values`."
            elif isinstance(entry, str) and "." in entry:
                advice = f"Write `- type: {entry}`, and below it `values`."
            elif "`value`" in beside and "values" not in names:
                advice = "Write `values`."
            elif isinstance(names, Mapping) and isinstance(names.get("values"), list):
                advice = "Write `name: value` in each line below `values`, without `- `."
            yield Finding(("pluginDefaults", index), message, "plugin-default", suggestion=advice)
