"""`/flow pending`, `approve`, `reject`, `answer`: what waits for people, and answering it from the command line."""

from collections import Counter
from collections.abc import Sequence

from bot.approvals.decisions import Wanted
from bot.asking import Asking, Parts
from bot.commands import batches
from bot.commands.flows import PAGE, raw_pairs, spread
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.commands.references import short
from bot.commands.request_lines import request_line
from bot.conversation import FieldErrors, Listing, Notice, Reply, Row
from bot.forms import questions
from bot.forms.values import FieldInvalid
from bot.links import flow_target
from bot.people.permissions import Asked
from bot.texts import answer, code, listed, plain
from engine.errors import NotFound
from engine.store.pauses import PauseRow

MANY = 1000


async def pending(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`pending [--all] [--page=]`: what waits and I may answer, the soonest deadline first."""
    rows: list[Row] = []
    page = max(line.number("page", 1), 1)
    at_once = PAGE // 2 if asking.room.platform == "discord" else PAGE  # all of them with their buttons
    start = (page - 1) * at_once
    mine = await inbox(parts, asking, others="all" in line.flags)
    elsewhere = await _elsewhere(parts, asking, mine)
    one_click: Counter[tuple[str, str]] = Counter()
    for pause in mine[start : start + at_once]:
        try:
            card = await parts.drawing.pause_of(pause)
        except NotFound:
            continue
        about = await request_line(parts, asking, pause, card)
        rows.append(Row(plain(f"{pause.flow_id} {short(pause.execution_id)}"), about, card.actions[:3]))
        if batches.is_one_click(parts, card):
            one_click[pause.namespace, pause.flow_id] += 1
    if not rows:
        return Reply(Notice("info", f"Nothing waits for your answer{'. ' + elsewhere if elsewhere else '.'}"))
    more = f"pending{' --all' if 'all' in line.flags else ''} --page={page + 1}" if start + at_once < len(mine) else ""
    counted = f"{start + 1} to {start + len(rows)} of {len(mine)}" if len(mine) > at_once else ""
    note = " \u00b7 ".join(part for part in (counted, elsewhere) if part)
    together = (
        () if "all" in line.flags else tuple(_together(parts, *names, n) for names, n in one_click.items() if n > 1)
    )
    return Reply(Listing("Waiting for an answer", (*rows, *together), note, more))


def _together(parts: Parts, namespace: str, flow_id: str, count: int) -> Row:
    button = parts.office.ids.button("aa", flow_target(f"{namespace}/{flow_id}"), "Approve all\u2026")
    return Row(
        f"All of {plain(flow_id)}", f"{count} wait for a yes; you see them once more before anything happens", (button,)
    )


async def inbox(parts: Parts, asking: Asking, *, others: bool = False) -> list[PauseRow]:
    """What waits for a person, wherever it was asked, the soonest deadline first; with `others`, for anybody."""
    waiting = sorted(await parts.office.engine.pauses(limit=MANY), key=_urgency)
    return [pause for pause in waiting if others or await _is_mine(parts, asking, pause)]


async def _elsewhere(parts: Parts, asking: Asking, mine: Sequence[PauseRow]) -> str:
    """How many more may be answered by whoever is where their card stands, which can't be told from here."""
    known = {pause.id for pause in mine}
    count = 0
    for pause in await parts.office.engine.pauses(limit=MANY):
        by_place = any(one.kind == "channel" for one in parts.office.eligibility.rule(pause).people)
        asked = Asked("decide", asking.person, asking.room, f"{pause.namespace}/{pause.flow_id}", pause.task_id)
        if by_place and pause.id not in known and await parts.office.permissions.refuse(asked, fresh=False) is None:
            count += 1
    if not count:
        return ""
    if count == 1:
        return "1 more waits for anyone in the channel where its card stands; it is answered there."
    return f"{count} more wait for anyone in the channels where their cards stand; they are answered there."


async def waiting_for(parts: Parts, asking: Asking) -> int:
    """How many pauses a person may answer."""
    waiting = await parts.office.engine.pauses(limit=MANY)
    return sum([1 for pause in waiting if await _is_mine(parts, asking, pause)])


def _urgency(pause: PauseRow) -> tuple[bool, float, str]:
    when = pause.deadline or pause.created
    return (pause.deadline is None, when.timestamp(), pause.id)


async def _is_mine(parts: Parts, asking: Asking, pause: PauseRow) -> bool:
    flow = f"{pause.namespace}/{pause.flow_id}"
    asked = Asked("decide", asking.person, asking.room, flow, pause.task_id, pause.execution_id)
    if await parts.office.permissions.refuse(asked, fresh=False) is not None:
        return False
    try:
        execution = await parts.office.engine.execution(pause.execution_id)
    except NotFound:
        return False
    return await parts.office.eligibility.refuse(pause, execution, asking.person, asking.room, fresh=False) is None


async def approve(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`approve <pause or run> [k=v …] [reason]`; `approve <flow> --all [reason]` for all requests of a flow."""
    if "all" in line.flags:
        if not line.words:
            return Reply(usage("approve", "All requests of which flow?"))
        mine = await inbox(parts, asking)
        return await batches.offer(parts, asking, parts.flow(line.word(0)), mine, line.rest(1))
    return await _decide(parts, asking, line, "approve")


async def reject(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`reject <pause or run> [k=v …] [reason]`."""
    return await _decide(parts, asking, line, "reject")


async def give_answer(parts: Parts, asking: Asking, line: Line) -> Reply | FieldErrors:
    """`answer <pause or run> [k=v …]`."""
    return await _decide(parts, asking, line, "answer")


async def _decide(parts: Parts, asking: Asking, line: Line, action: str) -> Reply | FieldErrors:
    pause = await parts.pause(line.word(0), asking)
    case = await parts.decisions.case(pause.id)
    if pause.state == "WAITING":
        declared = {one.id: one for one in case.questions.inputs}
        line = spread(line, declared)
        if unknown := [name for name in line.pairs if name not in declared]:
            has = listed(declared) if declared else "none at all"
            return Reply(answer("E11", flow=code(pause.task_id), name=code(unknown[0]), list=has).notice())
        reader = parts.office.reader(asking.person)
        try:
            raw = await raw_pairs(line, declared, asking)
        except FieldInvalid as error:
            return Reply(error.answer.notice())
        read = questions.read_pairs(case.questions.fields, raw, reader)
        if read.errors:
            said = " ".join(read.errors.values())
            return Reply(Notice("warning", f"{said} Nothing was answered.", code="E06"))
        given = read.given
    else:
        given = {}
    if not line.words and action != "answer" and not line.pairs:
        return Reply(
            usage(action, f"Name what you {action}: {plain(pause.flow_id)} {code(short(pause.execution_id))}?")
        )
    wanted = Wanted(pause.id, action, asking.person, asking.room, asking.receipt, given, reason=line.rest(1))
    return await parts.decisions.decide(wanted)
