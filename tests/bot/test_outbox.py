"""Cards reach the platforms: late, once, in order of what matters, whatever the platforms do."""

import asyncio
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest

from bot.cards.outbox import digest
from bot.cards.pacing import Pace
from bot.chat_port import FrontEndChat
from bot.chat_settings import ChatSettings
from bot.conversation import Room
from bot.frontend import Unreachable
from engine.core.state import State
from engine.errors import TaskFailed
from engine.plugin import ChatPost
from engine.store import chat_messages
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, Rig

CHILD = """
id: parent
namespace: company.team
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: ship, wait: true}
"""


def down(operation):
    return Unreachable("no connection", retry_after=0.05)


async def rows(rig, **which):
    return await rig.engine.database.read(lambda connection: chat_messages.showing(connection, **which))


async def test_a_platform_that_is_down_gets_its_cards_later_and_holds_nobody_up(rig):
    rig.slack.refusal = down
    await rig.say("run ship")
    await rig.say("run ship", BOB, DEV)
    other = (await rig.discord.shows("pause")).card
    await rig.press(other, "Approve", BOB, DEV)
    await rig.discord.shows("pause", lambda card: card.tone == "success")
    assert not rig.slack.messages
    await rig.slack.until(lambda: len(rig.slack.calls) > 4)
    rig.slack.refusal = lambda operation: None
    await rig.slack.shows("pause")
    await rig.slack.shows("run", lambda card: card.tone == "paused")


async def test_a_platform_that_was_down_while_it_was_decided_shows_the_end_at_once(rig):
    card = await rig.asked()
    await rig.slack.shows("run", lambda shown: shown.tone == "paused")
    rig.slack.refusal = down
    await rig.press(card, "Approve", BOB, DEV)
    run = (await rig.engine.pause_row(card.entity)).execution_id
    await rig.engine.wait(run, timeout=20)
    rig.slack.refusal = lambda operation: None
    decided = await rig.slack.shows("pause", lambda shown: shown.tone == "success")
    assert "Bob" in decided.card.body
    await rig.slack.shows("run", lambda shown: shown.tone == "success")
    assert len(decided.versions) == 2, "what happened meanwhile is one edit"


async def test_what_was_not_sent_before_a_restart_is_sent_after_it(rig):
    rig.slack.refusal = down
    await rig.say("run ship")
    run = (await rig.engine.executions())[0].id
    await rig.engine.wait(run, until="ended_or_paused", timeout=20)
    await rig.stop()
    rig.slack.refusal = lambda operation: None
    await rig.start()
    await rig.slack.shows("pause")
    await rig.slack.shows("run", lambda card: card.tone == "paused")
    assert len(rig.slack.of("run")) == 1


async def test_a_post_whose_answer_was_lost_is_not_posted_twice(rig):
    lost = iter([True])

    def answer_lost(operation):
        return None

    rig.slack.refusal = answer_lost
    original = rig.slack.post_card

    async def post_card(room, card, nonce):
        ref = await original(room, card, nonce)
        if next(lost, False):
            raise Unreachable("the answer was lost", retry_after=0.01)
        return ref

    rig.slack.post_card = post_card
    card = await rig.asked()
    await rig.press(card, "Approve")
    await rig.slack.shows("pause", lambda shown: shown.tone == "success")
    await rig.slack.shows("run", lambda shown: shown.tone == "success")
    assert (len(rig.slack.of("pause")), len(rig.slack.of("run"))) == (1, 1)
    assert [operation for operation, _ in rig.slack.calls].count("post") == 3


async def test_a_deleted_message_is_posted_anew(rig):
    card = await rig.asked()
    shown = rig.slack.of("pause")[0]
    del rig.slack.messages[shown.ref.message]
    await rig.press(card, "Approve")
    again = await rig.slack.shows("pause", lambda drawn: drawn.tone == "success")
    assert again.ref.message != shown.ref.message


async def test_what_a_platform_never_takes_is_given_up_and_said_once(rig, caplog):
    rig.slack.refusal = lambda operation: Unreachable("not_in_channel", outside=True) if operation == "post" else None
    said = await rig.say("run ship")
    assert said.tone == "success"
    _, notice, person = await rig.slack.until(lambda: rig.slack.notices and rig.slack.notices[0])
    assert (notice.code, person) == ("E16", ANN.id)
    assert "I'm not in `C1`" in notice.text
    run = (await rig.engine.executions())[0].id
    await rig.engine.wait(run, until="ended_or_paused", timeout=20)
    await rig.slack.until(lambda: len(rig.slack.notices) == 2)
    assert {row.state for row in await rows(rig, execution_id=run)} == {"DEAD"}
    said = [record for record in caplog.records if "does not take" in record.getMessage()]
    assert len(said) == 2, "one for the run's card, one for the pause's"


