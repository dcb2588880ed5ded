"""What a room sees of runs: cards, threads, the end, or nothing but what must not be missed; flows muted for a time."""

from datetime import timedelta

import pytest

from bot.chat_settings import ChatSettings
from bot.conversation import Listing, Room
from bot.frontend import Unreachable
from engine.store import chat_audit
from tests.bot.rig import ANN, BOB, DEV, OPS, PAGE, PLAIN, Rig

BROKEN = """
id: broken
namespace: company.team
tasks:
  - {id: hello, type: io.kestra.plugin.core.log.Log, message: about to break}
  - {id: breaks, type: io.kestra.plugin.core.execution.Fail, errorMessage: the disk is full}
"""
CALLER = """
id: caller
namespace: company.team
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: ship, wait: true}
"""


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path).start(PLAIN, BROKEN, CALLER)
    yield made
    await made.stop()


def end_of(rig, room):
    return {"slack": rig.slack, "discord": rig.discord, "web": rig.web}[room.platform]


async def finished(rig, flow):
    run = next(run for run in await rig.engine.executions(limit=20) if run.flow_id == flow)
    await rig.engine.wait(run.id, timeout=20)
    return run.id


@pytest.mark.parametrize(("person", "room"), [(ANN, OPS), (BOB, DEV)])
async def test_in_a_thread_the_questions_and_the_log_of_a_run_lie_below_its_card(rig, person, room):
    end = end_of(rig, room)
    await rig.say("settings card=thread", person, room)
    pause = await rig.asked("run ship", person, room)
    card = (await end.shows("run")).ref
    assert card.thread is None
    assert end.of("pause")[0].ref.thread == f"thread of {card.message}"
    await rig.press(pause, "Approve", person, room)
    log = await end.shows("post")
    assert log.ref.thread == f"thread of {card.message}"
    assert "shipped" in log.card.body
    assert log.card.tone == "success"
    assert len(end.of("run")) == 1


async def test_all_has_the_questions_beside_the_card_and_the_log_below_it(rig):
    await rig.say("settings card all")
    await rig.press(await rig.asked(), "Approve")
    log = await rig.slack.shows("post")
    assert rig.slack.of("pause")[0].ref.thread is None
    assert log.ref.thread == f"thread of {rig.slack.of('run')[0].ref.message}"


async def test_by_default_there_is_one_message_a_run_and_no_thread(rig):
    await rig.press(await rig.asked(), "Approve")
    await rig.slack.shows("run", lambda card: card.tone == "success")
    assert (len(rig.slack.of("run")), rig.slack.of("post")) == (1, [])


async def test_the_page_has_no_threads_so_all_comes_to_its_room(rig):
    await rig.say("settings card=thread", BOB, PAGE)
    await rig.press(await rig.asked("run ship", BOB, PAGE), "Approve", BOB, PAGE)
    assert (await rig.web.shows("post")).ref.thread is None


async def test_a_question_of_a_subflow_lies_below_the_card_of_the_outer_run(rig):
    await rig.say("settings card=thread")
    await rig.asked("run caller")
    outer = await rig.slack.shows("run", lambda card: card.title.startswith("caller"))
    assert rig.slack.of("pause")[0].ref.thread == f"thread of {outer.ref.message}"


async def test_a_thread_that_can_not_be_opened_is_the_channel(rig):
    rig.slack.refusal = lambda operation: Unreachable("no right to open threads") if operation == "thread" else None
    await rig.say("settings card=thread")
    await rig.asked()
    assert rig.slack.of("pause")[0].ref.thread is None


async def test_what_a_thread_does_not_take_any_more_comes_to_the_channel(rig):
    original = rig.slack.post_card

    async def post_card(room, card, nonce):
        if room.thread:
            raise Unreachable("the thread is locked")
        return await original(room, card, nonce)

    rig.slack.post_card = post_card
    await rig.say("settings card=thread")
    await rig.press(await rig.asked(), "Approve")
    await rig.slack.shows("post")
    await rig.slack.shows("pause", lambda card: card.tone == "success")
    assert {shown.ref.thread for shown in rig.slack.messages.values()} == {None}
    assert not rig.slack.notices


async def test_a_run_asked_for_in_a_thread_stays_there(rig):
    await rig.say("settings card=thread")
    await rig.asked("run ship", ANN, Room("slack", "C1", "17.5", "T1"))
    assert {shown.ref.thread for shown in rig.slack.messages.values()} == {"17.5"}


async def test_off_shows_questions_all_the_same(rig):
    assert (await rig.say("settings card=off")).text == "From now on here: `card=off`."
    await rig.press(await rig.asked(), "Approve")
    await finished(rig, "ship")
    await rig.slack.shows("pause", lambda card: card.tone == "success")
    assert not rig.slack.of("run")
    assert not rig.slack.notices, "it went well: nobody is told anything"


