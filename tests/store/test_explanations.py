"""Explanations in the store, on both databases: who asks the model, who waits, how often it was asked."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.store import chat_explanations
from engine.store.chat_explanations import HOUR, Crowded, Explanation, Question

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ALIVE = timedelta(seconds=15)
ROOM = {"platform": "slack", "channel": "C1"}


async def do(database, function, *given):
    return await database.transact(lambda unit: function(unit.connection, *given))


def wanted(owner, run="R1", at=NOW):
    return Explanation(run, 3, "ASKING", owner, "small", "", at, at + ALIVE)


def question(number, person="slack:U1", accounts=("slack:U1",), own=9, whole=9):
    return Question(f"Q{number}", person, accounts, own, whole)


async def test_of_many_at_once_one_asks(database):
    asked = [do(database, chat_explanations.claim, wanted(f"o{n}"), question(n)) for n in range(8)]
    found = await asyncio.gather(*asked)
    assert len({one.owner for one in found}) == 1
    first = found[0]
    assert await do(database, chat_explanations.settle, replace(first, owner="other"), "DONE", "no", NOW) is False
    assert await do(database, chat_explanations.settle, first, "DONE", "It broke.", NOW) is True
    assert await do(database, chat_explanations.settle, first, "DONE", "Again.", NOW) is False
    later = await do(database, chat_explanations.claim, wanted("late", at=NOW + HOUR), question(9))
    assert (later.state, later.text) == ("DONE", "It broke.")


async def test_whose_owner_died_is_taken_over_and_counts_once(database):
    await do(database, chat_explanations.claim, wanted("dead"), question(1, own=1))
    soon, late = NOW + ALIVE - timedelta(seconds=1), NOW + ALIVE
    assert (await do(database, chat_explanations.claim, wanted("a", at=soon), question(2, own=1))).owner == "dead"
    assert await do(database, chat_explanations.overdue, soon) == []
    (dead,) = await do(database, chat_explanations.overdue, late)
    took = await asyncio.gather(
        *(do(database, chat_explanations.take_over, dead, owner, late + ALIVE) for owner in ("b", "c"))
    )
    assert sorted(took) == [False, True]
    alive = await do(database, chat_explanations.find, "R1", 3)
    assert await do(database, chat_explanations.still_asking, alive, late + 2 * ALIVE) is True
    assert await do(database, chat_explanations.still_asking, dead, late + 9 * ALIVE) is False
    after = late + 2 * ALIVE
    assert (await do(database, chat_explanations.claim, wanted("d", at=after), question(3, own=1))).owner == "d"


@pytest.mark.parametrize(("own", "whole", "is_own"), [(2, 9, True), (9, 2, False)])
async def test_questions_are_counted_for_an_hour(database, own, whole, is_own):
    for number in range(2):
        at = NOW + timedelta(minutes=number)
        asked = question(number, "slack:U1" if number else "discord:7", own=own, whole=whole)
        await do(database, chat_explanations.claim, wanted("o", f"R{number}", at), asked)
    both = ("slack:U1", "discord:7")
    last = question(5, accounts=both, own=own, whole=whole)
    full = NOW + HOUR - timedelta(microseconds=1)
    assert await do(database, chat_explanations.claim, wanted("o", "R5", full), last) == Crowded(is_own, NOW + HOUR)
    assert await do(database, chat_explanations.find, "R5", 3) is None
    assert (await do(database, chat_explanations.claim, wanted("o", "R5", NOW + HOUR), last)).owner == "o"


async def test_what_failed_may_be_asked_again_and_counts_again(database):
    first = await do(database, chat_explanations.claim, wanted("o"), question(1, own=1))
    await do(database, chat_explanations.settle, first, "FAILED", "silence", NOW)
    assert isinstance(await do(database, chat_explanations.claim, wanted("p"), question(2, own=1)), Crowded)
    assert (await do(database, chat_explanations.claim, wanted("p"), question(2, own=2))).state == "ASKING"


async def test_who_waits_is_told_once_in_each_place(database):
    one = await do(database, chat_explanations.claim, wanted("o"), question(1))
    for person, room, is_new in (
        ("slack:U1", ROOM, True),
        ("slack:U1", ROOM, False),
        ("slack:U1", {**ROOM, "thread": "1.2"}, True),
        ("discord:7", ROOM, True),
    ):
        assert await do(database, chat_explanations.listen, one, person, room, None) is is_new
    found = await do(database, chat_explanations.waiting, one)
    assert len(found) == 3
    await do(database, chat_explanations.settle, one, "DONE", "It broke.", NOW + ALIVE)
    assert [left.state for left in await do(database, chat_explanations.overdue, NOW + ALIVE)] == ["DONE"]
    for listener in found:
        await do(database, chat_explanations.heard, listener.id)
    assert await do(database, chat_explanations.overdue, NOW + HOUR) == []


async def test_what_is_old_is_forgotten(database):
    one = await do(database, chat_explanations.claim, wanted("o"), question(1))
    await do(database, chat_explanations.forget, NOW + HOUR, NOW + HOUR)
    assert await do(database, chat_explanations.find, "R1", 3) == one, "somebody is at it"
    await do(database, chat_explanations.settle, one, "DONE", "It broke.", NOW)
    await do(database, chat_explanations.forget, NOW + HOUR, NOW)
    assert await do(database, chat_explanations.find, "R1", 3) is not None
    await do(database, chat_explanations.forget, NOW + HOUR, NOW + HOUR)
    assert await do(database, chat_explanations.find, "R1", 3) is None
