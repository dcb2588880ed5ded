"""Cards and posts going out: once, edited, with what belongs below them, and refusals as sentences."""

from dataclasses import replace

import pytest

from bot.conversation import Card, Enclosure, FileRef, MessageRef, Notice, Reply, Room
from bot.frontend import Unreachable
from bot.slack.app import SlackFrontEnd
from bot.tallies import RATE_LIMITS, REFUSALS
from engine.plugin import ChatPost
from tests.slack.conftest import Connect
from tests.slack.desk import ScriptedDesk, approve
from tests.wire.slack import FakeSlack, Refusal

ROOM = Room("slack", "C1")
CARD = Card("run", "01JD", "running", "gen_img", body="Drawing.", actions=(approve("Stop"),), version=1)


async def test_a_card_is_posted_with_its_nonce_and_edited(slack: FakeSlack, end: SlackFrontEnd) -> None:
    ref = await end.post_card(ROOM, CARD, "nonce-1")
    one = slack.messages[0]
    assert (ref.channel, ref.message) == (one.channel, one.ts)
    assert one.metadata == {"event_type": "parley_message", "event_payload": {"nonce": "nonce-1", "entity": "01JD"}}
    await end.edit_card(ref, replace(CARD, tone="success", body="Drawn.", actions=()))
    assert "Drawn." in slack.text(one)
    assert "Stop" not in slack.text(one)
    assert one.pings == []


async def test_the_same_nonce_is_the_same_message(slack: FakeSlack, end: SlackFrontEnd) -> None:
    first = await end.post_card(ROOM, CARD, "nonce-1")
    assert await end.post_card(ROOM, CARD, "nonce-1") == first
    assert len(slack.messages) == 1


