"""What is allowed but probably not meant: odd crons, sloppy schemas, old names, missing subflows."""

import json
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails

from engine.core import (
    certain_failures,
    cron,
    flow_calls,
    flow_problems,
    flow_validation,
    meant_text,
    older_names,
    payload_text,
    shell_hints,
)
from engine.core.finding import Finding
from engine.core.flow import Flow
from engine.core.flow_calls import FindFlow
from engine.core.flow_scope import BY_VALUE
from engine.core.flowable import ExecutableTask, FlowableTask, TimedTask
from engine.core.inputs import Input
from engine.core.json_text import read_json
from engine.core.plugin_defaults import BLOCKS
from engine.core.property import has_template, marker
from engine.core.registry import Registry
from engine.core.retries import Retry
from engine.core.task import Part
from engine.core.yaml_text import Path, walk

SCHEMA_PROPERTIES = frozenset({"jsonResponseSchema", "jsonSchema"})
IDLE = {"max_content_length": "maxContentLength", "connection_pool_idle_timeout": "connectionPoolIdleTimeout"}
WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def hints(flow: Flow, data: Any, registry: Registry, find_flow: FindFlow | None = None) -> list[Finding]:
    """Warnings and hints about a flow that can be read."""
    every = list(flow_validation.parts(flow))
    data = {name: value for name, value in data.items() if name != "extend"}
    return [
        *(found for path, part in every for found in _bursts(path, part)),
        *_schemas(data),
        *(found for path, part in every for found in payload_text.broken(path, part)),
        *(found for path, part in every for found in payload_text.singly_quoted(path, part)),
        *shell_hints.findings(flow, every),
        *older_names.findings(data, registry),
        *(flow_calls.calls(flow, find_flow) if find_flow is not None else ()),
        *(flow_calls.handed_on(flow, data, find_flow) if find_flow is not None else ()),
        *flow_calls.triggered(flow),
        *flow_validation.unfit_defaults(flow),
        *flow_validation.unmet_refs(flow),
        *flow_validation.shared_preconditions(flow),
        *_without_value(flow),
        *_no_list(flow),
        *(found for path, part in every for found in _one_command(path, part, data)),
        *_words_for_booleans(data, registry),
        *meant_text.braces(data, flow),
        *meant_text.escaped(data),
        *meant_text.calls(data),
        *_files_of_directories(flow, data),
        *_without_effect(flow),
        *(found for path, part in every for found in _idle(path, part)),
        *(found for path, part in every for found in _unserved(path, part)),
        *_retries(flow),
        *certain_failures.findings(every),
        *_cases_as_written(flow),
        *_cases_of_choice(flow),
        *meant_text.always_true(data),
        *_untaken(data, registry),
        *_defaults_of_nothing(data, registry),
        *(found for path, part in every if isinstance(part, Part) for found in _unread(path, part, data, registry)),
    ]


def _bursts(path: Path, part: Any) -> Iterator[Finding]:
    text = getattr(part, "cron", None)
    if not isinstance(text, str) or getattr(part, "with_seconds", False):
        return
    for name, step, last in cron.long_steps(text):
        message = f"The {name} `*/{step}` is always 0: {name}s start anew after {last}."
        advice = "Write `0` if that is meant, else use several schedules."
        yield Finding((*path, "cron"), message, "cron-step", "warning", advice)
    burst = cron.burst(text)
    if burst:
        message = f"{burst.runs} runs between {burst.first} and {burst.last}; did you mean `{burst.suggestion}`?"
        yield Finding((*path, "cron"), message, "cron-burst", "warning", f"Write `{burst.suggestion}`.")


