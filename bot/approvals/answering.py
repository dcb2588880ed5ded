"""How a pause is answered: which buttons its questions need, and what each button answers. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot.conversation import Action, Confirm, Field, Option
from bot.links import MOST_NUMBER, ActionIds
from bot.texts import shorten
from engine.core.task import Task

Kind = Literal["plain", "yes_no", "choice", "form", "secure"]
MAX_CHOICES = 4
MAX_LABEL = 40


@dataclass(frozen=True, slots=True)
class Shape:
    """What the questions of a pause amount to. `key` is the field that the buttons fill."""

    kind: Kind
    key: str = ""
    choices: tuple[Option, ...] = ()
    yes: str = "Approve"
    no: str = "Reject"


PLAIN = Shape("plain")
FORM = Shape("form")


def shape(fields: Sequence[Field], *, quick: bool = True) -> Shape:
    """The shape of a pause's questions; `quick`: a text without default may stay empty when a button answers."""
    if not fields:
        return PLAIN
    if any(field.type == "SECRET" and _must_be_filled(field) for field in fields):
        return Shape("secure")
    switches = [field for field in fields if field.type == "BOOLEAN"]
    choices = [field for field in fields if field.type == "SELECT" and not field.allow_custom]
    if len(switches) == 1 and _rest_answers_itself(fields, switches[0], quick):
        return Shape("yes_no", switches[0].id)
    if not switches and len(choices) == 1 and 0 < len(choices[0].options) <= MAX_CHOICES:
        only = choices[0]
        are_apart = len({number_of(option) for option in only.options}) == len(only.options)
        if are_apart and _rest_answers_itself(fields, only, quick):
            return Shape("choice", only.id, only.options)
    return FORM


def shape_of(task: Task, fields: Sequence[Field], *, quick: bool) -> tuple[Shape, bool]:
    """The shape of a task's questions, and whether its texts may stay empty. An Approval says itself whether a remark
    may be left out, and what its buttons are called."""
    names = getattr(task, "decisions", None)
    quick = quick and getattr(task, "comment_required", "NEVER") == "NEVER"
    made = shape(fields, quick=quick or names is not None)
    if names is not None:
        made = replace(made, yes=names.approve or made.yes, no=names.deny or made.no)
    return made, quick


