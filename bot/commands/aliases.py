"""`/flow alias`: short words for long commands, for everybody of a workspace, for one channel or for one person. What
is narrower wins; no alias hides a command."""

import re
from collections.abc import Callable, Collection

from bot import documents
from bot.asking import Asking, Parts
from bot.commands.grammar import Line, LineInvalid, parse, write
from bot.commands.manual import usage
from bot.commands.references import guess, refused
from bot.conversation import Listing, Notice, Reply, Room, Row
from bot.frontend import Unreachable
from bot.people.permissions import Asked
from bot.texts import answer, code, plain
from engine.store import chat_aliases, chat_audit, chat_receipts
from engine.store.chat_aliases import Alias
from engine.store.database import Unit

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_FIRST = re.compile(r"\s*(\S+)")
_RUN = re.compile(r"\s*run\s+(\S+)", re.IGNORECASE)  # what Discord, whose commands are fixed, makes of an alias
LONGEST = 1000
MOST = 200  # in one place
SHOWN = 25
MINE, HERE = "mine", "here"  # flags: for one person, for one channel
_OWN, _CHANNEL = "@", "#"  # how the places of such begin


def everybodys(room: Room, person: str) -> str:
    """Where an alias holds that is nobody's and no channel's: one workspace, one server, the page; in direct messages
    of no workspace (Discord's), for one person."""
    return chat_aliases.own(person) if room.is_direct and not room.workspace else f"{room.platform}:{room.workspace}"


async def places(parts: Parts, room: Room, person: str) -> tuple[str, ...]:
    """Where the aliases lie that hold for somebody in a room. The first wins: their own, under whatever account they
    made them, then the channel's, then everybody's."""
    try:
        accounts = (await parts.office.eligibility.identities.of(person)).accounts
    except Unreachable:  # whose they are can't be told now: only their own
        accounts = (person,)
    mine = (chat_aliases.own(one) for one in (person, *accounts))
    return tuple(dict.fromkeys((*mine, _channel(room), everybodys(room, person))))


def _channel(room: Room) -> str:
    return chat_aliases.channel(room.platform, room.workspace, room.channel)


async def holding(parts: Parts, room: Room, person: str) -> list[Alias]:
    """Every alias that holds for somebody in a room, by name; of one name the one that wins."""
    where = await places(parts, room, person)
    every = await parts.office.engine.database.read(lambda c: chat_aliases.holding(c, where))
    return sorted({one.name: one for one in reversed(every)}.values(), key=lambda one: one.name)


async def expanded(parts: Parts, room: Room, person: str, text: str, verbs: Collection[str]) -> str:
    """A command with the alias at its front, or as the flow of `run`, replaced by what it stands for; what is no alias
    stays as it is."""
    is_run = _RUN.match(text)
    found = is_run or _FIRST.match(text)
    word = found[1].lower() if found else ""
    if not found or not _NAME.fullmatch(word):
        return text
    if is_run and any(word in (flow.id.lower(), flow.full.lower()) for flow in parts.office.flow_names()):
        return text
    if not is_run and word in verbs:
        return text
    alias = await known(parts, room, person, word)
    if alias is None or (is_run and not alias.command.startswith("run ")):
        return text
    return f"{alias.command}{text[found.end() :]}"


async def known(parts: Parts, room: Room, person: str, name: str) -> Alias | None:
    """The alias of a name that holds for somebody in a room, where there is one."""
    return next((one for one in await holding(parts, room, person) if one.name == name), None)


async def names(parts: Parts, room: Room, person: str) -> list[str]:
    """The name of every alias that holds for somebody in a room."""
    return [one.name for one in await holding(parts, room, person)]


async def alias(
    parts: Parts, asking: Asking, line: Line, verbs: Collection[str], hidden: Callable[[str], bool]
) -> Reply:
    """`alias list | set <name> "<command>" | delete <name>`; `hidden`: whether a command holds a secret."""
    action, name = line.word(0).lower() or "list", line.word(1).lower()
    if action == "list":
        return await _list(parts, asking)
    if action not in ("set", "delete"):
        return Reply(usage("alias", f"I don't know {code(action)}. {guess(action, ('list', 'set', 'delete'))}".strip()))
    if not name:
        return Reply(usage("alias", "Which name?"))
    if MINE in line.flags and HERE in line.flags:
        return Reply(usage("alias", "For you, or for this channel? Not both."))
    place = await _place(parts, asking, line, name if action == "delete" else "")
    if not place.startswith(_OWN):
        asked = Asked("manage", asking.person, asking.room, "*")
        if denied := await parts.office.permissions.refuse(asked):
            return Reply(denied.notice())
    if action == "delete":
        return await _delete(parts, asking, place, name)
    command = command_of(line)
    if wrong := _wrong(name, command, verbs, hidden):
        return Reply(usage("alias", wrong))
    return await _set(parts, asking, place, name, command)