async def test_a_post_whose_answer_was_lost_is_found_again(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.scripts["chat.postMessage"] = [Refusal(drops=True, taken=True)]
    with pytest.raises(Unreachable) as caught:
        await end.post_card(ROOM, CARD, "nonce-1")
    assert caught.value.retry_after == 5
    ref = await end.post_card(ROOM, CARD, "nonce-1")
    assert [one.ts for one in slack.messages] == [ref.message]


async def test_after_a_crash_the_card_is_found_by_its_nonce(slack: FakeSlack, connect: Connect) -> None:
    first = await connect()
    thread = slack.write("here").ts
    ref = await first.post_card(replace(ROOM, thread=thread), CARD, "nonce-1")
    await first.stop()
    second = await connect()
    assert await second.post_card(replace(ROOM, thread=thread), CARD, "nonce-1") == ref
    slack.may_read_history = False
    await second.post_card(ROOM, CARD, "nonce-2")
    assert len(slack.messages) == 3


async def test_files_follow_in_the_thread_once(slack: FakeSlack, connect: Connect) -> None:
    end = await connect()
    picture = FileRef("kestra:///fox.png", "fox.png", "image/png", 8, "a fox")
    ref = await end.post_card(ROOM, replace(CARD, files=(picture,)), "n1")
    upload = await slack.until(lambda: next((one for one in slack.messages if one.files), None))
    assert (upload.channel, upload.thread, upload.files[0]["name"]) == ("C1", ref.message, "fox.png")
    assert slack.contents[upload.files[0]["id"]] == b"\x89PNG fox"
    notes = FileRef("kestra:///notes.txt", "notes.txt")
    await end.edit_card(ref, replace(CARD, files=(picture, notes)))
    await slack.until(lambda: len([one for one in slack.messages if one.files]) == 2)
    await end.stop()
    # After a restart nobody remembers: the thread itself says what lies there.
    again = await connect()
    await again.edit_card(ref, replace(CARD, files=(picture, notes), body="over"))
    await again.stop()
    assert len([one for one in slack.messages if one.files]) == 2


async def test_a_diff_that_changed_meanwhile_comes_again_and_one_that_did_not_does_not(
    slack: FakeSlack, connect: Connect
) -> None:
    end = await connect()
    first, second = (Enclosure("changes.diff", "Files that change", text) for text in ("+one", "+one, two"))
    asking = replace(CARD, kind="pause", tone="paused", enclosed=(first,))
    ref = await end.post_card(ROOM, asking, "n1")
    await slack.until(lambda: len([one for one in slack.messages if one.files]) == 1)
    await end.edit_card(ref, replace(asking, body="Drawing on."))
    other = replace(asking, enclosed=(second,))
    await end.edit_card(ref, other)
    await slack.until(lambda: len([one for one in slack.messages if one.files]) == 2)
    await end.stop()
    again = await connect()
    await again.edit_card(ref, replace(other, body="still"))
    await again.send_sequel(ref, other, is_fresh=False)
    await again.stop()
    found = [slack.contents[file["id"]] for one in slack.messages for file in one.files]
    assert found == [b"+one", b"+one, two"]


async def test_a_file_that_can_not_be_read_is_named_in_the_thread(slack: FakeSlack, end: SlackFrontEnd) -> None:
    ref = await end.post_card(ROOM, replace(CARD, files=(FileRef("kestra:///gone", "gone.txt"),)), "n1")
    said = await slack.said("could not attach")
    assert said.thread == ref.message
    assert "gone.txt" in slack.text(said)


async def test_what_does_not_fit_continues_in_the_thread(slack: FakeSlack, end: SlackFrontEnd) -> None:
    body = "\n".join(f"line {number}" for number in range(3000))
    ref = await end.post_card(ROOM, replace(CARD, tone="success", body=body), "n1")
    await slack.said("line 2999")
    assert all(one.thread == ref.message for one in slack.messages[1:])
    shown = "\n".join(slack.text(one) for one in slack.messages)
    assert all(f"line {number}" in shown for number in range(0, 3000, 97))


async def test_the_thread_is_filled_although_slack_was_away_for_a_while(slack: FakeSlack, end: SlackFrontEnd) -> None:
    slack.scripts["files.getUploadURLExternal"] = [Refusal(retry_after=0)] * 10
    await end.post_card(ROOM, replace(CARD, body="\n".join("word " * 20 for _ in range(5_000))), "n1")
    await slack.until(lambda: any(one.files for one in slack.messages), "the file")


async def test_a_thread_that_can_not_be_filled_is_counted(slack: FakeSlack, end: SlackFrontEnd) -> None:
    before = REFUSALS.counts.get(("slack", "thread incomplete"), 0)
    slack.scripts["files.getUploadURLExternal"] = [Refusal("missing_scope")]
    await end.post_card(ROOM, replace(CARD, body="\n".join("word " * 20 for _ in range(5_000))), "n1")
    await end.stop()
    assert REFUSALS.counts["slack", "thread incomplete"] == before + 1


async def test_far_too_much_becomes_a_file(slack: FakeSlack, end: SlackFrontEnd) -> None:
    body = "\n".join(f"line {number}" for number in range(100_000))
    await end.post_card(ROOM, replace(CARD, tone="success", body=body), "n1")
    upload = await slack.until(lambda: next((one for one in slack.messages if one.files), None))
    assert upload.files[0]["name"] == "details.md"
    assert b"line 99999" in slack.contents[upload.files[0]["id"]]


async def test_a_running_card_does_not_fill_its_thread_with_every_edit(slack: FakeSlack, end: SlackFrontEnd) -> None:
    ref = await end.post_card(ROOM, CARD, "n1")
    for number in range(3):
        await end.edit_card(ref, replace(CARD, body=f"{number} " + "word " * 5000))
    await end.edit_card(ref, replace(CARD, tone="success", body="final " * 3000))
    await slack.until(lambda: len(slack.messages) == 2)
    await end.stop()
    assert len(slack.messages) == 2


@pytest.mark.parametrize(
    ("script", "sentence", "retry_after", "gone"),
    [
        (Refusal(retry_after=7), "pause of 7 s", 7.0, False),
        (Refusal("not_in_channel"), r"I'm not in <#C1>\. Invite me with `/invite @parley`", None, False),
        (Refusal("channel_not_found"), "Invite me", None, False),
        (Refusal("is_archived"), "is archived. Unarchive it", None, False),
        (Refusal("token_revoked"), "no longer accepts the bot token", 60.0, False),
        (Refusal("message_not_found"), "was deleted", None, True),
        (Refusal("internal_error"), "problem of its own", 5.0, False),
        (Refusal("oops", status=503), "problem of its own", 5.0, False),
        (Refusal(drops=True), "can't be reached", 5.0, False),
        (Refusal("missing_scope"), "lacks the scope", None, False),
    ],
)
async def test_refusals_are_sentences(
    slack: FakeSlack, end: SlackFrontEnd, script: Refusal, sentence: str, retry_after: float | None, gone: bool
) -> None:
    before = RATE_LIMITS.counts.get(("slack",), 0)
    slack.scripts["chat.update"] = [script]
    with pytest.raises(Unreachable, match=sentence) as caught:
        await end.edit_card(MessageRef("slack", "C1", "1.1"), CARD)
    assert (caught.value.retry_after, caught.value.gone) == (retry_after, gone)
    limited = RATE_LIMITS.counts.get(("slack",), 0) - before
    assert limited == (1 if script.retry_after == 7 else 0)
    assert "xoxb" not in str(caught.value)


async def test_a_deleted_message_is_gone_and_a_private_channel_asks_for_an_invitation(
    slack: FakeSlack, end: SlackFrontEnd
) -> None:
    ref = await end.post_card(ROOM, CARD, "n1")
    slack.delete(slack.messages[0])
    with pytest.raises(Unreachable) as caught:
        await end.edit_card(ref, CARD)
    assert caught.value.gone
    with pytest.raises(Unreachable, match="Invite me"):
        await end.post_card(Room("slack", "G1"), CARD, "n2")
    slack.channels["C1"].archived = True
    with pytest.raises(Unreachable, match="archived"):
        await end.post_card(ROOM, CARD, "n3")


async def test_answers_wait_out_a_short_pause(slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk) -> None:
    slack.scripts["response_url"] = [Refusal(retry_after=0)]
    await slack.command("/flow list")
    await slack.said("heard list", user="U1")


async def test_a_notice_is_private_where_the_person_is_and_direct_elsewhere(
    slack: FakeSlack, end: SlackFrontEnd
) -> None:
    await end.notify(ROOM, Notice("info", "for all <!channel>"))
    await end.notify(ROOM, Notice("warning", "for ann"), "slack:U1")
    await end.notify(Room("slack", "G1"), Notice("warning", "elsewhere"), "slack:U2")
    shown = [(slack.text(one).split(" ", 1)[0] and one.channel, one.only) for one in slack.messages]
    assert shown == [("C1", None), ("C1", "U1"), ("DU2", None)]
    assert [one.pings for one in slack.messages] == [[], [], []]


async def test_late_answers_use_the_address_they_came_with(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    await slack.command("/flow list")
    await slack.said("heard list")
    url = desk.heard[0].answer_url
    await end.answer(str(url), Reply(Notice("success", "late but there")))
    assert (await slack.said("late but there")).only == "U1"
    thread = slack.write("t").ts
    await slack.mention("status", thread=thread)
    await slack.said("heard status")
    await end.answer(str(desk.heard[1].answer_url), Reply(Notice("success", "in the thread")))
    said = await slack.said("in the thread")
    assert (said.only, said.thread) == ("U1", thread)
    slack.expire_addresses()
    with pytest.raises(Unreachable, match="time to answer there is over"):
        await end.answer(str(url), Reply(Notice("success", "too late")))


async def test_a_made_up_address_is_never_written_to(connect: Connect, slack: FakeSlack) -> None:
    end = await connect()
    with pytest.raises(Unreachable, match="not Slack's"):
        await end.answer("https://elsewhere.test/x", Reply(Notice("success", "secret")))


async def test_a_task_posts_markdown_by_channel_name(slack: FakeSlack, end: SlackFrontEnd) -> None:
    text = "**Done** <!channel> @here [ok](https://a.test)"
    ref = await end.post(ChatPost("slack", "#ops", text, files=("kestra:///notes.txt",), nonce="p1"))
    assert ref.channel == "C1"
    one = slack.messages[0]
    assert one.pings == []
    assert "*Done*" in slack.text(one)
    assert await end.post(ChatPost("slack", "#ops", text, nonce="p1")) == ref
    upload = await slack.until(lambda: next((one for one in slack.messages if one.files), None))
    assert (upload.thread, upload.files[0]["name"]) == (ref.message, "notes.txt")


async def test_a_task_posts_slacks_own_json(slack: FakeSlack, end: SlackFrontEnd) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "raw <!here>"}}]
    body = {"text": "raw", "blocks": blocks, "token": "stolen", "channel": "C2"}
    await end.post(ChatPost("slack", "C1", body=body, username="flow"))
    one = slack.messages[0]
    assert (one.channel, one.blocks, one.payload["username"]) == ("C1", blocks, "flow")


async def test_nothing_is_posted_before_the_start(slack: FakeSlack) -> None:
    end = SlackFrontEnd("xoxb-1", "xapp-1", base_url=f"{slack.url}/api/")
    with pytest.raises(Unreachable, match="not connected"):
        await end.post_card(ROOM, CARD, "n1")
