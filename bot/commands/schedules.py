"""`/flow schedule`: what runs by itself and when; schedules from chat, single dates skipped or moved, backfills."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal

from bot import documents
from bot.asking import Asking, Parts, name_of
from bot.cards.parts import for_reader
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.commands.references import Unresolved, guess, refused
from bot.commands.schedule_adding import add, deed_of, may, trigger_of
from bot.commands.spoken_schedules import Spoken
from bot.commands.spoken_times import read_clock, read_date, read_datetime
from bot.conversation import FieldErrors, Listing, Notice, Reply, Row
from bot.office import zone_of
from bot.people.permissions import Asked
from bot.texts import answer, code, did_you_mean, listed, plain
from engine.core.backfills import Backfill
from engine.core.labels import read_labels
from engine.core.triggers import Scheduled
from engine.errors import NotFound
from engine.runtime.own_schedules import PREFIX as OWN
from engine.runtime.salvos import Entry
from engine.store import chat_audit, chat_receipts
from engine.store.database import Unit
from engine.store.own_schedules import OwnSchedule

SHOWN = 25
_FAR = 400  # dates that are looked through for a day
CALLED = {
    **dict.fromkeys(("stop", "hold", "disable", "off"), "pause"),
    **dict.fromkeys(("start", "continue", "enable", "on"), "resume"),
    **dict.fromkeys(("remove", "cancel", "rm"), "delete"),
    **dict.fromkeys(("move", "postpone", "delay"), "shift"),
    **dict.fromkeys(("create", "new", "set"), "add"),
    **dict.fromkeys(("ls", "show"), "list"),
}


async def schedule(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`schedule list | add | skip | shift | pause | resume | delete | backfill`."""
    action = line.word(0).lower() or "list"
    do = _ACTIONS.get(action)
    if do is None:
        what = f"I don't know {code(action)}."
        if meant := _meant(parts, line):
            return Reply(answer("refused", why=f"{what} {meant}").notice())
        return Reply(usage("schedule", f"{what} {guess(action, _ACTIONS)}".strip()))
    return await do(parts, asking, line)


def _meant(parts: Parts, line: Line) -> str:
    """What other programs call the same, or what is most likely wanted of a flow or a schedule that is named."""
    action = line.word(0).lower()
    if action in CALLED:
        return did_you_mean([f"/flow schedule {CALLED[action]} {line.rest(1)}".strip()])
    try:
        return did_you_mean([f"/flow schedule add {parts.flow(action).id} {line.rest(1)}".strip()])
    except Unresolved:
        pass
    named = [entry for entry in parts.office.engine.schedules.occurrences.standing() if entry.trigger.id == action]
    return did_you_mean([f"/flow schedule {what} {action}" for what in ("skip", "pause")]) if named else ""


def _entry(parts: Parts, text: str) -> Entry:
    """The schedule a word names: its id, `flow/id` where flows share it, or the flow that has only one; Unresolved."""
    every = parts.office.engine.schedules.occurrences.standing()
    names = {entry.key: entry for entry in every}
    wanted = text.strip().lower()
    found = [one for key, one in names.items() if wanted and f"/{key}".lower().endswith(f"/{wanted}")]
    if not found:
        found = [
            one for key, one in names.items() if wanted and f"/{key}".lower().rpartition("/")[0].endswith(f"/{wanted}")
        ]
    if len(found) == 1:
        return found[0]
    if found:
        raise refused(
            f"{code(text)} fits {len(found)} schedules: {listed(one.key for one in found)}. Write more of it."
        )
    near = guess(wanted, [*(one.trigger.id for one in every), *names])
    raise refused(f"No schedule matches {code(text)}. {near} `/flow schedule list` shows all of them.")


def _told(parts: Parts, entry: Entry) -> str:
    flow = entry.flow
    own = parts.office.engine.schedules.own.find(flow.namespace, flow.id, entry.trigger.id)
    if own is not None:
        return plain(own.words, 100)
    cron = getattr(entry.trigger, "cron", None)
    return code(cron) if cron else "on dates of the flow's file"


