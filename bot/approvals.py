"""How a pause is answered: which buttons its questions need, and what each button answers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot.conversation import Action, Confirm, Field, Option
from bot.links import ActionIds, Pages
from bot.texts import shorten

Kind = Literal["plain", "yes_no", "choice", "form", "secure"]
MAX_CHOICES = 4
MAX_LABEL = 40


@dataclass(frozen=True, slots=True)
class Shape:
    """What the questions of a pause amount to. `key` is the field that the buttons fill."""

    kind: Kind
    key: str = ""
    choices: tuple[Option, ...] = ()


PLAIN = Shape("plain")


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
        if _rest_answers_itself(fields, only, quick):
            return Shape("choice", only.id, only.options)
    return Shape("form")


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


def actions(made: Shape, pause_id: str, ids: ActionIds, pages: Pages, *, asks_on_reject: bool) -> tuple[Action, ...]:
    """The buttons of a waiting pause."""
    match made.kind:
        case "plain":
            sure = Confirm("Reject and stop the run?", "The flow ends here; nothing after this step runs.", "Reject")
            return (_approve(pause_id, ids), replace(_reject(pause_id, ids), confirm=sure))
        case "yes_no":
            reject = replace(_reject(pause_id, ids), opens_form=asks_on_reject)
            in_form = (ids.button("an", pause_id, "Answer in form"),) if asks_on_reject else ()
            return (_approve(pause_id, ids), reject, *in_form)
        case "choice":
            buttons = (
                ids.button("ch", pause_id, shorten(option.label or option.value, MAX_LABEL), number)
                for number, option in enumerate(made.choices)
            )
            in_form = (ids.button("an", pause_id, "Answer in form"),) if asks_on_reject else ()
            return (*buttons, *in_form)
        case "secure":
            page = pages.pause(pause_id)
            secure = (Action("", "Open secure form", "primary", url=page),) if page else ()
            return (*secure, _cancel(pause_id, ids))
        case "form":
            return (replace(ids.button("an", pause_id, "Answer\u2026"), style="primary"), _cancel(pause_id, ids))


def _approve(pause_id: str, ids: ActionIds) -> Action:
    return replace(ids.button("ap", pause_id, "Approve"), style="primary")


def _reject(pause_id: str, ids: ActionIds) -> Action:
    return replace(ids.button("rj", pause_id, "Reject\u2026"), style="danger")


def _cancel(pause_id: str, ids: ActionIds) -> Action:
    sure = Confirm("Cancel this run?", "The flow ends here; nothing after this step runs.", "Cancel run", "Keep it")
    return replace(ids.button("kl", pause_id, "Cancel run"), style="danger", confirm=sure)


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
