"""Forms as Slack modals, page by page. Pure: values in, views out, never beyond a limit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot import texts
from bot.cards.graphemes import ELLIPSIS, cut, line, shorten, size
from bot.conversation import Field, Form, Room
from bot.forms.values import files_in
from bot.slack import limits
from bot.slack.blocks import Block, Overflow, Rendered, buttons, context, label, paragraphs, plain, section
from bot.slack.elements import (
    CHOSEN,
    CUSTOM,
    HINTS,
    as_text,
    block_name,
    choice,
    custom_text,
    cut_options,
    element,
    field_name,
    is_tick,
    kept,
    lost_default,
    shape_of,
)
from bot.slack.mrkdwn import literal, literal_within, plain_line

FORM = "form"  # callback id of every view of ours that is a form
_HELP = 6_000  # of one field, beyond its hint
_INTRO = 9_000
_SECRET_LABEL = 500  # it stands in a paragraph, where escaping can make five of one
_ACTIONS = 2_000  # for buttons above the fields
_PAGE_BLOCKS = 90  # of 100: the rest is for title, introduction and notes
_PAGE_BYTES = 150_000  # of 250,000: the rest is for what was typed
# Where all of them together are too much for a view: characters of an error, a help or an introduction, and of a value
# that is still shown in its field. Each step is tried when the one before is too much.
_STEPS = ((None, 500), (400, 500), (400, 0), (100, 0))
_VIEW_BYTES = 225_000  # of 250,000: the rest is for the ticket and what is said about what did not fit


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a form was asked for; it travels in the view, so that it survives a restart."""

    room: Room
    answer_url: str | None = None
    card: str = ""  # the message whose button opened it, which the address can draw anew


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a view says about itself: which form, which page, and from where."""

    form_id: str
    page: int
    shape: str
    origin: Origin
    hidden: frozenset[int] = frozenset()  # fields whose long values are not shown: empty then means unchanged


def write_ticket(form: Form, page: int, origin: Origin, hidden: Sequence[int] = ()) -> str:
    """A ticket as `private_metadata`; the answer's address is left out when there is no room for it."""
    room = origin.room
    written: dict[str, Any] = {"f": form.id, "p": page, "s": shape_of(form), "c": room.channel, "w": room.workspace}
    if room.thread:
        written["t"] = room.thread
    if room.is_direct:
        written["d"] = 1
    if origin.card and origin.answer_url:
        written["m"] = origin.card
    if hidden:
        written["h"] = list(hidden)
    text = json.dumps({**written, "u": origin.answer_url} if origin.answer_url else written)
    return text if size(text) <= limits.METADATA else json.dumps(written)


def read_ticket(text: str) -> Ticket | None:
    """The ticket of a view; None when the view is none of ours."""
    try:
        read = json.loads(text)
        room = Room("slack", str(read["c"]), read.get("t"), str(read.get("w", "")), bool(read.get("d")))
        hidden = frozenset(int(index) for index in read.get("h", ()))
        origin = Origin(room, read.get("u"), str(read.get("m") or ""))
        return Ticket(str(read["f"]), int(read["p"]), str(read["s"]), origin, hidden)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class _Drawn:
    blocks: list[Block]
    overflow: tuple[Overflow, ...]
    is_hidden: bool = False


def _name(field: Field) -> str:
    return shorten(line(field.label or field.id), 60) or "Field"


def _help(field: Field) -> str:
    extra = HINTS.get(field.type, "")
    if field.type in ("DATE", "TIME", "DATETIME", "DURATION") and (field.minimum or field.maximum):
        bounds = [f"from {field.minimum}" if field.minimum else "", f"to {field.maximum}" if field.maximum else ""]
        extra = f"{extra} Allowed: {' '.join(bound for bound in bounds if bound)}."
    if field.type == "FILE":
        only = f"Only {', '.join(field.extensions)}. " if field.extensions else ""
        most = f"Up to {limits.FILES} files of at most 10 MB" if field.several else "At most 10 MB"
        extra = f"{only}{most}; larger ones on the page, by /flow web."
    return " ".join(part for part in (field.help.strip(), extra.strip()) if part)


def _secret(field: Field) -> Block:
    name = literal(shorten(line(field.label or field.id), _SECRET_LABEL) or "Secret", "b")
    return section(f"🔒 {name}\nSecrets are not typed in chat. Answer this one on the web page.")


