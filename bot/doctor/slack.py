"""Slack: the token, its scopes, the way in, the channels that the settings name."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from bot.conversation import Room
from bot.doctor.clock import clock_of
from bot.doctor.rooms import rooms_on
from bot.findings import Finding
from bot.settings import BotSettings
from bot.slack.manifest import SCOPES
from bot.slack.refusals import PASSING

PAGES = 20  # of a list of channels, 200 each
COPY = "Copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions."
NOT_IN = "Write `/invite @parley` in the channel."


async def slack(settings: BotSettings) -> list[Finding]:
    """Everything that can be asked of Slack with the tokens at hand."""
    if settings.slack_bot_token is None:
        return [Finding("Slack", "hint", "SLACK_BOT_TOKEN is not set.", "See bot/docs/slack.md to connect Slack.")]
    base = settings.slack_base_url.rstrip("/")
    bearer = {"Authorization": f"Bearer {settings.slack_bot_token.get_secret_value()}"}
    try:
        async with httpx.AsyncClient(timeout=15, headers=bearer) as client:
            answer = await client.post(f"{base}/auth.test")
            told = answer.json()
            if not told.get("ok"):
                return [_refused(str(told.get("error")))]
            if not told.get("bot_id"):
                text = f"SLACK_BOT_TOKEN is the token of a person, {told.get('user')}."
                return [Finding("Slack", "wrong", text, COPY)]
            found = [Finding("Slack", "ok", f"{told.get('user')} in {told.get('team')}{_grid(told)}")]
            found += clock_of("Slack", answer.headers.get("date"))
            has = {scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip()}
            found += _scopes(has)
            found.append(await _way_in(settings, client, base))
            return found + await _channels(rooms_on(settings, "slack"), client, base, has)
    except (httpx.HTTPError, ValueError) as error:
        fix = "Check the network or a proxy."
        return [Finding("Slack", "wrong", f"Slack can't be reached at {base}: {error}.", fix)]


def _refused(error: str) -> Finding:
    """What Slack says of a token it does not take, or not now."""
    if error in PASSING or error == "ratelimited":
        text = f"Slack does not tell now ({error})."
        return Finding("Slack", "wrong", text, "Try again in a minute; the token may be right.")
    again = "Install the app to the workspace again. " if error in ("token_revoked", "account_inactive") else ""
    return Finding("Slack", "wrong", f"Slack refuses the bot token: {error}.", f"{again}{COPY}")


def _grid(told: Mapping[str, Any]) -> str:
    """What is said of a workspace that belongs to an Enterprise Grid."""
    return f" (of the organization {told['enterprise_id']})" if told.get("enterprise_id") else ""


def _scopes(has: set[str]) -> list[Finding]:
    missing = [scope for scope in SCOPES if scope not in has] if has else []
    if not missing:
        return []
    fix = "Add them under OAuth & Permissions and install the app again; `parley slack manifest` lists all."
    return [Finding("Slack scopes", "wrong", f"Missing: {', '.join(missing)}.", fix)]


async def _way_in(settings: BotSettings, client: httpx.AsyncClient, base: str) -> Finding:
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


async def _channels(rooms: Sequence[Room], client: httpx.AsyncClient, base: str, has: set[str]) -> list[Finding]:
    """Whether the bot may write where the settings want cards."""
    found = []
    for room in rooms:
        name = f"Slack {room.channel}"
        about = await _channel(room.channel, client, base)
        if isinstance(about, str):
            fix = "Check its name or id; into a private channel the bot must be invited: `/invite @parley` there."
            found.append(Finding(name, "wrong", f"Slack shows the bot no channel {room.channel}: {about}.", fix))
        elif about.get("is_archived"):
            fix = "Bring it back in Slack, or name another."
            found.append(Finding(name, "wrong", "The channel is archived: nobody can write there.", fix))
        elif about.get("is_member"):
            found.append(Finding(name, "ok", "the bot is in it"))
        elif about.get("is_private") or (has and "chat:write.public" not in has):
            found.append(Finding(name, "wrong", "The bot is not in this channel.", NOT_IN))
        else:
            found.append(Finding(name, "ok", "public: the bot may write there without being in it"))
    return found


async def _channel(name: str, client: httpx.AsyncClient, base: str) -> Mapping[str, Any] | str:
    """What Slack says of a channel, by its id or `#name`; its error as text."""
    if not name.startswith("#"):
        told = (await client.post(f"{base}/conversations.info", data={"channel": name})).json()
        return told["channel"] if told.get("ok") else str(told.get("error"))
    asked = {"types": "public_channel,private_channel", "limit": "200", "exclude_archived": "false"}
    for _ in range(PAGES):
        told = (await client.post(f"{base}/conversations.list", data=asked)).json()
        if not told.get("ok"):
            return str(told.get("error"))
        for channel in told.get("channels") or ():
            if channel.get("name") == name.removeprefix("#"):
                return dict(channel)
        asked["cursor"] = (told.get("response_metadata") or {}).get("next_cursor") or ""
        if not asked["cursor"]:
            break
    return "channel_not_found"
