"""Given values → typed values: defaults, dependencies, options, coercion, rules; all problems at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any

from engine.core.dates import to_text
from engine.core.inputs.declaration import Input, InputRefused, spell
from engine.core.inputs.types import MultiselectInput, SelectInput
from engine.core.property import has_template
from engine.errors import ExpressionFailed, InputProblem

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
    flat = {name: run.flat[name] for name in order if name in run.flat}
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


def _as_kept(value: Any) -> Any:
    """A typed value as an execution keeps it."""
    if isinstance(value, time):
        return value.isoformat()
    return to_text(value) if isinstance(value, date | timedelta) else value


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
        self.underway: set[str] = set()

    def settle(self, declared: Input) -> None:
        """Resolve one input and, before it, what it depends on. A circle ends where it was entered."""
        if declared.id in self.enabled or declared.id in self.underway:
            return
        self.underway.add(declared.id)
        needs = [name for name in (declared.depends_on.inputs if declared.depends_on else ()) if name != declared.id]
        for name in needs:
            if name in self.declared:
                self.settle(self.declared[name])
        known = nest({name: self.flat[name] for name in needs if name in self.flat})
        self.enabled[declared.id] = self.is_enabled(declared, needs, known)
        if self.enabled[declared.id]:
            try:
                self.flat[declared.id] = self.typed(declared, known)
            except InputRefused as refusal:
                self.refuse(declared, str(refusal))
        self.underway.discard(declared.id)

    def value_given(self, declared: Input) -> Any:
        """What was given under the id, or nested by its dots."""
        if declared.id in self.given:
            return self.given[declared.id]
        found: Any = self.given
        for step in declared.id.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def is_enabled(self, declared: Input, needs: Sequence[str], known: Mapping[str, Any]) -> bool:
        if not all(self.enabled.get(name, True) for name in needs):
            return False
        condition = declared.depends_on.condition if declared.depends_on else None
        if condition is None:
            return True
        try:
            answer = self.render(condition, {"inputs": known}, True) if isinstance(condition, str) else condition
        except ExpressionFailed as error:
            self.refuse(declared, f"Invalid condition: {error.message}", exact=True)
            return False
        return answer is True

    def typed(self, declared: Input, known: Mapping[str, Any]) -> Any:
        options = self.choices(declared, known)
        default = self.default(declared, options)
        value = self.value_given(declared)
        if value == "" and not declared.required and not declared.accepts_blank:
            value = None  # what an empty form field sends
        if value is None:
            value = default
        if value is None:
            if declared.required:
                raise InputRefused("missing required input")
            return None
        typed = declared.coerce(value)
        declared.check(typed, options)
        return typed

    def choices(self, declared: Input, known: Mapping[str, Any]) -> tuple[str, ...]:
        options = declared.choices
        if isinstance(declared, SelectInput | MultiselectInput) and declared.expression is not None:
            try:
                found = self.render(declared.expression, {"inputs": known}, True)
            except ExpressionFailed as error:
                raise InputRefused(f"Cannot render 'expression'. Cause: {error.message}") from error
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
        shown = declared.show(given) if given is not None else "null"
        message = reason if exact else f"Invalid input for `{declared.id}`, {reason}, but received `{shown}`"
        self.problems.setdefault(declared.id, InputProblem(declared.id, message, None if given is None else shown))
