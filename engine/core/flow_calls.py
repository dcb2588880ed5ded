"""What a flow hands to inputs: those of the flows it calls, and its own where a trigger starts it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from engine.core import flow_validation
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flow_validation import CALLS_FLOWS
from engine.core.inputs import Input, InputRefused, Inputs
from engine.core.property import has_template
from engine.core.task import Task
from engine.core.template_reads import reads
from engine.core.yaml_text import Path, plain, walk
from engine.errors import ExpressionFailed
from engine.expressions import parse

OWN_NAMESPACE = re.compile(r"\{\{\s*flow\.namespace\s*\}\}")
FindFlow = Callable[[str, str], Mapping[str, Any] | None]  # (namespace, id) → the flow as it is written


def calls(flow: Flow, find: FindFlow) -> Iterator[Finding]:
    """Warnings about flows that tasks call by a literal name: not there, or asked with inputs that do not fit."""
    for path, task, namespace, flow_id in _called(flow):
        if (namespace, flow_id) == (flow.namespace, flow.id):
            continue
        document = find(namespace, flow_id)
        name = f"{namespace}.{flow_id}"
        if document is None:
            inner = flow_id.removeprefix(f"{namespace}.")
            advice = "Deploy that flow too, or correct its name."
            advice = f"Write `{inner}`: its namespace stands beside it." if inner != flow_id else advice
            yield Finding((*path, "flowId"), f"There is no flow `{name}` here.", "missing-flow", "warning", advice)
            continue
        inputs = _declared(document)
        given = getattr(task, "inputs", None)
        if inputs is not None and (given is None or isinstance(given, Mapping)):
            yield from _given(inputs, given, path, f"the flow `{name}`")


def handed_on(flow: Flow, data: Any, find: FindFlow) -> Iterator[Finding]:
    """Warnings about outputs of called flows, `outputs.task.outputs.name`, that these do not declare."""
    declared: dict[str, list[str]] = {}
    for _, task, namespace, flow_id in _called(flow):
        document = find(namespace, flow_id)
        given = document.get("outputs") if document is not None else None
        if type(task).__name__ == "Subflow" and not getattr(task, "outputs", None) and isinstance(given, list):
            declared[task.id] = [str(one["id"]) for one in given if isinstance(one, Mapping) and "id" in one]
    for path, text in walk(data) if declared else ():
        if isinstance(text, str) and has_template(text) and path[0] != "triggers":
            yield from _unknown_outputs(path, text, declared)


def _unknown_outputs(path: Path, text: str, declared: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    try:
        found = reads(parse(text))
    except ExpressionFailed:
        return
    for read in found:
        root, task, inside, name = (*read.path, "", "", "", "")[:4]
        if (root, inside) == ("outputs", "outputs") and name and name not in declared.get(task, (name,)):
            near = get_close_matches(name, declared[task], n=1)
            advice = f"Did you mean `outputs.{task}.outputs.{near[0]}`?" if near else _list(declared[task], "outputs")
            message = f"The flow that `{task}` calls has no output `{name}`."
            if not read.guarded:
                yield Finding(path, message, "unknown-output", "warning", advice, "", *read.at)


def triggered(flow: Flow) -> Iterator[Finding]:
    """Warnings about triggers whose inputs do not fit those of their flow: what they start would be refused."""
    for index, trigger in enumerate(flow.triggers):
        if not trigger.disabled and trigger.needs_inputs:
            yield from _given(flow.inputs, trigger.inputs, ("triggers", index), "this flow")


def called_names(document: Mapping[str, Any]) -> Iterator[tuple[str, str] | None]:
    """Namespace and id of each flow that a written flow may start by name; None for a name known only at run time."""
    own = str(document.get("namespace"))
    for path, value in walk(document):
        if isinstance(value, Mapping) and "flowId" in value and path and path[0] not in ("triggers", "inputs"):
            namespace = OWN_NAMESPACE.sub(own, str(value.get("namespace", own)))
            known = not has_template([namespace, str(value["flowId"])])
            yield (namespace, str(value["flowId"])) if known else None


def _called(flow: Flow) -> Iterator[tuple[Path, Task, str, str]]:
    for path, task in flow_validation.tasks(flow):
        namespace, flow_id = getattr(task, "namespace", None), getattr(task, "flow_id", None)
        if type(task).__name__ not in CALLS_FLOWS or not isinstance(namespace, str) or not isinstance(flow_id, str):
            continue
        if not has_template([namespace, flow_id]):
            yield path, task, namespace, flow_id


@lru_cache(maxsize=1)
def _reader() -> TypeAdapter[tuple[Input, ...]]:
    return TypeAdapter(Inputs)


def _declared(document: Mapping[str, Any]) -> Sequence[Input] | None:
    """The inputs a written flow asks for; None when they can't be read, which is said where they stand."""
    try:
        return _reader().validate_python(
            plain(document.get("inputs") or []), context={"source": True}, by_name=False, by_alias=True
        )
    except ValidationError:
        return None


def _given(inputs: Iterable[Input], given: Mapping[str, Any] | None, path: Path, whose: str) -> Iterator[Finding]:
    declared = {one.id: one for one in inputs}
    values = dict(_leaves(given or {}, declared))
    if has_template(list(values)):
        return
    meant = set()
    missing = [name for name, one in declared.items() if values.get(name) is None and _is_needed(one)]
    unknown = [name for name in values if name not in declared]
    for name, value in values.items():
        place = (*path, "inputs", name)
        one = declared.get(name)
        if one is None:
            near = get_close_matches(name, [one for one in declared if one not in values], n=1)
            near = near or (missing if len(missing) == len(unknown) == 1 else [])
            meant.update(near)
            advice = f"Did you mean `{near[0]}`?" if near else _list(declared)
            yield Finding(place, f"`{name}` is no input of {whose}.", "call-input", "warning", advice)
        elif (refused := _refused(one, value)) is not None:
            message = f"`{name}` would be refused by {whose}: {refused}."
            yield Finding(place, message, "call-input", "warning")
    for name in missing:
        if name not in meant:
            message = f"`{name}` is missing: {whose} needs it and has no default for it."
            yield Finding((*path, "inputs"), message, "call-input", "warning", missing=name)


def _is_needed(one: Input) -> bool:
    return one.required and one.defaults is None and one.depends_on is None


def _leaves(given: Mapping[str, Any], declared: Mapping[str, Input]) -> Iterator[tuple[str, Any]]:
    """Given values by id: `a: {b: 1}` is `a.b` when that is an input."""
    for key, value in given.items():
        if isinstance(value, Mapping) and key not in declared and any(one.startswith(f"{key}.") for one in declared):
            yield from ((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            yield str(key), value


def _refused(one: Input, value: Any) -> str | None:
    if value is None or has_template(value) or one.type == "FILE":
        return None
    try:
        typed = one.coerce(value)
        if getattr(one, "expression", None) is None:
            one.check(typed)
    except InputRefused as refusal:
        return str(refusal)
    return None


def _list(declared: Iterable[str], what: str = "inputs") -> str:
    if not declared:
        return f"It has no {what}."
    return f"It has {', '.join(f'`{name}`' for name in declared)}."
