"""What stands between the pages of a form (a modal cannot answer a modal): steps, long lists of choices, errors."""

from collections.abc import Mapping, Sequence

from bot.cards.graphemes import line, shorten, size
from bot.conversation import Form, Notice, Option
from bot.discord import ids, limits
from bot.discord.views import cards
from bot.discord.views import components as c
from bot.discord.views.components import Json, Overflow, Rendered
from bot.discord.views.fields import label_of, page_of, pages, pickable, wire_values
from bot.discord.views.forms import draw_choice
from bot.discord.views.markdown import escape, excerpt, markdown, title


def step(form: Form, page: int, *, saved: bool = True, owner: str = "") -> Rendered:
    """The card between two pages, or before the first when no modal can be opened here."""
    every = pages(form)
    page = min(max(page, 0), len(every) - 1)
    head, _ = title(form.title, limits.TITLE)
    where = f"Step {page + 1} of {len(every)}" if len(every) > 1 else "One step"
    asked = ", ".join(escape(shorten(label_of(form.fields[index]), 60)) for index in every[page])
    lines = [
        f"### {head}" if head else "",
        f"{where} · saved" if saved else where,
        f"Asks for {asked}." if asked else "",
    ]
    buttons = [
        c.plain_button(ids.write("open", page, owner, form.id), "Continue" if saved and page else "Open the form", 1)
    ]
    if page:
        buttons.append(c.plain_button(ids.write("open", page - 1, owner, form.id), "Back"))
    buttons.append(c.plain_button(ids.write("drop", form.id), "Cancel"))
    return cards.message(Notice("info", ""), [c.text("\n".join(filter(None, lines)))], [c.row(*buttons)], [], [])


def choices(form: Form, index: int, page: int, typed: str, options: Sequence[Option]) -> Rendered:
    """A page of 25 choices of one field, in a message."""
    field = form.fields[index]
    count = max(1, -(-len(options) // limits.SELECT_OPTIONS))
    page = min(max(page, 0), count - 1)
    at = page * limits.SELECT_OPTIONS
    head, _ = title(label_of(field), limits.TITLE)
    fitting = f" that fit “{escape(shorten(typed, 60))}”" if typed else ""
    parts: list[Json] = [c.text(f"### {head}\n{len(options)} choices{fitting} · page {page + 1} of {count}")]
    lost: list[Overflow] = []
    rows: list[Json] = []
    drawn: list[Json] = []
    for wire, option in zip(wire_values(options)[at : at + limits.SELECT_OPTIONS], options[at:], strict=False):
        shown, unshown = draw_choice(wire, option)
        drawn.append(shown)
        lost += unshown
    if drawn:
        rows.append(
            c.row(
                {
                    "type": 3,
                    "custom_id": ids.write("take", index, form.id),
                    "options": drawn,
                    "placeholder": "Choose one",
                }
            )
        )
    buttons = []
    if page:
        buttons.append(c.plain_button(ids.write("pick", index, page - 1, form.id, typed), "Previous"))
    if page + 1 < count:
        buttons.append(c.plain_button(ids.write("pick", index, page + 1, form.id, typed), "Next"))
    buttons.append(c.plain_button(ids.write("find", index, form.id), "Filter…"))
    buttons.append(c.plain_button(ids.write("open", page_of(form, index), "", form.id), "Back to the form", 1))
    return cards.message(Notice("info", ""), parts, [*rows, c.row(*buttons)], [], lost)


def chosen(form: Form, index: int, label: str) -> Rendered:
    """What is said after a choice was saved."""
    name = escape(shorten(label_of(form.fields[index]), limits.TITLE // 2))
    parts = [c.text(f"**{name}**: {escape(shorten(line(label), limits.TITLE))} · saved")]
    buttons = [
        c.plain_button(ids.write("open", page_of(form, index), "", form.id), "Continue", 1),
        c.plain_button(ids.write("pick", index, 0, form.id, ""), "Choose another"),
        c.plain_button(ids.write("drop", form.id), "Cancel"),
    ]
    return cards.message(Notice("success", ""), parts, [c.row(*buttons)], [], [])


def sieve(form: Form, index: int) -> Json:
    """A modal that asks for a filter over the choices of a field."""
    ask = {"type": 4, "custom_id": "typed", "style": 1, "required": False, "max_length": 40}
    label = {"type": 18, "label": "Show choices that contain", "component": ask}
    name = shorten(label_of(form.fields[index]), limits.MODAL_TITLE)
    return {"custom_id": ids.write("sift", index, form.id), "title": name, "components": [label]}


def in_full(overflow: Sequence[Overflow]) -> Rendered:
    """What a modal had no room for, as a message beside it."""
    lines = [f"**{item.part}** {escape(item.text)}" for item in overflow]
    body, was_cut = excerpt("\n".join(lines), limits.MESSAGE_TEXT - 300)
    return cards.message(
        Notice("info", ""), [c.text("### In full"), c.text(body)], [], [], list(overflow) if was_cut else []
    )


def refusal(form: Form, errors: Mapping[str, str]) -> Rendered:
    """Why a form was refused, field by field, with a button that opens it again and menus for long lists of choices."""
    lost: list[Overflow] = []
    lines: list[str] = []
    used = limits.TITLE
    known = {field.id: index for index, field in enumerate(form.fields)}
    for field_id, why in errors.items():
        name = label_of(form.fields[known[field_id]]) if field_id in known else line(field_id) or "Form"
        label, whole = title(name, limits.SUBTITLE // 4)
        text = f"- **{label}**: {' '.join(markdown(why).split())}"
        if whole or size(text) > limits.SUBTITLE or used + size(text) > limits.MESSAGE_TEXT - 300:
            lost.append(Overflow("error", f"{name}: {why}"))
            text, _ = excerpt(text, limits.SUBTITLE)
            if used + size(text) > limits.MESSAGE_TEXT - 300:
                continue
        lines.append(text)
        used += size(text) + 1
    first = min((known[field_id] for field_id in errors if field_id in known), default=0)
    buttons = [c.plain_button(ids.write("open", page_of(form, first), "", form.id), "Fix", 1)]
    choosable = [known[field_id] for field_id in errors if field_id in known and pickable(form.fields[known[field_id]])]
    for index in choosable[: limits.ROW_BUTTONS - 2]:
        label = f"Choose {label_of(form.fields[index])}"
        buttons.append(c.plain_button(ids.write("pick", index, 0, form.id, ""), shorten(label, limits.BUTTON_LABEL)))
    buttons.append(c.plain_button(ids.write("drop", form.id), "Cancel"))
    parts = [c.text("### Please check\nNothing was started or decided; what you typed is kept.")]
    if lines:
        parts.append(c.text("\n".join(lines)))
    return cards.message(Notice("warning", ""), parts, [c.row(*buttons)], [], lost)
