"""`/flow schedule add`: a schedule said in words, shown with its next dates, and made so by a button."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot import documents
from bot.asking import Asking, Parts, name_of
from bot.cards.parts import utc
from bot.commands.flows import raw_pairs, spread
from bot.commands.grammar import FromFile, Line
from bot.commands.manual import usage
from bot.commands.references import Unresolved, refused
from bot.commands.spoken_schedules import EXAMPLES, Spoken, read_schedule
from bot.commands.spoken_times import WEEKDAYS
from bot.conversation import Notice, Reply
from bot.forms import questions
from bot.forms.drafts import Draft
from bot.forms.examples import in_chat
from bot.office import zone_of
from bot.people.permissions import Asked
from bot.people.roles import Deed
from bot.texts import answer, code, listed, plain
from engine.core.flow import Flow
from engine.core.property import has_template
from engine.runtime.own_schedules import PREFIX as OWN
from engine.store import chat_audit, chat_drafts, chat_receipts
from engine.store.database import Unit
from engine.store.own_schedules import OwnSchedule

PURPOSE = "schedule"
_CRON = "io.kestra.plugin.core.trigger.Schedule"
_DATES = "io.kestra.plugin.core.trigger.ScheduleOnDates"
_NTH_DAY = "io.kestra.plugin.core.condition.DayWeekInMonth"
_NTH = ("LAST", "FIRST", "SECOND", "THIRD", "FOURTH")


async def may(
    parts: Parts, asking: Asking, flow: Flow, values: Mapping[str, Any] | None = None, *, deed: Deed = "run"
) -> None:
    """Unresolved when somebody may not run a flow, and so not schedule it either; or may not do another deed."""
    asked = Asked(deed, asking.person, asking.room, name_of(flow).full, values=values)
    denied = await parts.office.permissions.refuse(asked)
    if denied is not None:
        raise Unresolved(denied)


async def add(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`schedule add <flow> "<cron or words>" [name=value …]`: a preview, and a button that makes it so."""
    if len(line.words) < 3:
        return Reply(usage("schedule", f"Which flow, and when? I read {EXAMPLES}.", "add"))
    flow = parts.flow(line.word(1))
    await may(parts, asking, flow)
    now, zone = parts.office.now(), asking.person.zone
    try:
        said = read_schedule(line.rest(2), now, zone_of(zone))
        zone = said.zone or zone
    except (ValueError, OverflowError) as error:
        raise refused(f"{plain(str(error))}. I read {EXAMPLES}.") from error
    inputs = await _inputs(parts, asking, line, flow)
    id_ = parts.office.new_id()
    trigger = trigger_of(said, f"{OWN}{id_[-6:].lower()}", zone, inputs)
    draft = Draft(
        id_,
        asking.person.id,
        PURPOSE,
        name_of(flow).full,
        documents.dump(asking.room),
        options={"trigger": trigger, "words": line.rest(2)[:200]},
    )
    engine = parts.office.engine
    made = engine.schedules.own.trigger(_own(draft, asking, now))
    dates = await engine.schedules.occurrences.of_trigger(flow, made)
    if not dates:
        raise refused(f"{code(line.rest(2))} never comes.")
    await parts.drafts.keep(draft)
    given = f" with {listed(inputs)}" if inputs else ""
    what, how = f"Run {code(name_of(flow).full)}{given}", _understood(said, zone or "UTC")
    text = f"{what}, {plain(line.rest(2), 100)}? That is {how}:\n{_dates(dates, asking, zone)}"
    ids = parts.office.ids
    return Reply(Notice("info", text, (ids.button("sc", id_, "Schedule it"), ids.button("cx", id_, "Cancel"))))


def _understood(said: Spoken, zone: str) -> str:
    """What was made of the words: once, or by which cron expression."""
    if said.at is not None:
        return "once"
    which = "" if said.nth is None else f" on the {_NTH[said.nth].lower()} such day of a month"
    return f"{code(said.cron)}{which} on the clock of {code(zone)}, next"


def _dates(dates: list[datetime], asking: Asking, zone: str | None) -> str:
    """Each on the reader's clock, and on the schedule's where that is another; Discord draws them on the reader's."""
    if asking.person.platform == "discord":
        return "\n".join(f"- {utc(when)}" for when in dates)
    there = zone_of(zone)
    lines = []
    for when in dates:
        here = f"{when.astimezone(zone_of(asking.person.zone)):%a %Y-%m-%d %H:%M %Z}"
        said = f"{when.astimezone(there):%a %Y-%m-%d %H:%M %Z}"
        lines.append(f"- {said}" if here == said else f"- {said}, for you {here}")
    return "\n".join(lines)


