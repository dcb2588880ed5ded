"""Votes, delegations and what is planned for later, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

from engine.store import chat_ladder, chat_votes, pauses
from engine.store.chat_ladder import Rung
from engine.store.chat_votes import Delegation, Vote
from engine.store.pauses import PauseRow

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


async def waiting(database, pause_id="P"):
    row = PauseRow(pause_id, f"E{pause_id}", f"R{pause_id}", "wait", "n", "f", "WAITING", NOW)
    await database.transact(lambda unit: pauses.open_pause(unit.connection, row))


def vote(voter, ballot="yes", minute=0):
    at = NOW + timedelta(minutes=minute)
    return Vote("P", voter, voter, voter.upper(), "slack", ballot, "approved", at, {"values": {"a": 1}}, "0" * 64)


async def test_one_vote_a_person_the_last_word_counts(database):
    await waiting(database)
    for one in (vote("ann"), vote("bob", minute=1), vote("ann", "no", 2)):
        await database.transact(lambda unit, one=one: chat_votes.cast(unit.connection, one))
    found = await database.read(lambda c: chat_votes.votes_on(c, "P"))
    assert found == [vote("bob", minute=1), vote("ann", "no", 2)]
    assert await database.read(lambda c: chat_votes.votes_on(c, "Q")) == []


async def test_a_pause_is_locked_while_it_is_voted_on(database):
    await waiting(database)

    def close_when_two(unit, one):
        if chat_votes.lock(unit.connection, "P") != "WAITING":
            return "late"
        chat_votes.cast(unit.connection, one)
        if len(chat_votes.votes_on(unit.connection, "P")) < 2:
            return "counted"
        pauses.decide(unit.connection, "P", "RESUMED", by=one.person, now=NOW)
        return "decided"

    people = [vote(f"p{n}", minute=n) for n in range(12)]
    said = await asyncio.gather(*(database.transact(lambda unit, one=one: close_when_two(unit, one)) for one in people))
    assert sorted(said) == ["counted", "decided", *["late"] * 10]
    assert len(await database.read(lambda c: chat_votes.votes_on(c, "P"))) == 2
    assert await database.transact(lambda unit: chat_votes.lock(unit.connection, "gone")) is None


async def test_who_hands_a_vote_on_takes_it_back(database):
    await waiting(database)
    await database.transact(lambda unit: chat_votes.cast(unit.connection, vote("ann")))
    for taker in ("bob", "cy"):
        given = Delegation("P", "ann", "Ann", taker, NOW)
        await database.transact(lambda unit, given=given: chat_votes.delegate(unit.connection, given))
    assert await database.read(lambda c: chat_votes.votes_on(c, "P")) == []
    assert await database.read(lambda c: chat_votes.delegations_of(c, "P")) == [given]


def rung(id_, minutes, kind="remind", **more):
    return Rung(id_, "P", kind, NOW + timedelta(minutes=minutes), **more)


async def test_what_is_planned_is_done_once(database):
    await waiting(database)
    steps = [rung("a", 5), rung("b", 10, "escalate", detail={"to": ["anyone"]})]
    assert await database.transact(lambda unit: chat_ladder.plan(unit.connection, steps)) == 2
    assert await database.transact(lambda unit: chat_ladder.plan(unit.connection, steps)) == 0
    assert await database.read(chat_ladder.next_due) == NOW + timedelta(minutes=5)
    late = NOW + timedelta(hours=1)
    assert await database.read(lambda c: chat_ladder.due(c, late, 10)) == steps
    taken = await asyncio.gather(
        *(database.transact(lambda unit: chat_ladder.take(unit.connection, steps[1])) for _ in range(4))
    )
    assert sorted(taken) == [False, False, False, True]
    assert [one.id for one in await database.read(lambda c: chat_ladder.done(c, "P", "escalate"))] == ["b"]
    assert await database.transact(lambda unit: chat_ladder.plan(unit.connection, steps)) == 0
    assert [one.id for one in await database.read(lambda c: chat_ladder.due(c, late, 10))] == ["a"]


async def test_a_snooze_moves_and_what_was_put_off_is_not_done_at_the_old_time(database):
    await waiting(database)
    first = rung("s", 5, "snooze", person="ann")
    later = rung("s", 60, "snooze", person="ann")
    for step in (first, later):
        await database.transact(lambda unit, step=step: chat_ladder.snooze(unit.connection, step))
    assert await database.read(lambda c: chat_ladder.snoozed(c, "P")) == {"ann"}
    assert not await database.transact(lambda unit: chat_ladder.take(unit.connection, first))
    assert await database.transact(lambda unit: chat_ladder.take(unit.connection, later))
    assert await database.read(lambda c: chat_ladder.snoozed(c, "P")) == set()
    assert await database.read(chat_ladder.next_due) is None


async def test_what_belongs_to_decided_pauses_is_forgotten_and_nothing_else(database):
    await waiting(database, "P")
    await waiting(database, "Q")
    await database.transact(lambda unit: chat_votes.cast(unit.connection, vote("ann")))
    await database.transact(lambda unit: chat_ladder.plan(unit.connection, [rung("a", 5)]))
    long_after = NOW + timedelta(days=90)

    def forget(unit):
        chat_votes.forget(unit.connection, long_after)
        chat_ladder.forget(unit.connection, long_after)

    await database.transact(forget)
    assert len(await database.read(lambda c: chat_votes.votes_on(c, "P"))) == 1
    await database.transact(lambda unit: pauses.decide(unit.connection, "P", "KILLED", by="x", now=NOW))
    await database.transact(forget)
    assert await database.read(lambda c: chat_votes.votes_on(c, "P")) == []
    assert await database.read(chat_ladder.next_due) is None