async def test_what_was_put_off_is_tried_when_the_clock_was_set_back(rig):
    rig.slack.refusal = lambda operation: Unreachable("later", retry_after=300, about="message")
    await rig.say("run ship")
    run = (await rig.engine.executions())[0].id
    await rig.engine.wait(run, until="ended_or_paused", timeout=20)
    while [bool(row.problem) for row in await rows(rig, execution_id=run)] != [True, True]:
        await asyncio.sleep(0.005)
    rig.slack.refusal = lambda operation: None
    rig.clock.jump(timedelta(hours=-5))
    await rig.slack.shows("pause")
    await rig.slack.shows("run", lambda card: card.tone == "paused")


async def test_a_fault_in_a_front_end_does_not_end_the_lane(rig, caplog):
    faults = iter([True])
    original = rig.slack.post_card

    async def post_card(room, card, nonce):
        if next(faults, False):
            raise RuntimeError("a bug")
        return await original(room, card, nonce)

    rig.slack.post_card = post_card
    await rig.say("run ship")
    await rig.slack.shows("pause")
    rig.clock.jump(timedelta(seconds=5))
    await rig.slack.shows("run")


@pytest.fixture
async def defaulted(tmp_path):
    made = await Rig(
        tmp_path, ChatSettings(default_rooms=("discord:900", "slack:#ops"), public_url="https://p.test")
    ).start(PLAIN)
    yield made
    await made.stop()


async def test_a_run_nobody_started_in_chat_asks_in_the_default_rooms_and_both_cards_follow(defaulted):
    await defaulted.engine.create("company.team", "ship", {}, started_by="schedule")
    here = await defaulted.slack.shows("pause")
    there = await defaulted.discord.shows("pause")
    assert (here.room, there.room) == (Room("slack", "#ops"), Room("discord", "900"))
    assert here.card.actions[-1].url.startswith("https://p.test/ui/executions/company.team/ship/")
    assert not defaulted.slack.of("run")
    assert not defaulted.discord.of("run")
    await defaulted.press(here.card, "Approve")
    await defaulted.slack.shows("pause", lambda card: "Approved by Ann** (Slack)" in card.body)
    await defaulted.discord.shows("pause", lambda card: "Approved by Ann** (Slack)" in card.body)


async def test_a_question_of_a_subflow_is_asked_where_the_outer_run_was_started(rig):
    await rig.engine.deploy(CHILD)
    card = await rig.asked("run parent")
    inner = await rig.engine.pause_row(card.entity)
    assert inner.flow_id == "ship"
    port = FrontEndChat(rig.engine, [rig.slack])
    assert port.origin_channel(inner.execution_id) == ("slack", "C1")
    assert port.origin_channel("nothing") is None
    await rig.press(card, "Approve")
    await rig.slack.shows("run", lambda shown: shown.tone == "success")


async def test_a_hundred_pauses_are_all_shown_and_all_decided(rig):
    await asyncio.gather(*(rig.say("run ship --quiet") for _ in range(100)))
    await rig.slack.until(lambda: len(rig.slack.of("pause")) == 100, seconds=60)
    cards = [shown.card for shown in rig.slack.of("pause")]
    said = await asyncio.gather(*(rig.press(card, "Approve") for card in cards))
    assert {notice.tone for notice in said} == {"success"}
    await rig.slack.until(lambda: all(shown.card.tone == "success" for shown in rig.slack.of("pause")), seconds=60)
    assert len(rig.slack.of("pause")) == 100


async def test_a_channel_whose_rate_is_used_up_holds_no_other_up(tmp_path):
    made = await Rig(tmp_path, paces={"discord": Pace("discord")}).start(PLAIN)
    try:
        flooded = [made.say("run ship", BOB, DEV) for _ in range(80)]
        await asyncio.gather(*flooded)
        quiet = Room("discord", "901")
        await made.say("run ship", BOB, quiet)
        await made.discord.until(lambda: any(shown.room == quiet for shown in made.discord.of("run")), seconds=4)
    finally:
        await made.stop()


async def test_nothing_is_drawn_twice_for_the_same_look(rig):
    card = await rig.asked()
    run = (await rig.engine.pause_row(card.entity)).execution_id
    await rig.slack.shows("run", lambda shown: shown.tone == "paused")
    for _ in range(5):
        await rig.desk.announcer.look_at(run)
    await rig.press(card, "Approve")
    await rig.slack.shows("run", lambda shown: shown.tone == "success")
    for shown in rig.slack.messages.values():
        looks = [digest(version) for version in shown.versions]
        assert all(one != other for one, other in pairwise(looks))


