"""What a flow will show in chat: its form, each question it asks, and each answer form. Pure.

Expressions are shown as they are written, since there is no run to render them with.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from bot.approvals import answer_fields, shape
from bot.conversation import Card, Form
from bot.forms import fields_of, form, intro
from bot.links import ActionIds, Pages
from bot.outline import continues_with, message_before, message_text, places
from bot.pause_cards import PauseView, pause_card
from bot.prospect import facts, following
from engine.core.flow import Flow

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)  # a fixed moment, so that two previews of one flow are the same
PAUSE_ID = "01PREVIEW0000000000000000A"
RUN_ID = "01PREVIEW0000000000000RUN1"


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing people see, and when."""

    name: str
    body: Card | Form


def scenes(flow: Flow, public_url: str | None = None) -> list[Scene]:
    """Everything the flow shows, in order."""
    found = []
    full_name = f"{flow.namespace}/{flow.id}"
    asked = fields_of(flow.inputs)
    if asked:
        about = intro(asked, flow.description or "")
        found.append(Scene(f"{flow.id}-form", form("draft:preview", full_name, "Run", asked, intro=about)))
    ids, pages = ActionIds(b"preview"), Pages(public_url)
    for place in places(flow):
        task = place.task
        if not task.type.endswith((".Pause", ".Approval")):
            continue
        questions = fields_of(getattr(task, "on_resume", ()) or ())
        message = message_before(flow, task.id)
        view = PauseView(
            PAUSE_ID,
            RUN_ID,
            task.id,
            flow.namespace,
            flow.id,
            "WAITING",
            NOON,
            NOON,
            "you",
            questions,
            shape(questions),
            description=task.description or "",
            message=message_text(message) if message else "",
            continues=continues_with(flow, task.id),
            next_steps=facts(following(flow, task.id), ()),
        )
        found.append(Scene(f"{flow.id}-{task.id}", pause_card(view, ids, pages)))
        if questions:
            title = task.description or task.id
            fields = answer_fields(questions, quick=True)
            found.append(Scene(f"{flow.id}-{task.id}-answer", form("draft:preview", title, "Send", fields)))
    return found
