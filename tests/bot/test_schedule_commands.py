"""Schedules from chat: said in words, shown before they hold, durable, and single dates skipped or moved."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.spoken_schedules import Spoken, read_schedule
from bot.conversation import Card, Listing, Notice
from bot.people import zones
from bot.texts import answer
from engine.clock import ShiftedClock
from engine.core import cron
from engine.store import chat_audit, chat_messages, triggers
from tests.bot.rig import ANN, BOB, DEV, OPS, Rig

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


async def test_a_schedule_answers_to_the_name_of_its_flow_when_that_has_no_other(timed):
    assert (await timed.say("schedule pause greet")).tone == "success"
    assert "no schedule matches" in (await timed.say("schedule pause ree")).text.lower()


async def test_the_runs_of_a_backfill_are_listed_with_the_dates_they_stand_for(timed):
    start = (timed.clock.now() - timedelta(days=3)).date().isoformat()
    await timed.say(f"schedule backfill greet nightly {start}")
    async with asyncio.timeout(20):
        while not isinstance(told := await timed.say("runs greet"), Listing):
            await asyncio.sleep(0.01)
    assert told.title == "Runs of greet"
    assert told.rows[-1].text.endswith(f"for {start} 03:00 UTC")


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
        ("schedule backfill greet nightly 2099-01-01", "A backfill makes up for what has passed: 2099-01-01"),
        ("schedule backfill greet nightly 2026-01-09 2026-01-05", "is not before 2026-01-05"),
        ("schedule backfill greet", "`/flow schedule backfill pause|continue|stop <id>`"),
        ("schedule greet every monday at 9", "Did you mean `/flow schedule add greet every monday at 9`?"),
        ("schedule stop nightly", "Did you mean `/flow schedule pause nightly`?"),
        ("schedule move nightly +2h", "Did you mean `/flow schedule shift nightly +2h`?"),
        ("schedule nightly", "Did you mean `/flow schedule skip nightly` or `/flow schedule pause nightly`?"),
        ("schedule shift nightly", "Usage: `/flow schedule shift <id> <time> [--date=day]`"),
        ("schedule shift nightly later", "`later` is neither"),
    ],
)
async def test_what_cannot_be_scheduled_says_what_to_do(timed, typed, says):
    said = await timed.say(typed)
    assert isinstance(said, Notice)
    assert says in said.text


async def test_times_are_on_the_clock_of_the_profile_which_no_click_or_command_brings_along(timed):
    ann, bob = replace(ANN, zone=None), BOB
    timed.slack.zones = {ANN.id: "Europe/Berlin"}
    shown = await timed.say('schedule add greet "every day at 9:00" who=x', ann)
    assert len(re.findall(r"09:00 CES?T", shown.text)) == 5
    assert "`Europe/Berlin`" in (await timed.say("whoami", ann)).text
    timed.slack.zones.clear()  # what Slack said holds while it says nothing
    assert "`Europe/Berlin`" in (await timed.say("whoami", ann)).text
    await timed.again()
    assert "`Europe/Berlin`" in (await timed.say("whoami", ann)).text
    assert "`UTC` (the bot's, since Discord tells none)" in (await timed.say("whoami", bob, DEV)).text
    code = re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}", (await timed.say("link", ann)).text)
    await timed.say(f"link {code[0]}", bob, DEV)
    assert "`Europe/Berlin`" in (await timed.say("whoami", bob, DEV)).text


async def test_a_chat_that_does_not_tell_a_zone_holds_nothing_up(timed, monkeypatch):
    async def never(person_id):
        await asyncio.Event().wait()

    monkeypatch.setattr(zones, "PATIENCE", 0.01)
    monkeypatch.setattr(timed.slack, "zone_of", never)
    assert "`UTC`" in (await timed.say("whoami", replace(ANN, zone=None))).text


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("said", "cron"),
    [
        ("every weekday at 9", "0 9 * * 1-5"),
        ("weekdays 9am", "0 9 * * 1-5"),
        ("every day 9:00", "0 9 * * *"),
        ("9am daily", "0 9 * * *"),
        ("at 9 every day", "0 9 * * *"),
        ("Please run every working day at 8.30 pm!", "30 20 * * 1-5"),
        ("every evening at 6", "0 18 * * *"),
        ("every night at 2", "0 2 * * *"),
        ("each tues & thurs at 9h30", "30 9 * * 2,4"),
        ("mon-fri at 9", "0 9 * * 1-5"),
        ("every friday through monday at noon", "0 12 * * 0,1,5,6"),
        ("every weekday except friday at 9", "0 9 * * 1,2,3,4"),
        ("every day at 9, 12 and 17", "0 9,12,17 * * *"),
        ("every 5 min", "*/5 * * * *"),
        ("every half hour on weekdays", "*/30 * * * 1-5"),
        ("every two hours", "0 */2 * * *"),
        ("every 60 minutes", "0 * * * *"),
        ("every hour at 15 past", "15 * * * *"),
        ("every 15 minutes between 9 and 17 on weekdays", "*/15 9-16 * * 1-5"),
        ("every hour from 9am to 5pm", "0 9-17 * * *"),
        ("weekly on monday at 9", "0 9 * * 1"),
        ("on the 1st and 15th of every month at 8", "0 8 1,15 * *"),
        ("last day of the month at 17:00", "0 17 L * *"),
        ("every quarter at 9", "0 9 1 1,4,7,10 *"),
        ("every mon/wed/fri @ 9", "0 9 * * 1,3,5"),
        ("friday 5pm every week", "0 17 * * 5"),
        ("once a week on friday at 5pm", "0 17 * * 5"),
        ("sunday nights at 10", "0 22 * * 0"),
        ("nightly at 2", "0 2 * * *"),
        ("every midnight", "0 0 * * *"),
        ("every 15th at 9", "0 9 15 * *"),
        ("every year on march 1 at 9", "0 9 1 3 *"),
        ("0 9 * * mon-fri", "0 9 * * mon-fri"),
    ],
)
def test_what_colleagues_type_in_any_order_is_read(said, cron):
    assert read_schedule(said, NOW, LONDON) == Spoken(cron)


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("every day at 9am Europe/Berlin", "Europe/Berlin"),
        ("every day at 9 New York time", "America/New_York"),
        ("every day at 9 in Berlin", "Europe/Berlin"),
        ("every day at 9:00 utc", "UTC"),
    ],
)
def test_another_clock_may_be_said(said, zone):
    assert read_schedule(said, NOW, LONDON) == Spoken("0 9 * * *", zone=zone)


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("tomorrow at 9", datetime(2026, 3, 5, 9, tzinfo=BERLIN)),
        ("in two days at 9", datetime(2026, 3, 6, 9, tzinfo=BERLIN)),
        ("friday evening at 6", datetime(2026, 3, 6, 18, tzinfo=BERLIN)),
        ("tonight at 8", datetime(2026, 3, 4, 20, tzinfo=BERLIN)),
        ("5pm", datetime(2026, 3, 4, 17, tzinfo=BERLIN)),
        ("at 9:00", datetime(2026, 3, 5, 9, tzinfo=BERLIN)),
        ("1 december at 9:00", datetime(2026, 12, 1, 9, tzinfo=BERLIN)),
        ("Feb 1st 9am", datetime(2027, 2, 1, 9, tzinfo=BERLIN)),
        ("in 3 days at 9", datetime(2026, 3, 7, 9, tzinfo=BERLIN)),
        ("in half an hour", datetime(2026, 3, 4, 13, 30, tzinfo=BERLIN)),
        ("2 hours from now", datetime(2026, 3, 4, 15, tzinfo=BERLIN)),
        ("the day after tomorrow at noon", datetime(2026, 3, 6, 12, tzinfo=BERLIN)),
        ("2026-12-24 18:00 Europe/London", datetime(2026, 12, 24, 18, tzinfo=LONDON)),
    ],
)
def test_one_moment_is_read_in_many_words(said, when):
    assert read_schedule(said, NOW, BERLIN).at == when


@pytest.mark.parametrize(
    ("said", "asks"),
    [
        ("every second monday at 9", "every other monday, or the second monday of the month"),
        ("biweekly on monday", "twice each time, or every second time"),
        ("monday and thursday at 9", "once, or every week"),
        ("on the 1st at 9", "once, or every month"),
        ("3/4 9:00", "one day here and another there"),
        ("every other monday at 9", "can't count days, weeks or months"),
        ("every 3 days at 9", "can't count days, weeks or months"),
        ("twice a day", "at which times"),
        ("tomorrow afternoon", "at which time"),
        ("mon wed fri at 9", "once, or every week"),
        ("every morning", "at which time in the morning"),
        ("every month", "on which day"),
        ("tomorrow", "at which time"),
        ("every weekday 9", "write `at 9`"),
        ("every day at 9:00 and 17:30", "make one `at 09:00` and another `at 17:30`"),
        ("every 30 seconds", "whole minutes only"),
        ("every day at 9:00 EST", "write `Europe/London`"),
        ("every day at 9:00 Mars/Phobos", "no time zone 'mars/phobos'"),
        ("every february 30 at 9", "month 2 has no day 30"),
        ("every day at half past 9", "write it as `14:30`"),
        (f"every day at {'9 and ' * 500}9", "too long"),
    ],
)
def test_what_could_mean_two_things_is_asked_about(said, asks):
    with pytest.raises(ValueError, match=asks):
        read_schedule(said, NOW, LONDON)


WORDS = re.findall(
    r"\S+",
    "every day weekday monday fri-mon first last 1st 15 31 of the month week year quarter at 9 9:00 12am noon and , "
    "between to - except on in an hour minutes 2 second morning tonight tomorrow london time utc europe/paris march * "
    "0 half past o'clock twice a next this @daily 2026-02-30 3/4 th s",
)


@given(st.lists(st.sampled_from(WORDS), max_size=9))
@settings(max_examples=300, deadline=None)
def test_any_words_are_a_schedule_or_say_what_is_wrong(words):
    try:
        said = read_schedule(" ".join(words), NOW, BERLIN)
    except (ValueError, OverflowError):
        return
    assert bool(said.cron) != (said.at is not None)
    assert not said.cron or cron.expand(said.cron)


@pytest.mark.parametrize(
    ("said", "nth"),
    [
        ("first monday of every month at 9", 1),
        ("every 3rd monday of the month at 9", 3),
        ("last monday of the month at 9", 0),
    ],
)
def test_one_of_the_days_of_a_month(said, nth):
    assert read_schedule(said, NOW, LONDON) == Spoken("0 9 * * 1", nth=nth)


async def test_the_first_monday_of_each_month_and_another_clock(timed):
    shown, done = await add(timed, "schedule add greet 'first monday of every month at 9:00 Europe/Berlin' who=x")
    assert "`0 9 * * 1` on the first such day of a month on the clock of `Europe/Berlin`" in shown.text
    days = [date.fromisoformat(found) for found in re.findall(r"- Mon (\S+) 09:00 CES?T, for you", shown.text)]
    assert len(days) == 5
    assert all(day.day <= 7 and day.weekday() == 0 for day in days)
    assert done.tone == "success"
    (entry,) = own_of(timed)
    assert entry.state.next_date.astimezone(BERLIN).date() == days[0]
    await timed.again()
    (entry,) = own_of(timed)
    dates = await timed.engine.schedules.occurrences.upcoming(entry, 5)
    assert [one.astimezone(BERLIN).date() for one in dates] == days


async def test_what_was_understood_is_said_before_it_holds(timed):
    once = await timed.say("schedule add greet 'monday at 9' who=x")
    assert "That is once:" in once.text
    assert once.text.count("\n- ") == 1
    again = await timed.say("schedule add greet every 2 hours between 9 and 17 who=x", BOB, DEV)
    assert "`0 9-17/2 * * *` on the clock of `UTC`" in again.text
    assert (
        len(re.findall(r"- \d{4}-\d\d-\d\d \d\d:00 UTC", again.text)) == 5
    )  # Discord draws them on the reader's clock


async def test_a_date_is_moved_to_another_time_of_its_day(timed):
    (entry,) = timed.engine.schedules.occurrences.standing()
    before = entry.state.next_date
    assert (await timed.say("schedule shift nightly 10:30")).tone == "success"
    (one,) = own_of(timed)
    there = before.astimezone(LONDON)
    assert one.state.next_date == datetime.combine(there.date(), time(10, 30), LONDON)
