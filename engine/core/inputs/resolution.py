"""Given values → typed values: defaults, dependencies, options, coercion, rules; all problems at once."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any

from engine.core.dates import to_text
from engine.core.inputs.declaration import Input, InputRefused, excerpt, spell, standing_for
from engine.core.inputs.groups import ObjectInput, mapping
from engine.core.inputs.types import MultiselectInput, SelectInput
from engine.core.property import has_template
from engine.errors import ExpressionFailed, InputProblem
from engine.whole_text import writable

RenderFn = Callable[[str, Mapping[str, Any], bool], Any]  # (template, extra variables, typed) → what it gives


@dataclass(frozen=True, slots=True)
class Resolved:
    """What came of the given values. `values` nest by the dots of ids; an input that is not asked for is absent.

    `flat` is the same by id, `options` what may be chosen, `defaults` what an input gets when nothing is given
    (rendered), `secrets` the ids whose values are encrypted at rest.
    """

    values: Mapping[str, Any]
    enabled: Mapping[str, bool]
    problems: tuple[InputProblem, ...] = ()
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    flat: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()


def resolve(inputs: Sequence[Input], given: Mapping[str, Any], render: RenderFn) -> Resolved:
    """Type what was given. Nothing given is ever rendered; names that are not declared are left out."""
    run = _Resolution(inputs, given, render)
    for declared in inputs:
        run.settle(declared)
    order = [declared.id for declared in inputs]
    flat = run.without_empty_objects({name: run.flat[name] for name in order if name in run.flat})
    return Resolved(
        values=nest(flat),
        enabled={name: run.enabled[name] for name in order},
        problems=tuple(run.problems[name] for name in order if name in run.problems),
        options=run.options,
        flat=flat,
        defaults=run.defaults,
        secrets=frozenset(declared.id for declared in inputs if declared.type == "SECRET" and declared.id in flat),
    )


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            inner = place.get(parent)
            place[parent] = inner = dict(inner) if isinstance(inner, dict) else {}
            place = inner
        place[last] = value
    return nested


def standing_defaults(inputs: Iterable[Input]) -> dict[str, Any]:
    """What expressions see of inputs that an execution was not given, by id: defaults that need no rendering, typed."""
    found: dict[str, Any] = {}
    for declared in inputs:
        if declared.defaults is None or declared.type == "SECRET" or has_template(declared.defaults):
            continue
        with suppress(InputRefused):
            value = declared.coerce(declared.defaults)
            found[declared.id] = _as_kept(value)
    return found


def unasked(inputs: Iterable[Input], rendered: Mapping[str, Any]) -> dict[str, Any]:
    """What a form that nobody filled gives, nested: the rendered defaults, typed where they fit, and null for what may
    be left out."""
    found: dict[str, Any] = {}
    for declared in inputs:
        value = rendered.get(declared.id)
        if value is not None:
            with suppress(InputRefused):
                value = _as_kept(declared.coerce(value))
            found[declared.id] = value
        elif not declared.required and declared.depends_on is None:
            found[declared.id] = None
    return nest(found)


def _as_kept(value: Any) -> Any:
    """A typed value as an execution keeps it."""
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, list):
        return [_as_kept(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_kept(item) for key, item in value.items()}
    return to_text(value) if isinstance(value, date | timedelta) else value


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


class _Resolution:
    def __init__(self, inputs: Iterable[Input], given: Mapping[str, Any], render: RenderFn) -> None:
        self.declared = {declared.id: declared for declared in inputs}
        self.given = given
        self.render = render
        self.flat: dict[str, Any] = {}
        self.enabled: dict[str, bool] = {}
        self.problems: dict[str, InputProblem] = {}
        self.options: dict[str, list[str]] = {}
        self.defaults: dict[str, Any] = {}

    def settle(self, declared: Input) -> None:
        """Resolve one input and, before it, what it depends on. A circle ends where it was entered."""
        if declared.id in self.enabled:
            return
        path, underway = [(declared, self.needs(declared))], {declared.id}
        while path:  # no recursion: a chain may be as long as the list of inputs
            one, needs = path[-1]
            name = next((name for name in needs if name not in self.enabled and name not in underway), None)
            if name is not None:
                underway.add(name)
                path.append((self.declared[name], self.needs(self.declared[name])))
                continue
            self.settle_one(one, needs)
            underway.discard(one.id)
            path.pop()

    def needs(self, declared: Input) -> list[str]:
        """The inputs that one depends on."""
        named = declared.depends_on.inputs if declared.depends_on else ()
        return [name for one in named for name in standing_for(one, self.declared) if name != declared.id]

    def settle_one(self, declared: Input, needs: Sequence[str]) -> None:
        """Resolve an input whose needs are."""
        known = nest({name: self.flat[name] for name in needs if name in self.flat})
        self.enabled[declared.id] = self.is_enabled(declared, known)
        if self.enabled[declared.id]:
            try:
                self.flat[declared.id] = self.typed(declared, known)
            except InputRefused as refusal:
                self.refuse(declared, str(refusal))

    def value_given(self, declared: Input) -> Any:
        """What was given under the id, or nested by its dots; a form or an object may come as JSON text."""
        return self.found(declared.id, reads_json=bool(declared.outer))

    def found(self, name: str, *, reads_json: bool) -> Any:
        if name in self.given:
            return self.given[name]
        found: Any = self.given
        for step in name.split("."):
            if reads_json and isinstance(found, str):
                found = _read(found)
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def given_whole(self, declared: Input) -> Any:
        """What was given as a whole for the object that an input stands in; InputRefused when that is no object."""
        if not declared.outer or not isinstance(declared.outer[-1], ObjectInput):
            return None
        whole = self.found(declared.id.rpartition(".")[0], reads_json=True)
        return None if whole is None or whole == "" else mapping("OBJECT", whole)

    def is_begun(self, declared: Input) -> bool:
        """Whether something was given for the object that an input stands in, so that all it needs must be."""
        prefix = f"{declared.id.rpartition('.')[0]}."
        siblings = [one for name, one in self.declared.items() if name.startswith(prefix)]
        return any(self.value_given(one) not in (None, "") for one in siblings)

    def without_empty_objects(self, flat: Mapping[str, Any]) -> dict[str, Any]:
        """Values by id, where an object that may be left out and was is None as a whole."""
        kept: dict[str, Any] = dict(flat)
        objects = {
            name.rpartition(".")[0]
            for name, one in self.declared.items()
            if one.outer and isinstance(one.outer[-1], ObjectInput) and not one.outer[-1].required
        }
        for name in objects:
            inside = [id_ for id_ in standing_for(name, flat) if id_ != name]
            if inside and all(flat[id_] is None for id_ in inside):
                kept = {
                    (name if id_ == inside[0] else id_): value
                    for id_, value in kept.items()
                    if id_ == inside[0] or id_ not in inside
                }
        return kept

    def is_enabled(self, declared: Input, known: Mapping[str, Any]) -> bool:
        for name in declared.depends_on.inputs if declared.depends_on else ():
            needed = [id_ for id_ in standing_for(name, self.declared) if id_ != declared.id]
            if needed and not any(self.enabled.get(id_, True) for id_ in needed):
                return False
        for condition in (one.condition for one in declared.asked_when if one.condition is not None):
            try:
                answer = self.render(condition, {"inputs": known}, True) if isinstance(condition, str) else condition
            except ExpressionFailed as error:
                self.refuse(declared, f"Invalid condition: {error.message}", exact=True)
                return False
            if answer is not True:
                return False
        return True

    def typed(self, declared: Input, known: Mapping[str, Any]) -> Any:
        options = self.choices(declared, known)
        default = self.default(declared, options)
        if self.given_whole(declared) is not None:
            default = None  # of an object that was given, what it lacks is lacking
        value = self.value_given(declared)
        if value == "" and not declared.accepts_blank:
            value = None  # what an empty form field sends
        if value is None:
            value = default
        if value is None:
            if declared.required or (declared.written.required and self.is_begun(declared)):
                raise InputRefused("missing required input")
            return None
        typed = declared.coerce(value)
        declared.written.check(typed, options)
        return typed

    def choices(self, declared: Input, known: Mapping[str, Any]) -> tuple[str, ...]:
        options = declared.choices
        if isinstance(declared, SelectInput | MultiselectInput) and declared.expression is not None:
            try:
                found = self.render(declared.expression, {"inputs": known}, True)
            except ExpressionFailed as error:
                raise InputRefused(f"Cannot render 'expression'. Cause: {error.message}") from error
            if isinstance(found, str):
                found = read if isinstance(read := _read(found), list) else found
            if not isinstance(found, list | tuple):
                raise InputRefused(
                    f"Invalid expression result. Expected a list of strings, but received {type(found).__name__}"
                )
            options = tuple(spell(one) for one in found if one is not None)
        if options:
            self.options[declared.id] = list(options)
        return options

    def default(self, declared: Input, options: Sequence[str]) -> Any:
        """The rendered default; it may look at every input resolved so far."""
        try:
            value = self.evaluated(declared.defaults)
            group = declared.outer[-1] if declared.outer else None
            if value is None and isinstance(group, ObjectInput) and isinstance(group.defaults, str):
                value = mapping("OBJECT", self.evaluated(group.defaults)).get(declared.written.id)
        except ExpressionFailed as error:
            if self.value_given(declared) is not None:
                return None
            raise InputRefused(f"its default can't be rendered: {error.message}") from error
        if value is None and options and getattr(declared, "auto_select_first", False):
            value = [options[0]] if isinstance(declared, MultiselectInput) else options[0]
        if value is not None:
            self.defaults[declared.id] = value
        return value

    def evaluated(self, value: Any) -> Any:
        if not has_template(value):
            return value
        if isinstance(value, dict):
            return {key: self.evaluated(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.evaluated(item) for item in value]
        return self.render(value, {"inputs": nest(self.flat)}, False)

    def refuse(self, declared: Input, reason: str, *, exact: bool = False) -> None:
        given = self.value_given(declared)
        if given is None:
            given = self.defaults.get(declared.id)
        shown = writable(declared.show(given)) if given is not None else "null"
        message = reason if exact else f"Invalid input for `{declared.id}`, {reason}, but received `{excerpt(shown)}`"
        problem = InputProblem(declared.id, writable(message), None if given is None else shown)
        self.problems.setdefault(declared.id, problem)
