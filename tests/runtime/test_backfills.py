"""Backfills: dates made up for one at a time, then the schedule goes on where it was."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from engine.core.state import State
from engine.errors import InputInvalid, NotFound, Refused
from engine.runtime import Engine
from engine.store import triggers
from tests.runtime.marks import registry
from tests.runtime.test_schedules import HOURLY, at_rest, dates, pass_hours
from tests.wire.loopback import Answered, serving

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
WAITING = HOURLY.replace(
    'type: io.kestra.plugin.core.log.Log\n    message: "{{ trigger.date }}"',
    "type: io.kestra.plugin.core.flow.Pause",
)


def at(hour):
    return MIDNIGHT + timedelta(hours=hour)


async def test_every_date_between_two_others_and_then_the_next(engine, clock):
    await engine.deploy(HOURLY)
    made = await engine.schedules.backfills.start("company.team", "f", "hourly", at(3), at(6))
    assert made.current == at(3)
    assert await dates(engine) == ["02 03:00", "02 04:00", "02 05:00", "02 06:00"]
    assert engine.schedules.backfills.of("company.team", "f", "hourly") is None
    assert [entry.state.next_date for entry in engine.schedules.occurrences.standing()] == [at(8)]
    await pass_hours(engine, clock, 1)
    assert (await dates(engine))[-1] == "02 08:00"


async def test_a_date_that_fired_before_fires_again(engine, clock):
    await engine.deploy(HOURLY)
    await pass_hours(engine, clock, 2)
    for _ in range(2):
        await engine.schedules.backfills.start("company.team", "f", "hourly", at(8), at(9))
        await at_rest(engine)
    assert sorted(await dates(engine)) == ["02 08:00"] * 3 + ["02 09:00"] * 3


async def test_one_execution_at_a_time_and_the_regular_dates_wait(engine, clock):
    await engine.deploy(WAITING.rstrip() + "\n    allowConcurrent: true\n")
    await engine.schedules.backfills.start("company.team", "f", "hourly", at(3), at(4))
    await pass_hours(engine, clock, 1)
    assert await dates(engine) == ["02 03:00"]
    newest = (await engine.executions(limit=1))[0]
    await engine.resume(newest.id, {}, by="a")
    await engine.wait(newest.id, timeout=10)
    assert await dates(engine) == ["02 03:00", "02 04:00", "02 08:00"]


async def test_inputs_and_labels_come_on_top(engine):
    await engine.deploy(
        HOURLY.replace("tasks:", "inputs:\n  - {id: a, type: STRING}\n  - {id: b, type: INT, defaults: 1}\ntasks:", 1)
        + '    inputs: {a: "{{ trigger.date }}"}\n    labels: {from: trigger}\n'
    )
    await engine.schedules.backfills.start(
        "company.team", "f", "hourly", at(3), at(3), inputs={"b": 7}, labels=[("why", "gap")]
    )
    await at_rest(engine)
    (made,) = await engine.executions()
    assert made.inputs == {"a": "2026-03-02T03:00:00+00:00", "b": 7}
    assert {("from", "trigger"), ("why", "gap")} <= set(made.labels)


async def test_what_can_not_be(engine):
    await engine.deploy(HOURLY.replace("tasks:", "inputs:\n  - {id: n, type: INT, defaults: 1}\ntasks:", 1))
    backfill = engine.schedules.backfills.start
    with pytest.raises(NotFound, match="no schedule 'daily'"):
        await backfill("company.team", "f", "daily", at(1))
    with pytest.raises(Refused, match="no date"):
        await backfill("company.team", "f", "hourly", at(1) + timedelta(minutes=1), at(1) + timedelta(minutes=2))
    with pytest.raises(InputInvalid):
        await backfill("company.team", "f", "hourly", at(1), at(2), inputs={"n": "many"})
    assert await engine.executions() == []


async def test_pause_continue_stop(engine, clock):
    await engine.deploy(WAITING)
    schedules, name = engine.schedules, ("company.team", "f", "hourly")
    await schedules.backfills.start(*name, at(1), at(5))
    await at_rest(engine)
    with pytest.raises(Refused, match="under way"):
        await schedules.backfills.start(*name, at(1), at(2))
    await schedules.backfills.change(*name, "PAUSE")
    first = (await engine.executions())[0]
    await engine.kill(first.id, by="a")
    assert await dates(engine) == ["02 01:00"]
    await pass_hours(engine, clock, 1)
    assert await dates(engine) == ["02 01:00", "02 08:00"]  # the regular dates go on meanwhile
    await engine.kill((await engine.executions(limit=1))[0].id, by="a")
    await schedules.backfills.change(*name, "CONTINUE")
    assert (await dates(engine))[-1] == "02 02:00"
    await schedules.backfills.change(*name, "STOP")
    await engine.kill((await engine.executions(limit=1))[0].id, by="a")
    assert len(await dates(engine)) == 3
    with pytest.raises(Refused, match="no backfill"):
        await schedules.backfills.change(*name, "STOP")


async def test_a_backfill_survives_a_restart_and_an_edit(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    source = WAITING.replace("tasks:", "inputs:\n  - {id: token, type: SECRET, defaults: ''}\ntasks:", 1)
    await first.deploy(source)
    first.masker.add("hush-hush")
    await first.schedules.backfills.start("company.team", "f", "hourly", at(3), at(5), inputs={"token": "hush-hush"})
    await at_rest(first)
    (state,) = await first.database.read(triggers.all_states)
    assert "hush-hush" not in state.backfill
    await first.stop()
    second = await Engine.open(settings, registry=registry(), clock=clock)
    await second.start(watch=False)
    try:
        await second.deploy(source + "description: changed\n")
        for expected in (2, 3):
            await second.kill((await second.executions(limit=1))[0].id, by="a")
            async with asyncio.timeout(10):
                assert len(await dates(second)) == expected
        await second.kill((await second.executions(limit=1))[0].id, by="a")
        assert await dates(second) == ["02 03:00", "02 04:00", "02 05:00"]
        assert {one.state for one in await second.executions()} == {State.KILLED}
    finally:
        await second.stop()


ASKS = (
    HOURLY.replace("id: f", "id: f\ninputs: [{id: n, type: STRING}]").rstrip()
    + """
    inputs: {n: "{{ http('%s/n') }}"}
