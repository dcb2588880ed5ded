"""What each command is for, as `help` tells it: how it is written, what it does, examples to copy. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from bot.commands.references import guess
from bot.conversation import Notice
from bot.people.roles import Deed
from bot.texts import answer, plain


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. `needs`: any of these deeds with some flow makes it of use; none: it is everybody's."""

    usage: str
    about: str
    examples: tuple[str, ...]
    needs: tuple[Deed, ...] = ()


MANUAL: Mapping[str, Entry] = {
    "run": Entry(
        "run <flow> [name=value \u2026] [--form] [--wait] [--quiet] [--in=#channel] [--label=k:v] [--at=time]",
        "start a flow",
        (
            "run deploy env=prod note='all good'",
            "run company.team/deploy --form",
            "run report days:=7 --in=#reports --label=team:web",
            "run deploy --at='tomorrow 9:00'",
        ),
        ("run",),
    ),
    "list": Entry("list [text] [--ns=namespace]", "flows I may run", ("list", "list deploy", "list --ns=company.team")),
    "show": Entry("show <flow>", "inputs, schedule and last runs of a flow", ("show deploy",)),
    "status": Entry(
        "status [run]", "how a run stands; without a name my last one here", ("status", "status #7F3A2K", "status last")
    ),
    "runs": Entry("runs [flow]", "what I started lately, or the last runs of a flow", ("runs", "runs deploy")),
    "watch": Entry(
        "watch <run> [--stop] \u00b7 unwatch <run>",
        "follow a run in this channel, or no longer",
        ("watch #7F3A2K", "unwatch #7F3A2K"),
    ),
    "logs": Entry(
        "logs <run> [task] [--level=ERROR] [--tail=50] [--grep=text]",
        "log of a run",
        ("logs last", "logs last build --tail=50", "logs #7F3A2K --level=ERROR --grep=timeout"),
    ),
    "explain": Entry("explain [run]", "why a run failed, as a model sees it", ("explain last", "explain #7F3A2K")),
    "files": Entry("files <run>", "files that a run made", ("files last",)),
    "pending": Entry("pending [--all]", "what waits for an answer", ("pending", "pending --all")),
    "approve": Entry(
        "approve <run> [name=value \u2026] [reason] \u00b7 approve <flow> --all",
        "say yes to a waiting run, or to all of a flow",
        ("approve last looks good", "approve #7F3A2K", "approve deploy --all"),
        ("decide",),
    ),
    "reject": Entry(
        "reject <run> [name=value \u2026] [reason]", "say no to a waiting run", ("reject last too risky",), ("decide",)
    ),
    "answer": Entry(
        "answer <run> [name=value \u2026]",
        "answer a waiting run",
        ("answer last", "answer last size=large"),
        ("decide",),
    ),
    "snooze": Entry(
        "snooze <run> <time>",
        "be asked again at 14:00, or in 1h",
        ("snooze last 1h", "snooze last 14:00", "snooze last 'tomorrow 9:00'"),
        ("decide",),
    ),
    "delegate": Entry(
        "delegate <run> @colleague|me",
        "let somebody else decide instead of you; take it back",
        ("delegate last @bob", "delegate last me"),
        ("decide",),
    ),
    "kill": Entry("kill <run> [reason]", "stop a run", ("kill last", "kill #7F3A2K wrong branch"), ("kill", "run")),
    "pause": Entry("pause <run>", "let nothing new start in a run", ("pause last",), ("hold", "run")),
    "resume": Entry("resume <run>", "let a paused run go on", ("resume last",), ("hold", "run", "decide")),
    "restart": Entry("restart <run>", "go on from what failed", ("restart last",), ("run",)),
    "replay": Entry(
        "replay <run> [--from=task] [--revision=newest] [--edit]",
        "run again from the start, from a task on, or with other inputs",
        ("replay last", "replay last --from=build", "replay last --revision=newest", "replay last --edit"),
        ("run",),
    ),
    "force": Entry(
        "force <run>", "let a run begin now that waits for its date or its turn", ("force last",), ("manage",)
    ),
    "mark": Entry(
        "mark <run> <STATE> [--task=id]",
        "count an ended run as ended otherwise, or one task of it and go on from there",
        ("mark last SUCCESS", "mark #7F3A2K SUCCESS --task=build", "mark last FAILED"),
        ("manage",),
    ),
    "labels": Entry(
        "labels <run> [name=value \u2026]",
        "the labels of a run; with values they are added",
        ("labels last", "labels last team=web ticket=OPS-12"),
    ),
    "delete": Entry(
        "delete <run>", "delete an ended run with its log and files; you are asked first", ("delete #7F3A2K",),
        ("manage",),
    ),
    "bulk": Entry(
        "bulk kill|pause|resume|restart|replay|force|mark <STATE>|labels name=value|delete "
        "[--flow=] [--ns=] [--state=FAILED] [--since=] [--until=]",
        "the same to many runs: they are shown first, a button does it to exactly those",
        (
            "bulk restart --flow=deploy --state=FAILED --since=yesterday",
            "bulk kill --ns=company.team --state=RUNNING",
            "bulk labels reviewed=yes --flow=deploy --state=FAILED",
            "bulk delete --flow=deploy --until=2026-01-31",
        ),
        ("manage",),
    ),
    "revisions": Entry("revisions <flow>", "every text a flow had", ("revisions deploy",)),
    "restore": Entry(
        "restore <flow> <revision>",
        "make an old text of a flow the newest again; you see the difference first",
        ("restore deploy 3",),
        ("manage",),
    ),
    "schedule": Entry(
        'schedule list|add <flow> "every weekday at 9:00" [name=value \u2026]|skip <id> [date]'
        "|shift <id> <time> [--date=day]|pause <id>|resume <id>|delete <id>|backfill <flow> <trigger> <start> [end]"
        "|backfill pause|continue|stop <id>",
        "what runs by itself, and when",
        (
            "schedule list",
            'schedule add deploy "every weekday at 9:00" env=test',
            "schedule skip nightly friday",
            "schedule shift nightly +2h",
            "schedule pause nightly",
            "schedule backfill report nightly 2026-03-01 2026-03-07",
            "schedule backfill stop nightly",
        ),
        ("run", "manage"),
    ),
    "kv": Entry(
        "kv list|get|set|delete <namespace> [key] [value] [--type=NUMBER] [--ttl=7d] [--secret]",
        "values that flows keep",
        ("kv list company.team", "kv get company.team greeting", "kv set company.team greeting 'Good morning'"),
        ("kv",),
    ),
    "alias": Entry(
        'alias list|set <name> "<command>"|delete <name> [--mine|--here]',
        "short words for long commands, for everybody here, this channel or you",
        ("alias list", 'alias set ship-it "run deploy env=prod"', 'alias set go "runs" --mine', "alias delete go"),
    ),
    "settings": Entry(
        "settings [card=off|end|card|thread|all] \u00b7 settings mute|unmute <flow> [8h]",
        "what holds in this room: how runs show, which flows are muted",
        ("settings", "settings card=thread", "settings mute deploy 8h"),
    ),
    "audit": Entry("audit <run>", "who did what with a run", ("audit last",)),
    "doctor": Entry("doctor", "what is wrong with the set-up of this bot", ("doctor",), ("manage",)),
    "link": Entry(
        "link [code|list]", "use several accounts as one person", ("link", "link ABCD-EFGH", "link list")
    ),
    "unlink": Entry("unlink [account]", "take this account out again", ("unlink",)),
    "web": Entry("web [off [account]]", "a link that opens the page as me, once", ("web", "web off")),
    "whoami": Entry("whoami", "how I am known here, and what I may do", ("whoami",)),
    "help": Entry("help [command or flow]", "this list, or more about one", ("help run", "help deploy")),
}  # fmt: skip


