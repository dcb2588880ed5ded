"""Pauses whose execution ends by other means: nothing goes on asking, nothing is left waiting for nobody."""

from datetime import UTC, datetime

from engine.core.state import State

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
