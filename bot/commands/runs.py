"""`/flow status`, `logs`, `kill`, `restart`, `replay`: looking after runs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from bot import documents
from bot.approvals.policy import NO_RULE, rule_for
from bot.asking import Asking, Parts
from bot.audit.records import told
from bot.cards.log_lines import written
from bot.cards.parts import STATE_WORDS
from bot.cards.run_posts import show_run
from bot.commands.grammar import Line, whole
from bot.commands.manual import usage
from bot.commands.references import Unresolved, refused, short
from bot.conversation import FieldErrors, Notice, Reply, Transcript
from bot.forms.questions import in_field, takes_files, value_in
from bot.people.permissions import Asked
from bot.people.roles import Deed
from bot.texts import answer, code
from engine.core.execution import Execution
from engine.core.executor import plan_of
from engine.core.flowable import PausingTask
from engine.runtime.operations import Revision
from engine.store import chat_audit, chat_messages, chat_receipts
from engine.store.chat_messages import PROGRESS
from engine.store.database import Unit
from engine.store.logs import LEVELS

MAX_LINES = 5000
WHOLE = 26  # characters of a run's id


async def status(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`status [run]`: the card of a run, for the one who asks."""
    execution = await parts.execution(line.word(0), asking)
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    card, _ = await parts.drawing.run(execution.id)
    return Reply(card)


