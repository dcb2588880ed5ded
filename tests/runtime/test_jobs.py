"""The dispatcher of several processes and a database that is not there when it wants to begin."""

import asyncio
from collections import Counter

import pytest

from engine.dispatch import procrastinate, shares
from engine.runtime import Engine
from engine.settings import Limits
from tests.runtime.marks import registry
from tests.runtime.test_cluster import given
from tests.runtime.test_executions import until
from tests.torture.cut import Cable

FLOW = "id: f\nnamespace: company.team\ntasks:\n  - {id: say, type: tests.Mark, text: hello}\n"


async def test_jobs_run_once_the_database_can_be_reached(tmp_path, postgres, monkeypatch):
    monkeypatch.setattr(procrastinate, "CONNECT_SECONDS", 0.3)
    plain = procrastinate.plain_address
    async with Cable(postgres) as cable:
        cable.cut()
        by_cable = cable.address
        monkeypatch.setattr(procrastinate, "plain_address", lambda address: plain(by_cable))
        engine = await Engine.open(given(tmp_path, postgres, "late"), registry=registry())
        await engine.start(watch=False)  # the rest reaches the database, the jobs' pool does not
        try:
            await engine.deploy(FLOW)
            made = await engine.create("company.team", "f", {}, started_by="test")
            with pytest.raises(TimeoutError):
                await engine.wait(made.id, timeout=1)
            cable.mend()
            assert (await engine.wait(made.id, timeout=30)).state.value == "SUCCESS"
        finally:
            await engine.stop(grace=0)


@pytest.mark.parametrize("share", [1, 2])
async def test_of_one_flow_no_more_than_its_share_run_and_the_next_begins_at_once(
    tmp_path, postgres, monkeypatch, share
):
    monkeypatch.setattr(procrastinate, "POLL_SECONDS", 5)  # by chance alone the last of twenty would begin in 100 s
    monkeypatch.setattr(shares, "KNOWN_SECONDS", 600)
    limits = Limits(workers=4, workers_per_flow=share)
    engine = await Engine.open(given(tmp_path, postgres, "shared", limits=limits), registry=registry())
    await engine.start(watch=False)
    most, run = Counter(), engine.dispatcher._run

    async def watched(job):
        most[job.lane] = max(most[job.lane], engine.dispatcher._taken()[job.lane])
        await run(job)

    engine.dispatcher._run = watched
    try:
        await engine.deploy(FLOW)
        await engine.deploy(FLOW.replace("id: f", "id: stuck", 1).replace("text: hello", "hang: true"))
        stuck = {(await engine.create("company.team", "stuck", {}, started_by="test")).id for _ in range(4)}
        await until(lambda: engine.dispatcher.under_way == share)
        made = [await engine.create("company.team", "f", {}, started_by="test") for _ in range(20)]
        async with asyncio.timeout(60):
            for each in made:
                assert (await engine.wait(each.id)).state.value == "SUCCESS"
        hanging = lambda: {run.rpartition(".")[0] for run in engine.dispatcher.running()} & stuck  # noqa: E731
        begun = hanging()
        assert len(begun) == share
        for each in begun:  # a place comes free, and those that waited for it begin
            await engine.kill(each, by="test")
            await engine.wait(each, timeout=30)
        await until(lambda: len(hanging() - begun) == share)
        assert 0 < most["company.team/f"] <= most["company.team/stuck"] == share
    finally:
        await engine.stop(grace=0)


async def test_a_process_may_end_before_it_has_begun(tmp_path, postgres):
    engine = await Engine.open(given(tmp_path, postgres, "brief", role="worker"), registry=registry())
    await engine.start(watch=False)
    await engine.stop(grace=0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("pool")]
    assert left == []
