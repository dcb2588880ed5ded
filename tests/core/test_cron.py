from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.cron import CronInvalid, burst, expand, next_after, previous_before

BERLIN = ZoneInfo("Europe/Berlin")
AFTER = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 0 * * 0", "2024-03-03T00:00"),
        ("0 0 * * 7", "2024-03-03T00:00"),
        ("0 0 * * SUN", "2024-03-03T00:00"),
        ("0 0 1 JAN *", "2025-01-01T00:00"),
        ("30 10 * * *", "2024-03-02T10:30"),
        ("31 10 * * *", "2024-03-01T10:31"),
        ("0 12 13 * 5", "2024-03-01T12:00"),  # either the 13th or a Friday
        ("0 12 13 * 1", "2024-03-04T12:00"),
        ("*/20 9-17 * * 1-5", "2024-03-01T10:40"),
        ("@hourly", "2024-03-01T11:00"),
        ("@YEARLY", "2025-01-01T00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
    ],
)
def test_the_next_date(cron, expected):
    assert next_after(cron, AFTER, UTC) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_job_in_a_skipped_hour_runs_once_right_after_it():
    first = next_after("30 2 * * *", datetime(2024, 3, 30, 12, tzinfo=BERLIN), BERLIN)
    second = next_after("30 2 * * *", first, BERLIN)
    assert [first.isoformat(), second.isoformat()] == ["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"]


def test_a_job_in_a_repeated_hour_runs_once():
    first = next_after("30 2 * * *", datetime(2024, 10, 26, 12, tzinfo=BERLIN), BERLIN)
    second = next_after("30 2 * * *", first, BERLIN)
    assert [first.isoformat(), second.isoformat()] == ["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"]


def test_an_hourly_job_runs_in_both_repeated_hours():
    date, seen = datetime(2024, 10, 27, 1, 0, tzinfo=BERLIN), []
    for _ in range(4):
        date = next_after("30 * * * *", date, BERLIN)
        seen.append(date.astimezone(UTC).strftime("%H:%M"))
    assert seen == ["23:30", "00:30", "01:30", "02:30"]


def test_the_zone_of_the_trigger_counts_not_that_of_the_question():
    found = next_after("12 9 1 * *", AFTER, ZoneInfo("America/New_York"))
    assert found.isoformat() == "2024-03-01T09:12:00-05:00"


def test_seconds_come_first():
    at = datetime(2024, 3, 1, 10, 15, 7, tzinfo=UTC)
    assert next_after("*/10 * * * * *", at, UTC, with_seconds=True).second == 10
    assert previous_before("*/10 * * * * *", at, UTC, with_seconds=True).second == 0


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("* * * *", "has 4 fields, but needs 5"),
        ("* * * * * *", "withSeconds: true"),
        ("60 * * * *", "minute field is out of range 0-59"),
        ("* 24 * * *", "hour field"),
        ("* * 0 * *", "day of month field"),
        ("* * * 13 *", "month field"),
        ("* * * * 8", "day of week field"),
        ("@reboot", "there is no @reboot"),
        ("$ * * * *", "is not a number"),
        ("", "has 0 fields"),
        ("1-70 * * * *", "minute field"),
        ("0 0 30 2 *", "it never runs, because month 2 has no day 30"),
        ("0 0 31 APR,JUN *", "it never runs, because month APR,JUN has no day 31"),
    ],
)
def test_a_wrong_cron_says_what_is_wrong(cron, said):
    with pytest.raises(CronInvalid, match=r"invalid cron expression") as caught:
        expand(cron)
    assert said in str(caught.value)


def test_a_date_that_never_comes_is_an_error_or_none():
    with pytest.raises(CronInvalid):
        expand("0 0 31 2 *")


@pytest.mark.parametrize(
    ("cron", "runs", "first", "last", "suggestion"),
    [
        ("* 8 * * *", 60, "8:00", "8:59", "0 8 * * *"),
        ("* 9-17 * * 1-5", 540, "9:00", "17:59", "0 9-17 * * 1-5"),
        ("* 8,20 * * *", 120, "8:00", "20:59", "0 8,20 * * *"),
    ],
)
def test_every_minute_of_an_hour_is_suspicious(cron, runs, first, last, suggestion):
    found = burst(cron)
    assert (found.runs, found.first, found.last, found.suggestion) == (runs, first, last, suggestion)


