"""Linked accounts: codes, their limits, and that votes and four eyes count the person."""

import re
from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.conversation import Person
from bot.people import KnownPerson, Linked, PeopleSection
from bot.policy import ApprovalRule
from engine.store import audit_chain, chat_links
from tests.bot.rig import ANN, BOB, DEV, OPS, PAGE, PLAIN, WEB, Rig

EVE = Person("slack:U9", "Eve", "slack", "<@U9>")
FOUR = (ApprovalRule.model_validate({"approvers": ["anyone"], "four_eyes": "requester"}),)
TWO = (ApprovalRule.model_validate({"approvers": ["anyone"], "need": 2}),)


def code_in(notice):
    return re.search(r"`/flow link ([A-Z2-9]{4}-[A-Z2-9]{4})`", notice.text)[1]


async def link(rig, first=(ANN, OPS), second=(BOB, DEV)):
    return await rig.say(f"link {code_in(await rig.say('link', *first))}", *second)


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path).start(PLAIN)
    yield made
    await made.stop()


async def test_a_code_links_once(rig):
    code = code_in(await rig.say("link"))
    assert (await rig.say(f"link {code}", ANN)).text.startswith("That is your own code")
    code = code_in(await rig.say("link"))
    assert (await rig.say(f"link {code.lower().replace('-', '')}", BOB, DEV)).tone == "success"
    assert "wrong, used or too old" in (await rig.say(f"link {code}", EVE)).text
    for who, room in ((ANN, OPS), (BOB, DEV)):
        assert "`slack:U1`, `discord:7`" in (await rig.say("link list", who, room)).text
    assert "You are also `discord:7`" in (await rig.say("whoami")).text


async def test_links_join_and_come_apart(rig):
    await link(rig)
    await link(rig, (BOB, DEV), (WEB, PAGE))
    who = await rig.desk.office.eligibility.identities.of(WEB.id)
    assert who.id == ANN.id
    assert set(who.accounts) == {ANN.id, BOB.id, WEB.id}
    assert (await rig.say("unlink")).tone == "success"  # the one under which all were counted
    who = await rig.desk.office.eligibility.identities.of(WEB.id)
    assert set(who.accounts) == {BOB.id, WEB.id}
    assert (await rig.say("unlink", BOB, DEV)).tone == "success"
    assert (await rig.say("unlink", WEB, PAGE)).tone == "warning"


async def test_a_code_is_good_for_ten_minutes_and_only_the_last_one(rig):
    first, second = code_in(await rig.say("link")), code_in(await rig.say("link"))
    assert "wrong, used" in (await rig.say(f"link {first}", BOB, DEV)).text
    rig.clock.jump(timedelta(minutes=10))
    assert "wrong, used" in (await rig.say(f"link {second}", BOB, DEV)).text


async def test_guessing_is_slow(rig):
    for _ in range(chat_links.TRIES):
        assert "wrong, used" in (await rig.say("link AAAA-AAAA", BOB, DEV)).text
    code = code_in(await rig.say("link"))
    assert "Too many" in (await rig.say(f"link {code}", BOB, DEV)).text
    assert (await rig.say(f"link {code}", EVE)).tone == "success"  # the code is not used up by who may not try
    rig.clock.jump(timedelta(minutes=11))
    assert (await link(rig)).tone == "success"


async def test_codes_are_written_nowhere_and_links_are_recorded(rig):
    code = code_in(await rig.say("link"))
    await rig.say(f"link {code}", BOB, DEV)
    rows = await rig.engine.database.read(lambda c: list(audit_chain.export(c)))
    assert [row["action"] for row in rows] == ["command", "link code", "command", "link"]
    assert code not in str(rows)
    assert rows[-1]["details"] == {"with": ANN.id}


async def test_the_same_delivery_links_once_and_says_so_again(rig):
    code = code_in(await rig.say("link"))
    for _ in range(2):
        assert (await rig.say(f"link {code}", BOB, DEV, receipt="same")).tone == "success"
    await rig.say("link", receipt="again")
    assert "You have a code already" in (await rig.say("link", receipt="again")).text


async def test_four_eyes_across_two_platforms(tmp_path):
    rig = await Rig(tmp_path, approvals=FOUR).start(PLAIN)
    try:
        card = await rig.asked()
        await link(rig)
        assert (await rig.press(card, "Approve", BOB, DEV)).code == "E22"
        assert (await rig.press(card, "Approve", EVE)).text.startswith("Approved.")
    finally:
        await rig.stop()


async def test_one_person_is_one_vote_whatever_account(tmp_path):
    rig = await Rig(tmp_path, approvals=TWO).start(PLAIN)
    try:
        card = await rig.asked()
        await link(rig)
        for who, room in ((ANN, OPS), (BOB, DEV)):
            assert (await rig.press(card, "Approve", who, room)).text.startswith("Your vote is counted: 1 of 2")
        assert (await rig.press(card, "Approve", EVE)).text.startswith("Approved.")
    finally:
        await rig.stop()


async def test_a_handed_decision_stays_handed_after_linking(tmp_path):
    rig = await Rig(tmp_path, approvals=TWO).start(PLAIN)
    try:
        card = await rig.asked()
        run = (await rig.engine.pause_row(card.entity)).execution_id
        assert (await rig.say(f"delegate {run} slack:U9", BOB, DEV)).tone == "success"
        await link(rig)  # Bob's account is counted under Ann's from now on
        assert "handed this decision" in (await rig.press(card, "Approve", BOB, DEV)).text
    finally:
        await rig.stop()


async def test_the_file_says_who_is_who(tmp_path):
    rig = await Rig(tmp_path).start(PLAIN)
    try:
        known = [
            KnownPerson(name="ann", accounts=(ANN.id, WEB.id), emails=("Ann@Example.com",)),
            KnownPerson(name="bob", accounts=(BOB.id,)),
        ]
        people = Linked(rig.engine.database, known)
        who = await people.of(WEB.id)
        assert (who.id, who.accounts, who.name, who.emails) == (ANN.id, (ANN.id, WEB.id), "ann", ("ann@example.com",))
        rig.desk.office.eligibility.identities = people
        assert "two people" in (await link(rig)).text
        assert (await link(rig, (ANN, OPS), (EVE, OPS))).tone == "success"
        assert set((await people.of(EVE.id)).accounts) == {ANN.id, WEB.id, EVE.id}
    finally:
        await rig.stop()


@pytest.mark.parametrize(
    "known",
    [
        [{"name": "a", "accounts": ["slack:U1"]}, {"name": "b", "accounts": ["slack:U1"]}],
        [{"name": "a", "accounts": ["user:ann"]}],
        [{"name": "a", "accounts": ["slack:U1"], "emails": ["nowhere"]}],
    ],
)
def test_a_file_that_contradicts_itself(known):
    with pytest.raises(ValidationError):
        PeopleSection.model_validate({"known": known})
