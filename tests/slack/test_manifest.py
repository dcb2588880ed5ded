"""The manifest asks for what the front end uses, and no more than Slack takes."""

import re
from pathlib import Path

import pytest
import yaml

from bot.slack.manifest import manifest

SOURCE = Path(__file__).resolve().parents[2] / "bot/slack"
SCOPE_OF = {
    "chat_postMessage": "chat:write",
    "chat_postEphemeral": "chat:write",
    "chat_update": "chat:write",
    "users_info": "users:read",
    "usergroups_list": "usergroups:read",
    "usergroups_users_list": "usergroups:read",
    "conversations_open": "im:write",
    "conversations_history": "channels:history",
    "conversations_replies": "channels:history",
    "files_getUploadURLExternal": "files:write",
    "files_completeUploadExternal": "files:write",
    "views_open": None,
    "views_update": None,
    "views_publish": None,
    "api_call": "reactions:write",  # what flows do as the bot; for all else `slack.md` names the scope
    "auth_test": None,
    "apps_connections_open": None,
}


def test_every_call_has_its_scope() -> None:
    source = "".join(path.read_text() for path in SOURCE.glob("*.py"))
    called = set(re.findall(r"client\.([a-z]+_\w+)\(", source))
    assert called - SCOPE_OF.keys() == set()
    asked = set(yaml.safe_load(manifest())["oauth_config"]["scopes"]["bot"])
    assert {SCOPE_OF[name] for name in called} - {None} <= asked


@pytest.mark.parametrize("url", [None, "https://parley.test/"])
def test_socket_mode_needs_no_address(url: str | None) -> None:
    read = yaml.safe_load(manifest(url))
    settings, command = read["settings"], read["features"]["slash_commands"][0]
    assert settings["socket_mode_enabled"] is (url is None)
    address = None if url is None else "https://parley.test/slack/events"
    assert command.get("url") == address
    assert settings["interactivity"]["is_enabled"] is True
    assert settings["interactivity"].get("message_menu_options_url") == address
    assert settings["event_subscriptions"].get("request_url") == address
    assert len(read["display_information"]["description"]) <= 140
    assert all(len(one["name"]) <= 24 for one in read["features"]["shortcuts"]) or url
    assert [one["callback_id"] for one in read["features"]["shortcuts"]] == ["p1_run", "p1_run_msg"]


def test_history_is_optional() -> None:
    assert "channels:history" not in manifest(history=False)