@pytest.mark.parametrize("cron", ["* * * * *", "0 8 * * *", "*/5 8 * * *", "* */2 * * *", "* 0-23 * * *", "@daily"])
def test_other_crons_are_not(cron):
    assert burst(cron) is None


CRONS = st.sampled_from(
    ["* * * * *", "*/7 * * * *", "15 3 * * *", "0 0 1 * *", "5 4 * * 1,3", "0 12 13 * 5", "59 23 31 12 *"]
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"])


@given(CRONS, ZONES, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_dates_are_strictly_after_and_nothing_lies_between(cron, zone, naive):
    start = naive.replace(tzinfo=UTC)
    found = next_after(cron, start, ZoneInfo(zone))
    assert found > start
    before = previous_before(cron, found, ZoneInfo(zone))
    assert before.astimezone(UTC) <= start + timedelta(hours=1)  # an hour: clocks may have changed in between
    assert before < found


CHANGES = {  # where the hours change: the zone, and a few hours before
    "an hour skipped": ("Europe/Berlin", datetime(2027, 3, 27, 22, tzinfo=UTC)),
    "an hour twice": ("Europe/Berlin", datetime(2027, 10, 30, 22, tzinfo=UTC)),
    "half an hour skipped": ("Australia/Lord_Howe", datetime(2027, 10, 2, 13, tzinfo=UTC)),
    "half an hour twice": ("Australia/Lord_Howe", datetime(2027, 4, 3, 12, tzinfo=UTC)),
}
MINUTE = timedelta(minutes=1)


def watched(start, zone, shows, *, is_fixed):
    """The dates of a cron as somebody finds them who looks at the clock on the wall every minute of two days."""
    found, days = [], set()
    for at in (start + MINUTE * n for n in range(-48 * 60, 48 * 60)):
        wall = at.astimezone(zone)
        if is_fixed and wall.time() >= shows and wall.date() not in days:
            days.add(wall.date())
            found.append(at)
        elif not is_fixed and shows(wall):
            found.append(at)
    return found[1:]  # it may have come before he looked


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("cron", "shows"),
    [
        ("* * * * *", lambda wall: True),
        ("30 * * * *", lambda wall: wall.minute == 30),
        ("*/20 * * * *", lambda wall: wall.minute % 20 == 0),
        ("* 1 * * *", lambda wall: wall.hour == 1),
        ("* 2 * * *", lambda wall: wall.hour == 2),
        ("45 1 * * *", time(1, 45)),
        ("0 2 * * *", time(2)),
        ("15 2 * * *", time(2, 15)),
        ("30 2 * * *", time(2, 30)),
    ],
)
def test_where_the_hours_change_the_clock_on_the_wall_decides(change, cron, shows):
    name, start = CHANGES[change]
    zone = ZoneInfo(name)
    dates = watched(start, zone, shows, is_fixed=isinstance(shows, time))
    for at in (start + MINUTE * n for n in range(0, 7 * 60, 5)):
        assert next_after(cron, at, zone).astimezone(UTC) == next(date for date in dates if date > at)
        assert previous_before(cron, at, zone).astimezone(UTC) == next(date for date in reversed(dates) if date < at)


def test_with_seconds_a_fixed_time_comes_once_too():
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2027, 10, 31, 0, 30, 15, tzinfo=UTC)
    assert next_after("15 30 2 * * *", first - MINUTE, berlin, with_seconds=True) == first.astimezone(berlin)
    assert next_after("15 30 2 * * *", first, berlin, with_seconds=True).day == 1


@pytest.mark.parametrize("cron", ["9" * 5000 + " * * * *", "*/" + "9" * 5000 + " * * * *", "1," * 5000 + "1 * * * *"])
def test_a_long_cron_is_refused_in_few_words(cron):
    with pytest.raises(CronInvalid, match="more than 500 characters") as refused:
        next_after(cron, datetime(2024, 1, 1, tzinfo=UTC), UTC)
    assert len(str(refused.value)) < 200
