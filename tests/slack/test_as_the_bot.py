"""Flows that act at Slack without a token: as the bot, whose token never leaves the front end."""

from pathlib import Path

import pytest

from bot.chat_port import FrontEndChat
from bot.slack.app import SlackFrontEnd
from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Settings
from tests.wire.slack import BOT_TOKEN, FakeSlack, Refusal

FLOW = """
id: release
namespace: company.team
tasks:
  - id: post
    type: io.kestra.plugin.slack.app.chats.Post
    channel: C1
    messageText: Releasing.
  - id: update
    type: io.kestra.plugin.slack.app.chats.Update
    channel: C1
    timestamp: "{{ outputs.post.timestamp }}"
    messageText: "**Released.**"
  - id: cheer
    type: io.kestra.plugin.slack.app.reactions.Add
    channel: C1
    timestamp: "{{ outputs.post.timestamp }}"
    name: tada
  - id: report
    type: io.kestra.plugin.core.storage.Write
    content: all green
    extension: .txt
  - id: share
    type: io.kestra.plugin.slack.app.files.Upload
    from: "{{ outputs.report.uri }}"
    channel: C1
    filename: report.txt
  - id: channels
    type: io.kestra.plugin.slack.app.conversations.List
outputs:
  - id: channels
    type: INT
    value: "{{ outputs.channels.size }}"
"""


@pytest.fixture
async def engine(end: SlackFrontEnd, tmp_path: Path):
    (tmp_path / "flows").mkdir()
    engine = await Engine.open(Settings(data=tmp_path / "data", flows=(tmp_path / "flows",)))
    engine.chat = FrontEndChat(engine, [end])
    await engine.start(watch=False)
    yield engine
    await engine.stop(1)


async def run(engine: Engine, source: str):
    flow = await engine.deploy(source)
    made = await engine.create(flow.namespace, flow.id, {}, started_by="test")
    return await engine.wait(made.id, timeout=30)


async def test_a_flow_acts_as_the_bot(engine: Engine, slack: FakeSlack, tmp_path: Path) -> None:
    slack.scripts["chat.update"] = [Refusal(retry_after=0)]  # a pause that Slack asks for is waited out
    done = await run(engine, FLOW)
    assert done.state is State.SUCCESS, [line.message for line in await engine.logs(done.id)]
    message = slack.public("C1")[0]
    assert (slack.text(message), message.edits, message.reactions) == ("*Released.*", 1, ["tada"])
    assert list(slack.contents.values()) == [b"all green"]
    assert done.outputs == {"channels": 2}  # the private one is not seen
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or BOT_TOKEN.encode() not in file.read_bytes(), file


async def test_what_slack_refuses_the_bot_fails_the_task(engine: Engine, slack: FakeSlack) -> None:
    slack.channels["C1"].members.discard("U0BOT")
    tasks = """
    id: {id}
    namespace: company.team
    tasks:
      - id: add
        type: io.kestra.plugin.slack.app.reactions.Add
        channel: C1
        timestamp: "1.2"
        name: eyes
    """
    done = await run(engine, tasks.format(id="outside"))
    assert done.state is State.FAILED
    told = [line.message for line in await engine.logs(done.id)]
    assert any("not_in_channel" in line and ". Invite the app" in line for line in told)
    slack.scripts["reactions.add"] = [Refusal(error="internal_error", status=500)]
    slack.channels["C1"].members.add("U0BOT")
    slack.write("hi")
    done = await run(engine, tasks.format(id="again").replace('"1.2"', slack.public("C1")[0].ts))
    assert done.state is State.SUCCESS
