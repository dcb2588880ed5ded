"""`parley doctor --test-card`: the card that must be pressed, over the wire of each platform."""

import asyncio

import pytest

from bot.doctor import trial_card
from bot.settings import BotSettings
from bot.slack.manifest import SCOPES
from engine.errors import Refused
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]


def on_slack(tmp_path, slack, **given):
    base = {"slack_bot_token": BOT_TOKEN, "slack_app_token": APP_TOKEN, "slack_base_url": f"{slack.url}/api/"}
    return BotSettings(data=tmp_path / "data", flows=(), **(base | given))


async def test_pressed_in_slack(tmp_path, slack):
    slack.scopes = ",".join(SCOPES)
    waiting = asyncio.create_task(trial_card.pressed(on_slack(tmp_path, slack), "slack:#ops", "test card"))
    card = await slack.said("Press the button", channel="C1")
    await slack.connected()
    await slack.press("I see this", user="U2", message=card)
    found = await asyncio.wait_for(waiting, 20)
    assert found.verdict == "ok"
    assert "slack:U2" in found.text
    assert "Parley works here" in slack.text(card)
    assert slack.refused == []


async def test_pressed_in_discord(tmp_path):
    async with DiscordWire() as wire:
        settings = BotSettings(
            data=tmp_path / "data",
            flows=(),
            discord_token=TOKEN,
            discord_base_url=wire.base_url,
            discord_gateway_url=wire.gateway_url,
        )
        waiting = asyncio.create_task(trial_card.pressed(settings, f"discord:{CHANNEL}", "test card"))
        message = await wire.until(lambda: next(iter(wire.messages.values()), None))
        ids = [part["custom_id"] for part in _parts(message["components"]) if "custom_id" in part]
        await wire.click(message["id"], ids[0])
        found = await asyncio.wait_for(waiting, 20)
        assert (found.verdict, "discord:42" in found.text) == ("ok", True)
        assert wire.problems == []


def _parts(components):
    for part in components:
        yield part
        yield from _parts(part.get("components", []))


async def test_nobody_presses(tmp_path, slack, monkeypatch):
    monkeypatch.setattr(trial_card, "WAIT", 0.05)
    found = await trial_card.pressed(on_slack(tmp_path, slack), "slack:C1", "test card")
    assert (found.verdict, "Nobody pressed" in found.text) == ("wrong", True)
    assert "another bot" in found.fix


@pytest.mark.parametrize(
    ("channel", "given", "said"),
    [
        ("slack:G1", {}, "can't be posted"),
        ("ops", {}, "is no channel"),
        ("discord:1", {}, "not connected to discord"),
        ("slack:C1", {"slack_app_token": None, "slack_signing_secret": "x" * 20}, "HTTP mode"),
    ],
)
async def test_why_there_is_no_card(tmp_path, slack, channel, given, said):
    with pytest.raises(Refused, match=said):
        async with trial_card.posted(on_slack(tmp_path, slack, **given), channel):
            raise AssertionError
