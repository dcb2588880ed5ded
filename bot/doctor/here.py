"""What can be told on this machine: folder, disk, limits, flows, programs, page, roles and approvals."""

import asyncio
import shutil
from collections.abc import Iterable
from urllib.parse import urlsplit

from bot.approvals.approvers import Approver
from bot.approvals.policy import unreachable
from bot.findings import Finding
from bot.settings import BotSettings
from bot.texts import bare
from bot.web.gate import is_loopback
from engine.core.documents import is_aside
from engine.core.flow_source import check
from engine.core.flow_texts import flow_texts
from engine.flow_files import flow_files
from engine.tasks import catalogue

LITTLE_SPACE = 500 * 1024**2
SHORTEST_TOKEN = 16


async def folder(settings: BotSettings) -> list[Finding]:
    """Whether the data folder can be written."""

    def look() -> Finding:
        try:
            settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = settings.data / ".doctor"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            fix = "Give --data a folder that this user may write to."
            return Finding("data folder", "wrong", f"{settings.data} can't be written: {error.strerror}.", fix)
        return Finding("data folder", "ok", str(settings.data))

    return [await asyncio.to_thread(look)]


async def disk(settings: BotSettings) -> list[Finding]:
    """Room for the database to grow."""

    def look() -> list[Finding]:
        found = []
        if settings.data.is_dir() and (free := shutil.disk_usage(settings.data).free) < LITTLE_SPACE:
            text = f"{free // 1024**2} MB are free where {settings.data} lies."
            found.append(Finding("disk", "wrong", text, "Free some space; a full disk stops every flow until then."))
        return found

    return await asyncio.to_thread(look)


async def limits(settings: BotSettings) -> list[Finding]:
    """Whether one flow leaves room for the others."""
    workers, share = settings.limits.workers, settings.limits.workers_per_flow
    if share < workers or workers == 1:
        return []
    text = f"One flow may take every place where tasks run: `limits.workers` is {workers}, of a flow {share} may run."
    fix = (
        "Set `limits.workers_per_flow` below `limits.workers`, so that a flow whose tasks hang leaves room for others."
    )
    return [Finding("limits", "hint", text, fix)]


async def page(settings: BotSettings) -> list[Finding]:
    """Whether the page, and with it /metrics, is open to other machines."""
    web, tokens = settings.web, settings.web.all_tokens()
    public = web.public_url or settings.public_url
    if public and public.startswith("http://") and not is_loopback(urlsplit(public).hostname or ""):
        fix = "Give it an https:// address: links that sign people in, and secrets, travel over it."
        return [Finding("page", "wrong", f"People reach the page unencrypted, at {public}.", fix)]
    if not is_loopback(web.host) and not tokens and not public:
        fix = "Set web.token (PARLEY_WEB__TOKEN) to a long random text, or listen on 127.0.0.1."
        return [Finding("page", "wrong", f"{web.host} is open to other machines, and no token is set.", fix)]
    if short := [name for name, token in tokens.items() if len(token) < SHORTEST_TOKEN]:
        fix = "Make a longer one, such as `openssl rand -hex 32` prints."
        return [Finding("page", "hint", f"The token {', '.join(short)} is short enough to be guessed.", fix)]
    return []


async def flows(settings: BotSettings) -> list[Finding]:
    """Whether each file of flows can be read."""

    def look() -> list[Finding]:
        registry, found = catalogue(), []
        files = [file for folder in settings.flows for file in flow_files(folder)]
        for file in files:
            texts = flow_texts(file.read_text(encoding="utf-8", errors="replace"))
            flows = [one.placed for one in texts if not is_aside(one.text)]
            problems = [problem for text in flows for problem in check(text, registry, file=str(file))]
            if wrong := [problem for problem in problems if problem.severity == "error"]:
                first = wrong[0]
                text = f"{file}:{first.line}: {first.message}"
                found.append(Finding("flow", "wrong", text, first.suggestion or f"Run `parley validate {file}`."))
        if not files:
            folders = ", ".join(str(folder) for folder in settings.flows)
            found.append(
                Finding("flows", "hint", f"There are no flow files in {folders}.", "Put one there, or give --flows.")
            )
        elif not found:
            found.append(Finding("flows", "ok", f"{len(files)} files"))
        return found

    return await asyncio.to_thread(look)


async def programs(settings: BotSettings) -> list[Finding]:
    """What tasks need besides."""
    found = []
    if shutil.which("git") is None:
        found.append(Finding("git", "hint", "git is not installed.", "Flows with git tasks need it."))
    return found


def _unconnected(settings: BotSettings, people: Iterable[Approver]) -> list[str]:
    """Platforms whose groups are named, but that the bot does not speak to."""
    tokens = {"slack": settings.slack_bot_token, "discord": settings.discord_token}
    return sorted({one.platform for one in people if one.kind == "group" and tokens[one.platform] is None})


async def roles(settings: BotSettings) -> list[Finding]:
    """Who may do what."""
    if not settings.roles:
        text = "No `roles` are set: whoever may talk to the bot may run every flow."
        return [Finding("roles", "hint", text, "See bot/docs/people.md to say who may do what.")]
    found = [Finding("roles", "ok", bare(role.describe())) for role in settings.roles]
    for platform in _unconnected(settings, [one for role in settings.roles for one in role.people]):
        text = f"Groups of {platform} have roles, but the bot is not connected there, so nobody would pass."
        found.append(Finding("roles", "wrong", text, f"Set the token of {platform}, or name other members."))
    return found


async def approvals(settings: BotSettings) -> list[Finding]:
    """Who decides what."""
    rules = settings.approvals
    if not rules:
        text = "No `approvals` are set: whoever may talk to the bot may decide."
        return [Finding("approvals", "hint", text, "See bot/docs/approvals.md to say who decides what.")]
    found = [Finding("approvals", "ok", f"{number}. {bare(rule.describe())}") for number, rule in enumerate(rules, 1)]
    if late := unreachable(rules):
        numbers = ", ".join(str(number) for number in late)
        fix = "Put the entry without `match` last: the first that fits counts."
        found.append(Finding("approvals", "wrong", f"Nothing ever reaches entry {numbers}.", fix))
    for platform in _unconnected(settings, [one for rule in rules for one in rule.people]):
        text = f"Groups of {platform} decide, but the bot is not connected there, so nobody would pass."
        found.append(Finding("approvals", "wrong", text, f"Set the token of {platform}, or name other approvers."))
    if any(rule.four_eyes == "requester+editor" for rule in rules) and shutil.which("git") is None:
        fix = "Install git, or set `four_eyes: requester`."
        found.append(Finding("approvals", "wrong", "`requester+editor` asks git who changed a flow last.", fix))
    return found
