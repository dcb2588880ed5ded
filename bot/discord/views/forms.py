"""Forms as Discord modals: five components a page, each field under a label.

On the wire a field is its position: `f:<index>`, with `:<part>` behind it where one field needs several menus.
"""

from collections.abc import Sequence
from typing import Any

from bot.cards.graphemes import clean, is_blank, line, shorten, size
from bot.conversation import Field, Form, Option
from bot.discord import ids, limits
from bot.discord.views.components import Json, Overflow, Rendered
from bot.discord.views.fields import (
    as_text,
    check_of,
    current,
    is_explained,
    is_menu,
    is_menus,
    keeps_blank,
    label_of,
    pages,
    pickable,
    wire_values,
)
from bot.discord.views.markdown import escape, excerpt, markdown

__all__ = ["draw_choice", "modal", "pages"]

_EXAMPLES = {
    "INT": "A whole number, such as 3",
    "FLOAT": "A number, such as 3.14",
    "DATE": "2026-03-31, or a word such as tomorrow",
    "TIME": "14:30",
    "DATETIME": "2026-03-31T14:30, with an offset such as +02:00 for another zone than /flow whoami says",
    "DURATION": "1h30m or PT1H30M",
    "JSON": '{"name": "value"}',
    "YAML": "name: value",
    "ION": '{name: "value"}',
    "ARRAY": "One a line, or a JSON list",
    "TABLE": "One row a line, with commas, below a line of column names; or JSON",
    "URI": "https://…",
    "EMAIL": "name@example.com",
}
_LONG = frozenset({"JSON", "YAML", "ION", "ARRAY", "TABLE", "MULTISELECT"})
_SHORT_TEXT = 150


def modal(form: Form, page: int, *, over: bool = False) -> Rendered:
    """The modal of a page. `over`: it was opened from a card of ours, which the answer may replace."""
    every = pages(form)
    page = min(max(page, 0), len(every) - 1)
    lost: list[Overflow] = []
    parts: list[Json] = []
    if above := _above(form, page, every[page]):
        text, was_cut = excerpt(above, limits.MODAL_TEXT)
        parts.append({"type": 10, "content": text})
        if was_cut:
            lost.append(Overflow("text", above))
    for index in every[page]:
        drawn, unshown = _field(index, form.fields[index], current(form, form.fields[index]))
        parts += drawn
        lost += unshown
    lost += [
        Overflow("field", f"{label_of(field)}: secrets are not typed in chat")
        for field in form.fields
        if field.type == "SECRET" and page == 0
    ]
    if not parts:
        parts.append({"type": 10, "content": "Nothing here can be typed in chat: open this form on the web page."})
    payload = {
        "custom_id": ids.write("form", page, check_of(form, page), "o" if over else "", form.id),
        "title": _title(form, page, len(every), lost),
        "components": parts,
    }
    return Rendered(payload, tuple(lost))


def _above(form: Form, page: int, indexes: Sequence[int]) -> str:
    """What stands above the fields of a page: the intro, and help that is too long for a field's own place."""
    parts = [markdown(form.intro)] if page == 0 and not is_blank(form.intro) else []
    long = [form.fields[index] for index in indexes if is_explained(form.fields[index])]
    parts += [f"**{escape(shorten(label_of(field), limits.TITLE))}**: {escape(clean(field.help))}" for field in long]
    return "\n\n".join(parts)


def _title(form: Form, page: int, count: int, lost: list[Overflow]) -> str:
    behind = f" ({page + 1}/{count})" if count > 1 else ""
    whole = line(form.title) if not is_blank(form.title) else "Form"
    shown = shorten(whole, limits.MODAL_TITLE - len(behind))
    if shown != whole:
        lost.append(Overflow("title", whole))
    return shown + behind


def _field(index: int, field: Field, value: Any) -> tuple[list[Json], list[Overflow]]:
    lost: list[Overflow] = []
    label = shorten(label_of(field), limits.MODAL_LABEL)
    hint = _hint(field)
    description = shorten(hint, limits.MODAL_DESCRIPTION)
    if label != label_of(field) or description != hint:
        told = (clean(field.group), clean(field.error or ""), clean(field.help))
        lost.append(Overflow("field", f"{label_of(field)}: {' '.join(filter(None, told))}".strip()))
    controls, unshown = _controls(index, field, value)
    lost += unshown
    every: list[Json] = []
    for number, control in enumerate(controls):
        behind = f" ({number + 1}/{len(controls)})" if len(controls) > 1 else ""
        shown = shorten(label_of(field), limits.MODAL_LABEL - len(behind)) + behind
        wrapped: Json = {"type": 18, "label": shown, "component": control}
        if description and number == 0:
            wrapped["description"] = description
        every.append(wrapped)
    return every, lost