# Where the list of commands has headings: before these.
PARTS = {
    "run": "Run and follow",
    "pending": "Answer",
    "kill": "Change runs",
    "revisions": "Texts, times, values and settings",
    "link": "You",
}
PAGE = "page"  # every list has it, behind its button


# What Discord, which takes 25 words in a group, has in a group of its own.
MANAGING = frozenset(
    {
        "explain", "force", "mark", "labels", "delete", "bulk", "revisions", "restore", "audit", "kv", "alias",
        "settings", "doctor",
    }
)  # fmt: skip


def slash(verb: str, platform: str) -> str:
    """The slash command that has a word."""
    return "/flow-manage" if platform == "discord" and verb in MANAGING else "/flow"


def overview(allowed: Collection[str], platform: str) -> str:
    """The commands that somebody may use, in their parts."""
    parts: list[list[str]] = []
    for verb, one in MANUAL.items():
        if verb in PARTS:
            parts.append([f"**{PARTS[verb]}**"])
        if verb in allowed:
            parts[-1].append(f"- `{slash(verb, platform)} {one.usage}`: {one.about}")
    return "\n".join("\n".join(lines) for lines in parts if len(lines) > 1)


def unknown_flag(verb: str, flags: Iterable[str]) -> Notice | None:
    """What to say of a flag that a command does not have: it would be passed over, and something else be done."""
    if verb not in MANUAL:
        return None
    known = frozenset(re.findall(r"--([a-z]+)", MANUAL[verb].usage))
    wrong = next((name for name in flags if name not in known and name != PAGE), None)
    if wrong is None:
        return None
    said = usage(verb, f"There is no `--{plain(wrong, 40)}` here. {guess(wrong, known)}".strip())
    has_inputs = "[name=value" in MANUAL[verb].usage
    return replace(said, text=f"{said.text} Inputs have no dashes: `name=value`.") if has_inputs else said


def usage(verb: str, what: str, of: str = "") -> Notice:
    """How a command is written; `of`: only that of its first words that begins so."""
    whole = MANUAL[verb].usage
    ways = re.split(r"\|(?=(?:add|skip|shift|pause|resume|delete|backfill) )", whole.removeprefix(f"{verb} "))
    short = [f"{verb} {way}" for way in ways if of and way.split()[0] == of]
    return answer("usage", what=what, usage=" or ".join(f"`/flow {way}`" for way in short or [whole])).notice()