async def _place(parts: Parts, asking: Asking, line: Line, name: str) -> str:
    """Where an alias is kept, or taken from: where the flags say, else where the one of that name lies, else with
    everybody's."""
    room, person = asking.room, asking.person.id
    if MINE in line.flags:
        where = chat_aliases.own(person)
        there = await known(parts, room, person, name) if name else None
        return there.workspace if there and there.workspace.startswith(_OWN) else where
    if HERE in line.flags:
        return _channel(room)
    there = await known(parts, room, person, name) if name else None
    return there.workspace if there else everybodys(room, person)


def command_of(line: Line) -> str:
    """The command that `alias set name …` is about, quoted or not."""
    flags = {name: value for name, value in line.flags.items() if name not in (MINE, HERE)}
    if line.pairs or flags or len(line.words) > 3:
        return write(Line(line.word(2), line.words[3:], line.pairs, flags))
    return line.word(2).strip().removeprefix("/flow ").strip()


def _wrong(name: str, command: str, verbs: Collection[str], hidden: Callable[[str], bool]) -> str:
    """Why a name can't stand for a command, "" when it can."""
    if not _NAME.fullmatch(name):
        return f"{code(name)} is no name for an alias: small letters, digits, `-` and `_`, at most 32 characters."
    if name in verbs:
        return f"{code(name)} is a command, which no alias may hide. Choose another name."
    try:
        line = parse(command)
    except LineInvalid as error:
        return error.answer.text
    if line.verb not in verbs:
        return f"It must begin with a command. {guess(line.verb, [verb for verb in verbs if verb])}".strip()
    if line.verb == "alias":
        return "An alias can't make aliases."
    if len(command) > LONGEST:
        return f"That is longer than {LONGEST} characters."
    return "An alias can't keep a secret." if hidden(command) else ""


async def _list(parts: Parts, asking: Asking) -> Reply:
    found = await holding(parts, asking.room, asking.person.id)
    if not found:
        return Reply(Notice("info", 'No aliases here yet. `/flow alias set ship-it "run deploy env=prod"` makes one.'))
    names = await parts.office.names({one.person for one in found})
    rows = tuple(
        Row(
            plain(one.name),
            f"{code(f'/flow {one.command}', 200)} \u00b7 {_whose(one)} \u00b7 by {plain(names[one.person], 60)}",
        )
        for one in found
    )
    note = f"{SHOWN} of {len(rows)}" if len(rows) > SHOWN else ""
    return Reply(Listing("Aliases", rows[:SHOWN], note))


def _whose(one: Alias) -> str:
    return {_OWN: "yours", _CHANNEL: "of this channel"}.get(one.workspace[:1], "everybody's here")


async def _set(parts: Parts, asking: Asking, place: str, name: str, command: str) -> Reply:
    now = parts.office.now()
    one = Alias(place, name, command, asking.person.id, now)
    whose = {_OWN: " for you", _CHANNEL: " in this channel"}.get(place[:1], "")
    text = f"{code(f'/flow {name}')} stands for {code(f'/flow {command}', 300)}{whose}."
    reply = Reply(Notice("success", text), public=not place.startswith(_OWN))
    deed = _deed(parts, asking, "alias set", name, {"command": command})

    def work(unit: Unit) -> None:
        there = chat_aliases.every(unit.connection, place)
        if len(there) >= MOST and all(known.name != name for known in there):
            raise refused(f"There are {MOST} aliases here already. Delete one first.")
        chat_aliases.put(unit.connection, one)
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))

    await parts.office.engine.database.transact(work)
    return reply


async def _delete(parts: Parts, asking: Asking, place: str, name: str) -> Reply:
    text = f"{code(name)} stands for nothing any more."
    wider = [one for one in await places(parts, asking.room, asking.person.id) if one != place]
    below = await parts.office.engine.database.read(lambda c: chat_aliases.holding(c, wider))
    if left := next((one for one in below if one.name == name), None):
        text = f"{code(name)} stands for {code(f'/flow {left.command}', 300)} again."
    reply = Reply(Notice("success", text), public=not place.startswith(_OWN))
    deed = _deed(parts, asking, "alias delete", name, {})

    def work(unit: Unit) -> bool:
        if not chat_aliases.remove(unit.connection, place, name):
            return False
        chat_audit.record(unit.connection, deed)
        chat_receipts.finish(unit.connection, asking.receipt, documents.dump_reply(reply))
        return True

    if await parts.office.engine.database.transact(work):
        return reply
    return Reply(answer("refused", why=f"There is no alias {code(name)}. `/flow alias list` shows all.").notice())


def _deed(parts: Parts, asking: Asking, action: str, name: str, details: dict[str, str]) -> chat_audit.Deed:
    person, room = asking.person, asking.room
    entity = f"{room.platform}:{room.workspace}/{name}"  # no account: what an entity is can not be taken out again
    return chat_audit.Deed(parts.office.now(), person.id, person.name, person.platform, action, entity, details=details)
