"""Schedules on a clock that jumps: dates fire once, missed ones as the trigger says, edits take effect."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import ShiftedClock
from engine.core.state import State
from engine.runtime import Engine
from engine.store import triggers
from tests.runtime.conftest import START
from tests.runtime.marks import registry

HOURLY = """
id: f
namespace: company.team
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: "{{ trigger.date }}"
triggers:
  - id: hourly
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 * * * *"
"""
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def at_rest(engine):
    async with asyncio.timeout(20):
        for _ in range(3):  # an alarm may be on its way from its thread
            while engine.is_busy:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.02)


async def dates(engine):
    """What fired, oldest first."""
    await at_rest(engine)
    found = sorted(await engine.executions(limit=200), key=lambda one: one.id)
    return [datetime.fromisoformat(one.origin.variables["date"]).astimezone(UTC).strftime("%d %H:%M") for one in found]


async def pass_hours(engine, clock, count):
    for _ in range(count):
        clock.jump(timedelta(hours=1))
        await at_rest(engine)


async def test_a_schedule_fires_at_its_dates_and_never_at_once(engine, clock):
    await engine.deploy(HOURLY)
    assert await dates(engine) == []
    await pass_hours(engine, clock, 3)
    assert await dates(engine) == ["02 08:00", "02 09:00", "02 10:00"]
    states = {one.state for one in await engine.executions()}
    assert states == {State.SUCCESS}


async def test_a_long_jump_loses_no_date(engine, clock):
    await engine.deploy(HOURLY)
    await at_rest(engine)
    clock.jump(timedelta(hours=30))
    assert len(await dates(engine)) == 30
    fires = await engine.database.read(lambda c: triggers.fires(c, "company.team/f/hourly"))
    assert len(fires) == 30


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("ALL", ["02 08:00", "02 09:00", "02 10:00", "02 11:00"]),
        ("LAST", ["02 11:00"]),
        ("NONE", []),
    ],
)
async def test_dates_missed_while_the_bot_was_down(settings, mode, expected):
    source = HOURLY.rstrip() + f"\n    recoverMissedSchedules: {mode}\n"
    first = await Engine.open(settings, registry=registry(), clock=ShiftedClock(START))
    await first.start(watch=False)
    await first.deploy(source)
    await at_rest(first)
    await first.stop()
    later = ShiftedClock(START + timedelta(hours=3, minutes=30))
    for _ in range(2):  # a second start finds nothing more to catch up on
        second = await Engine.open(settings, registry=registry(), clock=later)
        await second.start(watch=False)
        assert await dates(second) == expected
        await second.stop()


async def test_a_date_waits_for_the_execution_before_it(engine, clock):
    slow = HOURLY.replace(
        'type: io.kestra.plugin.core.log.Log\n    message: "{{ trigger.date }}"',
        "type: io.kestra.plugin.core.flow.Pause",
    )
    await engine.deploy(slow)
    await pass_hours(engine, clock, 3)
    assert await dates(engine) == ["02 08:00"]
    first = (await engine.executions())[0]
    await engine.resume(first.id, {}, by="a")
    await engine.wait(first.id, timeout=10)
    assert await dates(engine) == ["02 08:00", "02 09:00"]


async def test_no_overlap_survives_a_restart(settings):
    slow = HOURLY.replace(
        'type: io.kestra.plugin.core.log.Log\n    message: "{{ trigger.date }}"',
        "type: io.kestra.plugin.core.flow.Pause",
    )
    clock = ShiftedClock(START)
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(slow)
    await pass_hours(first, clock, 1)
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await pass_hours(second, clock, 2)
        assert await dates(second) == ["02 08:00"]
        await second.kill((await second.executions())[0].id, by="a")
        assert await dates(second) == ["02 08:00", "02 09:00"]
    finally:
        await second.stop()


async def test_an_edit_takes_effect_at_once(engine, clock):
    await engine.deploy(HOURLY)
    await pass_hours(engine, clock, 1)
    await engine.deploy(HOURLY.replace("0 * * * *", "30 * * * *"))
    await pass_hours(engine, clock, 2)
    assert await dates(engine) == ["02 08:00", "02 09:30", "02 10:30"]


async def test_a_disabled_trigger_and_a_disabled_flow_do_not_fire(engine, clock):
    await engine.deploy(HOURLY.rstrip() + "\n    disabled: true\n")
    await engine.deploy(HOURLY.replace("id: f\n", "id: g\ndisabled: true\n", 1))
    await pass_hours(engine, clock, 2)
    assert await dates(engine) == []


async def test_a_trigger_can_be_switched_off_and_on(engine, clock):
    await engine.deploy(HOURLY)
    await at_rest(engine)
    await engine.schedules.toggle("company.team", "f", "hourly", disabled=True)
    await pass_hours(engine, clock, 2)
    assert await dates(engine) == []
    await engine.schedules.toggle("company.team", "f", "hourly", disabled=False)
    await pass_hours(engine, clock, 1)
    assert await dates(engine) == ["02 10:00"]


async def test_stop_after_switches_the_trigger_off(engine, clock):
    await engine.deploy(HOURLY.rstrip() + "\n    stopAfter: [SUCCESS]\n")
    await pass_hours(engine, clock, 3)
    assert await dates(engine) == ["02 08:00"]


async def test_stop_after_counts_what_a_check_made_failed(engine, clock):
    checked = "checks: [{condition: '{{ false }}', message: no, behavior: FAIL_EXECUTION}]\n"
    await engine.deploy(HOURLY.rstrip() + f"\n    stopAfter: [FAILED]\n{checked}")
    await pass_hours(engine, clock, 3)
    assert await dates(engine) == ["02 08:00"]
    assert engine.schedules.is_disabled("company.team/f/hourly")


async def test_dates_that_are_too_late_are_skipped(settings):
    source = HOURLY.rstrip() + "\n    lateMaximumDelay: PT40M\n"
    first = await Engine.open(settings, registry=registry(), clock=ShiftedClock(START))
    await first.start(watch=False)
    await first.deploy(source)
    await at_rest(first)
    await first.stop()
    second = await Engine.open(
        settings, registry=registry(), clock=ShiftedClock(START + timedelta(hours=3, minutes=30))
    )
    await second.start(watch=False)
    assert await dates(second) == ["02 11:00"]
    await second.stop()


async def test_a_condition_that_can_not_be_told_makes_a_failed_execution(engine, clock):
    await engine.deploy(
        HOURLY.rstrip()
        + "\n    conditions:\n      - type: io.kestra.plugin.core.condition.Expression\n"
        + "        expression: '{{ nothing.here }}'\n"
    )
    await pass_hours(engine, clock, 1)
    found = await engine.executions()
    assert [one.state for one in found] == [State.FAILED]
    assert "could not start the flow" in (await engine.logs(found[0].id))[0].message


async def test_inputs_that_do_not_fit_make_a_failed_execution(engine, clock):
    await engine.deploy(HOURLY.replace("tasks:", "inputs:\n  - {id: must, type: INT}\ntasks:", 1))
    await pass_hours(engine, clock, 1)
    found = await engine.executions()
    assert [one.state for one in found] == [State.FAILED]
    assert "missing required input" in (await engine.logs(found[0].id))[0].message


async def test_a_hundred_schedules_due_in_one_second(engine, clock):
    for number in range(100):
        await engine.deploy(HOURLY.replace("id: f\n", f"id: f{number}\n", 1))
    await at_rest(engine)
    clock.jump(timedelta(minutes=1))
    assert await dates(engine) == ["02 08:00"] * 100
