"""Many schedules due at one moment: each fires once, whatever is odd about some of them."""

import asyncio
from datetime import timedelta

import pytest

from engine.core.state import State
from engine.runtime import Engine, salvos, schedules
from engine.store import triggers
from tests.runtime.conftest import START
from tests.runtime.marks import registry
from tests.runtime.test_schedules import HOURLY, NINE, at_rest, pass_hours

NUMBER = 40


def flow(number, more=""):
    return HOURLY.replace("id: f\n", f"id: f{number}\n") + more


@pytest.fixture
async def many(engine):
    """Forty flows of the same hour; the first can't render its inputs, the second has a condition."""
    for number in range(NUMBER):
        odd = {0: '    inputs: {a: "{{ nowhere.b }}"}\n', 1: "    when: \"{{ trigger.date contains '09:00' }}\"\n"}
        await engine.deploy(flow(number, odd.get(number, "")))
    return engine


async def looked_ahead(engine):
    """Nothing is looked at any more: a deployment has all dates looked at, a moment later."""
    async with asyncio.timeout(20):
        while engine.schedules.busy or any(entry.wants_ahead for entry in engine.schedules._entries.values()):
            await asyncio.sleep(0.01)


async def test_each_fires_once_an_hour(many, clock, monkeypatch):
    fired, fire = [], many.schedules._salvos.fire
    monkeypatch.setattr(many.schedules._salvos, "fire", lambda entries: (fired.append(len(entries)), fire(entries))[1])
    for _ in range(2):
        await looked_ahead(many)
        await pass_hours(many, clock, 1)
    assert fired
    assert sum(fired) >= NUMBER  # most went together
    found = await many.executions(limit=500)
    by_flow = {}
    for one in found:
        by_flow.setdefault(one.flow_id, []).append((one.origin.variables["date"][11:16], one.state))
    ok = [("08:00", State.SUCCESS), ("09:00", State.SUCCESS)]
    for number in range(2, NUMBER):
        assert sorted(by_flow[f"f{number}"]) == ok
    assert {state for _, state in by_flow["f0"]} == {State.FAILED}
    assert [date for date, _ in sorted(by_flow["f0"])] == ["08:00", "09:00"]
    assert by_flow["f1"] == [("09:00", State.SUCCESS)]


async def test_the_first_alarms_of_a_moment_fire_all_that_are_due(many, clock, monkeypatch):
    fired, fire = [], many.schedules._salvos.fire
    monkeypatch.setattr(
        many.schedules._salvos, "fire", lambda entries: (fired.append({one.key for one in entries}), fire(entries))[1]
    )
    await looked_ahead(many)
    odd = {f"company.team/f{number}/hourly" for number in (0, 1)}
    keys, few = sorted(many.schedules._entries.keys() - odd), schedules.BURST - 1
    many.schedules._scheduler.stop()  # no alarm rings by itself any more
    clock._shift += timedelta(hours=1)  # and nobody is told that the hour has passed
    many.schedules._due(keys[:few])
    async with asyncio.timeout(20):
        while many.schedules.busy:
            await asyncio.sleep(0.01)
    assert fired == []  # those few went one by one, the others wait for their alarm
    assert len(await many.executions(limit=500)) == few
    many.schedules._due(keys[few : 2 * few + 1])
    async with asyncio.timeout(20):
        while many.schedules.busy:
            await asyncio.sleep(0.01)
    (together,) = fired
    assert together - odd == set(keys[few:])
    await at_rest(many)


async def test_what_may_take_long_to_check_makes_no_other_late(many, clock, monkeypatch):
    slow = f"f{NUMBER}"
    await many.deploy(flow(NUMBER, "inputs: [{id: a, type: STRING, validator: '[a-z]+', defaults: x}]\n"))
    fired, fire = [], many.schedules._salvos.fire
    monkeypatch.setattr(
        many.schedules._salvos,
        "fire",
        lambda entries: (fired.extend(entry.flow.id for entry in entries), fire(entries))[1],
    )
    await looked_ahead(many)
    await pass_hours(many, clock, 1)
    await at_rest(many)
    assert "f2" in fired
    assert slow not in fired
    assert [one.state for one in await many.executions(flow_id=slow)] == [State.SUCCESS]


async def test_a_date_that_was_taken_elsewhere_is_not_fired_again(many, clock):
    await looked_ahead(many)
    eight = NINE.replace(hour=8)
    key = triggers.trigger_key("company.team", "f7", "hourly")
    await many.database.transact(lambda u: triggers.claim_fire(u.connection, key, eight, None, START))
    await pass_hours(many, clock, 1)
    await at_rest(many)
    started = {one.flow_id for one in await many.executions(limit=500)}
    assert started == {f"f{number}" for number in range(NUMBER)} - {"f1", "f7"}


@pytest.fixture
async def begun(many, monkeypatch):
    """How many executions were being decided upon whenever one more began."""
    seen, decider = [], many.decider
    begin = decider.begin
    monkeypatch.setattr(decider, "begin", lambda *args, **more: (seen.append(decider.busy), begin(*args, **more)))
    return seen


async def test_what_fired_together_begins_a_few_at_a_time(many, clock, begun, monkeypatch):
    monkeypatch.setattr(salvos, "UNDER_WAY", 3)
    await pass_hours(many, clock, 1)
    assert len(begun) >= NUMBER - 2
    assert max(begun) < 3
    states = [one.state for one in await many.executions(limit=500) if one.flow_id not in ("f0", "f1")]
    assert states == [State.SUCCESS] * (NUMBER - 2)


async def test_what_fired_and_had_not_begun_when_the_bot_ended_begins_afterwards(settings, many, clock, monkeypatch):
    monkeypatch.setattr(salvos, "UNDER_WAY", 0)  # nothing begins
    clock.jump(timedelta(hours=1))
    async with asyncio.timeout(20):
        while len(await many.executions(limit=500)) < NUMBER - 1:
            await asyncio.sleep(0.01)
    assert {one.state for one in await many.executions(limit=500) if one.flow_id != "f0"} == {State.CREATED}
    await many.stop(grace=0)
    monkeypatch.undo()
    again = await Engine.open(settings, registry=registry(), clock=clock)
    try:
        await again.start(watch=False)
        await at_rest(again)
        found = await again.executions(limit=500)
    finally:
        await again.stop(grace=0)
    assert sorted(one.flow_id for one in found if one.state is State.SUCCESS) == sorted(
        f"f{number}" for number in range(2, NUMBER)
    )
    assert len(found) == NUMBER - 1


async def test_dates_missed_while_the_bot_was_down_are_fired_together(settings, many, clock, monkeypatch):
    await many.stop(grace=0)
    clock.jump(timedelta(hours=1))
    fired, fire = [], salvos.Salvos.fire
    monkeypatch.setattr(
        salvos.Salvos, "fire", lambda self, entries: (fired.append(len(entries)), fire(self, entries))[1]
    )
    again = await Engine.open(settings, registry=registry(), clock=clock)
    try:
        await again.start(watch=False)
        await at_rest(again)
        found = await again.executions(limit=500)
    finally:
        await again.stop(grace=0)
    assert fired == [NUMBER - 1]  # all but the one with a condition
    assert len({one.flow_id for one in found}) == len(found) == NUMBER - 1
