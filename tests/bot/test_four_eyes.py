"""Four eyes at every door of the chat: whoever started a run can't say yes, no or anything else to it, in any way."""

import re

import pytest

from bot.approvals.policy import ApprovalRule
from bot.conversation import Card, Form, Listing, Room
from engine.errors import Refused
from tests.bot.rig import ANN, ASKING, BOB, DEV, OPS, Rig

RULE = ApprovalRule.model_validate({"approvers": ["anyone"], "four_eyes": "requester"})
NO = "You started this run, so someone else must approve it (four eyes)."


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path, approvals=(RULE,)).start(ASKING)
    yield made
    await made.stop()


def on_a_card(action):
    return Card("post", "x", "info", "t", actions=(action,))


async def end_of(rig, body):
    """What comes of it in the end: a form is filled and sent."""
    while isinstance(body, Form):
        reply = await rig.fill(body, approve="yes", feedback="fine")
        body = reply.form if hasattr(reply, "errors") else reply.body
    return body


@pytest.mark.parametrize("label", ["Approve", "Reject…", "Answer in form"])
async def test_by_button_and_by_form(rig, label):
    card = await rig.asked("run picture prompt=x")
    said = await end_of(rig, await rig.press(card, label))
    assert (said.code, said.text.startswith(NO)) == ("E22", True)
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"


@pytest.mark.parametrize("line", ["approve last", "reject last no", "answer last approve=true feedback=fine"])
async def test_by_command_in_every_room(rig, line):
    card = await rig.asked("run picture prompt=x")
    rooms = [OPS, Room("slack", "D1", workspace="T1", is_direct=True)]
    for room in rooms:
        said = await end_of(rig, await rig.say(line, ANN, room))
        assert (said.code, said.text.startswith(NO)) == ("E22", True)
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"


async def test_a_form_that_another_opened_is_not_theirs(rig):
    card = await rig.asked("run picture prompt=x")
    form = await rig.press(card, "Answer in form", BOB, DEV)
    assert isinstance(form, Form)
    sent = await rig.fill(form, ANN, OPS, approve="yes", feedback="fine")
    assert "belongs to" in str(sent)
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"


async def test_by_the_inbox(rig):
    for prompt in ("x", "y"):
        await rig.asked(f"run picture prompt={prompt}")
    inbox = await rig.say("pending --all")
    assert isinstance(inbox, Listing)
    buttons = [action for row in inbox.rows for action in row.actions]
    assert [action.label for action in buttons].count("Approve") == 2
    for action in buttons:
        said = await end_of(rig, await rig.press(on_a_card(action), action.label))
        assert said.code == "E22", action.label
    assert (await rig.say("pending")).text == "Nothing waits for your answer."
    assert len(await rig.engine.pauses()) == 2


async def test_in_a_batch(rig):
    for prompt in ("x", "y"):
        await rig.asked(f"run picture prompt={prompt}")
    mine = await rig.say("approve picture --all")
    assert mine.actions == ()
    others = await rig.say("approve picture --all", BOB, DEV)
    assert "belongs to" in (await rig.press(on_a_card(others.actions[0]), others.actions[0].label)).text
    assert len(await rig.engine.pauses()) == 2
    assert (await rig.press(on_a_card(others.actions[0]), others.actions[0].label, BOB, DEV)).text.count(
        "Approved."
    ) == 2


async def test_in_a_batch_it_counts_when_the_button_is_pressed(rig):
    for prompt in ("x", "y"):
        await rig.asked(f"run picture prompt={prompt}")
    shown = await rig.say("approve picture --all", BOB, DEV)
    code = re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}", (await rig.say("link")).text)
    await rig.say(f"link {code[0]}", BOB, DEV)  # they turn out to be one person
    said = await rig.press(on_a_card(shown.actions[0]), shown.actions[0].label, BOB, DEV)
    assert (said.tone, said.text.count(NO)) == ("warning", 2)
    assert len(await rig.engine.pauses()) == 2


async def test_nobody_hands_it_to_whoever_asked(rig):
    card = await rig.asked("run picture prompt=x")
    assert "They started this run" in (await rig.say(f"delegate {card.entity} {ANN.id}", BOB, DEV)).text
    assert (await rig.press(card, "Approve")).code == "E22"
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"


async def test_by_the_engines_own_door(rig):
    card = await rig.asked("run picture prompt=x")
    pause = await rig.engine.pause_row(card.entity)
    with pytest.raises(Refused, match="You started this run"):
        await rig.engine.resume(pause.execution_id, {"approve": True, "feedback": ""}, by=ANN.id)
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"
    assert (await rig.press(card, "Approve", BOB, DEV)).tone == "success"
