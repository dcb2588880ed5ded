"""Cards and notices as Discord messages. What does not fit goes into an attachment that the message shows."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from bot.cards.graphemes import is_blank, line, shorten, size
from bot.cards.moments import in_their_zone
from bot.conversation import Action, Card, Confirm, Fact, Notice, Step
from bot.discord import ids, limits
from bot.discord.views import components as c
from bot.discord.views.components import Json, Overflow, Rendered
from bot.discord.views.markdown import excerpt, inline, markdown, title

_REST = f"-# The rest is in {c.DETAILS}."
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SIGNS = {
    "CREATED": "⚪",
    "SUBMITTED": "⚪",
    "QUEUED": "⚪",
    "RUNNING": "🔵",
    "RETRYING": "🔁",
    "PAUSED": "⏸️",
    "SUCCESS": "✅",
    "WARNING": "⚠️",
    "FAILED": "❌",
    "KILLING": "🛑",
    "KILLED": "🛑",
    "CANCELLED": "🛑",
    "SKIPPED": "⏭️",
}


def card(card: Card) -> Rendered:
    """A card: title, body, facts, steps, pictures and files, deadline, buttons."""
    lost: list[Overflow] = []
    head, whole_title = title(card.title, limits.TITLE)
    if whole_title:
        lost.append(Overflow("title", whole_title))
    heading = f"### {head}" if head else ""
    if subtitle := _part("subtitle", card.subtitle, limits.SUBTITLE, lost):
        heading = f"{heading}\n{subtitle}".strip()
    facts = _facts(card.facts, lost)
    steps = _steps(card.steps, lost)
    footer = _footer(card, lost)

    own = {index: c.safe_name(one.name) for index, one in enumerate(card.enclosed[: limits.ENCLOSED])}
    lost += [Overflow(one.what, one.text, own.get(index, "")) for index, one in enumerate(card.enclosed)]

    names, unsent = c.attachment_names(card.files, limits.ATTACHMENTS - 1 - len(own), set(own.values()))
    lost += unsent
    rows, unplaced = c.controls(card.actions)
    lost += unplaced

    used = sum(size(part) for part in (heading, facts, steps, footer, _REST))
    body, was_cut = excerpt(markdown(card.body), limits.MESSAGE_TEXT - used)
    if was_cut:
        lost.append(Overflow("body", card.body))

    pictures = [(i, name) for i, name in names.items() if card.files[i].media_type in _PICTURES]
    beside = card.kind == "pause" and not card.actions and len(pictures) == 1  # decided: the picture is history
    parts: list[Json] = []
    if heading or beside:
        small = [c.thumbnail(name, card.files[i].alt) for i, name in pictures] if beside else []
        parts.append(c.section([heading or "\u200b"], small[0]) if small else c.text(heading))
    parts += [c.text(part) for part in (body, facts, steps) if not is_blank(part)]
    if pictures and not beside:
        parts.append(c.gallery((name, card.files[i].alt) for i, name in pictures))
    shown = {i for i, _ in pictures}
    parts += [c.file(name) for i, name in names.items() if i not in shown]
    if footer:
        parts.append(c.text(footer))
    return message(card, parts, rows, list(names.values()), lost)


def message(
    view: Card | Notice, parts: list[Json], rows: list[Json], files: list[str], lost: list[Overflow]
) -> Rendered:
    """The parts in a coloured container, with the overflow attached."""
    enclosed = list(dict.fromkeys(one.file for one in lost if one.file))
    if any(not one.file for one in lost):
        parts += [c.text(_REST), c.file(c.DETAILS)]
        files.append(c.DETAILS)
    parts += [c.file(name) for name in enclosed]
    files += enclosed
    if rows and parts:
        parts.append(c.separator())
    parts += rows
    if not parts:
        parts.append(c.text("\u2013"))
    return Rendered(c.message([c.container(view.tone, parts)], files), tuple(lost))


def _part(name: str, text: str, limit: int, lost: list[Overflow]) -> str:
    whole = markdown(text)
    if is_blank(whole):
        return ""
    shown, was_cut = excerpt(whole, limit)
    if was_cut:
        lost.append(Overflow(name, text))
    return shown


def _facts(facts: Sequence[Fact], lost: list[Overflow]) -> str:
    """One line a fact; short ones share a line."""
    lines: list[str] = []
    used = 0
    joins = False
    for fact in facts:
        label, whole_label = title(fact.label, limits.TITLE)
        value, was_cut = (moment(fact.at), False) if fact.at else excerpt(markdown(fact.value), limits.FACT_VALUE)
        text = f"**{label}** {value}" if label else value
        if is_blank(text):
            continue
        if was_cut or whole_label or used + size(text) + 3 > limits.FACTS:
            lost.append(Overflow("fact", f"{fact.label}: {fact.value}"))
        if used + size(text) + 3 > limits.FACTS:
            continue
        fits_beside = fact.short and joins and size(lines[-1]) + size(text) < 80 and "\n" not in text
        if fits_beside:
            lines[-1] += f" · {text}"
        else:
            lines.append(text)
        joins = fact.short and "\n" not in text
        used += size(text) + 3
    return "\n".join(lines)


def _steps(steps: Sequence[Step], lost: list[Overflow]) -> str:
    """A line a step, the latest ones when there are many."""
    lines: list[str] = []
    used = 40  # for the line that counts the earlier ones
    for step in reversed(steps):
        label, label_cut = inline(step.label, limits.STEP // 2)
        note, note_cut = inline(step.note, limits.STEP // 2)
        text = "\u2003" * min(step.depth, 8) + f"{_SIGNS.get(step.state, '▫️')} {label}" + (f" · {note}" if note else "")
        if used + size(text) + 1 > limits.STEPS:
            break
        if label_cut or note_cut:
            lost.append(Overflow("step", f"{step.label}: {step.note}"))
        lines.append(text)
        used += size(text) + 1
    earlier = len(steps) - len(lines)
    if earlier:
        hidden = "\n".join(f"{step.state} {step.label}: {step.note}" for step in steps[:earlier])
        lost.append(Overflow("steps", hidden))
        lines.append(f"-# {earlier} earlier {'step' if earlier == 1 else 'steps'}")
    return "\n".join(reversed(lines))


def _footer(card: Card, lost: list[Overflow]) -> str:
    lines = [f"Deadline {moment(card.deadline)}"] if card.deadline else []
    if note := _part("footer", card.footer, limits.FOOTER, lost):
        lines += [f"-# {each}" for each in note.splitlines()[:3] if not is_blank(each)]
        if len(note.splitlines()) > 3:
            lost.append(Overflow("footer", card.footer))
    return "\n".join(lines)


def moment(at: datetime) -> str:
    """A time in the reader's own zone, with how far away it is."""
    seconds = int(at.timestamp())
    return f"<t:{seconds}:R> (<t:{seconds}:f>)"


