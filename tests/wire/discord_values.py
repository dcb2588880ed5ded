"""What Discord sends, and what it was sent: accounts, servers, interactions, requests."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Json = dict[str, Any]
APP, BOT, GUILD, CHANNEL, ANN = (
    "100000000000000001",
    "100000000000000001",
    "200000000000000001",
    "300000000000000001",
    "42",
)
TOKEN = "MTIz.wire.token"
EPOCH = 1420070400000


@dataclass
class Call:
    """One request as it came in."""

    method: str
    path: str
    json: Any
    files: dict[str, bytes]
    names: dict[str, str]
    status: int = 0


@dataclass
class Rule:
    """What to answer instead, and how often."""

    method: str
    path: str
    status: int
    body: Json
    headers: dict[str, str]
    times: int


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    # The content type must be exactly this: with a charset behind it the library takes the body for text.
    headers = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers)


def account(id_: str, *, bot: bool = False) -> Json:
    name = "parley" if bot else f"user{id_}"
    return {"id": id_, "username": name, "global_name": None, "discriminator": "0", "avatar": None, "bot": bot}


def guild() -> Json:
    role = {"id": GUILD, "name": "@everyone", "permissions": "0", "position": 0, "color": 0, "hoist": False, "flags": 0}
    role |= {"managed": False, "mentionable": False, "colors": {"primary_color": 0}}
    channel = {
        "id": CHANNEL,
        "type": 0,
        "guild_id": GUILD,
        "name": "general",
        "position": 0,
        "permission_overwrites": [],
    }
    return {
        "id": GUILD, "name": "Team", "owner_id": ANN, "roles": [role], "channels": [channel],
        "members": [], "threads": [], "emojis": [], "stickers": [], "features": [],
        "member_count": 2, "verification_level": 0, "icon": None,
        "default_message_notifications": 0, "explicit_content_filter": 0, "mfa_level": 0, "premium_tier": 0,
        "nsfw_level": 0, "preferred_locale": "en-US", "system_channel_flags": 0, "afk_timeout": 60,
        "premium_progress_bar_enabled": False,
    }  # fmt: skip


def member(user: str, roles: list[str]) -> Json:
    person = {"user": account(user), "roles": roles, "joined_at": "2025-01-01T00:00:00+00:00", "nick": None}
    return {**person, "avatar": None, "banner": None, "deaf": False, "mute": False, "flags": 0}


def interaction(id_: str, token: str, kind: int, data: Json, user: str) -> Json:
    return {
        "id": id_, "application_id": APP, "type": kind, "token": token, "version": 1, "data": data,
        "member": {**member(user, ["7"]), "permissions": "0"},
        "guild_id": GUILD, "guild": {"id": GUILD, "locale": "en-US", "features": []}, "locale": "en-US",
        "channel_id": CHANNEL, "channel": {"id": CHANNEL, "type": 0, "guild_id": GUILD, "name": "general"},
        "entitlements": [], "authorizing_integration_owners": {}, "context": 0, "app_permissions": "0",
        "attachment_size_limit": 10485760,
    }  # fmt: skip


def message(id_: str) -> Json:
    return {
        "id": id_, "channel_id": CHANNEL, "author": account(BOT, bot=True), "content": "", "edited_timestamp": None,
        "timestamp": "2026-01-01T00:00:00+00:00", "tts": False, "mention_everyone": False, "mentions": [],
        "mention_roles": [], "attachments": [], "embeds": [], "components": [], "pinned": False, "type": 0, "flags": 0,
    }  # fmt: skip


def commands(given: list[Json]) -> list[Json]:
    shown = {"application_id": APP, "version": "1", "default_member_permissions": None, "type": 1, "description": ""}
    return [{**shown, "id": str(500 + number), **command} for number, command in enumerate(given)]


def application() -> Json:
    more = {"bot_public": True, "bot_require_code_grant": False, "verify_key": "00", "team": None, "flags": 0}
    return {"id": APP, "name": "parley", "icon": None, "description": "", "owner": account("2"), **more}
