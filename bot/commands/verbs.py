"""`/flow …`: which words there are, and who answers them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.asking import Asking, Parts
from bot.cards.parts import PLATFORMS, menu
from bot.commands import aliases, explain, handing_on, linking, room_settings, run_changes, visiting, watching
from bot.commands import bulk as bulk_commands
from bot.commands import flows as flow_commands
from bot.commands import kv as kv_commands
from bot.commands import pauses as pause_commands
from bot.commands import revisions as revision_commands
from bot.commands import runs as run_commands
from bot.commands import schedules as schedule_commands
from bot.commands.explain import WORD
from bot.commands.grammar import FromFile, Json, Line, LineInvalid, Text, Word, parse, write
from bot.commands.manual import MANUAL, overview, slash, unknown_flag
from bot.commands.references import Unresolved, guess
from bot.conversation import FieldErrors, Listing, Notice, Person, Reply, Row
from bot.people.permissions import Asked, ByRole
from bot.people.roles import Deed
from bot.texts import Answer, answer, code, did_you_mean, listed, plain
from engine.errors import EngineError

Verb = Callable[[Parts, Asking, Line], Awaitable[Reply | FieldErrors]]
HIDDEN = "******"
SYNONYMS = {"flows": "list", "log": "logs", "unwatch": "watch"}
# What other programs, and our own buttons, call the same: offered, since an alias may have the name.
CALLED = {
    **dict.fromkeys(("start", "trigger", "execute", "deploy"), "run"),
    **dict.fromkeys(("stop", "cancel", "abort", "end"), "kill"),
    **dict.fromkeys(("deny", "decline", "no"), "reject"),
    **dict.fromkeys(("yes", "ok", "accept", "confirm"), "approve"),
    **dict.fromkeys(("inbox", "waiting", "todo"), "pending"),
    **dict.fromkeys(("ls", "search", "find"), "list"),
    **dict.fromkeys(("describe", "info"), "show"),
    "retry": "restart",
    "rerun": "replay",
    "continue": "resume",
    "hold": "pause",
    "history": "runs",
    "cron": "schedule",
    "label": "labels",
    "remove": "delete",
    "output": "files",
    "me": "whoami",
    "remind": "snooze",
    "mute": "settings mute",
    "unmute": "settings unmute",
}


async def help_(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`help [command or flow]`: what this person may do, each with examples to copy."""
    wanted = line.word(0).lower().removeprefix("/")
    allowed = await usable(parts, asking)
    if not wanted or wanted == "flow":
        lines = overview(allowed, asking.person.platform)
        short = listed(await aliases.names(parts, asking.room, asking.person.id), 20)
        lines += f"\n- Aliases here: {short}" if short != "none" else ""
        more = "`/flow help run` has examples. In threads and direct messages write `@parley run \u2026`."
        return Reply(Notice("info", f"{lines}\n\n{more} Quote blanks: `a='b c'`."))
    if (verb := SYNONYMS.get(wanted, wanted)) in MANUAL and is_word(parts, verb):
        return Reply(_told(verb, slash(verb, asking.person.platform), is_allowed=verb in allowed))
    if known := await aliases.known(parts, asking.room, asking.person.id, wanted):
        return Reply(Notice("info", f"`/flow {known.name}` stands for {code(f'/flow {known.command}', 300)}."))
    try:
        return Reply(await flow_commands.shown(parts, asking, parts.flow(line.word(0))))
    except Unresolved as unknown_flow:
        if near := guess(wanted, allowed):
            return Reply(Notice("info", f"There is no command {code(wanted)}. {near}"))
        return Reply(unknown_flow.answer.notice())


def _told(verb: str, typed: str, *, is_allowed: bool) -> Notice:
    one = MANUAL[verb]
    if not is_allowed:
        return Notice("info", f"`{typed} {one.usage}`\n{one.about.capitalize()}. You may do that with no flow here.")
    examples = "\n".join(f"- `{typed} {example}`" for example in one.examples)
    return Notice("info", f"`{typed} {one.usage}`\n{one.about.capitalize()}.\n\nFor example:\n{examples}")


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

    for deed in {deed for one in MANUAL.values() for deed in one.needs}:
        known[deed] = await may(deed)
    told = {verb: one for verb, one in MANUAL.items() if is_word(parts, verb)}
    return {verb for verb, one in told.items() if not one.needs or any(known[deed] for deed in one.needs)}


def is_word(parts: Parts, verb: str) -> bool:
    """Whether there is such a command here: where no model is set up, none explains."""
    return verb in VERBS and (verb != WORD or parts.office.explain is not None)


