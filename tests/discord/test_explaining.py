"""*Explain* on Discord: the real desk and engine, Discord's wire and a model's."""

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.discord.client import DiscordFrontEnd
from bot.explaining.section import ExplainSection
from tests.bot.dying_desk import FAILS
from tests.bot.rig import Rig
from tests.discord.test_real_desk import shown, words
from tests.wire.discord import TOKEN, DiscordWire
from tests.wire.discord_rules import walk
from tests.wire.openai import openai_service

__all__ = ["openai_service"]
EVIL = "Ask <@43> or @everyone: [sign in](https://evil.test/md) `ok` **bold** ||spoiler||"


@pytest.fixture
async def bot(tmp_path, openai_service):
    openai_service.replies[0] = EVIL
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        rig = Rig(tmp_path, explain=ExplainSection(provider="openai", model="small", base_url=openai_service.url))
        rig.discord = DiscordFrontEnd(TOKEN, base_url=wire.base_url, gateway_url=wire.gateway_url, explains=True)
        await rig.start(FAILS)
        wire.front = rig.discord
        yield wire, rig
        await rig.discord.stop()
        await rig.stop()
        assert wire.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


async def failed(wire, rig):
    await wire.slash("run", flow="fails")
    card = await wire.until(lambda: shown(wire, "fails: failed", "Explain"))
    return card, next(b for part in card["components"] for b in walk(part) if b.get("label") == "Explain")


def explanation(wire, interaction):
    """What followed an interaction, beside its first answer."""
    return [body for body in wire.bodies("POST", "/webhooks/") if "as a model sees it" in words(body)]


async def test_the_button_of_a_failed_run(bot, openai_service):
    wire, rig = bot
    card, button = await failed(wire, rig)
    pressed = await wire.click(card["id"], button["custom_id"])
    await wire.told(pressed, "Asking")
    (told,) = await wire.until(lambda: explanation(wire, pressed))
    assert told["flags"] & 64, "only who asked sees it"
    text = words(told)
    assert "<@43>" not in text.replace("\\<@43\\>", "")
    assert "](https" not in text
    assert "`https://evil.test/md`" in text
    assert "\\|\\|spoiler" in text
    assert not told.get("allowed_mentions", {}).get("parse")
    again = await wire.click(card["id"], button["custom_id"])
    await wire.told(again, "as a model sees it")
    assert len(openai_service.asked) == 1


async def test_the_command(bot):
    wire, rig = bot
    await failed(wire, rig)
    word = {"name": "explain", "type": 1, "options": [{"name": "run", "type": 3, "value": "last"}]}
    asked = await wire.interact(2, {"id": "5", "name": "flow-manage", "type": 1, "options": [word]})
    await wire.told(asked, "Asking")
    await wire.until(lambda: explanation(wire, asked))


async def test_the_command_is_told_to_discord_only_with_a_model(bot):
    rig = bot[1]
    group = next(one for one in rig.discord.client.tree.get_commands() if one.name == "flow-manage")
    assert "explain" in {one.name for one in group.commands}
    other = DiscordFrontEnd(TOKEN)
    group = next(one for one in other.client.tree.get_commands() if one.name == "flow-manage")
    assert "explain" not in {one.name for one in group.commands}
