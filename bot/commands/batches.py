"""Several waiting requests of one flow approved together: shown first, then each decided by itself on the one path."""

from collections.abc import Sequence

from bot import documents
from bot.approvals.decisions import Wanted
from bot.asking import Asking, Parts, name_of
from bot.commands.references import short
from bot.commands.request_lines import request_line
from bot.conversation import Card, FieldErrors, Form, Notice, Reply
from bot.forms.drafts import Draft
from bot.links import flow_target
from bot.texts import answer, code, plain
from engine.core.flow import Flow
from engine.errors import NotFound
from engine.store import chat_receipts
from engine.store.pauses import PauseRow

MOST = 25
PURPOSE = "batch"


def is_one_click(parts: Parts, card: Card) -> bool:
    """Whether a request can be approved by a click, without a form."""
    read = parts.office.ids.read
    verbs = [pressed.verb for action in card.actions if (pressed := read(action.id)) is not None]
    return "ap" in verbs


async def offer(parts: Parts, asking: Asking, flow: Flow, mine: list[PauseRow], reason: str = "") -> Reply:
    """What approving all requests of a flow means, and the button that does it. Only what is shown here is approved,
    whatever else comes to wait meanwhile."""
    found = [pause for pause in mine if (pause.namespace, pause.flow_id) == (flow.namespace, flow.id)]
    single = [(pause, card) for pause, card in await _drawn(parts, found) if is_one_click(parts, card)]
    if not single:
        why = f"No request of {code(flow.id)} can be approved by a click. `/flow pending` shows what waits for you."
        return Reply(answer("refused", why=why, tone="info").notice())
    shown = single[:MOST]
    draft = Draft(
        parts.office.new_id(),
        asking.person.id,
        PURPOSE,
        name_of(flow).full,
        documents.dump(asking.room),
        options={"pauses": [pause.id for pause, _ in shown], "reason": reason},
    )
    await parts.drafts.keep(draft)
    lines = [
        f"- {code(short(pause.execution_id))} {await request_line(parts, asking, pause, card)}" for pause, card in shown
    ]
    rest = len(found) - len(shown)
    left = f"\n{rest} more wait, which this leaves alone." if rest else ""
    many = len(shown) > 1
    which = f"these {len(shown)} requests" if many else "this request"
    text = f"Approve {which} of {code(flow.id)}?\n" + "\n".join(lines) + left
    ids = parts.office.ids
    yes = ids.button("ba", draft.id, f"Approve all {len(shown)}" if many else "Approve it")
    return Reply(Notice("paused", text, (yes, ids.button("cx", draft.id, "Cancel"))))


async def _drawn(parts: Parts, found: Sequence[PauseRow]) -> list[tuple[PauseRow, Card]]:
    """Requests with their cards, without those that are gone meanwhile."""
    drawn = []
    for pause in found:
        try:
            drawn.append((pause, await parts.drawing.pause_of(pause)))
        except NotFound:
            continue
    return drawn


async def offer_for(parts: Parts, asking: Asking, target: str, mine: list[PauseRow]) -> Reply:
    """The same, for the flow a button names."""
    for flow in parts.office.engine.flows.list():
        if flow_target(name_of(flow).full) == target:
            return await offer(parts, asking, flow, mine)
    return Reply(answer("E25", current="The flow is gone; `/flow pending` shows what waits.").notice())


async def approve(parts: Parts, asking: Asking, target: str) -> Reply:
    """Approve what was shown: each with its own rules, votes and audit; what one refuses stops none of the others."""
    draft = await parts.shown(asking, target, PURPOSE, "`/flow pending`")
    lines = []
    is_whole = True
    for pause_id in draft.options["pauses"]:
        pause = await parts.office.engine.pause_row(pause_id)
        key = chat_receipts.part(asking.receipt, pause_id)
        reason = draft.options.get("reason", "")
        wanted = Wanted(pause_id, "approve", asking.person, asking.room, key, reason=reason)
        # What was decided before the bot was cut off says what it said.
        reply = await parts.answered(key) or await parts.decisions.decide(wanted)
        said, is_done = await _said(parts, reply)
        is_whole = is_whole and is_done
        lines.append(f"- {code(short(pause.execution_id))}: {said}")
    await parts.drafts.drop(draft)
    text = f"{plain(draft.flow, 200)}:\n" + "\n".join(lines)
    return Reply(Notice("success" if is_whole else "warning", text))


async def _said(parts: Parts, reply: Reply | FieldErrors) -> tuple[str, bool]:
    if isinstance(reply, Reply) and isinstance(reply.body, Notice):
        return reply.body.text, reply.body.tone == "success"
    form = reply.body if isinstance(reply, Reply) else reply.form
    if isinstance(form, Form) and (opened := await parts.drafts.find(form.id)) is not None:
        await parts.drafts.drop(opened)
    return "asks for more than a yes; answer it by itself.", False
