"""Restart and replay with a dedupe key happen once, however often they are asked for; an expression is seen to once."""

import asyncio

import pytest

from engine.core.state import State
from tests.runtime.marks import marks

FAILS = """
tasks:
  - {id: one, type: tests.Mark, text: one}
  - {id: two, type: tests.Mark, text: two}
  - {id: boom, type: io.kestra.plugin.core.execution.Fail}
"""


async def ended(engine):
    """Every execution, once nothing is going on."""
    async with asyncio.timeout(20):
        while engine.is_busy:
            await asyncio.sleep(0.005)
    return await engine.executions()


async def test_a_restart_asked_for_three_times_happens_once(engine, deploy, run):
    await deploy(FAILS)
    failed = await run()
    operations = engine.operations
    both = await asyncio.gather(*(operations.restart(failed.id, by="a", dedupe="click 1") for _ in range(2)))
    assert {one.id for one in both} == {failed.id}
    await ended(engine)
    late = await operations.restart(failed.id, by="a", dedupe="click 1")
    [only] = await ended(engine)
    assert (late.state, only.state) == (State.FAILED, State.FAILED)
    assert {run.task_id: len(run.attempts) for run in only.task_runs.values()} == {"one": 1, "two": 1, "boom": 2}
    await operations.restart(failed.id, by="a", dedupe="click 2")
    [only] = await ended(engine)
    assert [len(run.attempts) for run in only.task_runs.values()] == [1, 1, 3]


@pytest.mark.parametrize("again", ["restart", "replay"])
async def test_a_new_execution_is_made_once_for_a_key(engine, deploy, run, again):
    await deploy(FAILS)
    failed = await run()
    revision = {"revision": 1} if again == "restart" else {}
    act = getattr(engine.operations, again)
    made = await asyncio.gather(*(act(failed.id, by="a", dedupe="click", **revision) for _ in range(3)))
    made.append(await act(failed.id, by="a", dedupe="click", **revision))
    assert len({one.id for one in made}) == 1
    assert len(await ended(engine)) == 2
    assert len(marks(engine.settings.data)) == (2 if again == "restart" else 4)


async def test_an_expression_that_reaches_out_is_evaluated_once(engine, deploy, run, monkeypatch):
    """Also in a task that would otherwise run on the spot, inside the decision that starts it."""
    asked, look = [], engine.kv.get_now

    def get_now(namespace, key):
        asked.append(key)
        return look(namespace, key)

    await engine.kv.set("company.team", "answer", 42)
    monkeypatch.setattr(engine.kv, "get_now", get_now)
    await deploy("tasks:\n  - {id: say, type: io.kestra.plugin.core.debug.Return, format: \"{{ kv('answer') }}\"}\n")
    done = await run()
    await ended(engine)
    assert [one.outputs for one in done.task_runs.values()] == [{"value": "42"}]
    assert asked == ["answer"]
