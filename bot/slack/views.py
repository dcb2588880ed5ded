"""Cards, notices, listings and transcripts as Slack messages. Pure: values in, `Rendered` out, never beyond a limit."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bot import texts
from bot.cards.graphemes import line, shorten, size
from bot.cards.moments import in_their_zone
from bot.conversation import Body, Card, Fact, FileRef, Form, Listing, Notice, Row, Transcript
from bot.slack import limits
from bot.slack.blocks import (
    LINK,
    TONES,
    Block,
    Overflow,
    Rendered,
    button,
    buttons,
    context,
    fact_text,
    mrkdwn,
    paragraphs,
    plain,
    section,
    small_print,
    split_plain,
    step_line,
    weigh,
)
from bot.slack.mrkdwn import FENCE, SPACE, escape, inline, literal, literal_within, plain_line, sections

SAY = "say:"  # action ids of buttons that stand for a typed command; the command is the button's value
OPEN = "open:"  # action ids of buttons that open a form; the form's id follows
_FACTS = 3_500
_STEPS = 2_500
_ACTIONS = 4_000
_ROW = 2_000
_SAID = limits.FALLBACK // 5  # escaping makes five of one at most
_MARKED = re.compile(r"(<[^<>]*>)")
_NOTE = 250  # room kept for the line that names what was moved


def message(body: Body, *, person_id: str = "") -> Rendered:
    """Anything the desk answers, as a message. A form becomes a button that opens it."""
    match body:
        case Card():
            return card(body)
        case Notice():
            return notice(body)
        case Listing():
            return listing(body)
        case Transcript():
            return transcript(body)
        case Form():
            return form_button(body, person_id)


def _rendered(text: str, blocks: list[Block], overflow: Sequence[Overflow]) -> Rendered:
    """A message; its `text` is what notifications and screen readers get."""
    left = tuple(one for one in overflow if one.text.strip())
    if left:
        names = ", ".join(dict.fromkeys(one.what for one in left))
        blocks = [*blocks, context(literal_within(f"✂️ Continued below: {names}", _NOTE - 50))]
    fallback = escape(shorten(line(text), _SAID)) or "…"
    return Rendered({"text": fallback, "blocks": blocks}, left)


def _heading(title: str, emoji: str) -> tuple[list[Block], tuple[Overflow, ...]]:
    """A header line; a longer title is handed back whole."""
    lead = f"{emoji} " if emoji else ""
    head, rest = split_plain(title, limits.HEADER - size(lead))
    if not (lead + head).strip():
        return [], ()
    overflow = (Overflow("Title", rest, is_data=True),) if rest else ()
    return [{"type": "header", "text": plain(lead + head)}], overflow


def when(moment: datetime) -> str:
    """A moment in the reader's own zone; in UTC where Slack can't tell."""
    utc = moment.astimezone(UTC)
    return f"<!date^{int(utc.timestamp())}^{{date_short_pretty}} at {{time}}|{utc:%Y-%m-%d %H:%M} UTC>"


def _facts(facts: Sequence[Fact]) -> tuple[list[Block], tuple[Overflow, ...]]:
    drawn: list[Block] = []
    overflow: list[Overflow] = []
    fields: list[Block] = []
    used = 0
    for fact in facts:
        text = fact_text(fact.label, fact.value)
        whole, rest = sections(fact.value, limits.CONTEXT, limits.CONTEXT)
        is_long = bool(rest.strip()) or len(whole) > 1 or size(text) > limits.FIELD
        if not text.strip():
            continue
        if is_long or used + size(text) > _FACTS or len(drawn) >= 10:
            name = shorten(line(fact.label), 60) or "Value"
            overflow.append(Overflow(name, f"**{texts.literal(line(fact.label))}** {fact.value}"))
            continue
        used += size(text) + 20
        if fact.short and size(text) <= 300:
            fields.append(mrkdwn(text))
        else:
            drawn.append(section(text))
        if len(fields) == limits.FIELDS:
            drawn.append({"type": "section", "fields": fields})
            fields = []
    if fields:
        drawn.append({"type": "section", "fields": fields})
    return drawn, tuple(overflow)


def _size_text(size_: int) -> str:
    return f"{size_ / 1_048_576:.1f} MB" if size_ >= 1_048_576 else f"{max(1, size_ // 1024)} kB"


def _files(files: Sequence[FileRef]) -> tuple[list[Block], tuple[Overflow, ...]]:
    if not files:
        return [], ()
    lines = []
    for file in files:
        length = f" ({_size_text(file.size)})" if file.size else ""
        lines.append(literal(f"📎 {line(file.name)}{length}" + (f" – {line(file.alt)}" if file.alt else "")))
    text = "\n".join(lines)
    if size(text) <= 1_200:
        return [context(text)], ()
    names = "\n".join(f"• {line(file.name)} {line(file.alt)}" for file in files)
    return [context(f"📎 {len(files)} files in the thread")], (Overflow("Files", names, is_data=True),)


def card(body: Card) -> Rendered:
    """A card: header, subtitle, body, facts, steps, files, deadline, buttons, footer. The body yields first."""
    head, head_rest = _heading(body.title, TONES[body.tone])
    subtitle, subtitle_rest = small_print("Subtitle", body.subtitle)
    facts, facts_rest = _facts(body.facts)
    steps, steps_rest = paragraphs("Steps", "\n".join(step_line(step) for step in body.steps), _STEPS)
    files, files_rest = _files(body.files)
    lead = "Answer by" if body.kind == "pause" else "Until"
    due = [context(f"⏰ {lead} {when(body.deadline)}")] if body.deadline else []
    rows, rows_rest = buttons(body.actions, _ACTIONS)
    footer, footer_rest = small_print("Footer", body.footer, 900)
    parts = [*head, *subtitle, *facts, *steps, *files, *due, *rows, *footer]
    room = limits.MESSAGE_TEXT - _NOTE - weigh(parts)
    # Each section costs a little beyond its text: its type names.
    told, text_rest = paragraphs("Text", body.body, room - 150)
    blocks = [*head, *subtitle, *told, *facts, *steps, *files, *due, *rows, *footer]
    said = (Overflow("Notification", body.fallback, is_data=True),) if size(line(body.fallback)) > _SAID else ()
    overflow = (
        *head_rest, *said, *subtitle_rest, *text_rest, *facts_rest, *steps_rest, *files_rest, *rows_rest, *footer_rest,
        *(Overflow(one.what, one.text, one.name) for one in body.enclosed),
    )  # fmt: skip
    fallback = body.fallback or body.title
    return _rendered(fallback, blocks or [section("…")], overflow)


def text(markdown: str) -> Rendered:
    """Markdown as a message of its own."""
    blocks, overflow = paragraphs("Text", markdown, limits.MESSAGE_TEXT - _NOTE - 150)
    return _rendered(plain_line(shorten(markdown, 600)), blocks or [section("…")], overflow)


def notice(body: Notice, calls: str = "") -> Rendered:
    """A sentence with its buttons; `calls` are Slack's own mentions, put in front of it."""
    rows, rows_rest = buttons(body.actions, _ACTIONS)
    room = limits.MESSAGE_TEXT - _NOTE - weigh(rows) - size(calls) - 150
    emoji = "" if body.tone == "info" else f"{TONES[body.tone]} "
    told, text_rest = paragraphs("Text", emoji + body.text, room)
    told = [_zoned(block) for block in told]
    called = [section(shorten(calls, limits.SECTION))] if calls else []
    blocks = [*called, *told, *rows] or [section("…")]
    return _rendered(plain_line(shorten(body.text, 600)), blocks, (*text_rest, *rows_rest))


