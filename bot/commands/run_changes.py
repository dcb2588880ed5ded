"""`/flow pause`, `resume`, `force`, `mark`, `labels`, `delete`: what else people change about runs.

Chat, the page and the API come through here. Effect, audit and answer are one transaction, once for each receipt.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bot import documents
from bot.asking import Asking, Parts
from bot.cards.parts import STATE_WORDS
from bot.commands.grammar import Line, Text
from bot.commands.manual import usage
from bot.commands.pauses import give_answer
from bot.commands.references import Unresolved, guess, refused, short
from bot.commands.runs import deed_of, refuse
from bot.conversation import Confirm, FieldErrors, Listing, Notice, Reply, Row
from bot.forms.drafts import Draft
from bot.texts import answer, code, plain
from engine.core.events import ForceAsked, PauseAsked, Resumed
from engine.core.execution import Execution, TaskRun
from engine.core.executor import plan_of
from engine.core.flow import Flow
from engine.core.flowable import PausingTask
from engine.core.labels import SYSTEM
from engine.core.state import State
from engine.store import chat_audit, chat_drafts, chat_messages, chat_receipts
from engine.store.chat_messages import END, PROGRESS
from engine.store.database import Unit

PURPOSE = "delete"
ENDS = tuple(state for state in State if state.is_terminal and state not in (State.SKIPPED, State.RETRIED))


def beside(
    parts: Parts, asking: Asking, execution: Execution, action: str, reply: Reply, details: Mapping[str, Any]
) -> Callable[[Unit], None]:
    """What is written with a change of a run: its audit, the answer of the receipt, and that its card is stale."""
    now = parts.office.now()
    deed = replace(deed_of(asking, execution, action, now), details=dict(details))

    def work(unit: Unit) -> None:
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        urgency = END if execution.state.is_terminal else PROGRESS
        if chat_messages.touch(unit.connection, execution_id=execution.id, urgency=urgency, now=now):
            unit.after_commit(parts.starts.wake)

    return work


def named(execution: Execution) -> str:
    """`#7F3A2K` of `deploy`."""
    return f"{code(short(execution.id))} of {code(execution.flow_id)}"


async def _run(parts: Parts, asking: Asking, line: Line, verb: str) -> Execution:
    if not line.words:
        raise Unresolved(answer("usage", what="Which run?", usage=usage(verb, "").text.partition("Usage: ")[2]))
    return await parts.execution(line.word(0), asking)


# Holding a run and letting it go on


async def pause(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`pause <run>`: nothing new starts in it until it is resumed."""
    return await hold(parts, asking, await _run(parts, asking, line, "pause"))