def _draw(form: Form, index: int, *, hide: bool = False, brief: int | None = None) -> _Drawn:
    """One field: what went wrong before, a long help, its element, and a text field for other values."""
    field = form.fields[index]
    blocks: list[Block] = []
    overflow: list[Overflow] = []
    heading = label(field.group, limits.HEADER, "").strip()
    if heading and (index == 0 or form.fields[index - 1].group != field.group):
        blocks.append({"type": "header", "text": plain(heading)})
        if size(line(field.group)) > limits.HEADER:
            overflow.append(Overflow("Heading", field.group, is_data=True))
    if field.error:
        most = brief or limits.SECTION
        more, rest = paragraphs(f"What is wrong with {_name(field)}", f"⚠️ {field.error}", most)
        blocks.extend(more)
        overflow.extend(rest)
    help_text = _help(field)
    hint = plain_line(help_text)
    if size(hint) > limits.HINT or "\n" in field.help.strip() or (field.type == "SECRET" and hint):
        hint = ""
        most = brief or _HELP
        more, rest = paragraphs(f"Help for {_name(field)}", f"**{texts.literal(_name(field))}**: {help_text}", most)
        blocks.extend(more)
        overflow.extend(rest)
    if size(line(field.label)) > (_SECRET_LABEL if field.type == "SECRET" else limits.LABEL):
        overflow.append(Overflow("Label", field.label, is_data=True))
    if long := cut_options(field.options):
        overflow.append(Overflow(f"Choices of {_name(field)}", long, is_data=True))
    if field.type == "SECRET":
        return _Drawn([*blocks, _secret(field)], tuple(overflow))
    drawn, is_hidden = _inputs(form, index, hint, overflow, hide=hide)
    return _Drawn([*blocks, *drawn], tuple(overflow), is_hidden)


def _inputs(form: Form, index: int, hint: str, overflow: list[Overflow], *, hide: bool) -> tuple[list[Block], bool]:
    field, name, before = form.fields[index], field_name(index), kept(form, form.fields[index])
    drawn, is_shown = element(field, name, None if hide else before)
    is_hidden = hide or not is_shown
    takes_others = field.allow_custom and field.type in ("SELECT", "MULTISELECT") and choice(field) != "text"
    if is_hidden:
        overflow.append(lost_default(field, before))
        hint = f"{shorten(hint, limits.HINT - 60)} Leave it empty to keep the long value.".strip()
    sent = files_in(before)
    if sent:
        names = shorten(", ".join(line(file.name) for file in sent), 200)
        are, it = ("are", "them") if len(sent) > 1 else ("is", "it")
        hint = shorten(f"{names} {are} here already; leave this empty to keep {it}. {hint}".strip(), limits.HINT)
    is_there = bool(sent) or (field.type == "FILE" and before is not None)  # a default is no file that can be shown
    block: Block = {
        "type": "input",
        "block_id": block_name(index, shape_of(form)),
        "label": plain(label(field.label or field.id, limits.LABEL)),
        "element": drawn,
        "optional": not field.required or is_hidden or takes_others or is_there or is_tick(form, field),
    }
    if hint:
        block["hint"] = plain(hint)
    if field.leads or drawn["type"] in CHOSEN:
        block["dispatch_action"] = (
            True  # each choice sends what stands in the window: should it be closed, that is kept
        )
    if not takes_others:
        return [block], is_hidden
    other: Block = {"type": "plain_text_input", "action_id": name + CUSTOM}
    other["multiline"] = field.type == "MULTISELECT"
    if (text := custom_text(field, before)) and size(text) <= limits.INPUT_TEXT:
        other["initial_value"] = text
        other["multiline"] = "\n" in text or other["multiline"]
    elif text:
        overflow.append(Overflow(f"Default of {_name(field)}", text, is_data=True))
        is_hidden = True
    title = plain(shorten(f"{_name(field)}: something else", limits.LABEL))
    beside = {
        "type": "input",
        "block_id": block["block_id"] + CUSTOM,
        "label": title,
        "element": other,
        "optional": True,
    }
    return [block, beside], is_hidden


def pages(form: Form) -> tuple[tuple[int, ...], ...]:
    """Which fields stand on which page; the same fields always give the same pages, whatever was typed into them."""
    found: list[tuple[int, ...]] = []
    current: list[int] = []
    bare = replace(form, values={}, fields=_without_error(form.fields))
    blocks = used = 0
    for index in range(len(form.fields)):
        drawn = _draw(bare, index).blocks
        height, weight = len(drawn) + 1, _bytes(drawn)  # one more block for an error above it
        if current and (len(current) >= limits.INPUTS or blocks + height > _PAGE_BLOCKS or used + weight > _PAGE_BYTES):
            found.append(tuple(current))
            current, blocks, used = [], 0, 0
        current.append(index)
        blocks += height
        used += weight
    return (*found, tuple(current))


def _bytes(blocks: list[Block]) -> int:
    return len(json.dumps(blocks))


