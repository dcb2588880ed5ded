"""The app manifest to paste at api.slack.com/apps: everything the front end hears, says and needs."""

from typing import Any

import yaml

SCOPES = (
    "commands", "chat:write", "chat:write.public", "chat:write.customize", "reactions:write", "files:write",
    "files:read", "users:read", "users:read.email",
    "usergroups:read", "channels:read", "groups:read", "im:write", "im:history", "app_mentions:read",
)  # fmt: skip
HISTORY = ("channels:history", "groups:history")
EVENTS = ("app_home_opened", "app_mention", "message.im", "subteam_members_changed")


def manifest(public_url: str | None = None, *, name: str = "Parley", history: bool = True) -> str:
    """YAML of the app: Socket Mode, or HTTP at `<public_url>/slack/events` when there is a public address.

    With `history` the app may read the channels it is in: a card is then found again after a crash, not posted twice.
    """
    address = f"{public_url.rstrip('/')}/slack/events" if public_url else None
    command: dict[str, Any] = {
        "command": "/flow",
        "description": "Run and answer flows",
        "usage_hint": "run <flow> [name=value ...] | pending | status | help",
        "should_escape": True,
    }
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if address:
        command["url"] = address
        events["request_url"] = address
        interactivity |= {"request_url": address, "message_menu_options_url": address}
    described = {
        "_metadata": {"major_version": 1, "minor_version": 1},
        "display_information": {
            "name": name,
            "description": "Run flows, answer their questions, from chat",
            "background_color": "#1f3b57",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "parley", "always_online": True},
            "slash_commands": [command],
            "shortcuts": [
                {
                    "name": "Run a flow",
                    "type": "global",
                    "callback_id": "p1_run",
                    "description": "Pick a flow and fill its form",
                },
                {
                    "name": "Run flow with message",
                    "type": "message",
                    "callback_id": "p1_run_msg",
                    "description": "Use this message as input",
                },
            ],
        },
        "oauth_config": {"scopes": {"bot": [*SCOPES, *(HISTORY if history else ())]}},
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": address is None,
            "token_rotation_enabled": False,
        },
    }
    return yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