"""
)


class Held:
    """A service whose answers wait, from the second on, until they are let go."""

    def __init__(self):
        self.asked, self.let_go = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        if self.calls > 1:
            self.asked.set()
            assert self.let_go.wait(20)
        return Answered("one")


@pytest.fixture
def held():
    made = Held()
    with serving(made) as service:
        made.url = service.url
        yield made
        made.let_go.set()


@pytest.mark.parametrize("to", ["PAUSE", "STOP"])
async def test_a_backfill_that_is_held_while_a_date_is_prepared_stays_held(engine, held, to):
    await engine.deploy(ASKS % held.url)
    schedules, name = engine.schedules, ("company.team", "f", "hourly")
    await schedules.backfills.start(*name, at(1), at(5))
    await asyncio.to_thread(held.asked.wait, 20)
    await schedules.backfills.change(*name, to)
    held.let_go.set()
    assert await dates(engine) == []
    there = schedules.backfills.of(*name)
    assert (there is None) if to == "STOP" else (there.paused and there.current == at(1))


@pytest.mark.parametrize("to", ["off", "another date"])
async def test_a_schedule_that_is_changed_while_a_date_is_prepared_does_not_fire_it(engine, clock, held, to):
    held.calls = 1
    flow = ASKS % held.url
    await engine.deploy(flow)
    clock.jump(timedelta(minutes=1))  # 8:00
    await asyncio.to_thread(held.asked.wait, 20)
    if to == "off":
        await engine.schedules.toggle("company.team", "f", "hourly", disabled=True)
    else:
        await engine.deploy(flow.replace('"0 * * * *"', '"30 * * * *"'))
    held.let_go.set()
    await pass_hours(engine, clock, 1)
    assert await dates(engine) == ([] if to == "off" else ["02 08:30"])


async def test_a_schedule_switched_on_again_does_not_make_up_after_a_restart(settings, clock):
    first = await Engine.open(settings, registry=registry(), clock=clock)
    await first.start(watch=False)
    await first.deploy(HOURLY)
    await at_rest(first)
    await first.schedules.toggle("company.team", "f", "hourly", disabled=True)
    await pass_hours(first, clock, 3)
    await first.schedules.toggle("company.team", "f", "hourly", disabled=False)
    await first.stop(grace=0)
    again = await Engine.open(settings, registry=registry(), clock=clock)
    await again.start(watch=False)
    try:
        assert await dates(again) == []
        await pass_hours(again, clock, 1)
        assert await dates(again) == ["02 11:00"]
    finally:
        await again.stop(grace=0)