def _zoned(block: Block) -> Block:
    """Times that a sentence gives in UTC drawn in the reader's own zone, where the longer form still fits."""
    text = block.get("text")
    if block.get("type") != "section" or not isinstance(text, dict):
        return block
    pieces = _MARKED.split(text["text"])  # links, and data that is kept as it is, stay
    drawn = "".join(piece if number % 2 else in_their_zone(piece, when) for number, piece in enumerate(pieces))
    return {**block, "text": {**text, "text": drawn}} if size(drawn) <= limits.SECTION else block


def _row(row: Row, number: int) -> tuple[list[Block], tuple[Overflow, ...]]:
    title = inline(shorten(line(row.title), 300), "b")
    room = min(_ROW, limits.SECTION - size(title) - 1)
    pieces, rest = sections(row.text, room, room) if row.text.strip() else ([], "")
    overflow: list[Overflow] = []
    if size(line(row.title)) > 300:
        overflow.append(Overflow("Row", row.title))
    if rest.strip() or len(pieces) > 1:
        overflow.append(Overflow(shorten(plain_line(row.title), 60) or "Row", row.text))
    text = "\n".join([title, *pieces[:1]]).strip() or "…"
    block = section(text)
    drawn: list[Block] = [block]
    rows, rows_rest = buttons(row.actions, 1_500, rows=1, first=number * 100)
    if len(row.actions) == 1 and rows:
        block["accessory"] = button(row.actions[0], number * 100)
    else:
        drawn.extend(rows)
    return drawn, (*overflow, *rows_rest)


def _rows(body: Listing, total: int, most: int) -> tuple[list[Block], tuple[Overflow, ...]]:
    head, head_rest = _heading(body.title, "")
    tail, tail_rest = small_print("Note", body.note)
    if body.more and size(body.more) <= limits.VALUE:
        more = {"type": "button", "text": plain("More"), "action_id": f"{SAY}more", "value": body.more}
        tail.append({"type": "actions", "elements": [more]})
    blocks = list(head)
    overflow: list[Overflow] = [*head_rest]
    room = total - _NOTE - weigh([*head, *tail])
    for number, row in enumerate(body.rows):
        drawn, rest = _row(row, number)
        weight = weigh(drawn)
        if weight > room or len(blocks) + len(drawn) + len(tail) + 1 > most:
            left = "\n".join(_row_text(one) for one in body.rows[number:])
            overflow.append(Overflow(f"{len(body.rows) - number} more rows", left))
            break
        room -= weight
        blocks.extend(drawn)
        overflow.extend(rest)
    if body.more and size(body.more) > limits.VALUE:
        overflow.append(Overflow("More", body.more, is_data=True))
    return [*blocks, *tail], (*overflow, *tail_rest)


