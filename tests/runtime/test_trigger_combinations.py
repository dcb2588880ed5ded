"""Triggers with everything at once, over restarts of the bot."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import ShiftedClock
from engine.core.state import State
from engine.runtime import Engine
from tests.runtime.conftest import START
from tests.runtime.marks import registry
from tests.runtime.test_schedules import at_rest, dates

CORE = "io.kestra.plugin.core"
MORNINGS = f"""
id: f
namespace: company.team
tasks:
  - id: look
    type: {CORE}.execution.Fail
    condition: "{{{{ trigger.date | date('yyyy-MM-dd') == '2026-03-31' }}}}"
triggers:
  - id: mornings
    type: {CORE}.trigger.Schedule
    cron: "0 9 * * *"
    timezone: Europe/Berlin
    conditions:
      - {{type: {CORE}.condition.Not, conditions: [{{type: {CORE}.condition.Weekend}}]}}
    recoverMissedSchedules: LAST
    lateMaximumDelay: P2D
    stopAfter: [FAILED]
"""


@asynccontextmanager
async def opened(settings, at):
    clock = ShiftedClock(at)
    engine = await Engine.open(settings, registry=registry(), clock=clock)
    await engine.start(watch=False)
    try:
        yield engine, clock
    finally:
        await at_rest(engine)
        await engine.stop()


async def test_a_schedule_with_all_it_may_have_through_a_month(settings):
    async with opened(settings, START) as (engine, clock):
        await engine.deploy(MORNINGS)
        await at_rest(engine)
        clock.jump(timedelta(minutes=1))
        assert await dates(engine) == ["02 08:00"]
    sunday = datetime(2026, 3, 8, 12, tzinfo=UTC)
    async with opened(settings, sunday) as (engine, clock):
        assert await dates(engine) == ["02 08:00"]  # Friday's is the last that was missed, and more than two days late
        await engine.schedules.backfills.start("company.team", "f", "mornings", sunday - timedelta(days=5), sunday)
        made_up = ["04 08:00", "05 08:00", "06 08:00"]
        assert await dates(engine) == ["02 08:00", *made_up]  # nothing at the weekend
        clock.jump(timedelta(days=1))
        assert await dates(engine) == ["02 08:00", *made_up, "09 08:00"]
    async with opened(settings, datetime(2026, 3, 30, 12, tzinfo=UTC)) as (engine, clock):
        assert (await dates(engine))[5:] == ["30 07:00"]  # clocks have changed meanwhile
        for _ in range(3):
            clock.jump(timedelta(days=1))
            await at_rest(engine)
        assert (await dates(engine))[5:] == ["30 07:00", "31 07:00"]
        newest = (await engine.executions(limit=1))[0]
        assert newest.state is State.FAILED


NEEDED = f"""
id: {{id}}
namespace: company.team
tasks: [{{{{id: say, type: {CORE}.debug.Return, format: "{{id}}"}}}}]
outputs: [{{{{id: said, type: STRING, value: "{{{{{{{{ outputs.say.value }}}}}}}}"}}}}]
"""
BOTH = f"""
id: both
namespace: company.team
tasks: [{{id: say, type: {CORE}.log.Log, message: "{{{{ trigger.outputs.said ?? 'nothing' }}}}"}}]
triggers:
  - id: both
    type: {CORE}.trigger.Flow
    preconditions:
      id: done
      timeWindow: {{type: DURATION_WINDOW, window: PT12H}}
      flows:
        - {{namespace: company.team, flowId: a, states: [SUCCESS]}}
        - {{namespace: company.team, flowId: b, states: [SUCCESS]}}
"""


@pytest.mark.parametrize(("later", "started"), [(timedelta(hours=1), 1), (timedelta(hours=13), 0)])
async def test_what_a_window_has_seen_survives_a_restart_and_ends_with_the_window(settings, later, started):
    async def go(engine, flow_id):
        made = await engine.create("company.team", flow_id, {}, started_by="local:ann")
        await engine.wait(made.id, timeout=20)
        await at_rest(engine)

    async def count(engine):
        return sum(one.flow_id == "both" for one in await engine.executions(limit=100))

    async with opened(settings, START) as (engine, _):
        for text in (NEEDED.format(id="a"), NEEDED.format(id="b"), BOTH):
            await engine.deploy(text)
        await go(engine, "a")
        assert await count(engine) == 0
    async with opened(settings, START + later) as (engine, _):
        await go(engine, "b")
        assert await count(engine) == started
        await go(engine, "b")
        assert await count(engine) == started  # what was met is used up
    async with opened(settings, START + later) as (engine, _):
        await go(engine, "a")
        assert await count(engine) == started + 1
