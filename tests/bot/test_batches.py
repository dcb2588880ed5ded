"""Several requests of one flow approved together."""

import json

from bot.approvals.policy import ApprovalRule
from bot.conversation import Card, Notice
from bot.discord.views import listings
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig


def held(body) -> Card:
    """Buttons of an answer, to be pressed."""
    actions = body.actions if isinstance(body, Notice) else tuple(a for row in body.rows for a in row.actions)
    return Card("post", "x", "info", "t", actions=actions)


async def test_all_requests_of_a_flow_are_approved_together_once_they_were_shown(rig):
    await rig.asked()
    await rig.asked()
    await rig.asked("run picture prompt=x")
    inbox = await rig.say("pending", BOB, DEV)
    assert [row.title for row in inbox.rows if row.title.startswith("All")] == ["All of ship"]
    shown = await rig.press(held(inbox), "Approve all…", BOB, DEV)
    assert "Approve these 2 requests of `ship`?" in shown.text
    late = await rig.asked()  # came after what was shown: it is nobody's yes
    other = await rig.press(held(shown), "Approve all 2", ANN, OPS)
    assert "belongs to" in other.text
    done = await rig.press(held(shown), "Approve all 2", BOB, DEV, receipt="same")
    assert done.tone == "success"
    assert done.text.count("Approved.") == 2
    assert [pause.id for pause in await rig.engine.pauses() if pause.flow_id == "ship"] == [late.entity]
    assert await rig.press(held(shown), "Approve all 2", BOB, DEV, receipt="same") == done
    again = await rig.press(held(shown), "Approve all 2", BOB, DEV)
    assert "no longer kept" in again.text


async def test_a_batch_by_command_says_what_each_request_says(rig):
    one, two = await rig.asked(), await rig.asked()
    shown = await rig.say("approve ship --all 'ready to go'")
    await rig.press(two, "Approve", BOB, DEV)
    done = await rig.press(held(shown), "Approve all 2")
    assert done.tone == "warning"
    assert "Approved." in done.text
    assert "Already approved by **Bob**" in done.text
    assert (await rig.engine.pause_row(one.entity)).state == "RESUMED"
    nothing = await rig.say("approve ship --all")
    assert "can be approved by a click" in nothing.text
    assert "All requests of which flow?" in (await rig.say("approve --all")).text


async def test_a_batch_of_one_says_so(rig):
    await rig.asked()
    shown = await rig.say("approve ship --all", BOB, DEV)
    assert shown.text.startswith("Approve this request of `ship`?")
    assert (await rig.press(held(shown), "Approve it", BOB, DEV)).text.count("Approved.") == 1


async def test_a_batch_counts_votes(tmp_path):
    rule = ApprovalRule.model_validate({"approvers": ["anyone"], "need": 2})
    rig = await Rig(tmp_path, approvals=(rule,)).start(PLAIN)
    try:
        cards = [await rig.asked(), await rig.asked()]
        shown = await rig.say("approve ship --all", ANN, OPS)
        counted = await rig.press(held(shown), "Approve all 2", ANN, OPS)
        assert counted.text.count("Your vote is counted: 1 of 2") == 2
        assert {(await rig.engine.pause_row(card.entity)).state for card in cards} == {"WAITING"}
        shown = await rig.say("approve ship --all", BOB, DEV)
        assert (await rig.press(held(shown), "Approve all 2", BOB, DEV)).tone == "success"
        assert {(await rig.engine.pause_row(card.entity)).state for card in cards} == {"RESUMED"}
    finally:
        await rig.stop()


QUESTION = """
id: release
namespace: company.team
inputs:
  - {id: service, type: STRING}
  - {id: notes, type: STRING, defaults: ""}
  - {id: key, type: SECRET, defaults: "hush hush"}
  - id: login
    type: FORM
    inputs:
      - {id: password, type: SECRET, defaults: "hush hush"}
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, description: "Release {{ inputs.service }}?"}
"""


async def test_a_list_with_buttons_says_what_is_asked_by_whom_and_with_what(rig):
    await rig.engine.deploy(QUESTION)
    await rig.asked("run release service=web")
    await rig.asked("run release service='*api*'", BOB, DEV)
    await rig.asked("run picture prompt=x")
    inbox = await rig.say("pending")
    told = [row.text for row in inbox.rows]
    assert told[0].startswith("Release web? \u00b7 by Ann \u00b7 service=web \u00b7 `wait` waits for ")
    assert told[1].startswith("Release \\*api\\*? \u00b7 by Bob \u00b7 service=\\*api\\*")
    assert told[2].startswith("Are you happy? \u00b7 by Ann")
    batch = await rig.press(held(inbox), "Approve all\u2026")
    assert " Release web? \u00b7 by Ann \u00b7 service=web" in batch.text
    assert "hush" not in f"{told}{batch.text}"


async def test_what_anybody_in_a_channel_may_answer_is_not_said_to_be_nothing(tmp_path):
    rig = await Rig(tmp_path, approvals=(ApprovalRule.model_validate({}),)).start(PLAIN)
    try:
        await rig.asked()
        assert len((await rig.say("pending", BOB, OPS)).rows) == 1
        said = await rig.say("pending", BOB, DEV)
        there = "1 more waits for anyone in the channel where its card stands; it is answered there."
        assert said.text == f"Nothing waits for your answer. {there}"
        await rig.asked("run ship", BOB, DEV)
        assert (await rig.say("pending", BOB, DEV)).note.startswith("1 more waits")
    finally:
        await rig.stop()


async def test_each_request_of_the_inbox_has_its_buttons_on_discord_too(rig):
    for number in range(12):
        await rig.asked(f"run picture prompt={number}")
    await rig.asked()
    await rig.asked()
    seen, command = [], "pending"
    while command:
        inbox = await rig.say(command, BOB, DEV)
        drawn = json.dumps(listings.listing(inbox).payload)
        assert all(action.id in drawn for row in inbox.rows for action in row.actions)
        seen += [row.title for row in inbox.rows if not row.title.startswith("All of")]
        command = inbox.more
    assert len(set(seen)) == len(seen) == 14