async def whoami(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`whoami`."""
    person = asking.person
    is_own = person.platform == "slack" or person.zone != parts.office.zones.default
    told = "" if is_own else f" (the bot's, since {PLATFORMS[person.platform]} tells none)"
    clock = f"Your time zone is {code(person.zone or 'UTC')}{told}."
    who = await parts.office.eligibility.identities.of(person.id)
    also = [account for account in who.accounts if account != person.id]
    more = f" You are also {listed(also, 20)}." if also else ""
    rule = await _roles_of(parts, person)
    text = f"You are **{plain(person.name)}**, {code(person.id)}.{more} {clock}\n{rule}"
    return Reply(Notice("info", text))


async def _roles_of(parts: Parts, person: Person) -> str:
    permissions = parts.office.permissions
    if not isinstance(permissions, ByRole):
        return permissions.describe()
    held = await permissions.held_by(person)
    return f"Your roles: {', '.join(held)}." if held else "You have no role here, so there is nothing you may do."


async def alias(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`alias list | set <name> "<command>" | delete <name>`."""
    return await aliases.alias(parts, asking, line, VERBS.keys(), lambda text: storable(parts, text) != text)


async def doctor(parts: Parts, asking: Asking, line: Line) -> Reply:
    """`doctor`: what is wrong with the set-up, for those who manage."""
    if denied := await parts.office.permissions.refuse(Asked("manage", asking.person, asking.room, "*")):
        return Reply(denied.notice())
    found = await parts.office.examine()
    signs = {"ok": "ok", "hint": "hint", "wrong": "wrong"}
    worst = [one for verdict in ("wrong", "hint", "ok") for one in found if one.verdict == verdict]
    mask = parts.office.engine.masker.mask
    rows = tuple(
        Row(f"{plain(one.name, 60)}: {signs[one.verdict]}", plain(mask(f"{one.text} {one.fix}".strip()), 400))
        for one in worst[:25]
    )
    return Reply(
        Listing("Set-up", rows) if rows else Notice("info", "`parley doctor` on the machine of the bot tells.")
    )


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
    WORD: explain.explain,
    "log": run_commands.logs,
    "pending": pause_commands.pending,
    "approve": pause_commands.approve,
    "reject": pause_commands.reject,
    "answer": pause_commands.give_answer,
    "snooze": handing_on.snooze,
    "delegate": handing_on.delegate,
    "kill": run_commands.kill,
    "pause": run_changes.pause,
    "resume": run_changes.resume,
    "force": run_changes.force,
    "mark": run_changes.mark,
    "labels": run_changes.labels,
    "delete": run_changes.delete,
    "bulk": bulk_commands.bulk,
    "revisions": revision_commands.revisions,
    "restore": revision_commands.restore,
    "watch": watching.watch,
    "unwatch": watching.unwatch,
    "files": watching.files,
    "restart": run_commands.restart,
    "replay": run_commands.replay,
    "audit": run_commands.audit,
    "schedule": schedule_commands.schedule,
    "kv": kv_commands.kv,
    "alias": alias,
    "settings": room_settings.settings,
    "doctor": doctor,
    "help": help_,
    "link": linking.link,
    "unlink": linking.unlink,
    "web": visiting.web,
    "whoami": whoami,
}


async def perform(parts: Parts, asking: Asking, text: str) -> Reply | FieldErrors:
    """Answer a typed command. What a person got wrong is an answer, never an error."""
    try:
        line = parse(await aliases.expanded(parts, asking.room, asking.person.id, text, VERBS.keys()))
        verb = VERBS.get(line.verb)
        if verb is None or not is_word(parts, line.verb):
            return Reply(unknown(parts, line, await aliases.names(parts, asking.room, asking.person.id)).notice())
        if wrong := unknown_flag(SYNONYMS.get(line.verb, line.verb), line.flags):
            return Reply(wrong)
        return await verb(parts, asking, line)
    except (LineInvalid, Unresolved) as refused:
        return Reply(refused.answer.notice())
    except EngineError as error:
        return Reply(Notice("warning", f"{plain(error.message, 600)} {plain(error.fix, 300)}".strip()))


def unknown(parts: Parts, line: Line, names: Sequence[str] = ()) -> Answer:
    """E01, with the nearest word; a flow's name alone is most likely meant to be run."""
    try:
        near = did_you_mean([f"/flow run {parts.flow(line.verb).id}"])
    except (Unresolved, EngineError):
        called = CALLED.get(line.verb)
        near = (
            did_you_mean([called])
            if called
            else guess(line.verb, [*(verb for verb in VERBS if verb and is_word(parts, verb)), *names])
        )
    return answer("E01", verb=code(line.verb), guess=near)


def storable(parts: Parts, text: str) -> str:
    """A command as it may be written down: what was typed for a SECRET input, or to become a secret, is left out."""
    try:
        line = parse(text)
    except LineInvalid:
        return ""
    if line.verb == "kv" and ("secret" in line.flags or line.flag("type").upper() == "SECRET"):
        return write(Line("kv", line.words[:3], {}, {"secret": True}))
    if line.verb == "alias" and line.word(0).lower() == "set":
        command = aliases.command_of(line)
        kept = storable(parts, command)
        own = {name: True for name in line.flags if name in (aliases.MINE, aliases.HERE)}
        return text if kept == command else write(Line("alias", (*line.words[:2], Word(kept)), {}, own))
    if line.verb == "link" and line.word(0).lower() not in ("", "list"):
        return f"link {HIDDEN}"
    if line.verb != "run" or not line.words or not line.pairs:
        return text
    try:
        flow = parts.flow(line.word(0))
    except (Unresolved, EngineError):
        return text
    secrets = [one.id for one in flow.inputs if one.type == "SECRET"]
    secret = {name for name in line.pairs if any(f"{one}.".startswith(f"{name}.") for one in secrets)}
    if not secret:
        return text
    pairs: dict[str, Text | Json | FromFile] = dict(line.pairs)
    pairs |= {name: Text(HIDDEN) for name in secret}
    return write(Line(line.verb, line.words, pairs, line.flags))
