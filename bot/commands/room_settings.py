"""`/flow settings`: what holds in the room where it is asked, and changing it. Each setting is a row of `SETTINGS`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot import documents
from bot.asking import Asking, Parts
from bot.cards.room_modes import mode_of, room_key
from bot.chat_settings import CARD_MODES
from bot.commands import muting
from bot.commands.grammar import Given, Line, Text
from bot.commands.manual import usage
from bot.commands.references import guess
from bot.conversation import Listing, Notice, Reply, Room, Row
from bot.people.permissions import Asked
from bot.texts import code
from engine.store import chat_audit, chat_receipts, chat_rooms
from engine.store.database import Unit


@dataclass(frozen=True, slots=True)
class RoomSetting:
    """One setting: its values, what holds in a room, and how a room's own value is written inside a transaction
    (None: it is the same everywhere and stands in parley.yaml)."""

    name: str
    about: str
    values: tuple[str, ...]
    read: Callable[[Parts, Room], Awaitable[str]]
    keep: Callable[[Unit, Room, str], None] | None = None


async def _card(parts: Parts, room: Room) -> str:
    office, now = parts.office, parts.office.now()
    own = await office.engine.database.read(lambda c: chat_rooms.get(c, room_key(room), chat_rooms.CARD, now))
    return mode_of(own and own[0], office.settings.card)


def _keep_card(unit: Unit, room: Room, value: str) -> None:
    chat_rooms.put(unit.connection, room_key(room), chat_rooms.CARD, value)


CARD = "a run's card: off, only at its end, edited all along, with all else in its thread, or with a thread beside"
SETTINGS: tuple[RoomSetting, ...] = (RoomSetting("card", CARD, CARD_MODES, _card, _keep_card),)


async def settings(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`settings [name=value \u2026]`: what holds here; changing it is for those who manage."""
    if line.word(0).lower() in ("mute", "unmute"):
        return await muting.typed(parts, asking, line)
    if not line.pairs and not line.words:
        rows = [await _row(parts, asking, one) for one in SETTINGS]
        rows += await muting.rows(parts, asking)
        return Reply(Listing("Settings of this room", tuple(rows), "`/flow settings name=value` changes one"))
    pairs: dict[str, Given] = dict(line.pairs)
    if len(line.words) == 2:  # `settings card off`
        pairs[line.word(0).lower()] = Text(line.word(1).lower())
    elif line.words:
        return Reply(usage("settings", f"I don't understand {code(line.rest(0))}."))
    wanted: list[tuple[RoomSetting, str]] = []
    for name, given in pairs.items():
        one = next((known for known in SETTINGS if known.name == name), None)
        if one is None:
            near = guess(name, [known.name for known in SETTINGS])
            return Reply(usage("settings", f"There is no setting {code(name)}. {near}".strip()))
        value = given.value if isinstance(given, Text) else ""
        if value not in one.values:
            choices = ", ".join(code(known) for known in one.values)
            return Reply(usage("settings", f"{code(name)} is one of {choices}."))
        if one.keep is None:
            why = f"{code(name)} is the same in every room: it stands in parley.yaml, below `chat`."
            return Reply(Notice("warning", why))
        wanted.append((one, value))
    asked = Asked("manage", asking.person, asking.room, "*")
    if denied := await parts.office.permissions.refuse(asked):
        return Reply(denied.notice())
    return await _changed(parts, asking, wanted)


async def _row(parts: Parts, asking: Asking, one: RoomSetting) -> Row:
    return Row(f"{one.name}={await one.read(parts, asking.room)}", f"{one.about} ({', '.join(one.values)})")


async def _changed(parts: Parts, asking: Asking, wanted: list[tuple[RoomSetting, str]]) -> Reply:
    """The values, their audit and their answer in one transaction."""
    now, person = parts.office.now(), asking.person
    said = {one.name: value for one, value in wanted}
    reply = Reply(
        Notice("success", f"From now on here: {', '.join(f'`{k}={v}`' for k, v in said.items())}."), public=True
    )
    place = documents.public_place(asking.room)
    deed = chat_audit.Deed(now, person.id, person.name, person.platform, "settings", place, details=said)

    def work(unit: Unit) -> None:
        for one, value in wanted:
            if one.keep is not None:
                one.keep(unit, asking.room, value)
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))

    await parts.office.engine.database.transact(work)
    return reply
