"""The parts a Slack message or view is made of. Values in, Block Kit out; what does not fit is handed back by name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.cards.graphemes import ELLIPSIS, cut, line, shorten, size
from bot.conversation import Action, Confirm, Step, Tone
from bot.slack import limits
from bot.slack.mrkdwn import literal, sections

Block = dict[str, Any]
LINK = "link:"  # action ids of buttons that only open an address

TONES: dict[Tone, str] = {"info": "ℹ️", "running": "⏳", "success": "✅", "warning": "⚠️", "danger": "❌", "paused": "✋"}
STATES = {
    "CREATED": "◻️",
    "QUEUED": "◻️",
    "RUNNING": "⏳",
    "SUCCESS": "✅",
    "WARNING": "⚠️",
    "FAILED": "❌",
    "PAUSED": "✋",
    "KILLING": "⛔",
    "KILLED": "⛔",
    "CANCELLED": "⛔",
    "SKIPPED": "⏭️",
    "RETRYING": "🔁",
    "RETRIED": "🔁",
    "RESTARTED": "🔁",
}


@dataclass(frozen=True, slots=True)
class Overflow:
    """Text that found no room, and what it is. With a `file` name it belongs into a file, else into the thread.
    `is_data`: no Markdown."""

    what: str
    text: str
    file: str = ""
    is_data: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A payload and what did not fit into it."""

    payload: dict[str, Any]
    overflow: tuple[Overflow, ...] = ()


def weigh(value: Any) -> int:
    """What a payload counts against a message's budget: all its texts, whatever they are for."""
    if isinstance(value, str):
        return size(value)
    if isinstance(value, dict):
        return sum(weigh(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return sum(weigh(inner) for inner in value)
    return 0


def mrkdwn(text: str) -> Block:
    """A text object. `verbatim`: Slack must not look for names and addresses by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def plain(text: str) -> Block:
    """A text object without markup; colons in it are colons."""
    return {"type": "plain_text", "text": text, "emoji": False}


def section(text: str) -> Block:
    """A paragraph of mrkdwn."""
    return {"type": "section", "text": mrkdwn(text)}


def context(text: str) -> Block:
    """Small grey mrkdwn."""
    return {"type": "context", "elements": [mrkdwn(text)]}


def label(text: str, limit: int, empty: str = "…") -> str:
    """One line of bare text in `limit` units, never blank: Slack refuses empty texts."""
    return shorten(line(text), limit) or empty


def split_plain(text: str, limit: int) -> tuple[str, str]:
    """The front of a bare text with an ellipsis, and the text again when it was cut."""
    whole = line(text)
    if size(whole) <= limit:
        return whole, ""
    return cut(whole, limit - 1)[0].rstrip() + ELLIPSIS, text


def paragraphs(what: str, text: str, total: int) -> tuple[list[Block], tuple[Overflow, ...]]:
    """Markdown as sections of `total` units at most."""
    if not text.strip():
        return [], ()
    drawn, rest = sections(text, limits.SECTION, max(total, 0))
    blocks = [section(piece) for piece in drawn]
    return blocks, (Overflow(what, rest),) if rest.strip() else ()


def small_print(what: str, text: str, total: int = limits.CONTEXT) -> tuple[list[Block], tuple[Overflow, ...]]:
    """Markdown as one context block."""
    if not text.strip():
        return [], ()
    drawn, rest = sections(text, min(total, limits.CONTEXT), min(total, limits.CONTEXT))
    return [context(piece) for piece in drawn], (Overflow(what, rest),) if rest.strip() else ()


def _confirm(confirm: Confirm) -> Block:
    return {
        "title": plain(label(confirm.title, limits.CONFIRM_TITLE, "Sure?")),
        "text": plain(label(confirm.text, limits.CONFIRM_TEXT, "Sure?")),
        "confirm": plain(label(confirm.yes, limits.CONFIRM_BUTTON, "Yes")),
        "deny": plain(label(confirm.no, limits.CONFIRM_BUTTON, "Cancel")),
    }


def _confirm_rest(action: Action) -> Iterable[Overflow]:
    confirm = action.confirm
    if confirm is None:
        return
    for text, limit in (
        (confirm.title, limits.CONFIRM_TITLE),
        (confirm.text, limits.CONFIRM_TEXT),
        (confirm.yes, limits.CONFIRM_BUTTON),
        (confirm.no, limits.CONFIRM_BUTTON),
    ):
        if size(line(text)) > limit:
            yield Overflow(f"What “{shorten(line(action.label), 40)}” asks first", text, is_data=True)


def button(action: Action, number: int = 0) -> Block:
    """One button; `number` tells link buttons of one message apart."""
    drawn: Block = {"type": "button", "text": plain(label(action.label, limits.BUTTON))}
    drawn["action_id"] = action.id if action.url is None else f"{LINK}{number}"
    if action.url is not None:
        drawn["url"] = action.url
    if action.style in ("primary", "danger"):
        drawn["style"] = action.style
    if action.confirm is not None:
        drawn["confirm"] = _confirm(action.confirm)
    return drawn


def _fits(action: Action) -> bool:
    if action.url is not None:
        return 0 < size(action.url) <= limits.URL and action.url.startswith(("https://", "http://"))
    return 0 < size(action.id) <= limits.ACTION_ID


def buttons(
    actions: Sequence[Action], total: int, rows: int = 4, first: int = 0
) -> tuple[list[Block], tuple[Overflow, ...]]:
    """Actions as rows of buttons of `total` units; those beyond are named, with their address."""
    drawn: list[Block] = []
    overflow: list[Overflow] = []
    missing: list[str] = []
    seen: set[str] = set()
    used = 0
    for number, action in enumerate(actions, first):
        one = button(action, number)
        key = one["action_id"]
        weight = weigh(one)
        if not _fits(action) or key in seen or used + weight > total or len(drawn) >= rows * limits.ACTIONS:
            missing.append(f"• {line(action.label)}" + (f": {action.url}" if action.url else ""))
            continue
        seen.add(key)
        used += weight
        drawn.append(one)
        if size(line(action.label)) > limits.BUTTON:
            overflow.append(Overflow("Button", action.label, is_data=True))
        overflow.extend(_confirm_rest(action))
    if missing:
        overflow.append(Overflow("Buttons without room", "\n".join(missing), is_data=True))
    grouped = [drawn[at : at + limits.ACTIONS] for at in range(0, len(drawn), limits.ACTIONS)]
    return [{"type": "actions", "elements": group} for group in grouped], tuple(overflow)


def step_line(step: Step) -> str:
    """One step of a run as Markdown."""
    note = f" · {step.note}" if step.note else ""
    return "\u2003" * min(max(step.depth, 0), 6) + f"{STATES.get(step.state, '▫️')} {step.label}{note}"


def fact_text(name: str, value: str) -> str:
    """A labelled value as mrkdwn; may be of any length."""
    heading = literal(line(name), "b")
    pieces, _ = sections(value, limits.CONTEXT, limits.CONTEXT)
    return f"{heading}\n{pieces[0]}" if pieces else heading