async def logs(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`logs <run> [task] [--level=] [--tail=] [--grep=]`."""
    level = line.flag("level").upper() or None
    level = {"WARNING": "WARN"}.get(level or "", level)
    if level is not None and level not in LEVELS:
        return Reply(usage("logs", f"{code(level)} is no level; use one of {', '.join(LEVELS)}."))
    execution = await parts.execution(line.word(0), asking)
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    found = await parts.office.engine.logs(
        execution.id, task_id=line.word(1) or None, level=level, limit=MAX_LINES, last=True
    )
    if wanted := line.flag("grep").lower():
        found = [entry for entry in found if wanted in entry.message.lower()]
    found = found[-line.number("tail", MAX_LINES) :]
    label = short(execution.id)
    if not found:
        return Reply(Notice("info", f"Run {code(label)} of {code(execution.flow_id)} has no such lines yet."))
    return Reply(Transcript(f"Log of {execution.flow_id} {label}", written(found), f"run-{execution.id}.log"))


async def refuse(parts: Parts, asking: Asking, execution: Execution, deed: Deed = "kill") -> Notice | None:
    """Why somebody may not do something with a run; None when they may."""
    flow = f"{execution.namespace}/{execution.flow_id}"
    inputs = execution.inputs if deed == "run" else None
    asked = Asked(deed, asking.person, asking.room, flow, "", execution.id, execution.started_by, inputs)
    denied = await parts.office.permissions.refuse(asked)
    return denied.notice() if denied else None


async def audit(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`audit <run>`: who did what with a run, from where, oldest first."""
    if not line.words:
        return Reply(usage("audit", "Which run?"))
    try:
        execution = await parts.execution(line.word(0), asking)
    except Unresolved:  # the record outlives its runs
        run = line.word(0).upper()
        deeds = await _recorded(parts, run) if len(run) == WHOLE and run.isalnum() else []
        if not deeds:
            raise
        flow = next((deed.flow for deed in deeds if deed.flow), "*")
        denied = await parts.office.permissions.refuse(Asked("see", asking.person, asking.room, flow))
        return Reply(denied.notice() if denied else _record_of(run, flow, deeds))
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    deeds = await _recorded(parts, execution.id)
    if not deeds:
        label = code(short(execution.id))
        return Reply(Notice("info", f"Nobody did anything with run {label} of {code(execution.flow_id)} yet."))
    return Reply(_record_of(execution.id, execution.flow_id, deeds))


async def _recorded(parts: Parts, run: str) -> list[chat_audit.Deed]:
    return await parts.office.engine.database.read(lambda c: chat_audit.about(c, run, heard=True))


def _record_of(run: str, flow: str, deeds: Sequence[chat_audit.Deed]) -> Transcript:
    title = f"Record of {flow.rpartition('/')[2]} {short(run)}"
    return Transcript(title, tuple(told(deed) for deed in deeds), f"audit-{run}.txt")


async def kill(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`kill <run> [reason]`."""
    if not line.words:
        return Reply(usage("kill", "Which run?"))
    return await stop(parts, asking, await parts.execution(line.word(0), asking), line.rest(1))


async def stop(parts: Parts, asking: Asking, execution: Execution, reason: str = "") -> Reply:
    """End a run, for the reason given."""
    office, label = parts.office, code(short(execution.id))
    if not await office.engine.operations.goes_on(execution):
        state = STATE_WORDS[execution.state]
        replay = office.ids.button("rp", execution.id, "Replay")
        return Reply(answer("E17", id=label, state=state, verb="stop").notice(replay))
    if refusal := await refuse(parts, asking, execution):
        return Reply(refusal)
    now = office.now()
    reply = Reply(Notice("warning", f"Run {label} of {code(execution.flow_id)} is being stopped."))
    person = asking.person
    details = {"reason": office.engine.masker.mask(reason)} if reason else {}
    deed = replace(deed_of(asking, execution, "kill", now), details=details)

    def work(unit: Unit) -> bool:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return True
        if not office.engine.kill_in(unit, execution.id, by=person.id, reason=reason, now=now):
            return False
        chat_audit.record(unit.connection, deed)
        chat_messages.touch(unit.connection, entity=execution.id, urgency=PROGRESS, now=now)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        return True

    if await office.engine.database.transact(work):
        return reply
    state = STATE_WORDS[(await office.engine.execution(execution.id)).state]
    return Reply(answer("E17", id=label, state=state, verb="stop").notice())


async def post_again(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """Cards that a platform did not take are tried once more: somebody has put it right meanwhile."""
    if refusal := await refuse(parts, asking, execution, "see"):
        return Reply(refusal)
    now = parts.office.now()

    def work(unit: Unit) -> int:
        unit.after_commit(parts.starts.wake)
        return chat_messages.revive(unit.connection, execution.id, now)

    count = await parts.office.engine.database.transact(work)
    label = code(short(execution.id))
    return Reply(Notice("info", f"Trying to post {label} again." if count else f"All of {label} is posted."))


async def restart(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`restart <run>`: failed tasks run again."""
    if not line.words:
        return Reply(usage("restart", "Which run?"))
    return await retry(parts, asking, await parts.execution(line.word(0), asking))


async def retry(parts: Parts, asking: Asking, execution: Execution) -> Reply:
    """Run the failed tasks of a run again, once for each receipt."""
    if refusal := await refuse(parts, asking, execution, "run"):
        return Reply(refusal)
    office, now = parts.office, parts.office.now()
    await office.engine.operations.check_restart(execution.id)
    reply = Reply(Notice("success", f"Run {code(short(execution.id))} goes on from what failed."))

    def work(unit: Unit) -> None:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return
        by, key = asking.person.id, f"chat:{asking.receipt}"
        if office.engine.operations.restart_in(unit, execution.id, by=by, now=now, dedupe=key):
            chat_audit.record(unit.connection, deed_of(asking, execution, "restart", now))
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))

    await office.engine.database.transact(work)
    return reply


