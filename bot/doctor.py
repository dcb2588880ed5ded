"""What is wrong with a set-up, in the order in which to mend it."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from bot.findings import Finding
from bot.policy import unreachable
from bot.settings import BotSettings
from bot.slack.manifest import SCOPES
from bot.texts import bare
from bot.web.gate import is_loopback
from engine.core.documents import is_aside
from engine.core.flow_source import check
from engine.tasks import catalogue

LITTLE_SPACE = 500 * 1024**2
SHORTEST_TOKEN = 16
SQLITE = b"SQLite format 3"


async def examine(settings: BotSettings) -> list[Finding]:
    """Everything there is to say about a set-up; never raises for what it finds."""
    looks: list[Callable[[BotSettings], Awaitable[list[Finding]]]] = [
        _data, _disk, _flows, _programs, _roles, _approvals, _page, _slack, _discord,
    ]  # fmt: skip
    return [finding for look in looks for finding in await look(settings)]


async def _data(settings: BotSettings) -> list[Finding]:
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


async def _disk(settings: BotSettings) -> list[Finding]:
    """Room for the database to grow, and whether the file of it is one."""

    def look() -> list[Finding]:
        found = []
        if settings.data.is_dir() and (free := shutil.disk_usage(settings.data).free) < LITTLE_SPACE:
            text = f"{free // 1024**2} MB are free where {settings.data} lies."
            found.append(Finding("disk", "wrong", text, "Free some space; a full disk stops every flow until then."))
        file = settings.data / "parley.db" if settings.database is None else Path(settings.database)
        try:
            if file.is_file() and file.stat().st_size and not _is_sqlite(file):
                fix = "Restore a backup, or move the file away."
                found.append(Finding("database", "wrong", f"{file} is no SQLite database.", fix))
        except OSError as error:
            fix = "Check the owner and permissions of the file."
            found.append(Finding("database", "wrong", f"{file} can't be read: {error.strerror}.", fix))
        return found

    return await asyncio.to_thread(look)


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(SQLITE)) == SQLITE


async def _page(settings: BotSettings) -> list[Finding]:
    """Whether the page, and with it /metrics, is open to other machines."""
    web, tokens = settings.web, settings.web.all_tokens()
    if not is_loopback(web.host) and not tokens:
        fix = "Set web.token (PARLEY_WEB__TOKEN) to a long random text, or listen on 127.0.0.1."
        return [Finding("page", "wrong", f"{web.host} is open to other machines, and no token is set.", fix)]
    if short := [name for name, token in tokens.items() if len(token) < SHORTEST_TOKEN]:
        fix = "Make a longer one, such as `openssl rand -hex 32` prints."
        return [Finding("page", "hint", f"The token {', '.join(short)} is short enough to be guessed.", fix)]
    return []


async def _flows(settings: BotSettings) -> list[Finding]:
    def look() -> list[Finding]:
        registry, found = catalogue(), []
        files = [file for folder in settings.flows for end in ("*.yaml", "*.yml") for file in sorted(folder.rglob(end))]
        for file in files:
            text = file.read_text(encoding="utf-8", errors="replace")
            problems = [] if is_aside(text) else check(text, registry, file=str(file))
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


async def _programs(settings: BotSettings) -> list[Finding]:
    found = []
    if shutil.which("git") is None:
        found.append(Finding("git", "hint", "git is not installed.", "Flows with git tasks need it."))
    return found


async def _roles(settings: BotSettings) -> list[Finding]:
    if not settings.roles:
        text = "No `roles` are set: whoever may talk to the bot may run every flow."
        return [Finding("roles", "hint", text, "See bot/docs/people.md to say who may do what.")]
    found = [Finding("roles", "ok", bare(role.describe())) for role in settings.roles]
    tokens = {"slack": settings.slack_bot_token, "discord": settings.discord_token}
    asked = {one.platform for role in settings.roles for one in role.people if one.kind == "group"}
    for platform in sorted(asked):
        if tokens[platform] is None:
            text = f"Groups of {platform} have roles, but the bot is not connected there, so nobody would pass."
            found.append(Finding("roles", "wrong", text, f"Set the token of {platform}, or name other members."))
    return found


async def _approvals(settings: BotSettings) -> list[Finding]:
    rules = settings.approvals
    if not rules:
        text = "No `approvals` are set: whoever may talk to the bot may decide."
        return [Finding("approvals", "hint", text, "See bot/docs/approvals.md to say who decides what.")]
    found = [Finding("approvals", "ok", f"{number}. {bare(rule.describe())}") for number, rule in enumerate(rules, 1)]
    if late := unreachable(rules):
        numbers = ", ".join(str(number) for number in late)
        fix = "Put the entry without `match` last: the first that fits counts."
        found.append(Finding("approvals", "wrong", f"Nothing ever reaches entry {numbers}.", fix))
    tokens = {"slack": settings.slack_bot_token, "discord": settings.discord_token}
    asked = {one.platform for rule in rules for one in rule.people if one.kind == "group"}
    for platform in sorted(asked):
        if tokens[platform] is None:
            text = f"Groups of {platform} decide, but the bot is not connected there, so nobody would pass."
            found.append(Finding("approvals", "wrong", text, f"Set the token of {platform}, or name other approvers."))
    if any(rule.four_eyes == "requester+editor" for rule in rules) and shutil.which("git") is None:
        fix = "Install git, or set `four_eyes: requester`."
        found.append(Finding("approvals", "wrong", "`requester+editor` asks git who changed a flow last.", fix))
    return found


async def _slack(settings: BotSettings) -> list[Finding]:
    if settings.slack_bot_token is None:
        return [Finding("Slack", "hint", "SLACK_BOT_TOKEN is not set.", "See bot/docs/slack.md to connect Slack.")]
    base = settings.slack_base_url.rstrip("/")
    try:
        async with httpx.AsyncClient(timeout=15) as client:
            bearer = {"Authorization": f"Bearer {settings.slack_bot_token.get_secret_value()}"}
            answer = await client.post(f"{base}/auth.test", headers=bearer)
            told = answer.json()
            if not told.get("ok"):
                fix = "Copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions."
                return [Finding("Slack", "wrong", f"Slack refuses the bot token: {told.get('error')}.", fix)]
            found = [Finding("Slack", "ok", f"{told.get('user')} in {told.get('team')}")]
            has = {scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip()}
            missing = [scope for scope in SCOPES if scope not in has] if has else []
            if missing:
                fix = "Add them under OAuth & Permissions and install the app again; `parley slack manifest` lists all."
                found.append(Finding("Slack scopes", "wrong", f"Missing: {', '.join(missing)}.", fix))
            return [*found, await _slack_way_in(settings, client, base)]
    except (httpx.HTTPError, ValueError) as error:
        return [
            Finding("Slack", "wrong", f"Slack can't be reached at {base}: {error}.", "Check the network or a proxy.")
        ]


async def _slack_way_in(settings: BotSettings, client: httpx.AsyncClient, base: str) -> Finding:
    if settings.slack_app_token is not None:
        bearer = {"Authorization": f"Bearer {settings.slack_app_token.get_secret_value()}"}
        told = (await client.post(f"{base}/apps.connections.open", headers=bearer)).json()
        if told.get("ok"):
            return Finding("Slack events", "ok", "Socket Mode")
        fix = (
            "Make an app-level token (xapp-…) with connections:write under Basic Information, and turn Socket Mode on."
        )
        return Finding("Slack events", "wrong", f"Slack refuses the app token: {told.get('error')}.", fix)
    if settings.slack_signing_secret is not None:
        return Finding("Slack events", "ok", "HTTP mode, at /slack/events")
    fix = "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP mode."
    return Finding("Slack events", "wrong", "Slack has no way to reach the bot.", fix)


async def _discord(settings: BotSettings) -> list[Finding]:
    if settings.discord_token is None:
        return [Finding("Discord", "hint", "DISCORD_TOKEN is not set.", "See bot/docs/discord.md to connect Discord.")]
    base = (settings.discord_base_url or "https://discord.com/api/v10").rstrip("/")
    try:
        async with httpx.AsyncClient(timeout=15) as client:
            bearer = {"Authorization": f"Bot {settings.discord_token.get_secret_value()}"}
            answer = await client.get(f"{base}/users/@me", headers=bearer)
            told = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return [Finding("Discord", "wrong", f"Discord can't be reached at {base}: {error}.", "Check the network.")]
    if answer.status_code != 200:
        fix = "Reset the token under Bot in the developer portal and copy it."
        return [Finding("Discord", "wrong", f"Discord refuses the token: {told.get('message')}.", fix)]
    return [Finding("Discord", "ok", f"connected as {told.get('username')}")]