class Lagging:
    """A database whose answers to one lane come late: once what they tell of, and the lane is sending, was sent."""

    def __init__(self, lane):
        self.lane, self.database = lane, lane.database
        self.is_late = asyncio.Event()

    async def read(self, query):
        found = await self.database.read(query)
        while isinstance(found, list) and any(row.id in self.lane.sending for row in found):
            self.is_late.set()
            await asyncio.sleep(0.005)
        return found

    async def transact(self, work, **how):
        return await self.database.transact(work, **how)


@pytest.mark.parametrize("refused", [False, True])
async def test_what_was_read_before_a_send_ended_is_not_sent_again(rig, refused):
    lane = rig.desk.outbox.lanes["slack"]
    late = lane.database = Lagging(lane)
    posts, sentences = rig.slack.post_card, rig.slack.notify

    async def slowly(send, *what):
        lane.woken.set()  # somebody wants something: the table is read while this is under way
        await asyncio.wait_for(late.is_late.wait(), 20)
        late.is_late.clear()
        return await send(*what)

    rig.slack.post_card = partial(slowly, posts)
    rig.slack.notify = partial(slowly, sentences)
    if refused:
        rig.slack.refusal = lambda operation: Unreachable("not_in_channel") if operation == "post" else None
    await rig.say("run ship")
    (run,) = await rig.engine.executions()
    await rig.engine.wait(run.id, until="ended_or_paused", timeout=20)
    if refused:
        await rig.slack.until(lambda: len(rig.slack.notices) >= 2)
    else:
        await rig.slack.shows("pause")
        await rig.slack.shows("run", lambda card: card.tone == "paused")
    async with asyncio.timeout(20):
        while lane.sending:
            await asyncio.sleep(0.01)
    posted = [about for operation, about in rig.slack.calls if operation == "post"]
    assert len(posted) == len(set(posted)) == 2
    assert len(rig.slack.notices) == (2 if refused else 0)


@pytest.fixture
async def at_the_end(tmp_path):
    made = await Rig(tmp_path, ChatSettings(card="end")).start(PLAIN)
    yield made
    await made.stop()


async def test_a_card_only_at_the_end_when_that_is_wanted(at_the_end):
    card = await at_the_end.asked()
    assert not at_the_end.slack.of("run")
    await at_the_end.press(card, "Approve")
    shown = await at_the_end.slack.shows("run")
    assert shown.card.tone == "success"


async def test_tasks_post_through_the_front_ends(rig):
    port = FrontEndChat(rig.engine, [rig.slack])
    assert await port.post(ChatPost("slack", "C1", "hello")) == "t1"
    with pytest.raises(TaskFailed, match="not connected to discord"):
        await port.post(ChatPost("discord", "1", "hello"))
    rig.slack.refusal = lambda operation: Unreachable("not_in_channel")
    with pytest.raises(TaskFailed, match=r"not_in_channel.*Invite me"):
        await port.post(ChatPost("slack", "C1", "hello"))
    rig.slack.refusal = lambda operation: Unreachable("slow", retry_after=90)
    with pytest.raises(TaskFailed, match="wants 90 s"):
        await port.post(ChatPost("slack", "C1", "hello"))
    tries = iter([Unreachable("slow", retry_after=0.01)])
    rig.slack.refusal = lambda operation: next(tries, None)
    assert await port.post(ChatPost("slack", "C1", "hello")) == "t2"


async def test_a_replay_is_shown_where_it_was_asked_for(rig):
    card = await rig.asked()
    await rig.press(card, "Approve")
    run = await rig.slack.shows("run", lambda shown: shown.tone == "success")
    await rig.press(run.card, "Replay", BOB, DEV)
    assert (await rig.discord.shows("pause")).room == DEV
    assert (await rig.discord.shows("run")).card.tone in ("running", "paused", "info")


async def test_rooms_of_workspaces_with_threads_are_apart(rig):
    thread = Room("slack", "C1", "17.5", "T1")
    await rig.say("run ship", ANN, thread)
    await rig.say("run ship", ANN, OPS)
    await rig.slack.until(lambda: len(rig.slack.of("pause")) == 2)
    assert {shown.ref.thread for shown in rig.slack.of("pause")} == {"17.5", None}


async def test_the_end_is_reached_by_state(rig):
    card = await rig.asked()
    await rig.press(card, "Approve")
    run = (await rig.engine.pause_row(card.entity)).execution_id
    done = await rig.engine.wait(run, timeout=20)
    assert done.state is State.SUCCESS
    await rig.slack.shows("run", lambda shown: shown.tone == "success")
    states = {row.kind: row.state for row in await rows(rig, execution_id=run)}
    assert set(states) == {"run", "pause"}
