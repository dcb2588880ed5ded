"""A picture is drawn, shown, and waits for a yes: asked in one chat, answered in another, or in the browser."""

import json
import re

import pytest
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.seeds.people import InDiscord, InSlack
from tests.seeds.rig import task_run
from tests.seeds.variants import IMAGE
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire
from tests.wire.openai import PIXEL
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]

PLACEHOLDER = "https://discord.com/api/webhooks/URL"
PROMPT = "a fox with a “hat”"
KEY = "sk-openai-seed"


@pytest.fixture
async def discord():
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    async with DiscordWire() as wire:
        yield wire
        assert wire.problems == []
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway  # the library knows one Discord per process


@pytest.fixture
def start(start_bot, openai_service):
    """Starts the bot; the flow's webhook is the placeholder, mapped to `webhook` if there is one."""

    async def start(variant, webhook: str | None = None, environment: dict[str, str] | None = None, **settings):
        settings["providers"] = {"openai": {"base_url": openai_service.url}}
        if webhook:
            settings["webhooks"] = {PLACEHOLDER: webhook}
        secrets = {"OPENAI_API_KEY": KEY, "DISCORD_WEBHOOK": PLACEHOLDER}
        return await start_bot(variant, settings, secrets, environment=environment)

    return start


@pytest.fixture
def start_in_chats(slack, discord, start):
    """Starts the bot connected to Slack and to Discord; with it, a person in each."""

    async def connected(variant, webhook: str | None = None, **settings):
        settings |= {"slack_base_url": f"{slack.url}/api/", "discord_base_url": discord.base_url}
        settings["discord_gateway_url"] = discord.gateway_url
        tokens = {"SLACK_BOT_TOKEN": BOT_TOKEN, "SLACK_APP_TOKEN": APP_TOKEN, "DISCORD_TOKEN": TOKEN}
        bot = await start(variant, webhook, tokens, **settings)
        return bot, InSlack(slack), InDiscord(discord)

    return connected


async def ended(bot, variant):
    execution = await bot.engine.wait((await bot.newest(variant)).id, timeout=30)
    assert execution.state == "SUCCESS", await bot.said_of(execution)
    assert KEY not in await bot.said_of(execution)
    return execution


def asked_for(openai_service) -> list[str]:
    """The prompts of the pictures that were drawn."""
    return [body["prompt"] for body in openai_service.asked]


def assert_posted_with_pictures(discord_webhook, texts: list[str]) -> None:
    """The webhook got these messages, each with the picture itself."""
    assert len(discord_webhook.messages) == len(texts)
    for message, files, text in zip(discord_webhook.messages, discord_webhook.files, texts, strict=True):
        assert text in message["content"]
        assert "kestra:///" not in message["content"]
        assert list(files.values()) == [PIXEL]
        assert [each["filename"] for each in message["attachments"]] == list(files)


@IMAGE
async def test_started_in_slack_and_approved_in_discord(start_in_chats, variant, openai_service, discord_webhook):
    bot, ann, bob = await start_in_chats(variant, discord_webhook.url)
    await ann.run(f"{variant.name} image_prompt='{PROMPT}'")
    await ann.sees("Approve", "Reject…")
    assert_posted_with_pictures(discord_webhook, ["Are you happy with the image"])
    assert asked_for(openai_service) == [PROMPT]

    await bob.pending()
    await bob.approve()
    execution = await ended(bot, variant)
    values = task_run(execution, "wait_for_approval").outputs["onResume"]
    assert values["approve"] is True
    assert values.get("feedback") in ("", None)
    assert task_run(execution, "approved").state == "SUCCESS"
    assert len(openai_service.asked) == 1

    card = await ann.sees("pproved by", "Discord")
    assert "user42" in ann.slack.text(card)
    assert card.edits >= 1
    assert "Reject…" not in ann.slack.text(card)
    run = await ann.sees(f"{variant.id}: done")
    assert run.edits >= 1
    assert len(discord_webhook.messages) == 1


@IMAGE
async def test_started_in_discord_and_rejected_in_slack(start_in_chats, variant, openai_service, discord_webhook):
    bot, ann, bob = await start_in_chats(variant, discord_webhook.url)
    await bob.run(f"{variant.name} image_prompt={PROMPT}")
    await bob.sees("Approve", "Reject…")
    await ann.pending()
    await ann.reject('a "red" fox\nwith {{ secret("OPENAI_API_KEY") }}')
    execution = await ended(bot, variant)
    values = task_run(execution, "wait_for_approval").outputs["onResume"]
    assert values["approve"] is False

    first, second = asked_for(openai_service)
    assert first == PROMPT
    assert second.endswith('a "red" fox\nwith {{ secret("OPENAI_API_KEY") }}')  # never read as a template
    assert_posted_with_pictures(discord_webhook, ["Are you happy with the image", "Here's the new image"])

    card = await bob.sees("ejected by", "Slack")
    assert "ann" in bob.words(card)
    assert not {"Approve", "Reject…"} & set(bob.buttons(card))
    await bob.sees(f"{variant.id}: done")


