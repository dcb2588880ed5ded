"""The machine's clock: whoever waits for a time hears of it when the clock is set, ahead or back."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from engine import clock as clocks
from engine.clock import SharedClock, SystemClock, wait_until
from engine.core.cron import next_after
from engine.dispatch.inline import Timers
from engine.scheduler import Dates, Scheduler

HOUR = timedelta(hours=1)


class SetClock(SystemClock):
    """The machine's clock, which somebody sets."""

    ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(clocks, "LOOK_SECONDS", 0.01)
    return SetClock()


async def heard(clock, by):
    """How often a jump is told."""
    told = []
    forget = clock.on_jump(lambda: told.append(clock.now()))
    clock.ahead += by
    for _ in range(5):
        await next_look(clock)
    forget()
    return len(told)


async def next_look(clock):
    before = clock._next_look
    while clock._next_look is before:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize(("by", "times"), [(HOUR, 1), (-HOUR, 1), (timedelta(days=-400), 1), (HOUR / 36_000, 0)])
async def test_a_jump_is_told_once(clock, by, times, caplog):
    assert await heard(clock, by) == times
    assert caplog.text.count("The clock jumped") == times


async def test_nobody_looks_when_nobody_waits(clock):
    await heard(clock, HOUR)
    assert clock._next_look.cancelled()
    clock.ahead -= HOUR  # which nobody needs to hear
    assert await heard(clock, timedelta(0)) == 0


async def test_who_waits_for_a_time_looks_again_when_the_clock_was_set(clock):
    woken = asyncio.Event()
    waiting = asyncio.create_task(wait_until(clock, clock.now() + HOUR, woken))
    await asyncio.sleep(0)
    clock.ahead = 2 * HOUR
    assert not await asyncio.wait_for(waiting, 20)
    assert await wait_until(clock, clock.now(), woken)


async def test_a_timer_that_was_passed_over_fires(clock):
    timers, fired = Timers(clock), asyncio.Event()
    timers.start()
    timers.set("a", clock.now() + HOUR, fired.set)
    await asyncio.sleep(0)
    clock.ahead = 2 * HOUR
    await asyncio.wait_for(fired.wait(), 20)
    await timers.stop()


async def test_a_schedule_whose_date_was_passed_over_is_told(clock):
    called = asyncio.Queue()
    scheduler = Scheduler(clock, called.put_nowait)
    day = clock.now() + 24 * HOUR
    scheduler.sync({"daily": lambda after: day if after < day else None})
    scheduler.start()
    clock.ahead = 25 * HOUR
    assert await asyncio.wait_for(called.get(), 20) == ["daily"]
    scheduler.stop()


@pytest.mark.parametrize("by", [7 * HOUR / 60, -4 * HOUR / 60])
async def test_machines_that_work_together_go_by_the_clock_they_all_see(by, caplog):
    clock, told = SharedClock(), []
    clock.on_jump(lambda: told.append(clock.now()))
    for _ in range(3):
        clock.shown(datetime.now(UTC) + by, timedelta(seconds=0.01))
        assert abs(clock.now() - datetime.now(UTC) - by) < timedelta(seconds=1)
    assert len(told) == 1  # whoever waits for a time looks again, once
    assert caplog.text.count("database server's, which counts") == 1
    clock.shown(datetime.now(UTC), timedelta(0))  # somebody mended it
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_clock_that_is_right_is_left_alone_and_so_is_one_of_which_nobody_knows_more():
    clock = SharedClock()
    for off, took in [(0.9, 0), (-0.9, 0), (3, 6), (-4, 8)]:
        moment = timedelta(seconds=off)
        clock.shown(datetime.now(UTC) - timedelta(seconds=took) / 2 + moment, timedelta(seconds=took))
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(milliseconds=100)


def test_one_alarm_is_enough_for_all_dates_that_passed():
    dates = Dates(partial(next_after, "* * * * *", zone=UTC), SystemClock())
    now = datetime(2027, 3, 1, 12, 0, 30, tzinfo=UTC)
    assert dates.get_next_fire_time(now - 24 * HOUR, now) == now + timedelta(seconds=30)
    assert dates.get_next_fire_time(now + HOUR, now) == now + HOUR + timedelta(seconds=30)  # the clock was set back


def test_the_date_after_another_is_worked_out_once():
    asked = []
    dates = Dates(lambda after: (asked.append(after), after + HOUR)[1], SystemClock())
    now = datetime(2027, 3, 1, 12, tzinfo=UTC)
    assert {dates.get_next_fire_time(now - HOUR, now) for _ in range(3)} == {now + HOUR}
    assert dates.get_next_fire_time(now + HOUR, now) == now + 2 * HOUR
    assert asked == [now, now + HOUR]


@pytest.mark.parametrize("cron", ["* * * * *", "30 * * * *"])
def test_alarms_go_on_through_an_hour_that_comes_twice(cron):
    start = datetime(2027, 10, 30, 22, tzinfo=UTC)  # Berlin sets its clocks back three hours later
    dates = Dates(partial(next_after, cron, zone=ZoneInfo("Europe/Berlin")), SystemClock())
    alarms = [start]
    for _ in range(5 * 60 if cron == "* * * * *" else 5):
        alarms.append(dates.get_next_fire_time(alarms[-1], start))
    assert alarms == sorted(set(alarms))
    assert alarms[-1] - start == timedelta(hours=5) - timedelta(minutes=0 if cron == "* * * * *" else 30)
