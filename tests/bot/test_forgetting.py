"""A person is taken out: of the record, of runs, votes, links, drafts, receipts and the room; the chain holds."""

import sqlite3
from contextlib import closing

from bot.approvals.policy import ApprovalRule
from bot.audit import records
from bot.conversation import Person
from bot.web.room import ChatRoom
from engine.store import audit_chain, visits
from tests.bot.rig import ASKING, BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_linking import code_in

QUILL = Person("slack:UQ77", "Annabeth Quill", "slack", "<@UQ77>", "Europe/London")
RULE = (ApprovalRule.model_validate({"approvers": ["anyone"], "need": 2, "four_eyes": "none"}),)
EYES = (ApprovalRule.model_validate({"approvers": ["anyone"], "four_eyes": "requester"}),)
TRACES = ("UQ77", "Annabeth", "Quill")


def kept(rig):
    """Every row of every table, as text."""
    with closing(sqlite3.connect(rig.folder / "data" / "parley.db")) as connection:
        return [line for line in connection.iterdump() if any(word in line for word in TRACES)]


async def leave_traces(rig):
    """Everything that Parley writes down of somebody."""
    card = await rig.asked("run ship", QUILL)
    run = (await rig.engine.pause_row(card.entity)).execution_id
    await rig.say("snooze last 1h", QUILL)
    await rig.press(card, "Approve", QUILL)
    await rig.press(card, "Approve", BOB, DEV)
    await rig.engine.wait(run, timeout=20)
    handed = await rig.asked("run ship", BOB, DEV)
    other = (await rig.engine.pause_row(handed.entity)).execution_id
    await rig.say(f"delegate {other} <@U9>", QUILL)
    await rig.say(f"kill {other} no", QUILL)
    await rig.engine.wait(other, timeout=20)
    await rig.say("run picture", QUILL)  # a draft
    await rig.say(f"link {code_in(await rig.say('link', QUILL))}", BOB, DEV)
    await rig.say("delegate last <@UQ77>", BOB, DEV)
    scheduled = await rig.say('schedule add ship "every day at 9:00"', QUILL)
    await rig.press(scheduled, "Schedule it", QUILL)
    room = ChatRoom(rig.engine)
    await room.say(QUILL, "/flow list")
    now = rig.engine.clock.now()

    def sign_in(unit):
        visits.offer(unit.connection, QUILL.id, "code", "/", now)
        visits.begin(unit.connection, "nonce", QUILL.id, now)

    await rig.engine.database.transact(sign_in)
    return run


async def test_nothing_is_left_of_somebody(tmp_path):
    rig = await Rig(tmp_path, approvals=RULE).start(PLAIN, ASKING)
    try:
        run = await leave_traces(rig)
        tables = {line.split('"')[1] for line in kept(rig) if line.startswith("INSERT")}
        assert {
            "audit_private", "chat_draft", "chat_person", "chat_receipt", "chat_run", "chat_vote", "execution",
            "own_schedule", "person_link", "room_messages", "web_link", "web_visit",
        } <= tables  # fmt: skip
        gone = await records.forget(rig.engine, QUILL.id)
        assert gone.runs >= 2
        assert gone.under_way == 0
        assert kept(rig) == []
        assert (await rig.engine.database.read(audit_chain.verify)).is_whole
        told = await rig.engine.execution(run)
        assert told.started_by == "removed"
        assert told.state == "SUCCESS"
        assert (await records.forget(rig.engine, QUILL.id)).is_nothing
        assert "somebody who was removed" in str((await rig.say(f"audit {run}", BOB, DEV)).lines)
        assert (await rig.say(f"restart {run}", BOB, DEV)).text  # what is left can still be worked with
        assert "every day at 9:00" in str(await rig.say("schedule list", BOB, DEV))
    finally:
        await rig.stop()


async def test_a_run_under_way_knows_who_asked_until_it_has_ended(tmp_path):
    rig = await Rig(tmp_path, approvals=EYES).start(PLAIN)
    try:
        card = await rig.asked("run ship", QUILL)
        gone = await records.forget(rig.engine, QUILL.id)
        assert gone.under_way == 1
        assert (await rig.press(card, "Approve", QUILL)).code == "E22"  # four eyes still hold
        assert (await rig.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.engine.wait(run, timeout=20)
        assert (await records.forget(rig.engine, QUILL.id)).under_way == 0
        assert [line for line in kept(rig) if "chat_message" not in line] == []
        assert (await rig.engine.database.read(audit_chain.verify)).is_whole
    finally:
        await rig.stop()


async def test_others_of_a_similar_name_stay(tmp_path):
    rig = await Rig(tmp_path).start(PLAIN)
    try:
        twin = Person("slack:UQ778", "Annabethia", "slack")
        await rig.asked("run ship", twin, OPS)
        await rig.say("list", QUILL)
        assert not (await records.forget(rig.engine, QUILL.id)).is_nothing
        assert any("slack:UQ778" in line for line in kept(rig))
        assert any("Annabethia" in line for line in kept(rig))
    finally:
        await rig.stop()