@IMAGE
async def test_without_an_alias_the_picture_goes_where_the_run_was_started(start_in_chats, variant, openai_service):
    """The webhook in the flow was never filled in: the bot posts the picture itself."""
    bot, ann, bob = await start_in_chats(variant)
    await ann.run(f"{variant.name} image_prompt='{PROMPT}'")
    assert await ann.sees_picture("Are you happy with the image") == PIXEL
    await ann.reject("a red fox")
    assert await ann.sees_picture("Here's the new image") == PIXEL
    await ended(bot, variant)

    await bob.run(f"{variant.name} image_prompt={PROMPT}")
    assert await bob.sees_picture("Are you happy with the image") == PIXEL
    await bob.reject("a blue fox")
    assert await bob.sees_picture("Here's the new image") == PIXEL
    await ended(bot, variant)
    assert asked_for(openai_service)[-1].endswith("a blue fox")


@IMAGE
async def test_every_card_is_edited_wherever_it_was_shown(start_in_chats, variant, openai_service, discord_webhook):
    """Nobody in chat started this run: its question goes to the default rooms; all cards name who decided where."""
    rooms = ["slack:#ops", f"discord:{CHANNEL}", "web:lobby"]
    bot, ann, bob = await start_in_chats(variant, discord_webhook.url, chat={"default_rooms": rooms})
    await bot.engine.create(variant.namespace, variant.id, {"image_prompt": PROMPT}, started_by="token:ci")
    in_slack = await ann.sees("Approve")
    in_discord = await bob.sees("Approve")
    in_page = await bot.card(lambda card: card.kind == "pause")
    await bob.approve()
    await ended(bot, variant)
    await ann.sees("pproved by", "user42", "Discord")
    await bob.sees("pproved by", "user42")
    assert in_slack.edits >= 1
    assert "Approve\n" not in bob.words(bob.wire.messages[in_discord["id"]])
    closed = await bot.card(
        lambda card: card.entity == in_page.entity and not card.deadline and card.version > in_page.version
    )
    told = json.dumps([closed.title, closed.subtitle, closed.body, closed.footer, *(f.value for f in closed.facts)])
    assert "user42" in told
    assert "Discord" in told


@IMAGE
async def test_a_second_answer_changes_nothing_and_says_who_was_first(
    start_in_chats, variant, openai_service, discord_webhook
):
    bot, ann, bob = await start_in_chats(variant, discord_webhook.url)
    await ann.run(f"{variant.name} image_prompt='{PROMPT}'")
    card = await ann.sees("Approve", "Reject…")
    late = ann.slack.press_payload("Approve", "U2", card)
    await bob.pending()
    await bob.approve()
    await ended(bot, variant)
    await ann.slack.deliver("interactive", late)
    told = await ann.slack.said("lready", user="U2")
    assert "user42" in ann.slack.text(told)
    assert len(openai_service.asked) == 1


@IMAGE
async def test_openai_refuses_with_a_sentence(start, variant, openai_service, discord_webhook):
    openai_service.refusals.append((400, "Your request was rejected by the safety system."))
    bot = await start(variant, discord_webhook.url)
    execution = await bot.run(variant, "image_prompt=x")
    assert execution.state == "FAILED"
    (child,) = await bot.engine.executions(namespace="demo", flow_id="generate_image")
    said = await bot.said_of(child, "ERROR")
    assert "Your request was rejected by the safety system." in said
    assert discord_webhook.messages == []
    card = await bot.card(lambda card: card.entity == execution.id and card.tone == "danger")
    assert "Your request was rejected by the safety system." in card.body


@IMAGE
async def test_a_revoked_webhook_is_a_sentence(start, variant, openai_service, discord_webhook):
    bot = await start(variant, f"{discord_webhook.wire.url}/api/webhooks/1/revoked")
    execution = await bot.run(variant, "image_prompt=x")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert "Discord answered 404" in said
    assert "Unknown Webhook" in said
    assert "revoked" not in re.sub("may have been revoked", "", said)  # whoever knows the URL could post


@IMAGE
async def test_a_flow_that_is_not_there_is_a_sentence(start, variant, openai_service, tmp_path):
    bot = await start(variant)
    bot.engine.flows.get("demo", "generate_image")
    text = (tmp_path / "flows" / variant.path.name).read_text().replace("flowId: generate_image", "flowId: make_image")
    await bot.engine.deploy(text)
    execution = await bot.run(variant, "image_prompt=x")
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert "make_image" in said
    assert "generate_image" in said
