"""What each field of a form becomes on Discord, and on which page it stands."""

import json
from collections.abc import Sequence
from typing import Any

from bot.cards.graphemes import clean, is_blank, line, size
from bot.conversation import Field, Form, Option
from bot.discord import ids, limits

MENUS = 4  # of 25 choices each


def is_menu(field: Field) -> bool:
    """One choice from a list that fits into a modal."""
    return field.type == "SELECT" and not field.allow_custom and 1 <= len(field.options) <= limits.SELECT_OPTIONS


def is_menus(field: Field) -> bool:
    """Several choices from a list that fits into a modal."""
    room = MENUS * limits.SELECT_OPTIONS
    return field.type == "MULTISELECT" and not field.allow_custom and 1 <= len(field.options) <= room


def pickable(field: Field) -> bool:
    """A choice from a list too long for a modal: typed there, or picked page by page in a message."""
    return field.type == "SELECT" and len(field.options) > limits.SELECT_OPTIONS


def _slots(field: Field) -> int:
    if field.type == "SECRET":  # never typed in chat: the desk gives a link to a page for it
        return 0
    if is_menus(field) and len(field.options) > limits.CHECKBOX_OPTIONS:
        return -(-len(field.options) // limits.SELECT_OPTIONS)
    return 1


def is_explained(field: Field) -> bool:
    """Whether a field's help is too long for its own place, so that it stands above the fields of its page."""
    return _slots(field) > 0 and size(line(field.help)) > limits.MODAL_DESCRIPTION


def pages(form: Form) -> tuple[tuple[int, ...], ...]:
    """Positions of the fields on each page; at least one page. An intro, or long help, takes a place on its page."""
    every: list[tuple[int, ...]] = []
    current: list[int] = []
    has_text = not is_blank(form.intro)
    used = int(has_text)
    for index, field in enumerate(form.fields):
        slots, is_long = _slots(field), is_explained(field)
        if current and used + slots + int(is_long and not has_text) > limits.MODAL_COMPONENTS:
            every.append(tuple(current))
            current, used, has_text = [], 0, False
        if slots:
            current.append(index)
            used += slots + int(is_long and not has_text)
            has_text = has_text or is_long
    if current or not every:
        every.append(tuple(current))
    return tuple(every)


def page_of(form: Form, index: int) -> int:
    """The page a field stands on."""
    return next((number for number, page in enumerate(pages(form)) if index in page), 0)


def check_of(form: Form, page: int) -> str:
    """A fingerprint of the fields on a page: positions mean nothing once the fields changed."""
    return ids.fingerprint([f"{form.fields[index].type} {form.fields[index].id}" for index in pages(form)[page]])


def label_of(field: Field) -> str:
    """What the field is called, with its group before it where there is room."""
    name = next((line(name) for name in (field.label, field.id) if not is_blank(name)), "Value")
    whole = f"{line(field.group)}: {name}"
    return whole if field.group and size(whole) <= limits.MODAL_LABEL else name


def wire_values(options: Sequence[Option]) -> list[str]:
    """What stands for each choice on the wire: its value, or position and check where Discord refuses that."""
    every: list[str] = []
    for index, option in enumerate(options):
        value = option.value
        as_it_is = not is_blank(value) and value == clean(value).strip() and size(value) <= limits.OPTION_VALUE
        if not as_it_is or value in every or value.startswith("#"):
            value = f"#{index}:{ids.fingerprint([value])}"
        every.append(value)
    return every


def current(form: Form, field: Field) -> Any:
    """What was filled in before, else the default."""
    return form.values.get(field.id, field.default)


def keeps_blank(value: Any) -> bool:
    """Whether the value is too long to be shown, so that leaving the field empty means keeping it."""
    return value is not None and size(clean(as_text(value))) > limits.MODAL_TEXT


def as_text(value: Any) -> str:
    """A value as a person types it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)
