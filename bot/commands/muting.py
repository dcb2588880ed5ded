"""Muting a flow in a room for a time: its cards stay away there; questions, and failures of one's own runs, do not."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bot import documents
from bot.asking import Asking, Parts
from bot.cards.parts import utc
from bot.cards.room_modes import room_key
from bot.commands.grammar import Line
from bot.commands.manual import usage
from bot.commands.spoken_times import read_duration
from bot.conversation import Notice, Reply, Row
from bot.links import Pressed, flow_target
from bot.people.permissions import Asked
from bot.texts import code, plain
from engine.core.execution import Execution
from engine.store import chat_audit, chat_receipts, chat_rooms
from engine.store.chat_rooms import MUTE
from engine.store.database import Unit

TIMES = {"1 hour": timedelta(hours=1), "8 hours": timedelta(hours=8), "3 days": timedelta(days=3)}
LONGEST = timedelta(days=90)


async def offer(parts: Parts, asking: Asking, execution: Execution, choice: int) -> Reply:
    """*Mute…* on the card of a failed run: first for how long, then it is done."""
    flow = f"{execution.namespace}/{execution.flow_id}"
    if choice < 0:
        if denied := await _refused(parts, asking, flow):
            return Reply(denied)
        ids = parts.office.ids
        buttons = tuple(ids.button("mu", execution.id, label, number) for number, label in enumerate(TIMES))
        text = f"For how long shall cards of {code(flow)} stay away from this room? Questions still come."
        return Reply(Notice("info", text, buttons))
    return await _mute(parts, asking, flow, list(TIMES.values())[min(choice, len(TIMES) - 1)])


async def typed(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`settings mute <flow> [8h]` and `settings unmute <flow>`."""
    if len(line.words) < 2:
        return Reply(usage("settings", "Which flow? Write `mute <flow> 8h` or `unmute <flow>`."))
    found = parts.flow(line.word(1))
    flow = f"{found.namespace}/{found.id}"
    if line.word(0).lower() == "unmute":
        return await _unmute(parts, asking, flow)
    try:
        length = read_duration(line.rest(2) or "8h")
    except ValueError:
        return Reply(usage("settings", f"I can't read {code(line.rest(2))} as a length of time; write 8h or 3 days."))
    if not timedelta(0) < length <= LONGEST:
        return Reply(usage("settings", f"A flow is muted for at most {LONGEST.days} days."))
    return await _mute(parts, asking, flow, length)


async def lift(parts: Parts, asking: Asking, pressed: Pressed) -> Reply:
    """*Unmute*."""
    muted = [name for name, _ in await _muted(parts, asking)]
    flow = next((name for name in muted if flow_target(name) == pressed.target), None)
    if flow is None:
        return Reply(Notice("info", "That flow is not muted here any more."))
    return await _unmute(parts, asking, flow)


async def rows(parts: Parts, asking: Asking) -> list[Row]:
    """What is muted in a room, for its settings."""
    made = []
    for flow, until in await _muted(parts, asking):
        button = parts.office.ids.button("um", flow_target(flow), "Unmute")
        made.append(Row(f"muted: {plain(flow, 100)}", f"until {utc(until)}" if until else "", (button,)))
    return made


async def _muted(parts: Parts, asking: Asking) -> list[tuple[str, datetime | None]]:
    room, now = room_key(asking.room), parts.office.now()
    return await parts.office.engine.database.read(lambda c: chat_rooms.beginning(c, room, MUTE, now))


async def _refused(parts: Parts, asking: Asking, flow: str) -> Notice | None:
    """Whoever may run a flow may say that it is too loud."""
    denied = await parts.office.permissions.refuse(Asked("run", asking.person, asking.room, flow))
    return denied.notice() if denied else None


async def _mute(parts: Parts, asking: Asking, flow: str, length: timedelta) -> Reply:
    if denied := await _refused(parts, asking, flow):
        return Reply(denied)
    until = parts.office.now() + length
    who, button = plain(asking.person.name, 60), parts.office.ids.button("um", flow_target(flow), "Unmute")
    text = f"{who} muted {code(flow)} in this room until {utc(until)}: no cards of its runs. Questions still come."
    reply = Reply(Notice("info", text, (button,)), public=True)

    def put(unit: Unit) -> None:
        chat_rooms.put(unit.connection, room_key(asking.room), f"{MUTE}{flow}", asking.person.id, until)

    return await _recorded(parts, asking, "mute", flow, reply, put, {"until": until.isoformat()})


async def _unmute(parts: Parts, asking: Asking, flow: str) -> Reply:
    if denied := await _refused(parts, asking, flow):
        return Reply(denied)
    reply = Reply(Notice("info", f"{plain(asking.person.name, 60)} unmuted {code(flow)} in this room."), public=True)

    def drop(unit: Unit) -> None:
        chat_rooms.drop(unit.connection, room_key(asking.room), f"{MUTE}{flow}")

    return await _recorded(parts, asking, "unmute", flow, reply, drop, {})


async def _recorded(
    parts: Parts,
    asking: Asking,
    action: str,
    flow: str,
    reply: Reply,
    change: Callable[[Unit], None],
    details: dict[str, str],
) -> Reply:
    """The change, its audit and its answer in one transaction, once for each receipt."""
    person, place = asking.person, documents.public_place(asking.room)
    deed = chat_audit.Deed(
        parts.office.now(), person.id, person.name, person.platform, action, place, flow=flow, details=details
    )

    def work(unit: Unit) -> None:
        known = chat_receipts.find(unit.connection, asking.receipt)
        if known is not None and known.is_done:
            return
        change(unit)
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))

    await parts.office.engine.database.transact(work)
    return reply