def number_of(option: Option) -> int:
    """The number on the button of an option. It is made of the value: a list of choices may come out otherwise when the
    button is pressed, and a place in it would then mean another."""
    digest = hashlib.blake2b(option.value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return MAX_CHOICES + int.from_bytes(digest) % (MOST_NUMBER - MAX_CHOICES)


def chosen(made: Shape, number: int) -> Option | None:
    """The option that a button stood for; None when it is not offered any more."""
    return next((option for option in made.choices if number_of(option) == number), None)


def _must_be_filled(field: Field) -> bool:
    return field.required and field.default is None


def _is_plain_text(field: Field) -> bool:
    return field.type == "STRING" and not field.pattern


def _rest_answers_itself(fields: Sequence[Field], asked: Field, quick: bool) -> bool:
    rest = [field for field in fields if field.id != asked.id and _must_be_filled(field)]
    return all(quick and _is_plain_text(field) for field in rest)


def quick_values(fields: Sequence[Field], key: str, value: Any) -> dict[str, Any]:
    """What a button answers: its own field, and empty texts where one is required; defaults fill the rest."""
    empty = {field.id: "" for field in fields if field.id != key and _must_be_filled(field) and _is_plain_text(field)}
    return {**empty, key: value}


def reject_fields(fields: Sequence[Field], made: Shape) -> tuple[Field, ...]:
    """What a rejection still asks: every field but the one that the rejection itself answers."""
    return tuple(field for field in fields if field.id != made.key)


def answer_fields(fields: Sequence[Field], *, quick: bool) -> tuple[Field, ...]:
    """The form of a pause: where a button may leave a text empty, so may the form."""
    return tuple(replace(field, required=False) if quick and _is_plain_text(field) else field for field in fields)


def actions(
    made: Shape, pause_id: str, ids: ActionIds, *, asks_on_reject: bool, has_page: bool = False
) -> tuple[Action, ...]:
    """The buttons of a waiting pause."""
    match made.kind:
        case "plain":
            sure = Confirm("Reject and stop the run?", "The flow ends here; nothing after this step runs.", "Reject")
            return (_approve(pause_id, ids), replace(_reject(pause_id, ids), confirm=sure))
        case "yes_no":
            no = shorten(made.no, MAX_LABEL - 1) + ("\u2026" if asks_on_reject or made.no == "Reject" else "")
            reject = replace(_reject(pause_id, ids), label=no, opens_form=asks_on_reject)
            approve = replace(_approve(pause_id, ids), label=shorten(made.yes, MAX_LABEL))
            in_form = (ids.button("an", pause_id, "Answer in form"),) if asks_on_reject else ()
            return (approve, reject, *in_form)
        case "choice":
            buttons = (
                ids.button("ch", pause_id, shorten(option.label or option.value, MAX_LABEL), number_of(option))
                for option in made.choices
            )
            in_form = (ids.button("an", pause_id, "Answer in form"),) if asks_on_reject else ()
            return (*buttons, *in_form)
        case "secure":
            # Pressing it gives whoever may answer a link of their own; the card is for everybody to see.
            secure = Action(ids("an", pause_id), "Open secure form", "primary")
            return (*((secure,) if has_page else ()), _cancel(pause_id, ids))
        case "form":
            return (replace(ids.button("an", pause_id, "Answer\u2026"), style="primary"), _cancel(pause_id, ids))


def _approve(pause_id: str, ids: ActionIds) -> Action:
    return replace(ids.button("ap", pause_id, "Approve"), style="primary")


def _reject(pause_id: str, ids: ActionIds) -> Action:
    return replace(ids.button("rj", pause_id, "Reject\u2026"), style="danger")


def _cancel(pause_id: str, ids: ActionIds) -> Action:
    sure = Confirm("Cancel this run?", "The flow ends here; nothing after this step runs.", "Cancel run", "Keep it")
    return replace(ids.button("kl", pause_id, "Cancel run"), style="danger", confirm=sure)


def decision(made: Shape, action: str, values: Mapping[str, Any] | None) -> str:
    """What a decision is called on record, whichever door it came by: where there is a yes and a no `approve` or
    `reject`, where few may be chosen from `choose`, else `answer`; without values what was pressed to end the run."""
    if values is None:
        return action
    if made.kind == "yes_no" and isinstance(values.get(made.key), bool):
        return "approve" if values[made.key] else "reject"
    if made.kind == "choice":
        return "choose"
    return "approve" if made.kind == "plain" or action == "approve" else "answer"


def decided_word(action: str, details: Mapping[str, Any] | None = None) -> str:
    """How a deed is told: `approved`, `rejected`, `answered`, `cancelled`."""
    words = {
        "approve": "approved",
        "reject": "rejected",
        "answer": "answered",
        "kill": "cancelled",
        "resume": "resumed",
    }
    if action == "choose" and details and details.get("choice"):
        return f"answered with {details['choice']}"
    return words.get(action, "answered")


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with these values."""

    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kill:
    """End the run."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Something is still to be asked: a form for these fields, with what is `fixed` already."""

    purpose: Literal["answer", "reject"]
    fields: tuple[Field, ...]
    fixed: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Secure:
    """It can only be answered on the web page."""


Plan = Resume | Kill | Ask | Secure


def plan(
    made: Shape,
    fields: Sequence[Field],
    action: str,
    given: Mapping[str, Any],
    *,
    choice: int = -1,
    reason: str = "",
    quick: bool = True,
    was_asked: bool = False,
    may_type_secrets: bool = False,
) -> Plan:
    """What an approval, a rejection, a choice or an answer amounts to. `was_asked`: a form was filled, ask no more."""
    match action:
        case "kill":
            return Kill()
        case "reject":
            return _rejection(made, fields, given, reason, was_asked)
        case "choose" if made.kind == "choice" and (option := chosen(made, choice)):
            return Resume({**quick_values(fields, made.key, option.value), **given})
        case "approve" if made.kind == "yes_no":
            quick_ones = quick_values(fields, made.key, True) if quick else {made.key: True}
            said = {**quick_ones, **_with_reason(fields, made, given, reason)}
            if was_asked or not any(_must_be_filled(field) and field.id not in said for field in fields):
                return Resume(said)
            return Ask("answer", tuple(field for field in fields if field.id != made.key), said)
    if was_asked or not fields:
        return Resume(given)
    if made.kind == "secure" and not may_type_secrets:
        return Secure()
    told = _with_reason(fields, made, given, reason) if action == "approve" else given
    open_fields = [field for field in fields if _must_be_filled(field) and field.id not in told]
    if not open_fields and (told or action == "approve"):
        return Resume(told)
    return Ask("answer", answer_fields(fields, quick=quick), told)


def _rejection(
    made: Shape, fields: Sequence[Field], given: Mapping[str, Any], reason: str, was_asked: bool
) -> Resume | Kill | Ask:
    if made.kind != "yes_no":
        return Kill()
    told = {**_with_reason(fields, made, given, reason), made.key: False}
    rest = reject_fields(fields, made)
    if was_asked or not rest or any(field.id in told for field in rest):
        return Resume(told)
    return Ask("reject", rest, told)


def _with_reason(fields: Sequence[Field], made: Shape, given: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Words after a command answer the only plain text that is asked for; else they stay a reason."""
    texts = [field.id for field in fields if field.type == "STRING" and field.id != made.key]
    if reason and len(texts) == 1 and texts[0] not in given:
        return {**given, texts[0]: reason}
    return dict(given)