def _without_error(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(replace(field, error=None) if field.error else field for field in fields)


def page_of(form: Form, field_id: str) -> int | None:
    """The page a field stands on."""
    for number, indexes in enumerate(pages(form)):
        if any(form.fields[index].id == field_id for index in indexes):
            return number
    return None


def form_view(form: Form, origin: Origin, page: int | None = None) -> Rendered:
    """One page of a form as a modal, and what of it did not fit."""
    all_pages = pages(form)
    number = min(max(form.page if page is None else page, 0), len(all_pages) - 1)
    is_last = number == len(all_pages) - 1
    drawn = (_page(form, all_pages, number, brief, shown) for brief, shown in _STEPS)
    fitting = next((page for page in drawn if _bytes(page[0]) <= _VIEW_BYTES), None)
    blocks, overflow, hidden = fitting or _page(form, all_pages, number, *_STEPS[-1])
    if overflow and len(blocks) < limits.VIEW_BLOCKS:
        names = ", ".join(dict.fromkeys(one.what for one in overflow))
        blocks.append(context(literal_within(f"✂️ I send you the full text separately: {names}", 600)))
    view: dict[str, Any] = {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": write_ticket(form, number, origin, hidden),
        "title": plain(_title(line(form.title))),
        "submit": plain(label(form.submit, limits.VIEW_BUTTON, "Send") if is_last else "Next"),
        "close": plain("Cancel"),
        "blocks": blocks or [section("Nothing to fill in.")],
    }
    return Rendered(view, tuple(overflow))


def _page(
    form: Form, all_pages: Sequence[Sequence[int]], number: int, brief: int | None, shown: int
) -> tuple[list[Block], list[Overflow], list[int]]:
    """The blocks of a page, what of it did not fit, and the fields whose values are not shown: those longer than
    `shown` for which there is no room."""
    overflow: list[Overflow] = []
    blocks: list[Block] = []
    title = line(form.title)
    if size(title) > limits.VIEW_TITLE:
        more, rest = paragraphs("Title", f"**{texts.literal(title)}**", 1_500)
        blocks.extend(more)
        overflow.extend(rest)
    if len(all_pages) > 1:
        blocks.append(context(f"Step {number + 1} of {len(all_pages)}"))
    if number == 0 and form.actions:
        drawn_buttons, rest = buttons(form.actions, _ACTIONS, rows=1)
        blocks.extend(drawn_buttons)
        overflow.extend(rest)
    if number == 0:
        more, rest = paragraphs("Introduction", form.intro, brief or _INTRO)
        blocks.extend(more)
        overflow.extend(rest)
    if size(line(form.submit)) > limits.VIEW_BUTTON:
        overflow.append(Overflow("Button", form.submit, is_data=True))
    hidden: list[int] = []
    used = _bytes(blocks)
    for index in all_pages[number]:
        drawn = _draw(form, index, brief=brief)
        if (
            used + _bytes(drawn.blocks) > _VIEW_BYTES
            and size(as_text(form.fields[index], kept(form, form.fields[index]))) > shown
        ):
            drawn = _draw(form, index, hide=True, brief=brief)
        used += _bytes(drawn.blocks)
        blocks.extend(drawn.blocks)
        overflow.extend(drawn.overflow)
        if drawn.is_hidden:
            hidden.append(index)
    return blocks, overflow, hidden


def _title(title: str) -> str:
    if size(title) <= limits.VIEW_TITLE:
        return title or "Form"
    return cut(title, limits.VIEW_TITLE - 1)[0].rstrip() + ELLIPSIS


def with_errors(form: Form, errors: Mapping[str, str]) -> Form:
    """The form with its errors drawn beside the fields; errors of no field go into the introduction."""
    known = {field.id for field in form.fields}
    fields = tuple(replace(field, error=errors.get(field.id, field.error)) for field in form.fields)
    general = [f"⚠️ {message}" for name, message in errors.items() if name not in known]
    return replace(form, fields=fields, intro="\n".join([*general, form.intro]) if general else form.intro)


def errors_in_place(form: Form, page: int, errors: Mapping[str, str]) -> dict[str, str] | None:
    """Errors by block of this very page, as Slack draws them beside the fields; None when one has no block there."""
    number = {form.fields[index].id: index for index in pages(form)[page]} if page < len(pages(form)) else {}
    placed: dict[str, str] = {}
    shape = shape_of(form)
    for field_id, text in errors.items():
        if field_id not in number or form.fields[number[field_id]].type == "SECRET":
            return None
        if size(plain_line(text)) > limits.FIELD_ERROR:
            return None
        placed[block_name(number[field_id], shape)] = plain_line(text) or "This does not fit."
    return placed


def waiting_view(text: str, title: str = "One moment") -> dict[str, Any]:
    """A modal without fields that says some Markdown, while something takes its time or when it is over."""
    told, _ = paragraphs("Text", text, limits.SECTION)
    return {
        "type": "modal",
        "callback_id": "note",
        "title": plain(_title(title)),
        "close": plain("Close"),
        "blocks": told or [section("…")],
    }