async def _list(parts: Parts, asking: Asking, line: Line) -> Reply:
    wanted = line.rest(1).lower()
    rows = []
    for entry in parts.office.engine.schedules.occurrences.standing():
        flow = name_of(entry.flow).full
        if wanted not in entry.key.lower() or (entry.state.next_date is None and entry.trigger.id.startswith(OWN)):
            continue
        asked = Asked("see", asking.person, asking.room, flow)
        if await parts.office.permissions.refuse(asked, fresh=False) is not None:
            continue
        date = entry.state.next_date
        then = (
            "paused" if entry.state.disabled else f"next {for_reader(date, asking.person)}" if date else "no date left"
        )
        filling = " \u00b7 backfill under way" if entry.state.backfill else ""
        rows.append(Row(plain(f"{flow} {entry.trigger.id}"), f"{_told(parts, entry)} \u00b7 {then}{filling}"))
    if not rows:
        return Reply(
            Notice("info", 'Nothing is scheduled. `/flow schedule add <flow> "every weekday at 9:00"` begins.')
        )
    note = f"{SHOWN} of {len(rows)}; `/flow schedule list <text>` narrows it down" if len(rows) > SHOWN else ""
    return Reply(Listing("Schedules", tuple(rows[:SHOWN]), note))


# One date


async def _which(parts: Parts, asking: Asking, entry: Entry, said: str) -> datetime:
    """The date somebody means: the next one, or the one on a day; Unresolved."""
    ahead = await parts.office.engine.schedules.occurrences.upcoming(entry, _FAR if said else 1)
    if not ahead:
        raise refused(f"{code(entry.trigger.id)} has no date left.")
    if not said:
        return ahead[0]
    zone, now = zone_of(asking.person.zone), parts.office.now()
    try:
        day = read_date(said, now.astimezone(zone).date())
        found = [date for date in ahead if date.astimezone(zone).date() == day]
    except ValueError:
        try:
            moment = read_datetime(said, now, zone)
        except (ValueError, OverflowError) as error:
            what = 'dates as 2026-03-31, "friday" or "tomorrow 14:00"'
            raise Unresolved(answer("E09", input="The date", what=what, value=code(said))) from error
        found = [date for date in ahead if date == moment]
    if len(found) == 1:
        return found[0]
    if found:
        raise refused(f"{code(entry.trigger.id)} comes {len(found)} times then; say the time as well.")
    raise refused(f"{code(entry.trigger.id)} does not come then. The next is {for_reader(ahead[0], asking.person)}.")


