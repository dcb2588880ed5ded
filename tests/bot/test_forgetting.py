"""A person is taken out: of the record, of runs, votes, links, drafts, receipts and the room; the chain holds.

On a file and on a server: every table is read as it is kept there, also those that aren't Parley's own.
"""

from datetime import timedelta

import pytest
from sqlalchemy import column, inspect, select, table

from bot.approvals.policy import ApprovalRule
from bot.audit import records
from bot.conversation import Person
from bot.web.room import ChatRoom
from engine.plugin import Selection
from engine.store import audit_chain, chat_explanations, chat_messages, chat_sequels, visits
from engine.store.chat_aliases import Alias, every, own, put
from engine.store.chat_sequels import Sequel
from engine.store.copying import copy_database
from tests.bot.rig import ASKING, BOB, DEV, OPS, PLAIN, Rig
from tests.bot.test_linking import code_in

QUILL = Person("slack:UQ77", "Annabeth Quill", "slack", "<@UQ77>", "Europe/London")
RULE = (ApprovalRule.model_validate({"approvers": ["anyone"], "need": 2, "four_eyes": "none"}),)
EYES = (ApprovalRule.model_validate({"approvers": ["anyone"], "four_eyes": "requester"}),)
TRACES = ("UQ77", "Annabeth", "Quill")


@pytest.fixture(params=["sqlite", "postgres"])
def where(request):
    """What the setting `database` says."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres")


async def kept(rig, words=TRACES):
    """Every row of every table that has one of the words in it: the table's name, and the row as text."""

    def rows(connection):
        look = inspect(connection)
        for name in look.get_table_names():
            columns = [column(one["name"]) for one in look.get_columns(name)]
            for row in connection.execute(select(*columns).select_from(table(name))):
                said = " ".join(str(value) for value in row)
                if any(word in said for word in words):
                    yield name, said

    return await rig.engine.database.read(lambda connection: list(rows(connection)))


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
    await rig.engine.database.transact(lambda unit: explained(unit.connection, run, now))
    return run


def explained(connection, run, now):
    """They asked a model about a run, and it named them."""
    one = chat_explanations.Explanation(run, 3, "ASKING", "o", "small", "", now, now + timedelta(minutes=9))
    asked = chat_explanations.Question("Q1", QUILL.id, [QUILL.id], 9, 9)
    chat_explanations.claim(connection, one, asked)
    chat_explanations.listen(connection, one, QUILL.id, {"platform": "nowhere"}, None)
    chat_explanations.settle(connection, one, "DONE", f"<@UQ77> ({QUILL.name}) typed it wrong.", one.until)


async def test_nothing_is_left_of_somebody(tmp_path, where):
    rig = await Rig(tmp_path, database=where, approvals=RULE).start(PLAIN, ASKING)
    try:
        run = await leave_traces(rig)
        tables = {name for name, _ in await kept(rig)}
        assert {
            "audit_private", "chat_draft", "chat_explanation", "chat_explanation_listener",
            "chat_explanation_question", "chat_person", "chat_receipt", "chat_run", "chat_vote", "execution",
            "own_schedule", "person_link", "room_messages", "web_link", "web_visit",
        } <= tables  # fmt: skip
        gone = await records.forget(rig.engine, QUILL.id)
        assert gone.runs >= 2
        assert gone.under_way == 0
        assert await kept(rig) == []
        if where is None:
            copy_database(tmp_path / "data" / "parley.db", tmp_path / "copy.db")
            assert not any(word.encode() in (tmp_path / "copy.db").read_bytes() for word in TRACES)
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


