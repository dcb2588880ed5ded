"""Schedules from chat: said in words, shown before they hold, durable, and single dates skipped or moved."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.commands.spoken_schedules import Spoken, read_schedule
from bot.conversation import Card, Listing, Notice
from bot.texts import answer
from engine.clock import ShiftedClock
from engine.store import chat_audit, chat_messages, triggers
from tests.bot.rig import BOB, DEV, OPS, Rig

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
LONDON = ZoneInfo("Europe/London")
GREET = """
id: greet
namespace: company.team
inputs:
  - {id: who, type: STRING}
  - {id: key, type: SECRET, required: false}
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "hello {{ inputs.who }}"}
triggers:
  - {id: nightly, type: io.kestra.plugin.core.trigger.Schedule, cron: "0 3 * * *", inputs: {who: night}}
"""


@pytest.mark.parametrize(
    ("said", "cron"),
    [
        ("every weekday at 9:00", "0 9 * * 1-5"),
        ("Every Day at 2pm", "0 14 * * *"),
        ("daily at 9", "0 9 * * *"),
        ("every monday and thursday at 14:30", "30 14 * * 1,4"),
        ("sundays at noon", "0 12 * * 0"),
        ("weekends at 10:15", "15 10 * * 0,6"),
        ("every 15 minutes", "*/15 * * * *"),
        ("every 2 hours", "0 */2 * * *"),
        ("hourly", "0 * * * *"),
        ("every month on the 1st at 8:00", "0 8 1 * *"),
        ("0 9 * * 1-5", "0 9 * * 1-5"),
        ("@daily", "@daily"),
    ],
)
def test_words_become_a_cron_expression(said, cron):
    assert read_schedule(said, NOW, LONDON) == Spoken(cron)


def test_a_moment_comes_once():
    assert read_schedule("tomorrow 14:00", NOW, LONDON).at == datetime(2026, 3, 5, 14, 0, tzinfo=LONDON)
    assert read_schedule("friday at 9:00", NOW, LONDON).at == datetime(2026, 3, 6, 9, 0, tzinfo=LONDON)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("every 7 minutes", "does not come out even"),
        ("every weekday", "at which time"),
        ("every blue moon at 9:00", "can't read"),
        ("every month on the 32nd at 9:00", "no month has"),
        ("yesterday 9:00", "is over"),
        ("61 9 * * *", "invalid cron"),
        ("whenever", "whenever"),
    ],
)
def test_what_is_no_schedule_says_why(said, why):
    with pytest.raises(ValueError, match=why):
        read_schedule(said, NOW, LONDON)


@pytest.fixture
async def timed(tmp_path):
    clock = ShiftedClock()
    made = await Rig(tmp_path, clock=clock).start(GREET)
    yield made
    await made.stop()


def held(body: Notice) -> Card:
    return Card("post", "x", "info", "t", actions=body.actions)


async def add(rig, text: str):
    shown = await rig.say(text)
    assert isinstance(shown, Notice), shown
    assert shown.actions, shown.text
    return shown, await rig.press(held(shown), "Schedule it")


def own_of(rig):
    return [one for one in rig.engine.schedules.occurrences.standing() if one.trigger.id.startswith("chat-")]


async def test_a_schedule_is_shown_before_it_holds_and_outlives_the_bot(timed):
    shown, done = await add(timed, 'schedule add greet "every weekday at 9:00" who=team')
    assert shown.text.count("\n- ") == 5
    assert len(re.findall(r"09:00 (?:GMT|BST)", shown.text)) == 5
    assert done.tone == "success"
    assert "no longer kept" in (await timed.press(held(shown), "Schedule it")).text
    (entry,) = own_of(timed)
    assert entry.state.next_date.astimezone(LONDON).hour == 9
    await timed.engine.deploy(GREET.replace("hello", "good morning"))
    await timed.again()
    (again,) = own_of(timed)
    assert again.trigger.inputs == {"who": "team"}
    assert again.state.next_date == entry.state.next_date
    listing = await timed.say("schedule", BOB, DEV)
    assert isinstance(listing, Listing)
    assert [row.title.split()[1] for row in listing.rows if "every weekday" in row.text] == [entry.trigger.id]
    assert (
        "belongs to"
        in (await timed.press(held(await timed.say("schedule add greet hourly who=x")), "Schedule it", BOB, DEV)).text
    )
    gone = await timed.say(f"schedule delete {entry.trigger.id}")
    assert gone.tone == "success"
    assert own_of(timed) == []
    await timed.again()
    assert own_of(timed) == []


async def test_one_date_starts_one_run_with_what_was_given(timed):
    await add(timed, "schedule add greet 'in 2 minutes' who=once")
    (entry,) = own_of(timed)
    timed.clock.jump_to(entry.state.next_date + timedelta(seconds=2))
    async with asyncio.timeout(30):
        while not await timed.engine.executions():
            await asyncio.sleep(0.05)
    await timed.again()  # the date is taken, and stays so
    (run,) = await timed.engine.executions()
    assert run.inputs["who"] == "once"
    assert run.origin.id == entry.trigger.id
    assert len(await timed.engine.database.read(lambda c: triggers.fires(c, entry.key))) == 1
    listing = await timed.say("schedule list")
    assert [row.title for row in listing.rows] == ["company.team/greet nightly"]


async def quiet(rig):
    """Whether some run was kept out of its room, and is over."""
    runs = [run.id for run in await rig.engine.executions()]
    shown = [await rig.engine.database.read(lambda c, of=of: chat_messages.showing(c, execution_id=of)) for of in runs]
    return any(row.kind == "word" and row.state == "FINAL" for rows in shown for row in rows)


async def test_what_a_schedule_starts_shows_in_the_room_where_it_was_added(timed):
    async def due(who):
        before = {one.trigger.id for one in own_of(timed)}
        await add(timed, f"schedule add greet 'in 2 minutes' who={who}")
        (entry,) = [one for one in own_of(timed) if one.trigger.id not in before]
        timed.clock.jump_to(entry.state.next_date + timedelta(seconds=2))

    await due("team")
    shown = await timed.slack.shows("run", lambda card: card.tone == "success")
    assert shown.room == OPS
    await timed.say("settings mute greet 1d")
    await due("again")
    async with asyncio.timeout(30):
        while len(await timed.engine.database.read(chat_messages.live_executions)) or not await quiet(timed):
            await asyncio.sleep(0.05)
    assert len(timed.slack.of("run")) == 1
    await timed.say("settings unmute greet")
    await due("loud")
    await timed.slack.until(lambda: len(timed.slack.of("run")) == 2)


async def test_the_next_date_is_skipped_and_another_moved(timed):
    occurrences = timed.engine.schedules.occurrences

    def nightly():
        return next(entry for entry in occurrences.standing() if entry.trigger.id == "nightly")

    before = await occurrences.upcoming(nightly(), 3)
    said = await timed.say("schedule skip nightly")
    assert said.tone == "success", said.text
    assert nightly().state.next_date == before[1]
    moved = await timed.say("schedule shift nightly +2h")
    assert moved.tone == "success", moved.text
    (one,) = own_of(timed)
    assert one.state.next_date == before[1] + timedelta(hours=2)
    assert one.trigger.inputs == {"who": "night"}
    fires = await timed.engine.database.read(lambda c: triggers.fires(c, nightly().key))
    assert fires == [(before[0], None), (before[1], None)]
    assert await occurrences.upcoming(nightly(), 1) == [before[2]]


async def test_a_schedule_pauses_and_goes_on_and_makes_up(timed):
    assert (await timed.say("schedule pause nightly")).tone == "success"
    listing = await timed.say("schedule list")
    assert "paused" in listing.rows[0].text
    assert (await timed.say("schedule resume nightly")).tone == "success"
    start = (timed.clock.now() - timedelta(days=2)).date().isoformat()
    said = await timed.say(f"schedule backfill greet nightly {start}")
    assert said.tone == "success", said.text
    async with asyncio.timeout(20):
        while not (runs := await timed.engine.executions()):
            await asyncio.sleep(0.01)
    assert {run.flow_id for run in runs} == {"greet"}


async def test_a_backfill_is_held_goes_on_and_is_given_up(timed):
    await timed.say(f"schedule backfill greet nightly {(timed.clock.now() - timedelta(days=300)).date().isoformat()}")
    for word, says in (("pause", "pauses"), ("continue", "goes on"), ("stop", "is given up")):
        said = await timed.say(f"schedule backfill {word} nightly", receipt=word)
        assert says in said.text
        assert await timed.say(f"schedule backfill {word} nightly", receipt=word) == said
    assert "There is no backfill" in (await timed.say("schedule backfill stop nightly")).text
    told = await timed.engine.database.read(lambda c: chat_audit.about(c, ""))
    assert [deed.action for deed in told] == [
        "schedule backfill", "schedule backfill pause", "schedule backfill continue", "schedule backfill stop",
    ]  # fmt: skip


class RunnersOnly:
    """Everybody may run, nobody may manage."""

    async def refuse(self, asked, *, fresh=True):
        return (
            answer("E04", do="manage", flow=asked.flow, role="a manager", owners="Zoe")
            if asked.deed == "manage"
            else None
        )

    def describe(self):
        return ""


async def test_what_others_schedule_is_for_those_who_manage_the_flow(tmp_path):
    rig = await Rig(tmp_path, permissions=RunnersOnly()).start(GREET)
    try:
        for typed in ("skip nightly", "shift nightly +1h", "pause nightly", "backfill greet nightly 2026-01-01"):
            assert (await rig.say(f"schedule {typed}")).code == "E04"
        await add(rig, "schedule add greet hourly who=x")
        (mine,) = own_of(rig)
        assert (await rig.say(f"schedule delete {mine.trigger.id}", BOB, DEV)).code == "E04"
        assert (await rig.say(f"schedule delete {mine.trigger.id}")).tone == "success"
    finally:
        await rig.stop()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("schedule dd greet", "Did you mean `add`"),
        ("schedule add greet", "Which flow, and when"),
        ("schedule add gret hourly who=x", "Closest"),
        ("schedule add greet 'every 7 hours' who=x", "does not come out even"),
        ("schedule add greet hourly", "`who` is required"),
        ("schedule add greet hourly who=x key=y", "Don't type secrets"),
        ("schedule add greet hourly who='{{ secret(1) }}'", "expressions are written in flows"),
        ("schedule add greet hourly what=x", "has no input"),
        ("schedule skip nigtly", "Did you mean `nightly`"),
        ("schedule skip nightly someday", "neither"),
        ("schedule delete nightly", "stands in the file"),
        ("schedule backfill greet nope 2026-01-01", "no schedule `nope`"),
    ],
)
async def test_what_cannot_be_scheduled_says_what_to_do(timed, typed, says):
    said = await timed.say(typed)
    assert isinstance(said, Notice)
    assert says in said.text
