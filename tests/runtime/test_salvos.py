"""Many schedules due at one moment: each fires once, whatever is odd about some of them."""

import asyncio

import pytest

from engine.core.state import State
from engine.store import triggers
from tests.runtime.conftest import START
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
    async with asyncio.timeout(20):
        while any(entry.wants_ahead for entry in engine.schedules._entries.values()):
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


async def test_a_date_that_was_taken_elsewhere_is_not_fired_again(many, clock):
    await looked_ahead(many)
    eight = NINE.replace(hour=8)
    key = triggers.trigger_key("company.team", "f7", "hourly")
    await many.database.transact(lambda u: triggers.claim_fire(u.connection, key, eight, None, START))
    await pass_hours(many, clock, 1)
    await at_rest(many)
    started = {one.flow_id for one in await many.executions(limit=500)}
    assert started == {f"f{number}" for number in range(NUMBER)} - {"f1", "f7"}
