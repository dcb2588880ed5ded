"""`/flow snooze` and `/flow delegate`: be asked again later, or let a colleague decide instead."""

import re
from datetime import datetime, timedelta, tzinfo

from bot import documents
from bot.approvals.ladder import told
from bot.asking import Asking, Parts
from bot.cards.parts import for_reader
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.commands.references import short
from bot.commands.spoken_times import read_coming, read_duration
from bot.conversation import Notice, Person, Reply
from bot.links import Pressed
from bot.office import zone_of
from bot.texts import answer, code
from engine.store import chat_audit, chat_ladder, chat_messages, chat_receipts, chat_votes
from engine.store.chat_ladder import Rung
from engine.store.chat_messages import DECISION
from engine.store.database import Unit
from engine.store.pauses import PauseRow

_MENTION = re.compile(r"<?@!?([A-Za-z0-9]+)(?:\|[^>]*)?>?")
_ACCOUNT = re.compile(r"(?:slack|discord|local|token|cli):[^:\s]+")
CHOICES = ("In 1 hour", "In 4 hours", "Tomorrow at 9:00")
LONGEST = timedelta(days=366)


def moment(text: str, now: datetime, zone: tzinfo) -> datetime:
    """When somebody wants to be asked: `1h`, `14:00` (the next one), `tomorrow 9am`; ValueError. Pure."""
    wanted = text.strip().removeprefix("until ").removeprefix("at ").strip()
    try:
        when = now + read_duration(wanted.removeprefix("in ").removeprefix("for "))
    except ValueError:
        when = read_coming(wanted, now, zone)
    if not now < when <= now + LONGEST:
        raise ValueError(f"{text!r} is not within the coming year")
    return when