def _hint(field: Field) -> str:
    """The error first, then the bounds, then the help."""
    bounds = ""
    if field.minimum is not None and field.maximum is not None:
        bounds = f"{field.minimum} to {field.maximum}."
    elif field.minimum is not None:
        bounds = f"At least {field.minimum}."
    elif field.maximum is not None:
        bounds = f"At most {field.maximum}."
    if pickable(field):
        bounds = f"One of {len(field.options)}: type its name, or part of it."
    elif field.type == "MULTISELECT" and field.options and not is_menus(field) and not field.allow_custom:
        bounds = f"Some of {len(field.options)}: one a line."
    elif field.options and not is_menu(field) and not is_menus(field):
        bounds = "Such as " + ", ".join(line(option.label) for option in field.options[:3]) + "."
    if field.type == "FILE" and field.extensions:
        bounds = "Only " + ", ".join(field.extensions) + "."
    if field.type == "FILE":
        most = f"Up to {limits.MODAL_FILES}, each at" if field.several else "At"
        size_ = limits.FILE_BYTES // limits.MIB
        bounds = f"{bounds} {most} most {size_} MB; larger ones on the page, by /flow web.".strip()
    about = "Explained above." if is_explained(field) else field.help
    if field.group and not label_of(field).startswith(f"{line(field.group)}: "):
        about = f"{line(field.group)}. {about}"
    return line(" ".join(part for part in (f"⚠ {field.error}" if field.error else "", bounds, about) if part))


def _controls(index: int, field: Field, value: Any) -> tuple[list[Json], list[Overflow]]:
    name = f"f:{index}"
    if field.type == "BOOLEAN":
        return [_yes_no(name, field, value)], []
    if field.type == "FILE":
        must = field.required and value is None  # what was sent before, or a default, stays
        most = limits.MODAL_FILES if field.several else 1
        return [{"type": 19, "custom_id": name, "min_values": int(must), "max_values": most, "required": must}], []
    if is_menu(field):
        options, lost = _options(field, {as_text(value)} if value is not None else set())
        return [_menu(name, field, options)], lost
    if is_menus(field):
        options, lost = _options(field, set(_texts(value)))
        return _several(name, field, options), lost
    return _text_input(name, field, value)


def _yes_no(name: str, field: Field, value: Any) -> Json:
    chosen = None if value is None or value == "" else as_text(value).lower() in {"true", "yes", "on", "1"}
    options: list[Json] = [{"label": "Yes", "value": "true"}, {"label": "No", "value": "false"}]
    for option, meaning in zip(options, (True, False), strict=True):
        if chosen is meaning:
            option["default"] = True
    return {"type": 21, "custom_id": name, "required": field.required, "options": options}


def _options(field: Field, chosen: set[str]) -> tuple[list[Json], list[Overflow]]:
    options: list[Json] = []
    lost: list[Overflow] = []
    for wire, choice in zip(wire_values(field.options), field.options, strict=True):
        drawn, unshown = draw_choice(wire, choice)
        if choice.value in chosen:
            drawn["default"] = True
        options.append(drawn)
        lost += unshown
    return options, lost


def draw_choice(wire: str, choice: Option) -> tuple[Json, list[Overflow]]:
    """An option of a menu, and what of it did not fit."""
    label = line(choice.label) if not is_blank(choice.label) else line(choice.value)
    label = label if not is_blank(label) else "(empty)"
    drawn: Json = {"label": shorten(label, limits.OPTION_LABEL), "value": wire}
    if not is_blank(choice.help):
        drawn["description"] = shorten(line(choice.help), limits.OPTION_DESCRIPTION)
    whole = size(label) <= limits.OPTION_LABEL and size(line(choice.help)) <= limits.OPTION_DESCRIPTION
    return drawn, [] if whole else [Overflow("choice", f"{label}: {clean(choice.help)}")]


def _menu(name: str, field: Field, options: list[Json]) -> Json:
    _only_one_default(options)
    radio = limits.RADIO_MINIMUM <= len(options) <= limits.RADIO_OPTIONS and (field.radio or len(options) <= 5)
    if radio and field.required:  # a radio group can't be cleared again
        return {"type": 21, "custom_id": name, "required": True, "options": options}
    return {
        "type": 3, "custom_id": name, "required": field.required, "options": options,
        "min_values": int(field.required), "max_values": 1,
    }  # fmt: skip


def _only_one_default(options: list[Json]) -> None:
    chosen = [option for option in options if option.get("default")]
    for option in chosen[1:]:
        del option["default"]


def _several(name: str, field: Field, options: list[Json]) -> list[Json]:
    if len(options) <= limits.CHECKBOX_OPTIONS:
        least = int(field.required)
        return [
            {
                "type": 22, "custom_id": name, "required": field.required, "options": options,
                "min_values": least, "max_values": len(options),
            }
        ]  # fmt: skip
    parts = [options[at : at + limits.SELECT_OPTIONS] for at in range(0, len(options), limits.SELECT_OPTIONS)]
    alone = field.required and len(parts) == 1
    return [
        {
            "type": 3, "custom_id": f"{name}:{number}", "required": alone, "options": part,
            "min_values": int(alone), "max_values": len(part),
        }
        for number, part in enumerate(parts)
    ]  # fmt: skip


def _text_input(name: str, field: Field, value: Any) -> tuple[list[Json], list[Overflow]]:
    text = clean(as_text(value)) if value is not None else ""
    long = field.multiline or field.type in _LONG or "\n" in text or size(text) > _SHORT_TEXT
    control: Json = {"type": 4, "custom_id": name, "style": 2 if long else 1, "required": field.required}
    lost: list[Overflow] = []
    if keeps_blank(value):
        control["required"] = False
        control["placeholder"] = f"Leave empty to keep the {len(text):,} characters that are set"
        lost.append(Overflow("value", f"{label_of(field)}: {text}"))
    else:
        if text:
            control["value"] = text
        if example := _EXAMPLES.get(field.type, ""):
            control["placeholder"] = shorten(example, limits.MODAL_PLACEHOLDER)
    return [control], lost


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [as_text(item) for item in value] if isinstance(value, list | tuple) else [as_text(value)]
