"""A filled form against what its flow or pause asks by now: answers may switch other questions on or off, or change
their choices."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.conversation import Field
from bot.forms import questions
from bot.forms.uploads import lost
from bot.forms.values import Reader
from bot.texts import answer, code
from engine.core.inputs import Input, Resolved

Check = Callable[[Mapping[str, Any]], Awaitable[Resolved]]


@dataclass(frozen=True, slots=True)
class Asking:
    """What a form is about: the declared inputs, how answers are checked, which inputs were `shown` so far,
    what a button answered already (`fixed`), and whether required texts may be empty."""

    inputs: tuple[Input, ...]
    check: Check
    shown: tuple[str, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    blank_texts: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """What was typed. `fields` are those of the form as they stand with these answers; `unseen` what the answers ask
    for besides; `errors` are of questions that are still asked."""

    given: Mapping[str, Any]
    errors: Mapping[str, str]
    fields: tuple[Field, ...]
    unseen: tuple[Field, ...]

    def unseen_by(self, reader: Reader) -> tuple[Field, ...]:
        """What is still to be asked of somebody: where secrets can't be typed, those that must be given only."""
        return tuple(
            asked
            for asked in self.unseen
            if asked.type != "SECRET" or reader.may_type_secrets or (asked.required and asked.default is None)
        )


async def fields_with(asking: Asking, typed: Mapping[str, Any], reader: Reader) -> tuple[Field, ...]:
    """The fields of a form, with defaults and choices that fit the answers so far."""
    return questions.fields_of(asking.inputs, await _resolved(asking, typed, reader), ids=asking.shown)


async def asked_now(asking: Asking, typed: Mapping[str, Any], reader: Reader) -> tuple[str, ...]:
    """Every input that is asked for with these answers, in the order of the flow."""
    every = replace(asking, shown=tuple(one.id for one in asking.inputs))
    resolved = await _resolved(every, typed, reader)
    return tuple(one.id for one in asking.inputs if resolved.enabled.get(one.id, True))


async def read(asking: Asking, typed: Mapping[str, Any], reader: Reader) -> Filled:
    """Read what was typed into every page of a form."""
    resolved = await _resolved(asking, typed, reader)
    fields = questions.fields_of(asking.inputs, resolved, ids=asking.shown)
    found = questions.read_form(fields, typed, reader, blank_texts=asking.blank_texts)
    gone = {name: answer("lost-file", file=code(file)).text for name, file in (await lost(found.given)).items()}
    errors = {name: text for name, text in {**found.errors, **gone}.items() if resolved.enabled.get(name, True)}
    given = {name: value for name, value in found.given.items() if resolved.enabled.get(name, True)}
    known = {*asking.shown, *asking.fixed}
    unseen = [name for name, is_on in resolved.enabled.items() if is_on and name not in known]
    more = questions.fields_of(asking.inputs, resolved, ids=unseen) if unseen else ()
    return Filled(given, errors, fields, more)


async def _resolved(asking: Asking, typed: Mapping[str, Any], reader: Reader) -> Resolved:
    resolved = await asking.check(asking.fixed)
    if not typed or not any(one.depends_on or getattr(one, "expression", None) for one in asking.inputs):
        return resolved
    # An answer may change the choices of another one, which then reads differently: a second look settles both.
    for _ in range(2):
        fields = questions.fields_of(asking.inputs, resolved, ids=asking.shown)
        given = questions.read_form(fields, typed, reader, blank_texts=asking.blank_texts).given
        resolved = await asking.check({**asking.fixed, **questions.without_files(given)})
    return resolved