async def snooze(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`snooze <run> <time>`: ask me again then."""
    if not line.words or not line.rest(1):
        return Reply(usage("snooze", "Which run, and until when?"))
    pause = await parts.pause(line.word(0), asking)
    try:
        when = moment(line.rest(1), parts.office.now(), zone_of(asking.person.zone))
    except ValueError:
        what = f"I can't read {code(line.rest(1))} as a time to come; write 1h, 14:00 or tomorrow 9:00."
        return Reply(usage("snooze", what))
    return await _snoozed(parts, asking, pause, when)


async def offer(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    """*Snooze*: first the choices, then what was chosen."""
    pause = await parts.office.engine.pause_row(pressed.target)
    if pressed.choice < 0:
        if late := await _late(parts, asking, pause):
            return late
        ids = parts.office.ids
        buttons = tuple(ids.button("sz", pause.id, label, number) for number, label in enumerate(CHOICES))
        text = f"When shall I ask you again? Any other time: `/flow snooze {short(pause.id)} 14:00`."
        return Reply(Notice("info", text, buttons))
    now, zone = parts.office.now(), zone_of(asking.person.zone)
    choices = (now + timedelta(hours=1), now + timedelta(hours=4), moment("tomorrow 9:00", now, zone))
    return await _snoozed(parts, asking, pause, choices[min(pressed.choice, 2)])


async def ask(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    """*Ask them*: whoever may decide is told that somebody waits for it; once for each who asks."""
    pause = await parts.office.engine.pause_row(pressed.target)
    if late := await _late(parts, asking, pause):
        return late
    step = Rung(
        f"{pause.id}:ask:{asking.person.id}", pause.id, "remind", parts.office.now(), detail={"by": asking.person.name}
    )

    def work(unit: Unit) -> bool:
        is_new = bool(chat_ladder.plan(unit.connection, [step]))
        unit.after_commit(parts.ladder.look)
        return is_new

    is_new = await parts.office.engine.database.transact(work)
    return Reply(Notice("success", "I asked them." if is_new else "You have asked them already; I asked them then."))


async def _late(parts: Parts, asking: Asking, pause: PauseRow) -> Reply | None:
    if pause.state == "WAITING":
        return None
    return Reply((await parts.decisions.late.told(pause, asking.person)).notice())


async def _snoozed(parts: Parts, asking: Asking, pause: PauseRow, when: datetime) -> Reply:
    if late := await _late(parts, asking, pause):
        return late
    person = asking.person
    deed = _deed(parts, asking, pause, "snooze", {"until": when.isoformat()})
    ends = pause.deadline is not None and pause.deadline <= when
    warning = " The request ends before that." if ends else ""
    reply = Reply(Notice("success", f"I ask you again at {for_reader(when, person)}.{warning}"))

    def work(unit: Unit) -> None:
        if _is_answered(unit, asking):
            return
        chat_ladder.snooze(
            unit.connection, Rung(f"{pause.id}:snooze:{person.id}", pause.id, "snooze", when, person=person.id)
        )
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        unit.after_commit(parts.ladder.look)

    await parts.office.engine.database.transact(work)
    return reply


async def delegate(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`delegate <run> @colleague`: they decide instead of me; `delegate <run> me`: I decide again."""
    is_back = line.word(1).lower() == "me"
    taker = asking.person.id if is_back else account_of(line.word(1), asking.person)
    if not line.words or not taker:
        return Reply(usage("delegate", "Which run, and who decides instead of you?"))
    pause = await parts.pause(line.word(0), asking)
    case = await parts.decisions.case(pause.id)
    if refusal := await parts.decisions.refuse(case, asking.person, asking.room, handing=True):
        return Reply(refusal)
    eligibility = parts.office.eligibility
    giver, other = await eligibility.identities.of(asking.person.id), await eligibility.identities.of(taker)
    if giver.id == other.id:
        return await _taken_back(parts, asking, pause, giver.id)
    if await eligibility.is_requester(pause, case.execution, other):
        return Reply(answer("refused", why="They started this run, so they can't decide it (four eyes).").notice())
    name = (await parts.office.names({taker}))[taker]
    card = await parts.drawing.pause_of(pause)
    now = parts.office.now()
    given = chat_votes.Delegation(pause.id, giver.id, asking.person.name, taker, now)
    deed = _deed(parts, asking, pause, "delegate", {"to": taker})
    about = f"{code(pause.flow_id)} {code(short(pause.execution_id))}"
    sentence = Notice("paused", f"{told(asking.person.name)} asks you to decide {about} instead.", card.actions[:4])
    reply = Reply(Notice("success", f"{told(name)} decides {about} instead of you, and is told."))

    def work(unit: Unit) -> bool:
        if _is_answered(unit, asking):
            return True
        if chat_votes.lock(unit.connection, pause.id) != "WAITING":
            return False
        chat_votes.delegate(unit.connection, given)
        chat_audit.record(unit.connection, deed)
        chat_messages.touch(unit.connection, entity=pause.id, urgency=DECISION, now=now)
        parts.ladder.tell_in(unit, f"{asking.receipt}:handed", taker, sentence, now)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        return True

    if await parts.office.engine.database.transact(work):
        return reply
    return await _late(parts, asking, await parts.office.engine.pause_row(pause.id)) or reply


async def _taken_back(parts: Parts, asking: Asking, pause: PauseRow, giver: str) -> Reply:
    about = f"{code(pause.flow_id)} {code(short(pause.execution_id))}"
    back = Reply(Notice("success", f"You decide {about} yourself again."))
    own = Reply(answer("refused", why="That is yourself. Name a colleague.").notice())
    deed, now = _deed(parts, asking, pause, "delegate", {"text": "taken back"}), parts.office.now()

    def work(unit: Unit) -> Reply | None:
        if _is_answered(unit, asking):
            return back
        if chat_votes.lock(unit.connection, pause.id) != "WAITING":
            return None
        if not chat_votes.take_back(unit.connection, pause.id, giver):
            return own
        chat_audit.record(unit.connection, deed)
        chat_messages.touch(unit.connection, entity=pause.id, urgency=DECISION, now=now)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(back))
        unit.after_commit(parts.ladder.wake)
        return back

    reply = await parts.office.engine.database.transact(work)
    return reply or await _late(parts, asking, await parts.office.engine.pause_row(pause.id)) or own


def account_of(text: str, person: Person) -> str:
    """`@bob`, `<@U2>` or `discord:42` as an account on the platform where it was typed; "" when it is none. Pure."""
    if _ACCOUNT.fullmatch(text):
        return text
    found = _MENTION.fullmatch(text)
    if not found:
        return ""
    if person.platform == "slack" and not re.fullmatch(r"[UW][A-Z0-9]+", found[1]):
        return ""
    if person.platform == "discord" and not found[1].isdecimal():
        return ""
    platform = person.platform if person.platform in ("slack", "discord") else "local"
    return f"{platform}:{found[1]}"


def _is_answered(unit: Unit, asking: Asking) -> bool:
    known = chat_receipts.find(unit.connection, asking.receipt)
    return known is not None and known.is_done


def _deed(parts: Parts, asking: Asking, pause: PauseRow, action: str, details: dict[str, str]) -> chat_audit.Deed:
    person, flow = asking.person, f"{pause.namespace}/{pause.flow_id}"
    now = parts.office.now()
    return chat_audit.Deed(
        now, person.id, person.name, person.platform, action, pause.id, pause.execution_id, flow, details
    )