async def test_a_run_under_way_knows_who_asked_until_it_has_ended(tmp_path, where):
    rig = await Rig(tmp_path, database=where, approvals=EYES).start(PLAIN)
    try:
        card = await rig.asked("run ship", QUILL)
        gone = await records.forget(rig.engine, QUILL.id)
        assert gone.under_way == 1
        assert (await rig.press(card, "Approve", QUILL)).code == "E22"  # four eyes still hold
        assert (await rig.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.engine.wait(run, timeout=20)
        assert (await records.forget(rig.engine, QUILL.id)).under_way == 0
        assert [name for name, _ in await kept(rig) if name != "chat_message"] == []
        assert (await rig.engine.database.read(audit_chain.verify)).is_whole
    finally:
        await rig.stop()


async def test_others_of_a_similar_name_stay(tmp_path, where):
    rig = await Rig(tmp_path, database=where).start(PLAIN)
    try:
        twin = Person("slack:UQ778", "Annabethia", "slack")
        await rig.asked("run ship", twin, OPS)
        await rig.say("list", QUILL)
        assert not (await records.forget(rig.engine, QUILL.id)).is_nothing
        assert await kept(rig, ["slack:UQ778"])
        assert await kept(rig, ["Annabethia"])
    finally:
        await rig.stop()


async def test_the_record_verifies_after_a_purge_before_and_after(tmp_path, where):
    rig = await Rig(tmp_path, database=where).start(PLAIN)
    database, now = rig.engine.database, rig.engine.clock.now()

    async def shipped(person, room):
        card = await rig.asked("run ship", person, room)
        await rig.press(card, "Approve", person, room)
        run = (await rig.engine.pause_row(card.entity)).execution_id
        await rig.engine.wait(run, timeout=20)
        return run

    async def verdict(known=""):
        return await database.read(lambda connection: audit_chain.verify(connection, known))

    try:
        await shipped(QUILL, OPS)
        noted = (await verdict()).head.hash
        assert (await rig.engine.retention.purge(Selection())).executions == 1
        assert (await verdict(noted)).is_whole
        assert not (await records.forget(rig.engine, QUILL.id)).is_nothing
        noted = (await verdict(noted)).head.hash
        await shipped(BOB, DEV)
        assert (await rig.engine.retention.purge(Selection())).executions == 1
        assert (await verdict(noted)).is_whole
        later = now + timedelta(days=1)

        def purge(unit):
            return audit_chain.head(unit.connection).hash, audit_chain.purge(unit.connection, later, now)

        noted, gone = await database.transact(purge)
        assert gone > 0
        assert (await records.verified(rig.engine, noted))["ok"]
        await shipped(BOB, DEV)
        assert (await records.verified(rig.engine, noted))["ok"]
        assert await kept(rig) == []
    finally:
        await rig.stop()


async def test_what_is_owed_to_a_thread_goes_with_its_run(tmp_path, where):
    rig = await Rig(tmp_path, database=where).start(PLAIN)
    database = rig.engine.database
    try:
        card = await rig.asked("run ship")
        run = (await rig.engine.pause_row(card.entity)).execution_id
        waits = (await rig.engine.pause_row((await rig.asked("run ship")).entity)).execution_id
        rows = await database.read(
            lambda c: [row for one in (run, waits) for row in chat_messages.showing(c, execution_id=one)]
        )

        def owe(unit):
            for row in rows:
                chat_sequels.owe(unit.connection, "slack", Sequel(row.id, 1, True))

        await database.transact(owe)
        await rig.press(card, "Approve")
        await rig.engine.wait(run, timeout=20)
        assert (await rig.engine.retention.purge(Selection())).executions == 1
        left = {one.message for one in await database.read(lambda c: chat_sequels.owed(c, "slack"))}
        assert left == {row.id for row in rows if row.execution_id == waits} != set()
    finally:
        await rig.stop()


async def test_an_alias_stays_for_the_others_unless_it_is_about_them(tmp_path, where):
    rig = await Rig(tmp_path, database=where).start(PLAIN)
    database = rig.engine.database
    made = [
        ("go", "run ship", QUILL.id),
        ("hand", "delegate last <@UQ77>", "slack:U1"),
        ("other", "delegate last <@UQ778>", "slack:U1"),
    ]
    try:
        for name, command, person in made:
            one = Alias("slack:T1", name, command, person, rig.engine.clock.now())
            await database.transact(lambda unit, one=one: put(unit.connection, one))
        private = Alias(own(QUILL.id), "mine", "run ship", QUILL.id, rig.engine.clock.now())
        await database.transact(lambda unit: put(unit.connection, private))
        await records.forget(rig.engine, QUILL.id)
        assert await database.read(lambda c: every(c, own(QUILL.id))) == []
        left = await database.read(lambda c: every(c, "slack:T1"))
        assert [(one.name, one.person) for one in left] == [("go", "removed"), ("other", "slack:U1")]
        assert (await rig.say("go")).text.startswith("Started `ship`")
    finally:
        await rig.stop()
