"""Discord: the token, what the app may, the servers and channels the bot is in."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

from bot.conversation import Room
from bot.doctor.clock import clock_of
from bot.doctor.rooms import rooms_on
from bot.findings import Finding
from bot.settings import BotSettings

NEEDED = {
    1 << 10: "View Channel",
    1 << 11: "Send Messages",
    1 << 14: "Embed Links",
    1 << 15: "Attach Files",
    1 << 16: "Read Message History",
}
ADMINISTRATOR = 1 << 3
PRIVILEGED = {1 << 12: "Presence", 1 << 14: "Server Members", 1 << 18: "Message Content"}
LIMITED = {1 << 13: 1 << 12, 1 << 15: 1 << 14, 1 << 19: 1 << 18}  # the same for apps in few servers


async def discord(settings: BotSettings) -> list[Finding]:
    """Everything that can be asked of Discord with the token at hand."""
    if settings.discord_token is None:
        return [Finding("Discord", "hint", "DISCORD_TOKEN is not set.", "See bot/docs/discord.md to connect Discord.")]
    base = (settings.discord_base_url or "https://discord.com/api/v10").rstrip("/")
    bearer = {"Authorization": f"Bot {settings.discord_token.get_secret_value()}"}
    try:
        async with httpx.AsyncClient(timeout=15, headers=bearer) as client:
            answer = await client.get(f"{base}/users/@me")
            me = answer.json()
            if answer.status_code not in (200, 401, 403):
                text = f"Discord does not tell now ({answer.status_code}: {me.get('message')})."
                return [Finding("Discord", "wrong", text, "Try again in a minute; the token may be right.")]
            if answer.status_code != 200:
                fix = "Reset the token under Bot in the developer portal and copy it."
                return [Finding("Discord", "wrong", f"Discord refuses the token: {me.get('message')}.", fix)]
            found = [Finding("Discord", "ok", f"connected as {me.get('username')}")]
            found += clock_of("Discord", answer.headers.get("date"))
            found += _app((await client.get(f"{base}/oauth2/applications/@me")).json())
            found += await _servers(client, base)
            for room in rooms_on(settings, "discord"):
                found.append(await _channel(room, client, base, str(me.get("id"))))
            return found
    except (httpx.HTTPError, ValueError) as error:
        return [Finding("Discord", "wrong", f"Discord can't be reached at {base}: {error}.", "Check the network.")]


def _app(app: Mapping[str, Any]) -> list[Finding]:
    """The app's own page: intents, and where Discord sends what people press."""
    found = []
    if url := app.get("interactions_endpoint_url"):
        text = f"Discord sends commands and clicks to {url}, not to the bot."
        fix = "Empty Interactions Endpoint URL under General Information in the developer portal."
        found.append(Finding("Discord events", "wrong", text, fix))
    flags = int(app.get("flags") or 0)
    on = [name for bit, name in PRIVILEGED.items() if flags & bit]
    on += [PRIVILEGED[bit] for limited, bit in LIMITED.items() if flags & limited and PRIVILEGED[bit] not in on]
    if on:
        fix = "Switch them off under Bot: the bot reads only what is said to it."
        found.append(Finding("Discord intents", "hint", f"Not needed: {', '.join(on)}.", fix))
    else:
        found.append(Finding("Discord intents", "ok", "no privileged one, and none is needed"))
    return found


async def _servers(client: httpx.AsyncClient, base: str) -> list[Finding]:
    answer = await client.get(f"{base}/users/@me/guilds")
    if answer.status_code != 200:
        return []
    names = [str(guild.get("name")) for guild in answer.json()]
    if names:
        return [Finding("Discord servers", "ok", ", ".join(names[:10]) + (" …" if len(names) > 10 else ""))]
    fix = "Open the link that `parley discord invite APPLICATION_ID` prints."
    return [Finding("Discord servers", "wrong", "The bot is in no server.", fix)]


async def _channel(room: Room, client: httpx.AsyncClient, base: str, me: str) -> Finding:
    """Whether the bot may write in a channel, as its roles and the channel's own permissions say."""
    name = f"Discord {room.channel}"
    answer = await client.get(f"{base}/channels/{room.channel}")
    if answer.status_code != 200:
        said = answer.json().get("message", answer.status_code)
        fix = "Check the id, and give the bot View Channel there (Edit Channel → Permissions)."
        return Finding(name, "wrong", f"Discord shows the bot no such channel: {said}.", fix)
    channel = answer.json()
    server = channel.get("guild_id")
    if server is None:
        return Finding(name, "ok", "a direct conversation")
    guild = (await client.get(f"{base}/guilds/{server}")).json()
    member = (await client.get(f"{base}/guilds/{server}/members/{me}")).json()
    may = permissions(guild, member.get("roles") or (), channel.get("permission_overwrites") or (), me)
    missing = [word for bit, word in NEEDED.items() if not may & bit]
    if missing:
        fix = "Edit Channel → Permissions → add the bot or its role, and allow them."
        return Finding(name, "wrong", f"The bot lacks {', '.join(missing)} in #{channel.get('name')}.", fix)
    return Finding(name, "ok", f"the bot may write in #{channel.get('name')}")


def permissions(
    guild: Mapping[str, Any], roles: Iterable[str], overwrites: Sequence[Mapping[str, Any]], me: str
) -> int:
    """What a member may do in a channel: roles together, then the channel's word for everybody, roles, the member."""
    mine = {str(role) for role in roles}
    everybody = str(guild.get("id"))
    held = [role for role in guild.get("roles") or () if str(role["id"]) in mine | {everybody}]
    may = 0
    for role in held:
        may |= int(role["permissions"])
    if may & ADMINISTRATOR or str(guild.get("owner_id")) == me:
        return ~0
    by_id = {str(one["id"]): one for one in overwrites}
    steps = [[by_id.get(everybody)], [by_id.get(role) for role in mine], [by_id.get(me)]]
    for step in steps:
        said = [one for one in step if one is not None]
        for one in said:
            may &= ~int(one["deny"])
        for one in said:
            may |= int(one["allow"])
    return may