async def hold(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """Nothing new starts in a run."""
    if refusal := await refuse(parts, asking, execution, "hold"):
        return Reply(refusal)
    if execution.state is not State.RUNNING or execution.held:
        raise refused(f"Run {named(execution)} is {STATE_WORDS[execution.state]}. Only what runs can pause.")
    what = f"Run {named(execution)} pauses: what runs goes on, nothing new starts."
    reply = Reply(Notice("paused", f"{what} `/flow resume {short(execution.id)}` lets it go on."), public=True)
    event = PauseAsked(parts.office.now(), asking.person.id)
    await _ask(parts, asking, execution, "pause", event, reply)
    return reply


async def resume(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`resume <run> [name=value \u2026]`: a run that was paused goes on; one that waits for an answer gets it."""
    execution = await _run(parts, asking, line, "resume")
    if execution.held:
        return await let_go(parts, asking, execution)
    return await give_answer(parts, asking, replace(line, verb="answer"))


async def let_go(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """A run that somebody paused goes on."""
    if refusal := await refuse(parts, asking, execution, "hold"):
        return Reply(refusal)
    if not execution.held:
        instead = " Answer it with `/flow approve`, or on its card." if execution.state is State.PAUSED else ""
        raise refused(f"Nobody paused run {named(execution)}: it is {STATE_WORDS[execution.state]}.{instead}")
    reply = Reply(Notice("success", f"Run {named(execution)} goes on."), public=True)
    await _ask(parts, asking, execution, "go on", Resumed(parts.office.now(), None, by=asking.person.id), reply)
    return reply


async def force(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`force <run>`: it begins now, whatever its date or its flow's limit."""
    return await begin_now(parts, asking, await _run(parts, asking, line, "force"))


async def begin_now(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """A run that waits for its date or its turn begins; questions are not answered by force."""
    if refusal := await refuse(parts, asking, execution, "manage"):
        return Reply(refusal)
    if execution.held:
        return await let_go(parts, asking, execution)
    if execution.state not in (State.CREATED, State.QUEUED):
        instead = " Answer it with `/flow approve`." if execution.state is State.PAUSED else ""
        is_now = STATE_WORDS[execution.state]
        raise refused(f"Run {named(execution)} is {is_now}: it waits for no date and no turn.{instead}")
    reply = Reply(Notice("success", f"Run {named(execution)} begins now."), public=True)
    await _ask(parts, asking, execution, "force", ForceAsked(parts.office.now(), asking.person.id), reply)
    return reply


async def _ask(parts: Parts, asking: Asking, execution: Execution, action: str, event: Any, reply: Reply) -> None:
    writes = beside(parts, asking, execution, action, reply, {})
    operations = parts.office.engine.operations
    await operations.ask(execution.id, event, dedupe=f"chat:{asking.receipt}", beside=writes)


# Putting right what is recorded


async def mark(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`mark <run> <STATE> [--task=id]`: an ended run, or one task of it, counts as ended otherwise."""
    execution = await _run(parts, asking, line, "mark")
    said = line.word(1).upper()
    if said not in ENDS:
        near = guess(said, ENDS)
        return Reply(usage("mark", f"{code(line.word(1))} is no state to end in: {', '.join(ENDS)}. {near}".strip()))
    return await marked(parts, asking, execution, State(said), line.flag("task"))


async def marked(parts: Parts, asking: Asking, execution: Execution, to: State, task: str = "") -> Reply:
    """Another final state for a run, or for a task run (named by its task or its own id) from which it then goes on."""
    if refusal := await refuse(parts, asking, execution, "manage"):
        return Reply(refusal)
    corrections, by = parts.office.engine.corrections, asking.person.id
    if not task:
        reply = Reply(Notice("success", f"Run {named(execution)} counts as {STATE_WORDS[to]} now."), public=True)
        told = {"from": execution.state.value, "to": to.value}
        await corrections.change_status(
            execution.id, to, by=by, beside=beside(parts, asking, execution, "mark", reply, told)
        )
        return reply
    run = _task_run(execution, task)
    _guarded(await parts.office.engine.flows.fetch(execution.namespace, execution.flow_id, execution.revision), run)
    event = await corrections.task_state(execution.id, run.id, to, by=by)
    text = f"{code(run.task_id)} in run {named(execution)} counts as {STATE_WORDS[to]}; the run goes on from there."
    reply = Reply(Notice("success", text), public=True)
    told = {"task": run.task_id, "from": run.state.value, "to": to.value}
    writes = beside(parts, asking, execution, "mark", reply, told)
    await parts.office.engine.operations.ask(execution.id, event, dedupe=f"chat:{asking.receipt}", beside=writes)
    return reply


def _task_run(execution: Execution, task: str) -> TaskRun:
    found = [run for run in execution.task_runs.values() if task in (run.id, run.task_id)]
    if not found:
        near = guess(task, [run.task_id for run in execution.task_runs.values()])
        raise refused(f"Run {named(execution)} has no task {code(task)}. {near}".strip())
    return found[-1]


def _guarded(flow: Flow, run: TaskRun) -> None:
    """Unresolved when marking a task would pass over a question: that is decided by those whom its rule names."""
    for place in plan_of(flow).places.values():
        if isinstance(place.task, PausingTask) and run.task_id in (one.task.id for one in (place, *place.above)):
            what = f"{code(run.task_id)} asks people, so it can't be marked."
            raise refused(f"{what} Answer it, or replay the run from there: it asks again.")


async def labels(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`labels <run> [name=value \u2026]`: shows them, or adds some to a run that has ended."""
    execution = await _run(parts, asking, line, "labels")
    if line.pairs:
        given = {name: value.value if isinstance(value, Text) else str(value) for name, value in line.pairs.items()}
        return await labelled(parts, asking, execution, given)
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    shown = [(key, value) for key, value in execution.labels if not key.startswith(SYSTEM)]
    rows = tuple(Row(plain(key, 100), plain(value, 300)) for key, value in shown)
    if not rows:
        return Reply(Notice("info", f"Run {named(execution)} has no labels. `/flow labels last team=web` adds one."))
    return Reply(Listing(f"Labels of {execution.flow_id} {short(execution.id)}", rows))


async def labelled(parts: Parts, asking: Asking, execution: Execution, given: Mapping[str, str]) -> Reply:
    """Labels added to a run that has ended, or given another value."""
    if refusal := await refuse(parts, asking, execution, "manage"):
        return Reply(refusal)
    if wrong := [name for name in given if name.startswith(SYSTEM)]:
        raise refused(f"{code(wrong[0])} belongs to the engine. Choose another name.")
    shown = ", ".join(code(f"{name}:{value}") for name, value in given.items())
    reply = Reply(Notice("success", f"Run {named(execution)} has the labels {shown}."), public=True)
    writes = beside(parts, asking, execution, "labels", reply, {"labels": dict(given)})
    corrections = parts.office.engine.corrections
    await corrections.set_labels(execution.id, list(given.items()), by=asking.person.id, beside=writes)
    return reply


# Deleting


async def delete(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`delete <run>`: shown first, then a button deletes it with its log and files."""
    return await offer(parts, asking, await _run(parts, asking, line, "delete"))


async def offer(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """What deleting a run means, and the button that does it."""
    if refusal := await refuse(parts, asking, execution, "manage"):
        return Reply(refusal)
    if not execution.state.is_terminal:
        raise refused(f"Run {named(execution)} is {STATE_WORDS[execution.state]}. Stop it first.")
    office = parts.office
    draft = Draft(
        office.new_id(),
        asking.person.id,
        PURPOSE,
        f"{execution.namespace}/{execution.flow_id}",
        documents.dump(asking.room),
        target=execution.id,
    )
    await parts.drafts.keep(draft)
    text = (
        f"Delete run {named(execution)} ({STATE_WORDS[execution.state]}) with its log, outputs and files? "
        "The record of who did what with it stays."
    )
    sure = Confirm("Delete this run?", "It can't be brought back.", "Delete it", "Keep it")
    yes = replace(office.ids.button("dl", draft.id, "Delete it"), style="danger", confirm=sure)
    return Reply(Notice("paused", text, (yes, office.ids.button("cx", draft.id, "Cancel"))))


async def confirmed(parts: Parts, asking: Asking, target: str) -> Reply:
    """*Delete it* was pressed."""
    draft = await parts.shown(asking, target, PURPOSE, "`/flow delete`")
    execution = await parts.office.engine.execution(draft.target)
    return await deleted(parts, asking, execution, draft.id)


async def deleted(parts: Parts, asking: Asking, execution: Execution, draft_id: str = "") -> Reply:
    """A run and all that belongs to it, gone; the record stays."""
    if refusal := await refuse(parts, asking, execution, "manage"):
        return Reply(refusal)
    reply = Reply(Notice("success", f"Deleted run {named(execution)}."), public=True)
    writes = beside(parts, asking, execution, "delete", reply, {"state": execution.state.value})

    def work(unit: Unit) -> None:
        writes(unit)
        if draft_id:
            chat_drafts.drop(unit.connection, draft_id)

    await parts.office.engine.corrections.delete(execution.id, beside=work)
    return reply