async def replay(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`replay <run> [--from=task] [--edit]`: a new run with the same inputs, or with others."""
    if not line.words:
        return Reply(usage("replay", "Which run?"))
    execution = await parts.execution(line.word(0), asking)
    if "edit" in line.flags:
        return await edited(parts, asking, execution)
    from_run: str | None = None
    if task := line.flag("from"):
        runs = [run.id for run in execution.task_runs.values() if run.task_id == task]
        if not runs:
            raise Unresolved(answer("refused", why=f"Run {code(short(execution.id))} has no task {code(task)}."))
        from_run = runs[0]
    revision = _revision(line.flag("revision"))
    if revision == "newest" and from_run is None and not await _fits(parts, execution):
        return await edited(parts, asking, execution)
    return await again(parts, asking, execution, from_run, revision)


async def _fits(parts: Parts, execution: Execution) -> bool:
    """Whether a run's inputs are still what its flow takes; of secrets and files, those that were given are."""
    engine = parts.office.engine
    flow = engine.flows.get(execution.namespace, execution.flow_id)
    found = {one.id: value_in(execution.inputs, one.id) for one in flow.inputs}
    resolved = await engine.check_inputs(flow, {name: value for name, value in found.items() if value is not None})
    kept = {one.id for one in flow.inputs if one.type == "SECRET" or takes_files(one)}
    return all(one.input in kept and found[one.input] is not None for one in resolved.problems)


def _revision(said: str) -> Revision:
    """`newest`, `latest` or a number; none: the revision that ran."""
    if said.lower() in ("newest", "latest"):
        return "newest"
    if said and whole(said) is None:
        what = 'revisions as 3 (or "newest")'
        raise Unresolved(answer("E09", input="`--revision`", what=what, value=code(said)))
    return whole(said)


async def edited(parts: Parts, asking: Asking, execution: Execution) -> Reply | FieldErrors:
    """The form of a run's flow as it is now, with the run's inputs in it: for a new run with others. Secrets and files
    are asked for anew."""
    deeds: tuple[Deed, ...] = ("see", "run")
    for deed in deeds:
        if refusal := await refuse(parts, asking, execution, deed):
            return Reply(refusal)
    engine, given = parts.office.engine, execution.inputs
    flow = engine.flows.get(execution.namespace, execution.flow_id)
    asked = [one for one in flow.inputs if one.type != "SECRET" and not takes_files(one)]
    found = [(one, value_in(given, one.id)) for one in asked]
    known = [(one, value) for one, value in found if value is not None and engine.masker.mask_value(value) == value]
    raw = {one.id: in_field(one, value) for one, value in known}
    return await parts.starts.begin(flow, raw, asking.person, asking.room, asking.receipt, {}, form=True)


async def again(
    parts: Parts,
    asking: Asking,
    execution: Execution,
    from_task_run: str | None = None,
    revision: Revision = None,
) -> Reply:
    """A new run with the inputs of an old one, once for each receipt; its card is shown where this was asked."""
    if refusal := await refuse(parts, asking, execution, "run"):
        return Reply(refusal)
    office, room, now = parts.office, asking.room, parts.office.now()
    operations = office.engine.operations
    by = asking.person.id
    fresh = await operations.replay_of(execution.id, from_task_run=from_task_run, by=by, revision=revision)
    if (passed := await _passed_over(parts, fresh)) is not None:
        raise refused(
            f"{code(passed)} was decided for run {code(short(execution.id))} alone, and who may decide it is ruled. "
            f"Replay from there: `--from={passed}` asks again."
        )

    def work(unit: Unit) -> Reply:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return Reply(Notice("info", "This was started already."))
        made = operations.insert_in(unit, fresh, now, f"chat:{asking.receipt}")
        document, place = documents.dump(room), documents.place(room)
        flow = f"{execution.namespace}/{execution.flow_id}"
        if room.channel:  # a program has no room to show it in
            chat_messages.started(unit.connection, made.id, asking.person.id, document, place, flow, now)
            show_run(unit, office, made, room, now, quiet=False)
        chat_audit.record(unit.connection, deed_of(asking, made, "replay", now))
        label = f"{code(execution.flow_id)} {code(short(made.id))}"
        reply = Reply(Notice("success", f"Started {label}, a replay of {code(short(execution.id))}."))
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        unit.after_commit(parts.starts.wake)
        return reply

    return await office.engine.database.transact(work)


async def _passed_over(parts: Parts, fresh: Execution) -> str | None:
    """A question with a rule of its own that a replay would take over as decided: an answer holds for one run."""
    eligibility, flow = parts.office.eligibility, await parts.office.flow_of(fresh)
    if flow is None:
        return None
    places, name = plan_of(flow).places, f"{fresh.namespace}/{fresh.flow_id}"
    for run in fresh.task_runs.values():
        place = places.get(run.task_id)
        asks = place is not None and isinstance(place.task, PausingTask) and run.state.is_terminal
        has_rule = rule_for(eligibility.rules, name, run.task_id) is not NO_RULE
        if asks and (has_rule or eligibility.assigned(fresh, run.id)):
            return run.task_id
    return None


def deed_of(asking: Asking, execution: Execution, action: str, now: datetime) -> chat_audit.Deed:
    """What is written into the audit about a run."""
    person, flow = asking.person, f"{execution.namespace}/{execution.flow_id}"
    return chat_audit.Deed(now, person.id, person.name, person.platform, action, execution.id, execution.id, flow)