def _row_text(row: Row) -> str:
    acts = "".join(
        f"\n  {texts.literal(line(action.label))}" + (f": {action.url}" if action.url else "") for action in row.actions
    )
    return f"• **{row.title}** {row.text}{acts}"


def listing(body: Listing) -> Rendered:
    """Rows with their buttons, and a button for the next page."""
    blocks, overflow = _rows(body, limits.MESSAGE_TEXT, limits.MESSAGE_BLOCKS)
    return _rendered(body.title, blocks or [section("…")], overflow)


def home(body: Body) -> Rendered:
    """The App Home tab: a listing, or whatever else the desk answers."""
    if isinstance(body, Listing):
        blocks, overflow, most = *_rows(body, limits.HOME_TEXT, limits.VIEW_BLOCKS - 1), limits.HOME_TEXT
        while len(json.dumps(blocks)) > limits.VIEW_BYTES and most > limits.SECTION:
            most //= 2
            blocks, overflow = _rows(body, most, limits.VIEW_BLOCKS - 1)
        rendered = _rendered(body.title, blocks or [section("…")], overflow)
    else:
        rendered = message(body)
    return Rendered({"type": "home", "blocks": rendered.payload["blocks"]}, rendered.overflow)


def transcript(body: Transcript) -> Rendered:
    """Log lines: in the message when they are few, else the first of them and all in a file."""
    head, head_rest = _heading(body.title, "📜")
    lines = body.lines
    whole = _code_lines(lines)
    if not lines:
        return _rendered(body.title, [*head, context("No lines.")], head_rest)
    if len(lines) <= limits.LOG_LINES and size(whole) <= limits.SECTION - 10:
        return _rendered(body.title, [*head, section(f"{FENCE}\n{whole}\n{FENCE}")], head_rest)
    front = [shorten(one, 120) for one in lines[:12]]
    while size(_code_lines(front)) > limits.SECTION - 10:
        front.pop()
    blocks = [*head, section(f"{FENCE}\n{_code_lines(front)}\n{FENCE}")]
    return _rendered(body.title, blocks, (*head_rest, Overflow("Log", "\n".join(lines), _file_name(body.name))))


def _file_name(name: str) -> str:
    return shorten(line(name).replace("/", "_"), 100) or "run.log"


def _code_lines(lines: Sequence[str]) -> str:
    return escape("\n".join(lines)).replace(FENCE, f"``{SPACE}`") or SPACE


def form_button(body: Form, person_id: str, why: str = "") -> Rendered:
    """A button that opens a form, for where Slack lets no form open by itself. It works for `person_id` only."""
    title, rest = split_plain(body.title, 500)
    action = {
        "type": "button",
        "text": plain("Open form"),
        "action_id": f"{OPEN}{body.id}",
        "value": person_id or "-",
        "style": "primary",
    }
    told = "\n".join(filter(None, (literal(title, "b"), why)))
    blocks = [section(told or "…"), {"type": "actions", "elements": [action]}]
    return _rendered(title, blocks, (Overflow("Title", rest, is_data=True),) if rest else ())


def spill(overflow: Sequence[Overflow]) -> tuple[list[dict[str, Any]], tuple[tuple[str, str], ...]]:
    """What did not fit, as a few messages for the thread, and as (name, text) files when it is too much for that."""
    files = [(one.file, one.text) for one in overflow if one.file]
    left = [one for one in overflow if not one.file]
    messages: list[dict[str, Any]] = []
    rest = "\n\n".join(
        f"**{texts.literal(one.what)}**\n{texts.literal(one.text) if one.is_data else one.text}" for one in left
    )
    while rest.strip() and len(messages) < 3:
        drawn, rest = sections(rest, limits.SECTION, limits.MESSAGE_TEXT - 500)
        if not drawn:
            break
        name = left[0].what if left else "…"
        messages.append({"text": escape(shorten(name, 200)) or "…", "blocks": [section(piece) for piece in drawn]})
    if rest.strip():
        return [], (("details.md", "\n\n".join(f"{one.what}\n{one.text}" for one in left)), *files)
    return messages, tuple(files)


def answered(text: str) -> dict[str, Any]:
    """A bare private sentence of the front end itself."""
    return notice(Notice("warning", text)).payload


def is_own_action(action_id: str) -> bool:
    """Whether a pressed button is for the front end itself and not for the desk."""
    return action_id.startswith((LINK, SAY, OPEN))