async def _skip(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`schedule skip <id> [date]`."""
    entry = await _named(parts, asking, line)
    date = await _which(parts, asking, entry, line.rest(2))
    ahead = await parts.office.engine.schedules.occurrences.upcoming(entry, 2)
    following = [one for one in ahead if one != date]
    after = f" The next is {for_reader(following[0], asking.person)}." if following else ""
    text = f"{code(entry.trigger.id)} leaves out {for_reader(date, asking.person)}.{after}"
    works = [await _skipping(parts, entry, date)]
    return await _once(parts, asking, entry, "skip", {"date": date.isoformat()}, works, text)


async def _shift(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`schedule shift <id> <time> [--date=]`: one date comes at another time, with the same inputs."""
    entry = await _named(parts, asking, line)
    if not line.rest(2):
        return Reply(usage("schedule", "To which time?", "shift"))
    date = await _which(parts, asking, entry, line.flag("date"))
    now, zone = parts.office.now(), asking.person.zone
    try:
        said = line.rest(2)
        by = said.startswith("+")
        moment = _moved(said, by, date, now, zone_of(zone))
    except (ValueError, OverflowError) as error:
        what = 'times as "14:00", "tomorrow 14:00", or "+2h" for later'
        raise Unresolved(answer("E09", input="The time", what=what, value=code(line.rest(2)))) from error
    if moment <= now + timedelta(seconds=1):
        raise refused(f"{for_reader(moment, asking.person)} is over.")
    trigger = {
        **trigger_of(Spoken(at=moment), f"{OWN}{parts.office.new_id()[-6:].lower()}", zone, entry.trigger.inputs),
        "labels": dict(read_labels(entry.trigger.labels)),
    }
    flow, words = entry.flow, f"moved from {entry.trigger.id}"
    room = documents.dump(asking.room)
    one = OwnSchedule(flow.namespace, flow.id, trigger["id"], trigger, words, asking.person.id, room, now)
    moved = {"date": date.isoformat(), "to": moment.isoformat()}
    engine = parts.office.engine

    def add(unit: Unit) -> None:
        engine.schedules.own.add_in(unit, one)

    then, instead = for_reader(moment, asking.person), for_reader(date, asking.person)
    text = f"{code(entry.trigger.id)} comes at {then} instead of {instead}."
    works = [await _skipping(parts, entry, date), add]
    reply = await _once(parts, asking, entry, "shift", moved, works, text)
    await engine.schedules.refresh()
    return reply


def _moved(said: str, by: bool, date: datetime, now: datetime, zone: tzinfo) -> datetime:
    """Where a date is moved to: later by a while, to another time of its day, or to another moment; ValueError."""
    if by:
        return read_datetime(f"in {said[1:]}", date, zone)
    try:
        clock = read_clock(said.removeprefix("at "))
    except ValueError:
        return read_datetime(said, now, zone)
    return datetime.combine(date.astimezone(zone).date(), clock, zone)


async def _skipping(parts: Parts, entry: Entry, date: datetime) -> Callable[[Unit], None]:
    return await parts.office.engine.schedules.occurrences.skipping(entry, date, parts.office.now())


async def _named(parts: Parts, asking: Asking, line: Line) -> Entry:
    if not line.word(1):
        raise Unresolved(answer("usage", what="Which schedule?", usage="`/flow schedule list` shows their names"))
    entry = _entry(parts, line.word(1))
    flow = entry.flow
    own = parts.office.engine.schedules.own.find(flow.namespace, flow.id, entry.trigger.id)
    is_mine = own is not None and own.person == asking.person.id
    await may(parts, asking, flow, deed="run" if is_mine else "manage")
    return entry


async def _once(
    parts: Parts,
    asking: Asking,
    entry: Entry,
    action: str,
    details: Mapping[str, Any],
    works: list[Callable[[Unit], Any]],
    text: str,
) -> Reply:
    """Some changes, their audit and their answer, in one transaction: once for each receipt."""
    reply, record = _recorded(parts, asking, entry, action, details, text)

    def work(unit: Unit) -> None:
        for one in works:
            one(unit)
        record(unit)

    await parts.office.engine.database.transact(work)
    return reply


def _recorded(
    parts: Parts, asking: Asking, entry: Entry, action: str, details: Mapping[str, Any], text: str
) -> tuple[Reply, Callable[[Unit], None]]:
    """An answer, and the writes that belong beside the change: its audit, and the answer as that of the receipt."""
    reply = Reply(Notice("success", text), public=True)
    told = {"schedule": entry.trigger.id, **details}
    deed = deed_of(asking, f"schedule {action}", name_of(entry.flow).full, parts.office.now(), told)

    def record(unit: Unit) -> None:
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))

    return reply, record


# All dates


