"""`parley up` as a process, connected to Slack and Discord at once: killed, started again, answered on either side."""

import asyncio
import json
import re
import signal

import httpx
import psycopg
import pytest

from tests.scenarios.process import Parley
from tests.wire.discord import CHANNEL, TOKEN, DiscordWire
from tests.wire.discord_rules import walk
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, slack

__all__ = ["slack"]

FLOW = """
id: release
namespace: ops
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    description: Release it?
    onResume:
      - id: approve
        type: BOOLEAN
      - id: why
        type: STRING
        required: false
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: "released {{ outputs.gate.onResume.approve }}"
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: a-long-webhook-key
outputs:
  - id: result
    type: STRING
    value: "{{ outputs.after.value }}"
"""


def words(message):
    parts = [each for part in message["components"] for each in walk(part)]
    return "\n".join(str(each.get("content") or each.get("label") or "") for each in parts)


def buttons(message):
    parts = [each for part in message["components"] for each in walk(part)]
    return {each["label"]: each["custom_id"] for each in parts if each.get("type") == 2 and "custom_id" in each}


@pytest.fixture
async def world(slack, tmp_path):
    """Both platforms, and a way to start the bot (again)."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "release.yaml").write_text(FLOW)
    async with DiscordWire() as wire:
        env = {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "PARLEY_SLACK_BASE_URL": f"{slack.url}/api/",
            "DISCORD_TOKEN": TOKEN,
            "PARLEY_DISCORD_BASE_URL": wire.base_url,
            "PARLEY_DISCORD_GATEWAY_URL": wire.gateway_url,
            "PARLEY_CHAT__DEFAULT_ROOMS": json.dumps(["slack:C1", f"discord:{CHANNEL}"]),
        }
        lives = []

        async def start(**more):
            lives.append(Parley(["up", "--port", "0"], tmp_path, env | more))
            await asyncio.to_thread(lives[-1].ready)
            return lives[-1]

        try:
            yield slack, wire, start
        finally:
            for life in lives:
                await asyncio.to_thread(life.stop, signal.SIGKILL)


async def card_in_discord(wire):
    return await wire.until(lambda: next((m for m in wire.messages.values() if "Release it?" in words(m)), None), 30)


async def test_a_pause_survives_a_kill_and_is_decided_on_either_platform(world):
    slack, wire, start = world
    life = await start()
    hook = f"{life.url}/api/v1/executions/webhook/ops/release/a-long-webhook-key"
    async with httpx.AsyncClient(timeout=20) as client:
        assert (await client.post(hook, json={})).status_code == 200
    in_slack = await slack.said("Release it?", channel="C1")
    in_discord = await card_in_discord(wire)

    await asyncio.to_thread(life.stop, signal.SIGKILL)
    life = await start()
    await slack.connected()
    await wire.until(lambda: len(wire.sessions) >= 2, 30)

    approve = buttons(in_discord)["Approve"]
    await wire.click(in_discord["id"], approve)
    await slack.until(lambda: "Approved" in slack.text(in_slack) and "Discord" in slack.text(in_slack), "who and where")
    await wire.until(lambda: "Approved" in words(wire.messages[in_discord["id"]]), 30)
    assert "Approve" not in buttons(wire.messages[in_discord["id"]])

    late = await wire.click(in_discord["id"], approve)
    said = await wire.responses(late, 2)
    assert "Already" in json.dumps(said)

    async with httpx.AsyncClient(timeout=20) as client:
        for _ in range(100):
            runs = (await client.get(f"{life.url}/ui/executions")).text
            if "SUCCESS" in runs:
                break
            await asyncio.sleep(0.1)
        page = re.search(r"/ui/executions/ops/release/\w+", runs)[0]
        assert "released true" in (await client.get(f"{life.url}{page}")).text
    assert slack.refused == []
    assert wire.problems == []
    assert await asyncio.to_thread(life.stop, signal.SIGTERM) == 0
    assert "Traceback" not in "".join(life.said)


async def test_cards_that_wait_go_on_when_the_bot_has_moved_to_postgresql(world, tmp_path, new_postgres):
    slack, wire, start = world
    life = await start()
    async with httpx.AsyncClient(timeout=20) as client:
        hook = f"{life.url}/api/v1/executions/webhook/ops/release/a-long-webhook-key"
        assert (await client.post(hook, json={})).status_code == 200
    in_slack = await slack.said("Release it?", channel="C1")
    in_discord = await card_in_discord(wire)
    assert await asyncio.to_thread(life.stop, signal.SIGTERM) == 0
    moving = Parley(["migrate-store", "--to", new_postgres], tmp_path)
    assert await asyncio.to_thread(moving.process.wait, 60) == 0, moving.said
    assert await asyncio.to_thread(moving.stop) == 0
    key = (tmp_path / ".parley" / "encryption.key").read_text().strip()
    assert "1 pauses wait for an answer" in "".join(moving.printed)

    life = await start(PARLEY_DATABASE=new_postgres, PARLEY_ENCRYPTION_KEY=key)
    await wire.until(lambda: len(wire.sessions) >= 2, 30)
    await wire.click(in_discord["id"], buttons(in_discord)["Approve"])
    await slack.until(lambda: "Approved" in slack.text(in_slack) and "Discord" in slack.text(in_slack), "who and where")
    await wire.until(lambda: "Approved" in words(wire.messages[in_discord["id"]]), 30)
    assert [one for one in wire.messages.values() if "Release it?" in words(one)] == [wire.messages[in_discord["id"]]]
    assert slack.refused == wire.problems == []
    with psycopg.connect(new_postgres, autocommit=True) as connection:
        states = "SELECT state FROM execution WHERE flow_id = 'release'"
        await wire.until(lambda: connection.execute(states).fetchall() == [("SUCCESS",)], 30)


async def test_a_command_in_slack_is_answered_by_a_bot_that_just_started(world):
    slack, _, start = world
    life = await start()
    await slack.connected()
    await slack.command("/flow list")
    answer = await slack.said("ops/release", user="U1")
    assert answer.only == "U1"
    log = "".join(life.said)
    assert "everybody in a room" in log.lower()
    assert BOT_TOKEN not in log
    assert TOKEN not in log


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "DISCORD_TOKEN"])
async def test_a_wrong_token_is_a_sentence(slack, tmp_path, name):
    (tmp_path / "flows").mkdir()
    async with DiscordWire() as wire:
        env = {
            "SLACK_BOT_TOKEN": {"SLACK_APP_TOKEN": APP_TOKEN, "PARLEY_SLACK_BASE_URL": f"{slack.url}/api/"},
            "DISCORD_TOKEN": {"PARLEY_DISCORD_BASE_URL": wire.base_url, "PARLEY_DISCORD_GATEWAY_URL": wire.gateway_url},
        }[name]
        life = Parley(["up", "--port", "0"], tmp_path, {**env, name: "xoxb-wrong-token-123456"})
        status = await asyncio.to_thread(life.process.wait, 30)
        await asyncio.to_thread(life.stop)
    said = "".join(life.said)
    assert status == 2, said
    assert "token" in said.lower()
    assert "Traceback" not in said
    assert "xoxb-wrong-token-123456" not in said


async def test_an_edited_flow_takes_effect_and_a_broken_one_keeps_its_last(world, tmp_path):
    _, _, start = world
    life = await start()
    file = tmp_path / "flows" / "release.yaml"
    async with httpx.AsyncClient(timeout=20, base_url=life.url) as client:

        async def until(text):
            for _ in range(150):
                if text in (page := (await client.get("/ui/flows")).text):
                    return page
                await asyncio.sleep(0.1)
            raise AssertionError(f"{text!r} never came: {page}")

        await until("ops/release")
        file.write_text(
            FLOW.replace("Release it?", "Ship it?").replace("namespace: ops", "namespace: ops\ndescription: newer")
        )
        await until("newer")
        file.write_text(FLOW.replace("type: BOOLEAN", "type: [oops"))
        page = await until("is not in use as it stands")
        assert "newer" in page
        (tmp_path / "flows" / "other.yaml").write_text(FLOW.replace("id: release", "id: other"))
        await until("ops/other")