def notice(notice: Notice) -> Rendered:
    """A private sentence with its buttons."""
    lost: list[Overflow] = []
    rows, unplaced = c.controls(notice.actions)
    lost += unplaced
    body, was_cut = excerpt(markdown(notice.text), limits.MESSAGE_TEXT - size(_REST))
    body = in_their_zone(body, lambda at: f"<t:{int(at.timestamp())}:f>")
    if was_cut:
        lost.append(Overflow("text", notice.text))
    return message(notice, [c.text(body)] if not is_blank(body) else [], rows, [], lost)


def question(action_id: str, label: str, confirm: Confirm | None) -> Rendered:
    """What is asked before an action goes out."""
    head, _ = title(confirm.title if confirm else f"{label}?", limits.TITLE)
    lines = [f"### {head}"]
    if confirm and not is_blank(confirm.text):
        lines.append(excerpt(markdown(confirm.text), limits.CONTENT)[0])
    yes = c.plain_button(ids.write("yes", action_id), _word(confirm.yes if confirm else "", "Yes"), 4)
    no = c.plain_button(ids.write("no"), _word(confirm.no if confirm else "", "Cancel"))
    return Rendered(c.message([c.container("warning", [c.text("\n".join(lines)), c.row(yes, no)])]))


def _word(label: str, otherwise: str) -> str:
    return shorten(line(label), limits.BUTTON_LABEL) if not is_blank(label) else otherwise


def confirms(actions: Iterable[Action]) -> dict[str, Confirm]:
    """The questions of the actions that have one, by action id."""
    return {action.id: action.confirm for action in actions if action.confirm and not action.opens_form}
