"""discord.py's objects back as the JSON they came from, so that everything behind reads one form."""

from typing import Any

import discord

Json = dict[str, Any]


def interaction_json(interaction: discord.Interaction[Any]) -> Json:
    """An interaction as Discord sent it, as far as this bot reads it."""
    found: Json = {
        "id": str(interaction.id),
        "application_id": str(interaction.application_id),
        "type": interaction.type.value,
        "token": interaction.token,
        "data": interaction.data or {},
        "channel_id": str(interaction.channel_id or ""),
        "channel": channel_json(interaction.channel),
    }
    if interaction.guild_id is not None:
        found["guild_id"] = str(interaction.guild_id)
    found |= person_json(interaction.user)
    message = interaction.message
    if message is not None:
        found["message"] = {
            "id": str(message.id),
            "flags": message.flags.value,
            "components": [component.to_dict() for component in message.components],
        }
    return found


def message_json(message: discord.Message) -> Json:
    """A message as Discord sent it, as far as this bot reads it."""
    found: Json = {
        "id": str(message.id),
        "content": message.content,
        "channel_id": str(message.channel.id),
        "channel": channel_json(message.channel),
        "attachments": [
            {
                "id": str(attachment.id),
                "filename": attachment.filename,
                "size": attachment.size,
                "url": attachment.url,
                "content_type": attachment.content_type,
            }
            for attachment in message.attachments
        ],
    }
    if message.guild is not None:
        found["guild_id"] = str(message.guild.id)
    return found | person_json(message.author)


def channel_json(channel: Any) -> Json:
    """A channel, with the one it is a thread of."""
    if channel is None:
        return {}
    kind = getattr(channel, "type", None)
    parent = getattr(channel, "parent_id", None)
    return {"id": str(channel.id), "type": kind.value if kind else None, "parent_id": str(parent) if parent else None}


def person_json(user: discord.User | discord.Member) -> Json:
    """Who it was: `member` in a server, `user` in a direct message."""
    account = {"id": str(user.id), "username": user.name, "global_name": user.global_name, "bot": user.bot}
    if not isinstance(user, discord.Member):
        return {"user": account}
    # The library resolves roles through its cache of the server, which is empty right after a reconnect; the ids that
    # came with the event are kept in `_roles`.
    roles = {role.id for role in user.roles if not role.is_default()} | set(getattr(user, "_roles", ()))
    return {"member": {"user": account, "nick": user.nick, "roles": sorted(str(role) for role in roles)}}
