"""The real desk and the real engine behind the front end: flows run, asked about and decided in Slack."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.slack.app import SlackFrontEnd
from engine.core.state import State
from engine.store import chat_audit
from tests.bot.rig import ASKING, PLAIN, Rig
from tests.bot.test_watching import WRITES
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, Refusal


def connect(slack: FakeSlack, folder: Path) -> SlackFrontEnd:
    """A front end for one life of the bot."""
    base = f"{slack.url}/api/"
    return SlackFrontEnd(BOT_TOKEN, APP_TOKEN, base_url=base, inbox=folder / "inbox", ping_interval=0.2, grace=2)


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    """A bot with two flows that pause, connected to the workspace."""
    made = Rig(tmp_path)
    made.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await made.start(PLAIN, ASKING)
    yield made
    await made.slack.stop()
    await made.stop()


async def ended(slack: FakeSlack, rig: Rig, flow: str) -> State:
    """The state of the only run of a flow, once it has ended."""
    run = (await rig.engine.executions(flow_id=flow))[0]
    return (await rig.engine.wait(run.id, timeout=20)).state


async def test_a_run_is_started_asked_about_and_approved(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run ship")
    card = await slack.said("Approval needed", channel="C1")
    assert "url" not in str(card.blocks), "nothing leads out of the chat"
    await slack.press("Approve", user="U2", message=card)
    assert await ended(slack, rig, "ship") is State.SUCCESS
    await slack.until(lambda: "bob" in slack.text(card), "the card names who approved")
    await slack.until(lambda: [one for one in slack.messages if "ship: done" in slack.text(one)], "the run's card")
    assert [one.ts for one in slack.messages if "pproved" in slack.text(one) and one.only is None] == [card.ts]
    assert not [one for one in slack.messages if "Approval needed" in slack.text(one)], "it is asked once"
    assert card.only is None
    with pytest.raises(AssertionError, match="sees no button"):
        slack.press_payload("Approve", "U2", card)
    assert slack.refused == []


async def test_a_form_starts_a_run_and_a_rejection_says_why(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run picture")
    window = await slack.modal()
    heard = await slack.fill(window, {window.inputs[0]["label"]["text"]: "a fox & <b>"})
    assert not window.open
    # The draft is used up; Slack sends the form once more all the same.
    await slack.redeliver(heard)
    card = await slack.said("Approval needed", channel="C1")
    await slack.press("Reject…", message=card)
    reject = await slack.until(lambda: slack.window("U1"), "the form for the reason")
    feedback = next(block for block in reject.inputs if block["element"]["type"] == "plain_text_input")
    await slack.fill(reject, {feedback["block_id"]: "too red"})
    assert await ended(slack, rig, "picture") is State.SUCCESS
    runs = await rig.engine.executions(flow_id="picture")
    assert [(run.outputs or {}).get("result") for run in runs] == ["too red"]
    assert slack.refused == []


async def test_the_bot_restarts_between_opening_a_form_and_sending_it(
    slack: FakeSlack, rig: Rig, tmp_path: Path
) -> None:
    await slack.command("/flow run picture")
    window = await slack.modal()
    await rig.slack.stop()
    await rig.stop()
    rig.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await rig.start()
    await slack.fill(window, {window.inputs[0]["label"]["text"]: "a fox"})
    card = await slack.said("Approval needed", channel="C1")
    await slack.press("Approve", message=card)
    assert await ended(slack, rig, "picture") is State.SUCCESS
    assert slack.refused == []


async def test_a_channel_may_have_everything_of_a_run_in_the_thread_of_its_card(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow settings card=thread")
    await slack.command("/flow run ship")
    pause = await slack.said("Approval needed", channel="C1")
    card = await slack.said("ship: ", channel="C1")
    assert (card.thread, pause.thread) == (None, card.ts)
    await slack.press("Approve", user="U2", message=pause)
    log = await slack.said("Log of ship", channel="C1")
    assert log.thread == card.ts
    assert slack.refused == []


@pytest.mark.parametrize(
    "line", ["list", "help", "pending", "status", "show picture", "whoami", "nonsense", "logs last", ""]
)
async def test_every_answer_is_taken_by_slack(slack: FakeSlack, rig: Rig, line: str) -> None:
    await slack.command("/flow run ship")
    await slack.said("Approval needed", channel="C1")
    before = len(slack.private("U1"))
    await slack.command(f"/flow {line}".strip())
    await slack.until(lambda: len(slack.private("U1")) > before or slack.window("U1"), f"an answer to {line}")
    assert slack.refused == []


async def test_a_click_on_a_socket_that_breaks_counts_once_when_it_comes_again(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run ship")
    card = await slack.said("Approval needed", channel="C1")
    heard = await slack.press("Approve", user="U2", message=card)
    await slack.drop_sockets()
    await slack.connected()
    await slack.redeliver(heard)
    assert await ended(slack, rig, "ship") is State.SUCCESS
    pause = (await rig.engine.pauses(state=None))[0]
    deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, pause.id))
    assert [(deed.action, deed.person) for deed in deeds] == [("approve", "slack:U2")]
    assert slack.refused == []


async def test_the_pressed_card_changes_by_its_own_click_and_times_are_the_readers(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run ship")
    card = await slack.said("Approval needed", channel="C1")
    slack.scripts["chat.update"] = [Refusal(retry_after=600)] * 20  # no budget is left for the outbox
    await slack.press("Approve", user="U2", message=card)
    await slack.until(lambda: "pproved by" in slack.text(card), "the card names who approved")
    button = rig.desk.office.ids("ap", (await rig.engine.pauses(state=None))[0].id)
    before = len(slack.private("U1"))
    await slack.deliver(
        "interactive",
        slack.press_payload("Log", "U1", card)
        | {"actions": [{"action_id": button, "block_id": "b", "type": "button", "action_ts": "9"}]},
    )
    said = await slack.until(lambda: len(slack.private("U1")) > before and slack.private("U1")[-1], "who was first")
    assert "Already approved by" in slack.text(said)
    assert "<!date^" in slack.text(said)
    assert slack.refused == []


async def test_the_card_whose_form_decides_changes_by_the_form(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run picture prompt=fox")
    card = await slack.said("Approval needed", channel="C1")
    slack.scripts["chat.update"] = [Refusal(retry_after=600)] * 20  # no budget is left for the outbox
    await slack.press("Reject…", user="U2", message=card)
    reject = await slack.modal("U2")
    await slack.fill(reject, {"feedback": "too red"})
    await slack.until(lambda: "ejected by" in slack.text(card), "the card names who rejected")
    assert "too red" in slack.text(card)
    assert slack.refused == []


async def test_files_of_a_run_come_into_the_direct_conversation(slack: FakeSlack, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.slack = SlackFrontEnd(  # type: ignore[assignment]
        BOT_TOKEN,
        APP_TOKEN,
        base_url=f"{slack.url}/api/",
        inbox=tmp_path / "inbox",
        locate=lambda uri: rig.engine.files.path(uri),
        grace=2,
    )
    await rig.start(WRITES)
    try:
        await slack.command("/flow run writes --quiet")
        async with asyncio.timeout(20):
            while not (runs := await rig.engine.executions()) or not runs[0].state.is_terminal:
                await asyncio.sleep(0.01)
        await slack.command("/flow files last")
        await slack.said("Files of writes", user="U1")
        await slack.said("in our direct conversation", user="U1")
        assert any(one.get("channel_id", "").startswith("D") for one in slack.called("files.completeUploadExternal"))
        assert slack.refused == []
    finally:
        await rig.slack.stop()
        await rig.stop()


async def test_the_home_tab_is_an_inbox_where_many_are_approved_together(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run ship", user="U2")
    await slack.command("/flow run ship", user="U2")
    await slack.until(lambda: len([one for one in slack.public() if "Approval needed" in slack.text(one)]) == 2)
    await slack.open_home()
    await slack.until(lambda: "U1" in slack.homes and "by bob" in slack.text(slack.homes["U1"]), "the inbox")
    await slack.press("Approve all\u2026")
    asked = await slack.said("Approve these 2 requests of", channel="DU1")
    assert len(await rig.engine.pauses()) == 2, "nothing happens before it was seen"
    await slack.press("Approve all 2", message=asked)
    await slack.until(lambda: "Nothing waits" in slack.text(slack.homes["U1"]), "the inbox drawn anew")
    assert await rig.engine.pauses() == []
    assert slack.refused == []


async def test_a_message_reaches_every_flow_that_takes_one(slack: FakeSlack, rig: Rig) -> None:
    for number in range(12):
        await rig.engine.deploy(ASKING.replace("id: picture", f"id: picture{number}", 1))
    message = slack.write("a fox", "U2")
    await slack.shortcut("p1_run_msg", user="U2", message=message)
    listed = await slack.said("Run which flow with this message?", user="U2")
    await slack.press("More\u2026", user="U2", message=listed)
    further = await slack.until(
        lambda: [one for one in slack.private("U2") if "picture9" in slack.text(one)], "the other flows"
    )
    await slack.press("Run\u2026", user="U2", message=further[0])
    window = await slack.modal("U2")
    assert "a fox" in str(window.view["blocks"])
    assert slack.refused == []


@pytest.mark.parametrize("way", ["by a slash command", "in a thread"])
async def test_times_are_on_the_clock_of_the_profile(slack: FakeSlack, rig: Rig, way: str) -> None:
    typed = 'schedule add ship "every day at 9:00"'
    if way == "in a thread":
        await slack.mention(typed, thread=slack.write("look", "U1").ts)
    else:
        await slack.command(f"/flow {typed}")
    said = slack.text(await slack.said("That is", user="U1"))
    assert "on the clock of `America/New_York`" in said
    assert len(set(re.findall(r"\S+ 09:00 E[SD]T", said))) == 5
    assert slack.refused == []


async def test_answers_in_a_thread_name_commands_as_they_are_typed_there(slack: FakeSlack, rig: Rig) -> None:
    thread = slack.write("look", "U1").ts
    for typed, says in (
        ("rnu ship", "@parley help"),
        ("schedule", "@parley schedule add"),
        ("help run", "@parley run"),
    ):
        await slack.mention(typed, thread=thread)
        said = slack.text(await slack.said(says, user="U1"))
        assert "/flow" not in said
    await slack.command("/flow rnu ship")
    assert "/flow help" in slack.text(await slack.said("Try /flow help", user="U1"))
    assert slack.refused == []
