"""Pressed buttons: what each verb does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bot.approvals.decisions import Wanted
from bot.asking import Asking, Parts, name_of
from bot.commands import batches, collecting, explain, handing_on, messages, muting, run_changes, schedule_adding
from bot.commands import bulk as bulk_commands
from bot.commands import flows as flow_commands
from bot.commands import pauses as pause_commands
from bot.commands import revisions as revision_commands
from bot.commands import runs as run_commands
from bot.commands import verbs as slash_commands
from bot.commands.grammar import Line, Word
from bot.commands.references import Unresolved
from bot.conversation import FieldErrors, Notice, Reply
from bot.links import VERBS, Pressed, flow_target
from bot.texts import answer, plain
from engine.core.execution import Execution
from engine.errors import EngineError, NotFound
from engine.store.pauses import PauseRow

PAUSE_VERBS = frozenset({"ap", "rj", "an", "ch"})
LISTS = {
    "flows": flow_commands.list_flows,
    "pending": pause_commands.pending,
    "runs": flow_commands.my_runs,
    "help": slash_commands.help_,
}


async def press(parts: Parts, asking: Asking, action_id: str) -> Reply | FieldErrors:
    """Do what a button says, or say why not."""
    pressed = parts.office.ids.read(action_id)
    if pressed is None:
        return Reply(answer("E25", current="`/flow` shows what you can do now.").notice())
    try:
        if not pressed.is_ours:
            return await _stale(parts, pressed)
        return await _do(parts, asking, pressed)
    except Unresolved as refused:
        return Reply(refused.answer.notice())
    except EngineError as error:
        return Reply(Notice("warning", plain(f"{error.message} {error.fix}".strip(), 900)))


async def _do(parts: Parts, asking: Asking, pressed: Pressed) -> Reply | FieldErrors:
    if pressed.verb in PAUSE_VERBS:
        return await _decide(parts, asking, pressed)
    if (confirmed := CONFIRMED.get(pressed.verb)) is not None:
        return await confirmed(parts, asking, pressed.target)
    if (do := BY_BUTTON.get(pressed.verb)) is not None:
        return await do(parts, asking, pressed)
    return await _of_run(parts, asking, pressed, await parts.office.engine.execution(pressed.target))


async def _of_run(parts: Parts, asking: Asking, pressed: Pressed, execution: Execution) -> Reply | FieldErrors:
    match pressed.verb:
        case "lg":
            return await run_commands.logs(parts, asking, Line("logs", (Word(execution.id),)))
        case "ex":
            return await explain.begin(parts, asking, execution)
        case "mu":
            return await muting.offer(parts, asking, execution, pressed.choice)
        case "pa":
            return await run_commands.post_again(parts, asking, execution)
        case "rs":
            return await run_commands.retry(parts, asking, execution)
        case "rp":
            return await run_commands.again(parts, asking, execution)
        case "ed":
            return await run_commands.edited(parts, asking, execution)
        case _:
            card, _ = await parts.drawing.run(execution.id)
            return Reply(card)


async def _list(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    return await LISTS.get(pressed.target, slash_commands.show_menu)(parts, asking, Line(""))


async def _offer_all(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    """*Approve all…* shows them; the button below does it."""
    return await batches.offer_for(parts, asking, pressed.target, await pause_commands.inbox(parts, asking))


async def _decide(parts: Parts, asking: Asking, pressed: Pressed) -> Reply | FieldErrors:
    who, room, message = asking.person, asking.room, asking.message
    verb, choice = VERBS[pressed.verb], pressed.choice
    wanted = Wanted(pressed.target, verb, who, room, asking.receipt, choice=choice, message=message, seen=asking.seen)
    return await parts.with_card(asking, pressed.target, await parts.decisions.decide(wanted))


async def _kill(parts: Parts, asking: Asking, pressed: Pressed) -> Reply | FieldErrors:
    """`Cancel run` on a pause's card closes the pause; `Stop` on a run's card ends the run."""
    if await _pause(parts, pressed.target):
        return await _decide(parts, asking, pressed)
    return await run_commands.stop(parts, asking, await parts.office.engine.execution(pressed.target))


async def _run(parts: Parts, asking: Asking, pressed: Pressed) -> Reply | FieldErrors:
    for flow in parts.office.engine.flows.list():
        if flow_target(name_of(flow).full) == pressed.target:
            return await parts.starts.begin(
                flow, {}, asking.person, asking.room, asking.receipt, {}, form=bool(flow.inputs)
            )
    return Reply(
        answer("E25", current="The flow is gone or has another name; `/flow list` shows what there is.").notice()
    )


async def _form(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    draft = await parts.own_draft(asking, pressed.target)
    if pressed.verb == "cx":
        await parts.drafts.drop(draft)
        is_text = draft.purpose == collecting.PURPOSE
        text = "I take no more text for it; the form has what came." if is_text else "Cancelled; nothing was sent."
        return Reply(Notice("info", text))
    if pressed.verb == "lt":
        draft = await parts.starts.earlier.fill(draft, asking.person)
    if pressed.verb == "bk":
        draft = replace(draft, page=max(0, draft.page - 1))
        await parts.drafts.keep(draft)
    return Reply(await parts.drafts.form(draft))


async def _stale(parts: Parts, pressed: Pressed) -> Reply:
    """A button whose check does not fit: another instance's, or an older key's. The present card is shown instead."""
    if await _pause(parts, pressed.target):
        card, _ = await parts.drawing.pause(pressed.target)
        return Reply(card)
    current = "`/flow status` and `/flow pending` show how things stand."
    return Reply(answer("E25", current=current).notice())


async def _pause(parts: Parts, target: str) -> PauseRow | None:
    try:
        pause: PauseRow = await parts.office.engine.pause_row(target)
    except NotFound:
        return None
    return pause


# What was shown before it is done, by the draft that holds it.
CONFIRMED: Mapping[str, Callable[[Parts, Asking, str], Awaitable[Reply]]] = {
    "ba": batches.approve,
    "sc": schedule_adding.confirm,
    "dl": run_changes.confirmed,
    "bu": bulk_commands.confirmed,
    "rv": revision_commands.confirmed,
}
BY_BUTTON: Mapping[str, Callable[[Parts, Asking, Pressed], Awaitable[Reply | FieldErrors]]] = {
    "kl": _kill,
    "rn": _run,
    "rm": messages.begin,
    "mf": messages.more,
    "ls": _list,
    "sz": handing_on.offer,
    "as": handing_on.ask,
    "aa": _offer_all,
    "um": muting.lift,
    "cn": _form,
    "lt": _form,
    "bk": _form,
    "cx": _form,
    "lo": collecting.begin,
    "wh": collecting.send_whole,
}
