"""Slack asks for a pause while somebody waits for an answer: they are told why nothing comes, and get it."""

import pytest

from bot.conversation import Listing, Notice, Reply, Row, Transcript
from bot.slack.app import SlackFrontEnd
from tests.slack.desk import ScriptedDesk
from tests.slack.test_front_end import FORM
from tests.wire.slack import FakeSlack, Refusal


async def test_whoever_waits_for_an_answer_is_told_of_a_long_pause_and_gets_it_after(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.transport._PATIENCE", 0)  # what is longer than this is told
    desk.on_command = lambda command: Reply(Notice("success", "Started `ship`."), public=True)
    slack.scripts["chat.postMessage"] = [Refusal(retry_after=1)]
    await slack.mention("run ship", thread=slack.write("go").ts)
    told = await slack.said("Chat is slowing me down (Slack); my answer follows in about 1 s.", user="U1")
    assert told.only == "U1"
    said = await slack.said("Started", channel="C1")
    assert said.only is None
    assert len([one for one in slack.messages if "Started" in slack.text(one)]) == 1
    assert slack.refused == []


async def test_a_form_that_slack_is_too_busy_to_open_has_a_button_that_says_why(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    desk.on_command = lambda command: Reply(desk.store(FORM))
    slack.scripts["views.open"] = [Refusal("ratelimited", retry_after=30, status=429)]
    await slack.command("/flow answer 01JD")
    said = await slack.said("Slack is slowing me down, so the form did not open by itself.", user="U1")
    await slack.press("Open form", message=said)
    assert (await slack.modal()).view["title"]["text"] == "Approve the image"


async def test_the_rest_of_an_answer_comes_after_a_long_pause(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.transport._PATIENCE", 0)
    lines = tuple(f"line {number}" for number in range(300))
    desk.on_command = lambda command: Reply(Transcript("Log", lines, "run.log"))
    slack.scripts["files.getUploadURLExternal"] = [Refusal(retry_after=1)]
    await slack.command("/flow logs last")
    await slack.said("my answer follows in about 1 s", user="U1")
    await slack.said("I sent you", user="U1")
    assert len(slack.called("files.completeUploadExternal")) == 1


@pytest.mark.parametrize("public", [True, False])
async def test_an_answer_whose_rest_has_to_wait_is_sent_once(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    monkeypatch.setattr("bot.slack.transport._PATIENCE", 0)
    rows = tuple(Row(f"Row {number}", f"this-is-{number} {'long ' * 60}") for number in range(60))
    desk.on_command = lambda command: Reply(Listing("Everything", rows), public=public)
    busy = [Refusal(), Refusal(retry_after=1)]
    slack.scripts["chat.postMessage"] = list(busy) if public else busy[1:]
    slack.scripts["chat.postEphemeral"] = [] if public else busy
    await slack.mention("list", thread=slack.write("go").ts)
    await slack.said("my answer follows in about 1 s", user="U1")
    await slack.said("this-is-59", user=None if public else "U1")
    told = [slack.text(one) for one in slack.messages]
    assert sum("Everything" in text for text in told) == 1
    assert [sum(f"this-is-{number} " in text for text in told) for number in range(60)] == [1] * 60
    assert slack.refused == []
