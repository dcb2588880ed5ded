"""`/flow …`: which words there are, and who answers them."""

from collections.abc import Awaitable, Callable, Mapping

from bot import (
    flow_commands,
    handing_on,
    kv_commands,
    linking,
    pause_commands,
    room_settings,
    run_commands,
    schedule_commands,
    visiting,
)
from bot.asking import Asking, Parts
from bot.cards import menu
from bot.conversation import FieldErrors, Notice, Person, Reply
from bot.flow_commands import USAGE
from bot.grammar import FromFile, Json, Line, LineInvalid, Text, parse, write
from bot.permissions import Asked, ByRole
from bot.references import Unresolved, guess
from bot.roles import Deed
from bot.texts import Answer, answer, code, did_you_mean, listed, plain
from engine.errors import EngineError

Verb = Callable[[Parts, Asking, Line], Awaitable[Reply | FieldErrors]]
HIDDEN = "******"


async def help_(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`help [command or flow]`."""
    wanted = line.word(0).lower()
    if not wanted:
        allowed = await usable(parts, asking)
        lines = "\n".join(f"- `/flow {how}`: {what}" for verb, (how, what) in USAGE.items() if verb in allowed)
        text = f"{lines}\n\nIn threads and direct messages write `@parley run \u2026`. Quote blanks: `a='b c'`."
        return Reply(Notice("info", text))
    if wanted in USAGE:
        how, what = USAGE[wanted]
        return Reply(Notice("info", f"`/flow {how}`\n{what.capitalize()}."))
    try:
        return Reply(await flow_commands.shown(parts, asking, parts.flow(line.word(0))))
    except Unresolved as unknown:
        return Reply(unknown.answer.notice())


NEEDS: Mapping[str, tuple[Deed, ...]] = {
    "run": ("run",),
    "approve": ("decide",),
    "reject": ("decide",),
    "answer": ("decide",),
    "snooze": ("decide",),
    "delegate": ("decide",),
    "kill": ("kill", "run"),
    "restart": ("run",),
    "replay": ("run",),
    "schedule": ("run", "manage"),
    "kv": ("kv",),
}


async def usable(parts: Parts, asking: Asking) -> set[str]:
    """The commands with which somebody may do something, with whatever flow it is."""
    flows = parts.office.flow_names()
    known: dict[Deed, bool] = {}

    async def may(deed: Deed) -> bool:
        for flow in flows:
            about = flow.namespace if deed == "kv" else flow.full
            asked = Asked(deed, asking.person, asking.room, about)
            if await parts.office.permissions.refuse(asked, fresh=False) is None:
                return True
        return not flows

    for deed in {deed for deeds in NEEDS.values() for deed in deeds}:
        known[deed] = await may(deed)
    return {verb for verb in USAGE if verb not in NEEDS or any(known[deed] for deed in NEEDS[verb])}


async def whoami(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`whoami`."""
    person = asking.person
    zone = person.zone or "UTC, since your platform tells none"
    who = await parts.office.eligibility.identities.of(person.id)
    also = [account for account in who.accounts if account != person.id]
    more = f" You are also {listed(also, 20)}." if also else ""
    rule = await _roles_of(parts, person)
    text = f"You are **{plain(person.name)}**, {code(person.id)}.{more} Your time zone is {code(zone)}.\n{rule}"
    return Reply(Notice("info", text))


async def _roles_of(parts: Parts, person: Person) -> str:
    permissions = parts.office.permissions
    if not isinstance(permissions, ByRole):
        return permissions.describe()
    held = await permissions.held_by(person)
    return f"Your roles: {', '.join(held)}." if held else "You have no role here, so there is nothing you may do."


async def show_menu(parts: Parts, asking: Asking, line: Line) -> Reply:
    """What the command without words shows."""
    waiting = await pause_commands.waiting_for(parts, asking)
    return Reply(menu(parts.office.ids, waiting, name=asking.person.name))


VERBS: Mapping[str, Verb] = {
    "": show_menu,
    "menu": show_menu,
    "run": flow_commands.run,
    "list": flow_commands.list_flows,
    "flows": flow_commands.list_flows,
    "show": flow_commands.show,
    "status": run_commands.status,
    "runs": flow_commands.my_runs,
    "logs": run_commands.logs,
    "log": run_commands.logs,
    "pending": pause_commands.pending,
    "approve": pause_commands.approve,
    "reject": pause_commands.reject,
    "answer": pause_commands.give_answer,
    "snooze": handing_on.snooze,
    "delegate": handing_on.delegate,
    "kill": run_commands.kill,
    "restart": run_commands.restart,
    "replay": run_commands.replay,
    "audit": run_commands.audit,
    "schedule": schedule_commands.schedule,
    "kv": kv_commands.kv,
    "settings": room_settings.settings,
    "help": help_,
    "link": linking.link,
    "unlink": linking.unlink,
    "web": visiting.web,
    "whoami": whoami,
}


async def perform(parts: Parts, asking: Asking, text: str) -> Reply | FieldErrors:
    """Answer a typed command. What a person got wrong is an answer, never an error."""
    try:
        line = parse(text)
        verb = VERBS.get(line.verb)
        if verb is None:
            return Reply(unknown(parts, line).notice())
        return await verb(parts, asking, line)
    except (LineInvalid, Unresolved) as refused:
        return Reply(refused.answer.notice())
    except EngineError as error:
        return Reply(Notice("warning", f"{plain(error.message, 600)} {plain(error.fix, 300)}".strip()))


def unknown(parts: Parts, line: Line) -> Answer:
    """E01, with the nearest word; a flow's name alone is most likely meant to be run."""
    try:
        near = did_you_mean([f"/flow run {parts.flow(line.verb).id}"])
    except (Unresolved, EngineError):
        near = guess(line.verb, [verb for verb in VERBS if verb])
    return answer("E01", verb=code(line.verb), guess=near)


def storable(parts: Parts, text: str) -> str:
    """A command as it may be written down: what was typed for a SECRET input, or to become a secret, is left out."""
    try:
        line = parse(text)
    except LineInvalid:
        return ""
    if line.verb == "kv" and ("secret" in line.flags or line.flag("type").upper() == "SECRET"):
        return write(Line("kv", line.words[:3], {}, {"secret": True}))
    if line.verb == "link" and line.word(0).lower() not in ("", "list"):
        return f"link {HIDDEN}"
    if line.verb != "run" or not line.words or not line.pairs:
        return text
    try:
        flow = parts.flow(line.word(0))
    except (Unresolved, EngineError):
        return text
    secret = {one.id for one in flow.inputs if one.type == "SECRET"}.intersection(line.pairs)
    if not secret:
        return text
    pairs: dict[str, Text | Json | FromFile] = dict(line.pairs)
    pairs |= {name: Text(HIDDEN) for name in secret}
    return write(Line(line.verb, line.words, pairs, line.flags))
