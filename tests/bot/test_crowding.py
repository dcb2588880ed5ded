"""One person who sends too much is told so, and keeps nobody else waiting."""

import asyncio
import re
from datetime import timedelta

import pytest

from bot.chat_settings import ChatSettings
from bot.commands.crowding import REMEMBERED, Crowding
from bot.conversation import Listing, Notice
from engine.store import audit_chain
from tests.bot.rig import ANN, ASKING, BOB, DEV, PLAIN, Rig


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path, settings=ChatSettings(per_person=10)).start(PLAIN, ASKING)
    yield made
    await made.stop()


async def test_what_is_too_much_is_refused_with_a_sentence_and_not_done(rig):
    answers = [await rig.say("run ship", receipt=f"c{n}") for n in range(5)]
    assert [isinstance(one, Notice) and one.code == "E27" for one in answers] == [False, False, True, True, True]
    assert "more than 10" in answers[2].text
    assert re.search(r"send it again in [1-6] s", answers[2].text)
    assert len(await rig.engine.executions()) == 2
    await asyncio.gather(*rig.desk.deliveries._later)
    rows = await rig.engine.database.read(lambda c: list(audit_chain.export(c)))
    refused = [(row["person"], row["details"]["code"]) for row in rows if row["action"] == "refused"]
    assert set(refused) == {(ANN.id, "E27")}
    assert len(refused) < 3, "one a minute is enough"
    other = await rig.say("list", BOB, DEV)
    assert isinstance(other, Listing)
    again = await rig.say("run ship", receipt="c0")  # a copy of one that was counted
    assert again == answers[0]
    rig.clock.jump(timedelta(seconds=6))
    assert not (isinstance(taken := await rig.say("run ship", receipt="c2"), Notice) and taken.code == "E27")
    assert len(await rig.engine.executions()) == 3


async def test_a_clock_that_was_set_back_keeps_nobody_out(rig):
    await rig.say("list")
    rig.clock.jump(timedelta(hours=-5))
    assert isinstance(await rig.say("list"), Listing)
    assert re.search(r"send it again in [1-6] s", (await rig.say("list")).text)
    rig.clock.jump(timedelta(seconds=6))
    assert isinstance(await rig.say("list"), Listing)


async def test_buttons_and_filled_forms_are_always_taken(rig):
    card = await rig.asked("run picture prompt=fox", ANN)
    form = await rig.press(card, "Reject\u2026")
    await rig.say("list")
    assert (await rig.say("list")).code == "E27"
    reply = await rig.fill(form, feedback="no")
    assert getattr(reply.body, "code", "") != "E27"


def test_the_first_refusal_of_each_minute_is_told_apart():
    counted = Crowding(60)
    first = [counted.is_first(who, now) for who, now in (("a", 0.0), ("a", 59.0), ("b", 59.0), ("a", 60.0))]
    assert first == [True, False, True, True]
    for number in range(REMEMBERED + 5):
        counted.is_first(str(number), 0.0)
    assert len(counted.refused) <= REMEMBERED


def test_without_a_limit_nobody_is_counted():
    free = Crowding(0)
    assert [free.wait("a", 0.0) for _ in range(1000)] == [0.0] * 1000
    assert free.buckets == {}


def test_no_more_people_are_remembered_than_that():
    counted = Crowding(60)
    for number in range(REMEMBERED + 5):
        counted.wait(str(number), 0.0)
    assert len(counted.buckets) <= REMEMBERED