async def test_off_tells_whoever_started_a_run_that_it_failed(rig):
    await rig.say("settings card=off")
    said = await rig.say("run broken")
    assert "card follows" not in said.text
    room, notice, person = await rig.slack.until(lambda: rig.slack.notices and rig.slack.notices[0])
    assert (room, person) == (OPS, ANN.id)
    assert "failed at **breaks**. the disk is full" in notice.text
    assert [action.label for action in notice.actions] == ["Log", "Retry from here", "Show the run"]
    retried = await rig.press(notice, "Retry from here")
    assert retried.tone == "success"
    await rig.slack.until(lambda: len(rig.slack.notices) == 2)
    assert not rig.slack.of("run")


async def test_a_failure_while_the_bot_was_down_is_told_after_the_start(rig):
    await rig.say("settings card=off")
    await rig.desk.announcer.stop()  # nobody hears the run end
    await rig.say("run broken")
    await finished(rig, "broken")
    assert not rig.slack.notices
    await rig.again()
    await rig.slack.until(lambda: rig.slack.notices)
    assert not rig.slack.of("run")


async def test_a_room_set_to_the_end_has_one_card_then(rig):
    await rig.say("settings card=end")
    card = await rig.asked()
    assert not rig.slack.of("run")
    await rig.press(card, "Approve")
    assert (await rig.slack.shows("run")).card.tone == "success"
    assert len(rig.slack.of("run")[0].versions) == 1


async def test_quiet_holds_for_one_run_and_a_failure_is_told(rig):
    await rig.say("run broken --quiet")
    await rig.slack.until(lambda: rig.slack.notices)
    assert not rig.slack.of("run")


async def test_rooms_are_apart_and_threads_belong_to_their_room(rig):
    await rig.say("settings card=off", ANN, Room("slack", "C1", "17.5", "T1"))
    await rig.asked("run ship", BOB, DEV)
    await rig.discord.shows("run")
    await rig.asked()
    assert not rig.slack.of("run")


async def test_the_setting_survives_a_restart_and_parley_yaml_is_the_default(tmp_path):
    rig = await Rig(tmp_path, ChatSettings.model_validate({"card": False})).start(PLAIN)  # as YAML reads `off`
    try:
        assert any(row.title == "card=off" for row in (await rig.say("settings")).rows)
        await rig.say("settings card=card", ANN)
        await rig.again()
        await rig.asked()
        await rig.asked("run ship", BOB, DEV)
        await rig.slack.shows("run")
        assert not rig.discord.of("run")
    finally:
        await rig.stop()


async def test_a_failing_flow_is_muted_for_a_time_said_recorded_and_unmuted(rig):
    await rig.say("run broken")
    failed = await rig.slack.shows("run", lambda card: card.tone == "danger")
    offered = await rig.press(failed.card, "Mute…")
    said = await rig.press(offered, "8 hours")
    assert "Ann muted `company.team/broken` in this room until" in said.text
    await rig.say("run broken")
    await rig.slack.until(lambda: rig.slack.notices)  # Ann hears of her own run's failure
    assert len(rig.slack.of("run")) == 1
    await rig.again()
    await rig.asked("run ship")  # other flows are as loud as ever
    await rig.slack.shows("run", lambda card: card.title.startswith("ship"))
    listed = await rig.say("settings")
    assert isinstance(listed, Listing)
    muted = next(row for row in listed.rows if row.title.startswith("muted: company.team/broken"))
    assert "unmuted" in (await rig.press(muted, "Unmute")).text
    await rig.say("run broken")
    await rig.slack.until(lambda: len(rig.slack.of("run")) == 3)
    deeds = await rig.engine.database.read(lambda c: chat_audit.about(c, "slack:T1:C1:"))
    assert [(deed.action, deed.flow, deed.person) for deed in deeds] == [
        ("mute", "company.team/broken", ANN.id),
        ("unmute", "company.team/broken", ANN.id),
    ]


async def test_muting_ends_by_itself_and_questions_come_through_it(rig):
    assert "muted `company.team/ship`" in (await rig.say("settings mute ship 1h")).text
    await rig.asked()
    assert not rig.slack.of("run")
    rig.clock.jump(timedelta(hours=2))
    await rig.asked()
    await rig.slack.shows("run")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("settings mute", "Which flow?"),
        ("settings mute ship soon", "I can't read `soon`"),
        ("settings mute ship 1000 days", "at most 90 days"),
        ("settings mute nothing", "No flow matches"),
    ],
)
async def test_muting_says_how_it_is_written(rig, typed, says):
    assert says in (await rig.say(typed)).text


async def test_the_card_of_a_failed_run_has_the_end_of_its_log(rig):
    await rig.say("run broken")
    failed = await rig.slack.shows("run", lambda card: card.tone == "danger")
    assert "```\n" in failed.card.body
    assert "hello: about to break" in failed.card.body
    assert [action.label for action in failed.card.actions] == ["Log", "Retry from here", "Replay", "Mute…"]
