"""The card of a pause: what is asked, by whom, until when, what a yes leads to, and in the end who decided. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.approvals.answering import FORM, PLAIN, Shape, actions, decided_word
from bot.approvals.prospect import NOTHING, Outlook
from bot.cards.parts import PLATFORMS, in_round, time_fact, value_text
from bot.commands.references import short
from bot.conversation import Action, Card, Fact, Field, FileRef, Tone
from bot.links import ActionIds, Pages
from bot.texts import TEXTS, code, literal, plain

THEN = {
    "RESUME": "the flow goes on without an answer",
    "WARN": "the flow goes on with a warning",
    "FAIL": "the step fails",
    "CANCEL": "the run is cancelled",
}
ROUND_ENDS = "its round of the loop is cancelled, those beside it go on"
MAX_MESSAGE = 2500
MAX_BUTTONS = 5  # a row of Discord's
MAX_VOTES = 12
VOTES = "Votes"


@dataclass(frozen=True, slots=True)
class Decided:
    """Who ended a pause, and how. `action` as in the audit; `values` are already masked."""

    action: str
    name: str
    platform: str
    at: datetime
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Voted:
    """One vote as the card tells it."""

    name: str
    platform: str
    word: str


@dataclass(frozen=True, slots=True)
class PauseView:
    """All a pause card shows."""

    pause_id: str
    execution_id: str
    task_id: str
    namespace: str
    flow_id: str
    state: str  # WAITING | RESUMED | EXPIRED | KILLED | SUPERSEDED
    created: datetime
    started: datetime
    requester: str
    fields: Sequence[Field] = ()
    shape: Shape = PLAIN
    description: str = ""
    message: str = ""
    files: tuple[FileRef, ...] = ()
    continues: str = ""
    deadline: datetime | None = None
    behavior: str = "RESUME"
    decided: Decided | None = None
    decided_at: datetime | None = None
    is_flow_gone: bool = False
    version: int = 0
    approvers: str = ""  # who may decide, in Markdown; "" when nobody said
    need: int = 1
    meter: str = ""  # `1 of 2`
    votes: tuple[Voted, ...] = ()
    outlook: Outlook = NOTHING
    rounds: tuple[str, ...] = ()  # the values of the loops that the task is in
    in_loop: bool = False  # what would end the run ends its round of the loop


def outcome(behavior: str, *, in_loop: bool) -> str:
    """What becomes of a question that nobody answers in time, in words; "" when those of the flow must do."""
    return ROUND_ENDS if in_loop and behavior == "CANCEL" else THEN.get(behavior, "")


def pause_card(view: PauseView, ids: ActionIds, pages: Pages) -> Card:
    """A pause as it stands."""
    is_open = view.state == "WAITING"
    tone, title = _head(view)
    run = code(short(view.execution_id))
    return Card(
        "pause",
        view.pause_id,
        tone,
        title,
        subtitle=f"{in_round(code(view.task_id), view.rounds)} \u00b7 run {run} of {code(view.namespace)}",
        body=_body(view, pages),
        facts=_facts(view),
        files=view.files,
        actions=_open_actions(view, ids, pages) if is_open else _closed_actions(view, ids, pages),
        deadline=view.deadline if is_open else None,
        footer="" if is_open else "Decided; the buttons are gone.",
        version=view.version,
        fallback=f"{title} (run {short(view.execution_id)})",
        enclosed=view.outlook.enclosed if is_open else (),
    )


def _head(view: PauseView) -> tuple[Tone, str]:
    what = view.description or view.flow_id
    if view.state == "WAITING":
        return "paused", view.description or f"Approval needed: {view.flow_id}"
    if view.state == "EXPIRED":
        return "warning", f"No answer in time: {what}"
    if view.decided is None:
        return ("info", f"Answered: {what}") if view.state == "RESUMED" else ("danger", f"Cancelled: {what}")
    word = decided_word(view.decided.action).capitalize()
    tone: Tone = "danger" if view.decided.action in ("reject", "kill") else "success"
    return tone, f"{word}: {what}"


def _body(view: PauseView, pages: Pages) -> str:
    parts: list[str] = []
    if view.message:
        parts.append(plain_lines(view.message, MAX_MESSAGE))
    if view.state == "WAITING":
        questions = [_question(field) for field in view.fields if field.id != view.shape.key or not view.message]
        if questions:
            parts.append("\n".join(f"- {plain(question)}" for question in questions[:8]))
        parts += view.outlook.changes
        if view.is_flow_gone:
            parts.append("The flow's file is gone, so its questions can't be shown. The run can only be cancelled.")
        elif view.shape.kind == "secure":
            where = "it is entered behind a link of your own." if pages.base else TEXTS["secret-later"]
            parts.append(f"It asks for a secret, which is never typed in chat: {where}")
    else:
        parts.append(_verdict(view))
    return "\n\n".join(parts)


def _question(field: Field) -> str:
    """What a field asks: its name, where it has one for people, and its help."""
    return (
        " \u00b7 ".join(part for part in (field.label if field.label != field.id else "", field.help) if part)
        or field.id
    )


def plain_lines(text: str, limit: int) -> str:
    """The front of a text from a flow, line by line and literal."""
    whole = text.strip()
    out = "\n".join(literal(line) for line in whole[: limit + 1].splitlines())
    return out if len(whole) <= limit else f"{out}\u2026"


def _verdict(view: PauseView) -> str:
    if view.state == "EXPIRED":
        return f"Nobody answered in time; {outcome(view.behavior, in_loop=view.in_loop) or 'the deadline passed'}."
    if view.decided is None:
        return {
            "RESUMED": "The flow went on.",
            "KILLED": "The step was stopped before anybody answered.",
            "SUPERSEDED": "The run was started again; this question no longer counts.",
        }.get(view.state, "It is over.")
    decided = view.decided
    said = [plain(str(value), 200) for value in decided.values.values() if isinstance(value, str) and value.strip()]
    quoted = "".join(
        f" \u00b7 \u201c{text}\u201d" for text in [*said, *([plain(decided.reason, 200)] if decided.reason else [])]
    )
    where = PLATFORMS.get(decided.platform, decided.platform)
    word = decided_word(decided.action, {"choice": _choice(view)}).capitalize()
    return f"**{word} by {plain(decided.name, 80)}** ({where}){quoted}"


def _choice(view: PauseView) -> str:
    value = view.decided.values.get(view.shape.key) if view.decided else None
    return value if isinstance(value, str) else ""


def _facts(view: PauseView) -> tuple[Fact, ...]:
    facts = [
        Fact("Requested by", plain(view.requester, 80)),
        time_fact("Started", view.started),
    ]
    if view.state == "WAITING":
        facts.append(time_fact("Waiting since", view.created))
        if view.continues and not view.outlook.steps:
            verb = "Approve" if view.shape.kind in ("plain", "yes_no") else "An answer"
            facts.append(Fact(f"{verb} continues with", code(view.continues, 100), short=False))
        if view.approvers:
            several = f"; {view.need} must agree" if view.need > 1 else ""
            facts.append(Fact("Who may decide", f"{view.approvers}{several}", short=False))
        facts += [*view.outlook.steps, *view.outlook.takes]
        if view.outlook.last_time:
            facts.append(Fact("Last time", view.outlook.last_time, short=False))
        if view.deadline:
            silence = outcome(view.behavior, in_loop=view.in_loop) or "the flow decides"
            facts.append(Fact("Without an answer", silence, short=False))
    else:
        when = view.decided.at if view.decided else view.decided_at
        if when:
            facts.append(time_fact("Decided" if view.decided else "Ended", when))
        if view.decided:
            facts += [
                Fact(field.label, value_text(view.decided.values[field.id]))
                for field in view.fields
                if field.id in view.decided.values and not isinstance(view.decided.values[field.id], str)
            ]
    if view.need > 1:
        facts.append(Fact(VOTES, _votes(view), short=False))
    return tuple(facts)


def _votes(view: PauseView) -> str:
    said = [
        f"{plain(vote.name, 60)} ({PLATFORMS.get(vote.platform, vote.platform)}): {vote.word}"
        for vote in view.votes[:MAX_VOTES]
    ]
    more = [f"{len(view.votes) - MAX_VOTES} more"] if len(view.votes) > MAX_VOTES else []
    return " \u00b7 ".join([f"**{view.meter}**", *said, *more])


def evidence(card: Card) -> str:
    """SHA-256 of what a card told whoever decided by it: all but its buttons, its votes and its number."""
    told = [card.title, card.subtitle, card.body, card.fallback]
    told += [f"{fact.label}: {fact.value}" for fact in card.facts if fact.label != VOTES]
    told += [file.uri for file in card.files]
    told += [enclosed.text for enclosed in card.enclosed]
    return hashlib.sha256("\x00".join(told).encode("utf-8", "surrogatepass")).hexdigest()


def _open_actions(view: PauseView, ids: ActionIds, pages: Pages) -> tuple[Action, ...]:
    if view.is_flow_gone:
        return actions(FORM, view.pause_id, ids, asks_on_reject=False)[1:]
    asks = any(item.id != view.shape.key for item in view.fields)
    page = pages.execution(view.namespace, view.flow_id, view.execution_id)
    buttons = actions(view.shape, view.pause_id, ids, asks_on_reject=asks, has_page=page is not None)
    if view.approvers and len(buttons) < MAX_BUTTONS - 1:
        buttons = (*buttons, ids.button("sz", view.pause_id, "Snooze"))
    is_linked = page is None or len(buttons) >= MAX_BUTTONS
    return buttons if is_linked else (*buttons, Action("", "Open", "link", url=page))


def _closed_actions(view: PauseView, ids: ActionIds, pages: Pages) -> tuple[Action, ...]:
    buttons = (ids.button("st", view.execution_id, "Run"), ids.button("lg", view.execution_id, "Log"))
    page = pages.execution(view.namespace, view.flow_id, view.execution_id)
    return (*buttons, Action("", "Open", "link", url=page)) if page else buttons
