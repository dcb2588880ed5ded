"""Pauses whose execution ends by other means: nothing goes on asking, nothing is left waiting for nobody."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from engine.core.state import State
from engine.errors import Refused
from engine.store.tables import executions

ASKS = "  - {id: gate, type: io.kestra.plugin.core.flow.Pause}\n"
BROKEN = """sla:
  - {id: holds, type: EXECUTION_ASSERTION, assert: "{{ 1 == 2 }}", behavior: CANCEL}
"""
LEFT = """
tasks:
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - {id: gate, type: io.kestra.plugin.core.flow.Pause}
      - {id: leave, type: io.kestra.plugin.core.execution.Exit, state: SUCCESS}
"""


async def test_a_pause_that_is_asked_for_and_called_off_at_once_asks_nobody(engine, deploy, run):
    await deploy(f"tasks:\n{ASKS}{BROKEN}")
    done = await run()
    assert done.state is State.CANCELLED
    assert await engine.pauses() == []


async def test_a_pause_that_outlived_its_execution_ends_when_it_is_killed(engine, deploy):
    await deploy(LEFT)
    begun = await engine.create("company.team", "f", {}, started_by="t")
    done = await engine.wait(begun.id)
    [pause] = await engine.pauses()
    assert done.state is State.SUCCESS

    def kill(unit):
        return engine.kill_in(unit, done.id, by="ann", reason="", now=datetime.now(UTC), pause_id=pause.id)

    assert await engine.database.transact(kill) is True
    assert await engine.database.transact(kill) is False
    after = await engine.wait(done.id, until="settled", timeout=20)
    states = {task.task_id: task.state for task in after.task_runs.values()}
    assert (after.state, states["gate"], states["leave"]) == (State.SUCCESS, State.KILLED, State.SUCCESS)
    assert await engine.pauses() == []


TWICE = """
tasks:
  - {id: gate, type: io.kestra.plugin.core.flow.Pause}
  - {id: again, type: io.kestra.plugin.core.flow.Pause}
"""


@pytest.fixture
async def twice(deploy, run):
    """A run that waits for the first of two answers."""
    await deploy(TWICE)
    return await run()


@pytest.fixture
def before_the_answer(engine, monkeypatch):
    """Lets something happen after it is decided what an answer comes to, and before that is written."""
    transact, meanwhile = engine.database.transact, []

    async def later(work, **how):
        while how.get("urgent") and meanwhile:
            await meanwhile.pop()()
        return await transact(work, **how)

    monkeypatch.setattr(engine.database, "transact", later)
    return meanwhile.append


async def waits_for(engine):
    return [pause.task_id for pause in await engine.pauses()]


async def test_an_answer_and_what_it_comes_to_are_one_write(engine, twice):
    before = engine.database.units
    after = await engine.resume(twice.id, {}, by="local:ann")
    assert (after.state, engine.database.units - before) == (State.PAUSED, 1)
    assert await waits_for(engine) == ["again"]


async def test_an_answer_counts_although_another_hand_wrote_meanwhile(engine, twice, before_the_answer):
    async def write():
        newer = update(executions).values(version=executions.c.version + 1)
        await engine.database.transact(lambda unit: unit.connection.execute(newer))

    before_the_answer(write)
    after = await engine.resume(twice.id, {}, by="local:ann")
    assert after.state is State.PAUSED
    assert await waits_for(engine) == ["again"]
    assert (await engine.resume(twice.id, {}, by="local:ann")).state is State.SUCCESS


async def test_what_happens_while_an_answer_is_written_is_decided_afterwards(engine, twice, before_the_answer):
    killing = []

    async def kill():
        killing.append(asyncio.create_task(engine.kill(twice.id, by="local:eve")))
        await asyncio.sleep(0)

    before_the_answer(kill)
    assert (await engine.resume(twice.id, {}, by="local:ann")).state is State.PAUSED
    await asyncio.gather(*killing)
    done = await engine.wait(twice.id, timeout=20)
    states = {task.task_id: task.state for task in done.task_runs.values()}
    assert (done.state, states) == (State.KILLED, {"gate": State.SUCCESS, "again": State.KILLED})


async def test_two_answers_at_once_are_one(engine, twice):
    [pause] = await engine.pauses()
    given = {"task_run_id": pause.task_run_id}
    both = await asyncio.gather(
        *(engine.resume(twice.id, {}, by=by, **given) for by in ("local:ann", "local:bob")), return_exceptions=True
    )
    assert sum(isinstance(one, Exception) for one in both) == 1
    assert await waits_for(engine) == ["again"]


AFTER = """
tasks:
  - {id: x, type: io.kestra.plugin.core.log.Log, message: x}
afterExecution:
  - id: group
    type: io.kestra.plugin.core.flow.Sequential
    tasks:
      - TASK
  - {id: never, type: io.kestra.plugin.core.log.Log, message: x}
"""


@pytest.mark.parametrize("by_unit", [True, False])
@pytest.mark.parametrize(
    "task",
    [
        "{id: hangs, type: tests.Mark, hang: true}",
        "{id: hangs, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}",
        "{id: hangs, type: io.kestra.plugin.core.flow.Pause}",
    ],
)
async def test_what_hangs_after_the_end_can_be_stopped(engine, deploy, task, by_unit):
    await deploy(AFTER.replace("TASK", task))
    begun = await engine.create("company.team", "f", {}, started_by="t")
    async with asyncio.timeout(10):
        while "hangs" not in (states := _states(await engine.execution(begun.id))) or states["hangs"].is_created:
            await asyncio.sleep(0.01)

    def kill(unit):
        return engine.kill_in(unit, begun.id, by="ann", reason="", now=datetime.now(UTC))

    if by_unit:
        assert await engine.database.transact(kill) is True
    else:
        await engine.kill(begun.id, by="ann")
    after = await engine.wait(begun.id, until="settled", timeout=20)
    assert after.state is State.SUCCESS
    assert _states(after) == {"x": State.SUCCESS, "group": State.KILLED, "hangs": State.KILLED}
    assert await engine.pauses() == []
    assert await engine.database.transact(kill) is False
    with pytest.raises(Refused, match="already finished"):
        await engine.kill(begun.id, by="ann")


def _states(execution):
    return {run.task_id: run.state for run in execution.task_runs.values()}
