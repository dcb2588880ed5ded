"""The link with which a server's administrator adds the bot."""

from urllib.parse import urlencode

from engine.errors import SettingInvalid

_PERMISSIONS = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Embed Links": 1 << 14,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
    "Create Public Threads": 1 << 35,
    "Send Messages in Threads": 1 << 38,
}
PERMISSIONS = sum(_PERMISSIONS.values())
SCOPES = ("bot", "applications.commands")


def invite_url(application_id: str, guild_id: str | None = None) -> str:
    """The invite link of an application, with the few permissions the bot needs; SettingInvalid when it is no id."""
    if not (application_id.isascii() and application_id.isdecimal() and 15 <= len(application_id) <= 20):
        raise SettingInvalid(
            f"{application_id!r} is not a Discord application id.",
            fix="Copy the Application ID (a long number) from General Information of your app.",
        )
    query = {"client_id": application_id, "permissions": str(PERMISSIONS), "scope": " ".join(SCOPES)}
    if guild_id:
        query |= {"guild_id": guild_id, "disable_guild_select": "true"}
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"
