"""Listings and transcripts as Discord messages."""

from bot.cards.graphemes import is_blank, line, shorten, size
from bot.conversation import Listing, Notice, Row, Tone, Transcript
from bot.discord import ids, limits
from bot.discord.views import cards
from bot.discord.views import components as c
from bot.discord.views.components import Json, Overflow, Rendered
from bot.discord.views.markdown import code_block, excerpt, inline, markdown, title

_ROW_TEXT = 600
_NOTE = 600
# Container, title, note, the line about the rest, its file, separator, row and button for more.
_FRAME = 8
_LOG: Tone = "info"


def listing(listing: Listing) -> Rendered:
    """Rows with their buttons; rows beyond a message are attached."""
    lost: list[Overflow] = []
    head, whole = title(listing.title, limits.TITLE)
    if whole:
        lost.append(Overflow("title", whole))
    note, was_cut = excerpt(markdown(listing.note), _NOTE)
    if was_cut:
        lost.append(Overflow("note", listing.note))
    parts: list[Json] = [c.text(f"### {head}")] if head else []
    components = _FRAME
    used = size(head) + size(note) + 100
    seen: set[str] = set()
    rows: list[Json] = []
    for index, row in enumerate(listing.rows):
        drawn, text, unplaced = _row(row, seen)
        more = sum(c.count(part) for part in drawn)
        if components + more > limits.COMPONENTS or used + size(text) > limits.MESSAGE_TEXT:
            lost += [_unshown(rest) for rest in listing.rows[index:]]
            break
        lost += unplaced
        parts += drawn
        seen |= _ids(drawn)
        components += more
        used += size(text)
    if not is_blank(note):
        parts.append(c.text(note))
    if listing.more:
        if ids.fits("say", listing.more):
            rows.append(c.row(c.plain_button(ids.write("say", listing.more), "More")))
        else:
            lost.append(Overflow("more", listing.more))
    return cards.message(Notice("info", ""), parts, rows, [], lost)


def _row(row: Row, seen: set[str]) -> tuple[list[Json], str, list[Overflow]]:
    """The components of one row, its text, and what of it did not fit."""
    lost: list[Overflow] = []
    head, head_cut = inline(row.title, limits.TITLE)
    text, was_cut = excerpt(markdown(row.text), _ROW_TEXT)
    if head_cut or was_cut:
        lost.append(_unshown(row))
    content = f"**{head}**\n{text}".strip() if head else text
    if is_blank(content):
        content = "\u2013"
    fresh = tuple(action for action in row.actions if (action.url or action.id) not in seen)
    lost += [Overflow("action", action.label) for action in row.actions if action not in fresh]
    rows, unplaced = c.controls(fresh, limits.ROW_BUTTONS)
    lost += unplaced
    if len(rows) == 1 and len(rows[0]["components"]) == 1 and rows[0]["components"][0]["type"] == 2:
        return [c.section([content], rows[0]["components"][0])], content, lost
    return [c.text(content), *_numbered(rows, len(seen))], content, lost


def _numbered(rows: list[Json], number: int) -> list[Json]:
    """Menus of several rows need ids of their own."""
    for row in rows:
        for component in row["components"]:
            if component["type"] == 3:
                component["custom_id"] = ids.write("more", number)
    return rows


def _ids(parts: list[Json]) -> set[str]:
    found: set[str] = set()
    for part in parts:
        children = [*part.get("components", []), *([part["accessory"]] if "accessory" in part else [])]
        for child in children:
            found |= {child[key].removeprefix("d1|sure|") for key in ("custom_id", "url") if key in child}
            found |= {option["value"].removeprefix("d1|sure|") for option in child.get("options", [])}
    return found


def _unshown(row: Row) -> Overflow:
    actions = ", ".join(f"{action.label} ({action.url})" if action.url else action.label for action in row.actions)
    return Overflow("row", "\n".join(part for part in (row.title, row.text, actions) if part))


def transcript(transcript: Transcript) -> tuple[Rendered, bytes | None]:
    """Log lines; many are shown by their end and attached whole (the second value), the end of them when too large."""
    head, whole = title(transcript.title, limits.TITLE)
    lost = [Overflow("title", whole)] if whole else []
    parts = [c.text(f"### {head}")] if head else []
    lines = transcript.lines
    block = code_block("\n".join(lines))
    if len(lines) <= limits.LOG_LINES and size(block) <= limits.MESSAGE_TEXT - limits.TITLE - 200:
        parts.append(c.text(block if lines else "No lines."))
        return cards.message(Notice(_LOG, ""), parts, [], [], lost), None
    name = c.safe_name(transcript.name)
    parts += [c.text(f"{len(lines)} lines, all in the file. The last ones:"), c.text(_tail(lines)), c.file(name)]
    content = "\n".join(lines).encode(errors="replace")
    if len(content) > limits.FILE_BYTES:
        content = b"(only the end: the log is larger than Discord takes)\n" + content[-limits.FILE_BYTES + 100 :]
        lost.append(Overflow("log", "Lines before the end are only on the web page."))
    return cards.message(Notice(_LOG, ""), parts, [], [name], lost), content


def _tail(lines: tuple[str, ...]) -> str:
    shown: list[str] = []
    room = limits.MESSAGE_TEXT // 2
    for text in reversed(lines[-limits.LOG_LINES :]):
        short = shorten(line(text), 300)
        if size(code_block(short)) > room:
            break
        room -= size(code_block(short))
        shown.append(short)
    return code_block("\n".join(reversed(shown)))