async def _pause(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`schedule pause <id>`, `schedule resume <id>`."""
    entry = await _named(parts, asking, line)
    off = line.word(0).lower() == "pause"
    flow = entry.flow
    again = f"`/flow schedule resume {entry.trigger.id}` lets it go on." if off else ""
    said = "pauses" if off else "goes on"
    text = f"{code(entry.trigger.id)} of {code(flow.id)} {said}. {again}".strip()
    reply, beside = _recorded(parts, asking, entry, "pause" if off else "resume", {}, text)
    await parts.office.engine.schedules.toggle(flow.namespace, flow.id, entry.trigger.id, disabled=off, beside=beside)
    return reply


async def _delete(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`schedule delete <id>`: of those from chat; the others stand in the flow's file."""
    entry = await _named(parts, asking, line)
    engine, flow, now = parts.office.engine, entry.flow, parts.office.now()
    one = engine.schedules.own.find(flow.namespace, flow.id, entry.trigger.id)
    if one is None:
        instead = f"`/flow schedule pause {entry.trigger.id}` switches it off."
        raise refused(f"{code(entry.trigger.id)} stands in the file of {code(flow.id)}: take it out there. {instead}")

    def remove(unit: Unit) -> None:
        engine.schedules.own.remove_in(unit, one, now)

    text = f"Deleted {code(one.id)} ({plain(one.words, 100)})."
    reply = await _once(parts, asking, entry, "delete", {"words": one.words}, [remove], text)
    await engine.schedules.refresh()
    return reply


async def _backfill(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`schedule backfill <flow> <trigger> <start> [end]`; `schedule backfill pause|continue|stop <id>`."""
    if line.word(1).lower() in _HOLDING:
        return await _hold_backfill(parts, asking, line)
    if len(line.words) < 4:
        what = "I need a flow, a trigger and a start, such as `2026-03-01`."
        return Reply(usage("schedule", what, "backfill"))
    flow = parts.flow(line.word(1))
    await may(parts, asking, flow, deed="manage")
    zone, now = zone_of(asking.person.zone), parts.office.now()
    moments = []
    for text in (line.word(3), line.word(4)):
        try:
            day = text and datetime.combine(read_date(text, now.astimezone(zone).date()), datetime.min.time(), zone)
        except ValueError:
            try:
                day = read_datetime(text, now, zone)
            except (ValueError, OverflowError) as error:
                what = 'dates as 2026-03-31 (or "2026-03-31T14:00")'
                raise Unresolved(answer("E09", input="A date", what=what, value=code(text))) from error
        moments.append(day or None)
    if (begins := moments[0] or now) >= min(moments[1] or now, now):
        ends = for_reader(min(moments[1] or now, now), asking.person)
        raise refused(
            f"A backfill makes up for what has passed: {for_reader(begins, asking.person)} is not before {ends}."
        )
    triggers = [one.id for one in flow.triggers if isinstance(one, Scheduled)]
    start, replies = moments[0], list[Reply]()

    def beside(unit: Unit, made: Backfill) -> None:
        made_of = f"{flow.id}/{line.word(2)}"
        span = f"{for_reader(made.start, asking.person)} to {for_reader(made.end, asking.person)}"
        what = f"{code(line.word(2))} of {code(flow.id)} makes up for {span}, one run after another"
        text = f"{what}; its other dates wait. `/flow schedule backfill stop {made_of}` gives it up."
        details = {"start": made.start.isoformat(), "end": made.end.isoformat()}
        entry = _entry(parts, f"{flow.namespace}/{flow.id}/{line.word(2)}")
        reply, record = _recorded(parts, asking, entry, "backfill", details, text)
        record(unit)
        replies[:] = [reply]

    try:
        await parts.office.engine.schedules.backfills.start(
            flow.namespace, flow.id, line.word(2), start or now, moments[1], beside=beside
        )
    except NotFound as error:
        near = guess(line.word(2), triggers)
        raise refused(
            f"{code(flow.id)} has no schedule {code(line.word(2))}. {near} It has: {listed(triggers)}."
        ) from error
    return replies[0]


async def _hold_backfill(parts: Parts, asking: Asking, line: Line) -> Reply:
    what = line.word(1).lower()
    entry = _entry(parts, line.word(2))
    flow = entry.flow
    await may(parts, asking, flow, deed="manage")
    to, said = _HOLDING[what]
    text = f"The backfill of {code(entry.trigger.id)} of {code(flow.id)} {said}."
    reply, beside = _recorded(parts, asking, entry, f"backfill {what}", {}, text)
    await parts.office.engine.schedules.backfills.change(flow.namespace, flow.id, entry.trigger.id, to, beside=beside)
    return reply


_HOLDING: Mapping[str, tuple[Literal["PAUSE", "CONTINUE", "STOP"], str]] = {
    "pause": ("PAUSE", "pauses; the regular dates go on meanwhile"),
    "continue": ("CONTINUE", "goes on"),
    "stop": ("STOP", "is given up; what it started goes on"),
}
_ACTIONS: Mapping[str, Callable[[Parts, Asking, Line], Awaitable[Reply]]] = {
    "list": _list,
    "add": add,
    "skip": _skip,
    "shift": _shift,
    "pause": _pause,
    "resume": _pause,
    "delete": _delete,
    "backfill": _backfill,
}
