"""`parley doctor`: what it says of good and of broken set-ups."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bot.doctor import examine
from bot.settings import BotSettings
from tests.shared import ROOT
from tests.wire.discord import TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]


def settings(tmp_path, **given):
    return BotSettings(data=tmp_path / "data", flows=(ROOT / "flows" / "tour",), **given)


def verdicts(found):
    return {finding.name: finding.verdict for finding in found}


async def test_without_tokens_it_hints_and_is_content(tmp_path, monkeypatch):
    for name in ("SLACK_BOT_TOKEN", "DISCORD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    found = await examine(settings(tmp_path))
    assert verdicts(found) == {
        "data folder": "ok",
        "flows": "ok",
        "roles": "hint",
        "approvals": "hint",
        "Slack": "hint",
        "Discord": "hint",
    }


async def test_good_tokens_and_missing_scopes(tmp_path, slack):
    async with DiscordWire() as wire:
        found = await examine(
            settings(
                tmp_path,
                slack_bot_token=BOT_TOKEN,
                slack_app_token=APP_TOKEN,
                slack_base_url=f"{slack.url}/api/",
                discord_token=TOKEN,
                discord_base_url=wire.base_url,
            )
        )
    said = verdicts(found)
    assert said["Slack"] == said["Slack events"] == said["Discord"] == "ok"
    scopes = next(finding for finding in found if finding.name == "Slack scopes")
    assert scopes.verdict == "wrong"
    assert "files:write" in scopes.text
    assert "chat:write," not in scopes.text


@pytest.mark.parametrize(
    ("given", "name", "text"),
    [
        ({"slack_bot_token": "xoxb-no"}, "Slack", "refuses the bot token"),
        ({"discord_token": "no"}, "Discord", "refuses the token"),
        ({"slack_bot_token": BOT_TOKEN}, "Slack events", "no way to reach"),
    ],
)
async def test_what_is_wrong_is_a_sentence(tmp_path, slack, given, name, text):
    async with DiscordWire() as wire:
        base = {"slack_base_url": f"{slack.url}/api/", "discord_base_url": wire.base_url}
        found = await examine(settings(tmp_path, **base, **given))
    finding = next(finding for finding in found if finding.name == name)
    assert finding.verdict == "wrong"
    assert text in finding.text
    assert finding.fix


async def test_an_unreachable_service(tmp_path):
    found = await examine(settings(tmp_path, slack_bot_token=BOT_TOKEN, slack_base_url="http://127.0.0.1:1/api/"))
    assert verdicts(found)["Slack"] == "wrong"


def test_the_command(tmp_path):
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "broken.yaml").write_text("id: broken\nnamespace: t\ntasks:\n  - id: a\n    type: nope\n")
    done = subprocess.run(
        [sys.executable, "-m", "bot", "doctor", "--json"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert "broken.yaml:5" in found["flow"]["text"]


async def test_a_disk_that_fills_up_and_a_file_that_is_no_database(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=499 * 1024**2))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "parley.db").write_text("garbage")
    found = {finding.name: finding for finding in await examine(settings(tmp_path))}
    assert found["disk"].verdict == found["database"].verdict == "wrong"
    assert "499 MB are free" in found["disk"].text
    assert "is no SQLite database" in found["database"].text


@pytest.mark.parametrize(
    ("web", "verdict"),
    [
        ({"host": "0.0.0.0"}, "wrong"),
        ({"host": "0.0.0.0", "token": "short"}, "hint"),
        ({"host": "0.0.0.0", "token": "a-token-long-enough"}, None),
        ({}, None),
    ],
)
async def test_a_page_that_is_open_to_other_machines(tmp_path, web, verdict):
    assert verdicts(await examine(settings(tmp_path, web=web))).get("page") == verdict