def trigger_of(said: Spoken, id_: str, zone: str | None, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The trigger as a flow would declare it."""
    made: dict[str, Any] = {"id": id_, "inputs": dict(inputs), "timezone": zone or "UTC"}
    if said.at is not None:
        return {**made, "type": _DATES, "dates": [said.at.isoformat(timespec="seconds")]}
    made |= {"type": _CRON, "cron": said.cron}
    if said.nth is not None:
        day = WEEKDAYS[int(said.cron[-1]) - 1].upper()
        made["conditions"] = [{"type": _NTH_DAY, "dayOfWeek": day, "dayInMonth": _NTH[said.nth]}]
    return made


async def _inputs(parts: Parts, asking: Asking, line: Line, flow: Flow) -> dict[str, Any]:
    """What was given for the flow, checked as if it ran now; it is kept, so no secrets and no files."""
    declared = {one.id: one for one in flow.inputs}
    line = spread(line, declared)
    if unknown := [name for name in line.pairs if name not in declared]:
        has = listed(declared) if declared else "none at all"
        raise Unresolved(answer("E11", flow=code(flow.id), name=code(unknown[0]), list=has))
    if any(declared[name].type == "SECRET" for name in line.pairs):
        instead = "Give the input a default in the flow, such as `{{ secret('NAME') }}`."
        raise Unresolved(answer("E14", instead=instead, tone="danger"))
    if any(isinstance(given, FromFile) for given in line.pairs.values()):
        raise refused("A schedule can't keep files; put the file where the flow can fetch it.")
    raw = await raw_pairs(line, declared, asking)
    if templated := [name for name, value in raw.items() if has_template(value)]:
        raise refused(f"{code(templated[0])}: expressions are written in flows, not in chat.")
    engine = parts.office.engine
    fields = questions.fields_of(flow.inputs, await engine.check_inputs(flow, {}), ids=list(declared))
    read = questions.read_pairs(fields, raw, parts.office.reader(asking.person))
    by_id = {asked.id: asked for asked in fields}
    errors = dict(read.errors)
    resolved = await engine.check_inputs(flow, read.given)
    await may(parts, asking, flow, resolved.flat)
    for problem in resolved.problems:
        errors.setdefault(problem.input, questions.explain(problem, by_id.get(problem.input)))
    if errors:
        first = next(iter(errors))
        shown = in_chat(by_id[first]) if first in by_id else f"{first}=…"
        raise refused(f"{' '.join(errors.values())} Nothing was scheduled; add for example {code(shown)}.")
    return dict(read.given)


def _own(draft: Draft, asking: Asking, now: datetime) -> OwnSchedule:
    namespace, _, flow_id = draft.flow.rpartition("/")
    trigger = draft.options["trigger"]
    words = draft.options["words"]
    return OwnSchedule(namespace, flow_id, trigger["id"], trigger, words, asking.person.id, draft.room, now)


async def confirm(parts: Parts, asking: Asking, target: str) -> Reply:
    """*Schedule it* was pressed: schedule, audit and answer in one transaction, once."""
    draft = await parts.shown(asking, target, PURPOSE, "`/flow schedule add`")
    flow = parts.drafts.flow(draft)
    resolved = await parts.office.engine.check_inputs(flow, draft.options["trigger"]["inputs"])
    await may(parts, asking, flow, resolved.flat)
    engine, now = parts.office.engine, parts.office.now()
    one = _own(draft, asking, now)
    reply = Reply(
        Notice("success", f"Scheduled as {code(one.id)}. `/flow schedule delete {one.id}` takes it back."), public=True
    )

    def work(unit: Unit) -> None:
        if engine.schedules.own.add_in(unit, one):
            details = {"schedule": one.id, "words": one.words}
            chat_audit.record(unit.connection, deed_of(asking, "schedule", draft.flow, now, details))
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        chat_drafts.drop(unit.connection, draft.id)

    await engine.database.transact(work)
    await engine.schedules.refresh()
    return reply


def deed_of(asking: Asking, action: str, flow: str, now: datetime, details: Mapping[str, Any]) -> chat_audit.Deed:
    """What is written into the audit."""
    person = asking.person
    return chat_audit.Deed(now, person.id, person.name, person.platform, action, "", "", flow, dict(details))