def _schemas(data: Any) -> Iterator[Finding]:
    for path, value in walk(data):
        if path and path[-1] in SCHEMA_PROPERTIES and isinstance(value, str) and "{{" not in value:
            try:
                read_json(value)
            except ValueError as error:
                place = (error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else (0, 0)
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                message = f"`{path[-1]}` is not quite JSON ({reason}); it is read leniently."
                yield Finding(path, message, "lenient-schema", "hint", "", "", *place)


def _untaken(data: Any, registry: Registry) -> Iterator[Finding]:
    """Values of pluginDefaults that none of the types here has; they are left out."""

    def takes(kind: str, name: str) -> bool:
        cls = registry.find(kind)
        return cls is None or name in flow_problems.properties(cls)

    block = next((name for name in BLOCKS if isinstance(data.get(name), list)), "")
    for index, name, kinds in meant_text.untaken(data, block, takes, registry.canonical) if block else ():
        known = [one for kind in kinds if (cls := registry.find(kind)) for one in flow_problems.properties(cls)]
        near = get_close_matches(name, known, n=1)
        advice = f"Did you mean `{near[0]}`?" if near else f"None of these has it: {', '.join(kinds[:5])}."
        path = (block, index, "values", name)
        yield Finding(path, f"Unknown property `{name}`.", "unknown-property", "warning", advice)


def _defaults_of_nothing(data: Any, registry: Registry) -> Iterator[Finding]:
    """Entries of pluginDefaults for a type that there is not, or that nothing in the flow is of."""
    block = next((name for name in BLOCKS if isinstance(data.get(name), list)), "")
    used = {
        value["type"]
        for at, value in walk(data)
        if isinstance(value, dict) and isinstance(value.get("type"), str) and at[:1] != (block,)
    }
    meant = {*used, *map(registry.canonical, used)}
    for index, entry in enumerate(data[block]) if block else ():
        family = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(family, str):
            continue
        if registry.find(family) is not None or any(name.startswith(family) for name in registry.names()):
            if not any(name.startswith((family, registry.canonical(family))) for name in meant):
                message = f"Nothing in this flow is of the type `{family}`: these defaults change nothing."
                beside = [name for name in used if name.rpartition(".")[0] == family.rpartition(".")[0]]
                near = get_close_matches(family, beside, n=1)
                advice = f"Did you mean `{near[0]}`?" if near else "Leave them out."
                yield Finding((block, index, "type"), message, "no-effect", "hint", advice)
        elif not any(name.startswith(family) for name in used):
            error = registry.unknown(family, "")
            yield Finding((block, index, "type"), error.message, "unknown-type", "warning", error.fix)


def _unread(path: Path, part: Part, data: Any, registry: Registry) -> Iterator[Finding]:
    """Slips inside lists and maps that hold a template, which are read as a whole only when it is rendered."""
    for name in part.model_fields_set:
        field = type(part).model_fields.get(name)
        value = getattr(part, name)
        if field is None or marker(field) is None or not isinstance(value, dict | list) or not has_template(value):
            continue
        alias = next((one for one in _written(field, name) if flow_problems.is_there(data, (*path, one))), None)
        if alias is None:
            continue
        context = {"registry": registry, "rendered": True, "source": True}
        try:
            type(part).model_validate({alias: value}, context=context, by_name=False, by_alias=True)
        except ValidationError as error:
            at = (*path, alias)
            for one in (*flow_problems.misnamed(error, at, data, registry), *_misshapen(error, at, data, registry)):
                yield replace(one, severity="warning")


def _misshapen(error: ValidationError, at: Path, data: Any, registry: Registry) -> list[Finding]:
    """A list where a mapping belongs, or the other way round: no template in it makes it one."""
    found = [
        InitErrorDetails(type=one["type"], loc=at, input=one["input"])
        for one in error.errors()
        if one["loc"] == at[-1:] and one["type"] in ("dict_type", "list_type") and isinstance(one["input"], dict | list)
    ]
    return flow_problems.translate(ValidationError.from_exception_data("Flow", found), data, registry) if found else []


def _written(field: FieldInfo, name: str) -> list[str]:
    choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else ()
    return [field.alias or name, *(one for one in choices if isinstance(one, str))]


def _files_of_directories(flow: Flow, data: Any) -> Iterator[Finding]:
    """`outputs.child.outputFiles` of a child that declares none, while its WorkingDirectory does."""
    owners = {}
    for _, task in flow_validation.tasks(flow):
        if type(task).__name__ == "WorkingDirectory" and getattr(task, "output_files", None):
            for child in getattr(task, "tasks", ()):
                if not getattr(child, "output_files", None):
                    owners[child.id] = task.id
    for path, value in walk(data):
        if isinstance(value, str):
            for child, owner in owners.items():
                for used in (f"outputs.{child}.outputFiles", f"outputs['{child}'].outputFiles"):
                    if used in value:
                        message = f"`{used}` are files that `{owner}` declares; they are found, but only here."
                        yield Finding(path, message, "directory-files", "hint", f"Write `outputs.{owner}.outputFiles`.")


def _without_value(flow: Flow) -> Iterator[Finding]:
    """Outputs that say nothing, and questions without an answer to choose."""
    for index, output in enumerate(flow.outputs):
        if output.value is None and output.required and "." not in output.type:  # else it is a task, told as one
            message = f"The output `{output.id}` has no `value`: every execution would fail at its end."
            yield Finding(("outputs", index), message, "no-value", "warning", 'Write `value: "{{ … }}"`.')
    for index, one in enumerate(flow.inputs):
        given = [getattr(one, name, None) for name in ("values", "options", "expression")]
        if one.type in ("SELECT", "ENUM", "MULTISELECT") and not any(given):
            message = f"The input `{one.id}` has nothing to choose from."
            yield Finding(
                ("inputs", *one.path(index)), message, "no-value", "warning", "Give it `values`, or an `expression`."
            )


def _no_list(flow: Flow) -> Iterator[Finding]:
    """Values of a loop that are a text, and no JSON text of a list."""
    for path, task in flow_validation.tasks(flow):
        name = next((one for one in ("values", "value") if isinstance(getattr(task, one, None), str)), None)
        if type(task).__name__ not in BY_VALUE or name is None or has_template(text := getattr(task, name)):
            continue
        try:
            json.loads(text)
        except ValueError:
            advice = f"Write `[{text.strip()}]`." if "\n" not in text.strip() else "Begin each value with `- `."
            advice = f"Write `{{{{ {text.strip()} }}}}`." if meant_text.is_path(text) else advice
            yield Finding((*path, name), f"`{name}` is a text, and no list.", "no-list", "warning", advice)


def _one_command(path: Path, part: Any, data: Any) -> Iterator[Finding]:
    """`commands: ls`: Kestra reads a text there as JSON of a list."""
    for name in ("commands", "before_commands"):
        field = type(part).model_fields.get(name)
        mark = marker(field) if field is not None else None
        text = getattr(part, name, None)
        if field is None or mark is None or mark.guard != "shell" or not isinstance(text, str) or has_template(text):
            continue
        if not text.lstrip().startswith("[") and flow_problems.is_there(data, (*path, field.alias or name)):
            message = f"`{field.alias or name}` is one text, where Kestra wants a list."
            yield Finding((*path, field.alias or name), message, "no-list", "hint", "Begin each command with `- `.")


def _words_for_booleans(data: Any, registry: Registry) -> Iterator[Finding]:
    """`disabled: yes`: only `true` and `false` are booleans in the YAML of flows."""
    for path, value in walk(data):
        if not isinstance(value, str) or value.lower() not in WORDS or not path or not isinstance(path[-1], str):
            continue
        cls = flow_problems.part_at(path[:-1], data, registry)
        field = next((f for n, f in (cls.model_fields.items() if cls else ()) if path[-1] in (n, f.alias)), None)
        kinds = (field.annotation, *get_args(field.annotation)) if field is not None else ()
        if bool in kinds and str not in kinds:
            message = f"`{value}` is a text, which Kestra does not take for `{WORDS[value.lower()]}`."
            yield Finding(path, message, "no-boolean", "hint", f"Write `{WORDS[value.lower()]}`.")


def _without_effect(flow: Flow) -> Iterator[Finding]:
    """Properties that are read and then change nothing."""
    if flow.listeners:
        advice = "Put their tasks into another flow, with a trigger of type `io.kestra.plugin.core.trigger.Flow`."
        yield Finding(("listeners",), "`listeners` are not run.", "no-effect", "warning", advice)
    for path, part in [((), flow), *_parts(flow)]:
        if getattr(part, "policy_refs", None):
            message = "`policyRefs` has no effect: policies are kept by Kestra's Enterprise Edition, and none are here."
            advice = "Write what they would add into the flow, for example as `pluginDefaults`."
            yield Finding((*path, "policyRefs"), message, "no-effect", "warning", advice)
        if getattr(part, "on_miss", None) is not None:
            message = "`onMiss` has no effect: nothing starts when a window ends before everything was met."
            advice = "A Schedule for that time can look for what is missing, with `execution.Count`."
            yield Finding((*path, "onMiss"), message, "no-effect", "warning", advice)
    for path, task in flow_validation.tasks(flow):
        if getattr(task, "child_failure_policy", None) is not None:
            message = "`childFailurePolicy` has no effect: after a failure no further value begins."
            advice = "Put `allowFailure: true` on the tasks whose failure should not stop the others."
            yield Finding((*path, "childFailurePolicy"), message, "no-effect", "warning", advice)
        if task.task_cache is not None and isinstance(task, FlowableTask | ExecutableTask | TimedTask):
            message = "`taskCache` has no effect here: only what a task that does work hands on is kept."
            advice = "Put it on the tasks below, or on those of the flow that is called."
            yield Finding((*path, "taskCache"), message, "no-effect", "warning", advice)
        if getattr(task, "break_when", None) is not None and not getattr(task, "concurrency_limit", 1):
            message = "`breakWhen` comes too late: without a `concurrencyLimit` every item begins at once."
            advice = "Write `concurrencyLimit: 1` to look at it after each item."
            yield Finding((*path, "breakWhen"), message, "no-effect", "warning", advice)


def _idle(path: Path, part: Any) -> Iterator[Finding]:
    """Options of a message that change nothing about how it is sent here."""
    for name, written in IDLE.items() if type(part).__name__ == "MessageOptions" else ():
        if getattr(part, name, None) is not None:
            message = f"`{written}` has no effect here: a message is sent as it is without it."
            yield Finding((*path, written), message, "no-effect", "warning", "Leave it out.")


def _unserved(path: Path, part: Any) -> Iterator[Finding]:
    """Properties with which a task or a trigger fails here."""
    for name, mark in part.not_served() if isinstance(part, Part) else ():
        yield Finding((*path, name), mark.why, "not-served", "warning", mark.fix)


def _parts(flow: Flow) -> Iterator[tuple[Path, Part]]:
    yield from flow_validation.tasks(flow)
    yield from ((("triggers", index), one) for index, one in enumerate(flow.triggers))


def _retries(flow: Flow) -> Iterator[Finding]:
    """Retries that Kestra does not take: of no type, or whose waits grow without end."""
    retries: list[tuple[Path, Retry | None]] = [((), flow.retry)]
    retries += [(path, task.retry) for path, task in flow_validation.tasks(flow)]
    for path, retry in retries:
        if retry is not None and "type" not in retry.model_fields_set:
            message = "There is no `type`: the retry is taken for a constant one, and Kestra refuses one without it."
            yield Finding((*path, "retry", "type"), message, "untyped-retry", "hint", "Add `type: constant`.")
        if retry is not None and retry.type == "exponential" and retry.max_interval is None:
            message = "There is no `maxInterval`: waits grow without end, and Kestra refuses an exponential retry so."
            advice = "Add one, such as `maxInterval: PT10M`."
            yield Finding((*path, "retry"), message, "unbounded-retry", "hint", advice)


def _cases_as_written(flow: Flow) -> Iterator[Finding]:
    """Cases of a Switch that are templates: a value is compared with their text (Kestra's Switch renders none)."""
    for path, task in flow_validation.tasks(flow):
        for name in getattr(task, "cases", None) or {}:
            if has_template(name):
                message = "The name of a case is compared as it is written: a template in it is not rendered."
                advice = "Compare in an `io.kestra.plugin.core.flow.If`, or let `value` give words such as `same`."
                yield Finding((*path, "cases", name), message, "case-as-written", "warning", advice)


def _cases_of_choice(flow: Flow) -> Iterator[Finding]:
    """A Switch over the text `inputs.name`, and cases for what an input that is chosen from a list can never be."""
    chosen = {f"inputs.{one.id}": one for one in flow.inputs if one.type == "SELECT" and _is_fixed(one)}
    for path, task in flow_validation.tasks(flow):
        value = getattr(task, "value", None)
        if type(task).__name__ != "Switch" or not isinstance(value, str):
            continue
        if meant_text.is_path(value):
            message = "`value` is a plain text: the cases are compared with it as it stands."
            yield Finding((*path, "value"), message, "plain-braces", "hint", f"Write `{{{{ {value.strip()} }}}}`.")
        one = chosen.get(value.strip().removeprefix("{{").removesuffix("}}").strip())
        for name in getattr(task, "cases", None) or {} if one is not None else ():
            if one is not None and name not in one.choices:
                near = [other for other in one.choices if other.lower() == name.lower()]
                near = near or get_close_matches(name, one.choices, n=1)
                advice = f"Did you mean `{near[0]}`?" if near else f"It is one of {', '.join(one.choices)}."
                if name in ("default", "else", "otherwise", "_", "*"):
                    advice = "Write `defaults` beside `cases`."
                message = f"`inputs.{one.id}` is never `{name}`."
                yield Finding((*path, "cases", name), message, "never-equal", "warning", advice)


def _is_fixed(one: Input) -> bool:
    """Whether an input is one of the values that are written in the flow, and nothing else: one that may be left out
    takes others, too."""
    is_open = getattr(one, "expression", None) or getattr(one, "allow_custom_value", False)
    return one.required and bool(one.choices) and not is_open
