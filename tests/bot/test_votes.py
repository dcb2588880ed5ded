"""Several must agree: votes, vetoes, changes of mind, and what counts as agreement."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.approvals.answering import Shape
from bot.approvals.policy import ApprovalRule
from bot.approvals.votes import NO, ballot, tally
from bot.conversation import Field, Form, Option, Person
from bot.frontend import Unreachable
from engine.core.state import State
from engine.errors import Refused
from engine.store import chat_audit, chat_votes
from engine.store.chat_votes import Vote
from tests.bot.rig import ANN, ASKING, BOB, DEV, OPS, PAGE, PLAIN, WEB, Rig

CY = Person("slack:U3", "Cy", "slack", "<@U3>")
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
KEY = b"k"


# Pure


def rule(**given):
    return ApprovalRule.model_validate({"approvers": ["anyone"], **given})


def vote(voter, said, minute=0):
    return Vote("p", voter, voter, voter, "slack", said, said, NOW + timedelta(minutes=minute))


BOOLEAN = Field("ok", "BOOLEAN", "Ok")
NOTE = Field("note", "STRING", "Note", required=False)
COUNT = Field("count", "INT", "Count", required=False)
YES_NO = Shape("yes_no", "ok")


@pytest.mark.parametrize(
    ("made", "one", "other", "agree"),
    [
        (Shape("plain"), {}, {}, True),
        (YES_NO, {"ok": True, "note": ""}, {"ok": True, "note": "fine"}, True),
        (YES_NO, {"ok": True, "count": 1}, {"ok": True, "count": 2}, False),
        (YES_NO, {"ok": False, "count": 1}, {"ok": False, "count": 2}, True),
        (YES_NO, {"ok": False}, None, True),
        (YES_NO, {"ok": True}, None, False),
        (Shape("choice", "pick", (Option("a", "a"),)), {"pick": "a"}, {"pick": "a", "note": "x"}, True),
        (Shape("choice", "pick", (Option("a", "a"),)), {"pick": "a"}, {"pick": "b"}, False),
        (Shape("form"), {"note": "v1"}, {"note": "v2"}, False),
        (Shape("form"), {"note": "v1", "count": 1}, {"count": 1, "note": "v1"}, True),
    ],
)
def test_which_answers_agree(made, one, other, agree):
    fields = (BOOLEAN, NOTE, COUNT, Field("pick", "SELECT", "Pick"))
    assert (ballot(made, fields, one, KEY) == ballot(made, fields, other, KEY)) is agree


def test_a_ballot_tells_nothing_of_a_secret():
    fields = (Field("token", "SECRET", "Token"),)
    made = ballot(Shape("form"), fields, {"token": "hunter2"}, KEY)
    assert "hunter2" not in made
    assert made != ballot(Shape("form"), fields, {"token": "hunter2"}, b"another key")


def test_one_no_is_a_veto_unless_as_many_are_needed():
    votes = [vote("a", "yes"), vote("b", NO, 1)]
    assert tally(votes, votes[1], rule(need=3), {}).is_decided
    assert not tally(votes, votes[1], rule(need=3, veto="quorum"), {}).is_decided
    assert tally(votes, votes[0], rule(need=3), {}).agree == 1


def test_two_accounts_of_one_person_are_one_vote():
    votes = [vote("slack:U1", "yes"), vote("discord:9", "yes", 1)]
    assert tally(votes, votes[1], rule(need=2), {}).is_decided
    assert not tally(votes, votes[1], rule(need=2), {"slack:U1": "ann", "discord:9": "ann"}).is_decided


PEOPLE = st.sampled_from("abcde")


@given(st.lists(st.tuples(PEOPLE, st.sampled_from(["yes", NO, "choice:x"])), min_size=1), st.integers(1, 5))
def test_it_is_decided_exactly_when_enough_different_people_say_the_same(cast, need):
    last = {}
    for minute, (who, said) in enumerate(cast):
        last[who] = vote(who, said, minute)
    mine = last[cast[-1][0]]
    agree = {who for who, kept in last.items() if kept.ballot == mine.ballot}
    counted = tally(list(last.values()), mine, rule(need=need, veto="quorum"), {})
    assert (counted.agree, counted.is_decided) == (len(agree), len(agree) >= need)


# The whole path


@pytest.fixture
async def two(tmp_path):
    """A bot where two must agree."""
    rig = await Rig(tmp_path, approvals=(rule(need=2),)).start(PLAIN, ASKING)
    yield rig
    await rig.stop()


async def votes_on(rig, card):
    return await rig.engine.database.read(lambda connection: chat_votes.votes_on(connection, card.entity))


async def pause_card(rig, card):
    return (await rig.desk.parts.drawing.pause(card.entity))[0]


async def ended(rig, card):
    return await rig.engine.wait((await rig.engine.pause_row(card.entity)).execution_id, timeout=20)


def fact(card, label):
    return next((one.value for one in card.facts if one.label == label), None)


async def test_the_second_vote_decides_and_every_card_shows_the_meter(two):
    card = await two.asked()
    assert fact(card, "Votes") == "**0 of 2**"
    assert fact(card, "Who may decide") == "anybody; 2 must agree"
    said = await two.press(card, "Approve")
    assert (said.code, said.tone) == ("E23", "success")
    assert said.text == "Your vote is counted: 1 of 2. Waiting for 1 more."
    shown = await two.slack.shows("pause", lambda shown: fact(shown, "Votes") != "**0 of 2**")
    assert fact(shown.card, "Votes") == "**1 of 2** · Ann (Slack): approved"
    assert shown.card.actions == card.actions
    assert (await two.press(card, "Approve")).text.startswith("Your vote is counted: 1 of 2.")
    assert (await two.engine.pause_row(card.entity)).state == "WAITING"
    assert (await two.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")
    assert (await ended(two, card)).state is State.SUCCESS
    done = await two.slack.shows("pause", lambda shown: shown.tone == "success")
    assert fact(done.card, "Votes") == "**2 of 2** · Ann (Slack): approved · Bob (Discord): approved"
    deeds = await two.engine.database.read(lambda connection: chat_audit.about(connection, card.entity))
    assert [(deed.action, deed.person) for deed in deeds] == [
        ("vote", "slack:U1"),
        ("vote", "slack:U1"),
        ("approve", "discord:7"),
    ]
    assert (await two.press(card, "Approve", CY)).code == "E21"


DESIGN = {"approvers": ["slack:U1", "slack:usergroup:design"], "need": 2}


@pytest.mark.parametrize("why", ["out of the group", "gone", "out of the policy"])
async def test_a_vote_counts_only_while_its_voter_may_decide(tmp_path, why):
    rig = await Rig(tmp_path, approvals=(rule(**DESIGN),)).start(PLAIN)
    try:
        rig.slack.groups = {"design": {CY.id, "slack:U4"}}
        card = await rig.asked()
        assert (await rig.press(card, "Approve", CY)).text == "Your vote is counted: 1 of 2. Waiting for 1 more."
        if why == "out of the group":
            rig.slack.groups["design"].discard(CY.id)
        elif why == "gone":
            rig.slack.gone.add(CY.id)
        else:
            rig.approvals = (rule(**{**DESIGN, "approvers": ["slack:U1", "slack:U4"]}),)
            rig = await rig.again()
        assert (await rig.press(card, "Approve")).text == "Your vote is counted: 1 of 2. Waiting for 1 more."
        assert fact(await pause_card(rig, card), "Votes") == "**1 of 2** · Ann (Slack): approved"
        deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, card.entity))
        assert [(deed.action, deed.person) for deed in deeds] == [
            ("vote", CY.id),
            ("vote void", CY.id),
            ("vote", ANN.id),
        ]
        dan = Person("slack:U4", "Dan", "slack")
        assert (await rig.press(card, "Approve", dan)).text.startswith("Approved.")
    finally:
        await rig.stop()


async def test_a_vote_of_somebody_nobody_can_tell_about_now_is_worth_what_it_was(tmp_path):
    rig = await Rig(tmp_path, approvals=(rule(**DESIGN),)).start(PLAIN)
    try:
        rig.slack.groups = {"design": {CY.id}}
        card = await rig.asked()
        await rig.press(card, "Approve", CY)
        away = Unreachable("Slack can't be reached.", retry_after=5)
        rig.slack.refusal = lambda operation: away if operation in ("member", "active") else None
        assert (await rig.press(card, "Approve")).text.startswith("Approved.")
    finally:
        await rig.stop()


async def test_one_no_ends_it(two):
    card = await two.asked()
    await two.press(card, "Approve")
    assert (await two.press(card, "Reject…", BOB, DEV)).text.startswith("Rejected.")
    assert (await ended(two, card)).state is State.KILLED


@pytest.mark.parametrize("turn", range(6))
async def test_the_last_yes_and_a_veto_at_the_same_instant_on_two_platforms_make_one_effect(two, turn):
    card = await two.asked()
    await two.press(card, "Approve", WEB, PAGE)
    presses = [two.press(card, "Approve"), two.press(card, "Reject…", BOB, DEV)]
    said = await asyncio.gather(*(presses if turn % 2 else presses[::-1]))
    yes, no = said if turn % 2 else said[::-1]
    done = await ended(two, card)
    deeds = [one.action for one in await two.engine.database.read(lambda c: chat_audit.about(c, card.entity))]
    if done.state is State.SUCCESS:
        assert (yes.text.partition(".")[0], no.code) == ("Approved", "E21")
        assert deeds == ["vote", "approve"]
    else:
        assert (no.text.partition(".")[0], yes.code) == ("Rejected", "E21")
        assert done.state is State.KILLED
        assert deeds == ["vote", "reject"]
    await two.slack.shows("pause", lambda shown: shown.entity == card.entity and shown.tone != "paused")


async def test_a_vote_may_change_while_it_waits(two):
    two.desk.office.eligibility.rules = (rule(need=2, veto="quorum"),)
    card = await two.asked()
    assert (await two.press(card, "Reject…")).code == "E23"
    assert (await two.press(card, "Approve", BOB, DEV)).text.startswith("Your vote is counted: 1 of 2.")
    assert (await two.press(card, "Approve")).text.startswith("Approved.")
    assert [(one.voter, one.ballot) for one in await votes_on(two, card)] == [("discord:7", "yes"), ("slack:U1", "yes")]


async def test_forms_must_agree_in_all_but_remarks(two):
    card = await two.asked("run picture prompt=x")
    form = await two.press(card, "Answer in form")
    assert isinstance(form, Form)
    assert (await two.fill(form, approve="yes", feedback="nice")).body.code == "E23"
    assert (await two.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")
    assert (await ended(two, card)).outputs == {"result": "yes"}


COUNTED = """
id: counted
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume: [{id: count, type: INT}]
"""


async def test_whoever_answers_otherwise_than_the_others_is_told_so(two):
    await two.engine.deploy(COUNTED)
    card = await two.asked("run counted")
    says = "Your vote is counted: 1 of 2. Waiting for 1 more."
    first = (await two.fill(await two.press(card, "Answer…"), count="3")).body
    assert first.text == says
    form = await two.press(card, "Answer…", BOB, DEV)
    assert (await two.fill(form, BOB, DEV, count="4")).body.text == (
        f"{says} Votes count together when they say the same; another vote answers otherwise."
    )
    form = await two.press(card, "Answer…", CY)
    assert (await two.fill(form, CY, count="5")).body.text.endswith("2 other votes answer otherwise.")
    form = await two.press(card, "Answer…", BOB, DEV)
    assert (await two.fill(form, BOB, DEV, count="3")).body.text.startswith("Answered.")


async def test_twenty_voters_at_once_make_one_effect(two):
    card = await two.asked()
    people = [Person(f"slack:U{n}", f"P{n}", "slack") for n in range(20)]
    said = await asyncio.gather(*(two.press(card, "Approve", who, OPS) for who in people))
    assert sorted(notice.code for notice in said) == ["", *["E21"] * 18, "E23"]
    assert len(await votes_on(two, card)) == 2
    assert (await ended(two, card)).state is State.SUCCESS


async def test_the_same_click_delivered_twice_is_one_vote(two):
    card = await two.asked()
    first = await two.press(card, "Approve", receipt="again")
    assert await two.press(card, "Approve", receipt="again") == first
    await two.again()
    assert await two.press(card, "Approve", receipt="again") == first
    assert len(await votes_on(two, card)) == 1
    assert (await two.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")


async def test_votes_come_from_the_page_and_from_programs_too(two):
    card = await two.asked()
    run = (await two.engine.pause_row(card.entity)).execution_id
    assert (await two.engine.resume(run, {}, by="token:ci")).state is State.PAUSED
    assert (await two.engine.resume(run, {}, by="token:ci")).state is State.PAUSED
    assert [one.voter for one in await votes_on(two, card)] == ["token:ci"]
    assert (await two.say(f"approve {card.entity}", WEB, PAGE)).text.startswith("Approved.")
    assert (await ended(two, card)).state is State.SUCCESS
    with pytest.raises(Refused, match="not paused"):
        await two.engine.resume(run, {}, by="token:ci")


async def test_what_the_card_said_is_kept_as_a_hash_with_each_vote_and_the_decision(two):
    card = await two.asked()
    await two.press(card, "Approve")
    await two.press(card, "Approve", BOB, DEV)
    kept = {one.shown for one in await votes_on(two, card)}
    assert len(kept) == 1
    assert len(kept.copy().pop()) == 64
    deeds = await two.engine.database.read(lambda connection: chat_audit.about(connection, card.entity))
    assert {deed.details["shown"] for deed in deeds} == kept
    other = await two.asked()
    await two.press(other, "Approve")
    assert {one.shown for one in await votes_on(two, other)} != kept


async def test_the_inbox_still_offers_what_lacks_votes(two):
    card = await two.asked()
    await two.press(card, "Approve")
    listing = await two.say("pending", ANN)
    assert len(listing.rows) == 1
