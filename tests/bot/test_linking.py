"""Linked accounts: codes, their limits, and that votes and four eyes count the person."""

import re
from datetime import timedelta

import pytest
from pydantic import ValidationError

from bot.approvals.policy import ApprovalRule
from bot.conversation import Person
from bot.frontend import Unreachable
from bot.people.accounts import KnownPerson, Linked, PeopleSection
from bot.people.roles import Role
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


# By a confirmed address


@pytest.fixture
async def mailed(tmp_path):
    """A bot that links by e-mail: the file gives Bob's Discord account the address that Slack confirms of Ann."""
    rig = await Rig(tmp_path, approvals=FOUR).start(PLAIN)
    known = (KnownPerson(name="ann", accounts=(BOB.id,), emails=("ann@example.com",)),)
    rig.desk.office.eligibility.identities = Linked(rig.engine.database, known, (rig.slack, rig.discord))
    rig.desk.office.eligibility.membership.identities = rig.desk.office.eligibility.identities
    yield rig
    await rig.stop()


async def test_a_confirmed_address_makes_two_accounts_one_person(mailed):
    mailed.slack.emails = {ANN.id: "ann@example.com", EVE.id: "eve@example.com", "slack:W1": "ann@example.com"}
    card = await mailed.asked("run ship", BOB, DEV)
    assert (await mailed.press(card, "Approve", ANN)).code == "E22"
    assert (await mailed.press(card, "Approve", Person("slack:W1", "Ann", "slack"))).code == "E22"
    who = await mailed.desk.office.eligibility.identities.of(ANN.id)
    assert (who.id, who.name) == (BOB.id, "ann")
    assert {ANN.id, BOB.id, "slack:W1"} <= set(who.accounts)
    assert (await mailed.press(card, "Approve", EVE)).text.startswith("Approved.")
    rows = await mailed.engine.database.read(lambda c: list(audit_chain.export(c)))
    joined = [row for row in rows if row["action"] == "link"]
    assert [(row["person"], row["details"]["by"]) for row in joined] == [
        (ANN.id, "a confirmed address"),
        ("slack:W1", "a confirmed address"),
    ]
    assert "ann@example.com" not in str(rows)


async def test_an_address_that_changed_links_no_more(mailed):
    mailed.slack.emails = {ANN.id: "ann@example.com"}
    identities = mailed.desk.office.eligibility.identities
    assert (await identities.of(ANN.id)).id == BOB.id
    mailed.slack.emails = {ANN.id: "ann@elsewhere.example"}
    assert (await identities.of(ANN.id)).accounts == (ANN.id,)
    mailed.slack.emails = {}
    assert (await identities.of(ANN.id)).accounts == (ANN.id,)


async def test_without_an_answer_nothing_is_decided(mailed):
    """Whether they asked for the run themselves can't be told, so they can't approve it now."""
    card = await mailed.asked("run ship", BOB, DEV)
    mailed.slack.refusal = lambda operation: Unreachable("Slack is silent.") if operation == "email" else None
    assert "can't tell now" in (await mailed.press(card, "Approve", ANN)).text
    assert (await mailed.engine.pause_row(card.entity)).state == "WAITING"
    mailed.slack.refusal = lambda operation: None
    mailed.slack.emails = {ANN.id: "ann@example.com"}
    assert (await mailed.press(card, "Approve", ANN)).code == "E22"


async def test_the_file_knows_better_than_an_address(tmp_path):
    rig = await Rig(tmp_path).start(PLAIN)
    try:
        rig.slack.emails = {ANN.id: "team@example.com", EVE.id: "team@example.com"}  # an address of several people
        known = (KnownPerson(name="ann", accounts=(ANN.id,)), KnownPerson(name="eve", accounts=(EVE.id,)))
        people = Linked(rig.engine.database, known, (rig.slack,))
        assert ((await people.of(ANN.id)).name, (await people.of(EVE.id)).name) == ("ann", "eve")
        assert (await people.of(ANN.id)).accounts == (ANN.id,)
        assert (await Linked(rig.engine.database, ()).of(ANN.id)).accounts == (ANN.id,)  # not unless it is allowed
    finally:
        await rig.stop()


async def test_an_administrator_takes_accounts_apart(tmp_path):
    boss = Role.model_validate({"name": "boss", "members": [EVE.id], "may": [{"do": ["manage"]}]})
    rest = Role.model_validate({"name": "rest", "members": ["anyone"], "may": [{"do": ["run"]}]})
    rig = await Rig(tmp_path, roles=(boss, rest)).start(PLAIN)
    try:
        await link(rig)
        assert (await rig.say(f"unlink {BOB.id}", WEB, PAGE)).code == "E04"
        assert (await rig.say(f"unlink {BOB.id}", EVE)).tone == "success"
        assert "linked with no other" in (await rig.say(f"unlink {BOB.id}", EVE)).text
        assert (await rig.desk.office.eligibility.identities.of(ANN.id)).accounts == (ANN.id,)
    finally:
        await rig.stop()


async def test_without_roles_nobody_unlinks_others(rig):
    await link(rig)
    assert "nobody is an administrator" in (await rig.say(f"unlink {BOB.id}", EVE)).text
