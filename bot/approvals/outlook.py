"""What a yes leads to, asked of the engine: the tasks that follow, the files they change, and how it went before."""

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.approvals import diffs, prospect
from bot.approvals.answering import decided_word, quick_values
from bot.approvals.prospect import Outlook
from bot.cards import parts
from bot.conversation import Enclosure
from bot.office import Questions
from bot.texts import plain
from engine.core.flow import Flow
from engine.runtime import Engine
from engine.store import chat_audit
from engine.store.pauses import PauseRow

DECISIONS = frozenset({"approve", "reject", "answer", "choose", "kill", "resume"})


def yes_to(asked: Questions) -> Mapping[str, Any] | None:
    """What somebody gives who says yes; None when nobody knows."""
    if asked.shape.kind == "yes_no":
        return quick_values(asked.fields_for("approve"), asked.shape.key, True)
    return {} if asked.shape.kind == "plain" else None


async def outlook(engine: Engine, pause: PauseRow, flow: Flow, given: Mapping[str, Any] | None) -> Outlook:
    """As it is now, after an answer with these values; NotFound."""
    before = await engine.database.read(
        lambda c: chat_audit.previous(c, pause.namespace, pause.flow_id, pause.task_id, pause.id, DECISIONS)
    )
    last = ""
    if before is not None:
        where = parts.PLATFORMS.get(before.platform, before.platform)
        last = f"{decided_word(before.action)} by {plain(before.name, 60)} ({where}), {parts.utc(before.at)}"
    steps = prospect.following(flow, pause.task_id)
    values = await engine.foresee(pause.id, given, prospect.templates(steps))
    foreseen = await engine.file_changes(pause.id, given, prospect.ahead(flow, pause.task_id))
    changes, whole = await asyncio.to_thread(diffs.told, foreseen) if foreseen else ((), "")
    enclosed = (Enclosure(diffs.DOCUMENT, "Files that change", whole),) if whole else ()
    return Outlook(prospect.facts(steps, values), changes, enclosed, last)
