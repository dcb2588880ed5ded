"""Tasks that only compute run inside the decision that starts them; nothing else about them differs."""

import pytest

from engine.core.state import State

RETURN = "io.kestra.plugin.core.debug.Return"
LOG = "io.kestra.plugin.core.log.Log"


@pytest.fixture
def offered(engine, monkeypatch):
    """What the dispatcher was asked to run."""
    jobs, offer = [], engine.dispatcher.offer
    monkeypatch.setattr(engine.dispatcher, "offer", lambda job: (jobs.append(job), offer(job))[1])
    return jobs


async def test_a_chain_of_pure_tasks_needs_no_worker_and_one_decision(engine, deploy, run, offered):
    await deploy(
        f"tasks:\n  - {{id: a, type: {RETURN}, format: '1'}}\n"
        f"  - {{id: b, type: {RETURN}, format: '{{{{ outputs.a.value }}}}2'}}\n"
        f"  - {{id: c, type: {LOG}, message: 'got {{{{ outputs.b.value }}}}'}}\n"
    )
    units = engine.database.units
    ended = await run()
    assert ended.state is State.SUCCESS
    assert offered == []
    assert engine.database.units - units == 1  # made as it ended
    assert [line.message for line in await engine.logs(ended.id)] == ["got 12"]
    for task_run in ended.task_runs.values():
        moments = [moment for _, moment in task_run.histories]
        assert [state for state, _ in task_run.histories] == [State.CREATED, State.RUNNING, State.SUCCESS]
        assert moments == sorted(moments)
        assert len(task_run.attempts) == 1
    moments = [run.histories[0][1] for run in ended.task_runs.values()]
    assert moments == sorted(moments)


@pytest.mark.parametrize("more", ["timeout: PT10S", "workerGroup: {key: gpu}", "workerSelector: {tags: [gpu]}"])
async def test_what_a_worker_must_see_to_goes_to_a_worker(deploy, run, offered, more):
    await deploy(f"tasks:\n  - {{id: a, type: {RETURN}, format: x, {more}}}\n")
    ended = await run()
    assert ended.state is State.SUCCESS
    assert len(offered) == 1


async def test_what_waits_for_a_disk_goes_to_a_worker(engine, deploy, run, offered):
    await engine.kv.set("company.team", "colour", "red")
    await deploy(f"tasks:\n  - {{id: a, type: {RETURN}, format: \"{{{{ kv('colour') }}}}\"}}\n")
    ended = await run()
    (task_run,) = ended.task_runs.values()
    assert (task_run.outputs, len(task_run.attempts), len(offered)) == ({"value": "red"}, 1, 1)


async def test_a_pure_task_that_fails_is_retried_like_any_other(deploy, run, offered):
    await deploy(
        "tasks:\n  - id: a\n    type: io.kestra.plugin.core.execution.Fail\n"
        "    errorMessage: no\n    retry: {type: constant, interval: PT0.01S, maxAttempts: 3}\n"
    )
    ended = await run(until="ended")
    (task_run,) = ended.task_runs.values()
    assert (ended.state, len(task_run.attempts)) == (State.FAILED, 3)
    assert offered == []


async def test_an_endless_loop_of_pure_tasks_gives_others_a_turn(engine, deploy, run):
    await deploy(
        "tasks:\n  - id: loop\n    type: io.kestra.plugin.core.flow.LoopUntil\n    condition: 'false'\n"
        f"    checkFrequency: {{interval: PT0S}}\n    tasks:\n      - {{id: a, type: {RETURN}, format: x}}\n",
        flow_id="endless",
    )
    endless = await engine.create("company.team", "endless", {}, started_by="local:ann")
    await deploy(f"tasks:\n  - {{id: a, type: {RETURN}, format: x}}\n")
    for _ in range(3):
        assert (await run()).state is State.SUCCESS
    killed = await engine.kill(endless.id, by="local:ann")
    assert (await engine.wait(killed.id, timeout=20)).state is State.KILLED
