"""Jobs at a service whose execution is killed, times out, or is cut off by a stop of the bot."""

import asyncio
from collections import Counter

import pytest

from engine.core.state import State
from engine.runtime import Engine
from tests.runtime.marks import registry
from tests.wire.loopback import Answered, serving

STOPPED = "The job 1 is stopped, for nobody waits for it any more."


class Airbyte:
    """Jobs with a number each. The first never ends; when it is looked at `begun` is set, and what `looked` says is
    done before that is answered."""

    def __init__(self, looked=lambda: None):
        self.made, self.cancelled, self.begun = 0, Counter(), asyncio.Event()
        self._loop, self._looked = asyncio.get_running_loop(), looked

    def __call__(self, request):
        match request.path.removeprefix("/api/v1/"):
            case "connections/sync":
                self.made += 1
                return Answered({"job": {"id": self.made}})
            case "jobs/get" if request.json["id"] == 1:
                asyncio.run_coroutine_threadsafe(self._look(), self._loop).result(20)
                return Answered({"job": {"status": "running"}})
            case "jobs/get":
                return Answered({"job": {"status": "succeeded"}})
            case "jobs/cancel":
                self.cancelled[request.json["id"]] += 1
                return Answered({})
        return Answered({"message": "Not Found"}, 404)

    async def _look(self):
        if not self.begun.is_set():
            self.begun.set()
            self._looked()


def flow(url, more=""):
    task = "{id: sync, type: io.kestra.plugin.airbyte.connections.Sync, connectionId: c, pollFrequency: PT0.01S"
    return f"id: f\nnamespace: company.team\ntasks:\n  - {task}, url: '{url}'{more}}}\n"


@pytest.mark.parametrize("told_after", [0, 60], ids=["shown as running", "only just begun"])
async def test_a_killed_execution_cancels_its_job_and_says_so(engine, monkeypatch, told_after):
    monkeypatch.setattr("engine.worker.STARTED_AFTER", told_after)
    airbyte = Airbyte()
    with serving(airbyte) as wire:
        await engine.deploy(flow(wire.url))
        made = await engine.create("company.team", "f", {}, started_by="a")
        await airbyte.begun.wait()
        await engine.kill(made.id, by="b")
        ended = await engine.wait(made.id, timeout=20)
        async with asyncio.timeout(20):  # a task nobody knew had begun does not hold the end of its execution
            while STOPPED not in [line.message for line in await engine.logs(made.id)]:
                await asyncio.sleep(0.005)
    assert (ended.state, airbyte.made, airbyte.cancelled) == (State.KILLED, 1, {1: 1})


async def test_a_task_out_of_time_cancels_its_job_and_its_retry_begins_another(engine, monkeypatch):
    loop = asyncio.get_running_loop()
    now = loop.time

    def time_passes():
        monkeypatch.setattr(loop, "time", lambda: now() + 4 * 60)  # less than the five minutes an answer may take

    airbyte = Airbyte(time_passes)
    with serving(airbyte) as wire:
        retry = ", retry: {type: constant, interval: PT0S, maxAttempts: 2}"
        await engine.deploy(flow(wire.url, f", timeout: PT4M{retry}"))
        made = await engine.create("company.team", "f", {}, started_by="a")
        await airbyte.begun.wait()
        ended = await engine.wait(made.id, timeout=20)
    assert (ended.state, airbyte.made, airbyte.cancelled) == (State.SUCCESS, 2, {1: 1})
    assert "Timeout after PT4M." in [line.message for line in await engine.logs(made.id)]


async def test_a_stop_of_the_bot_cancels_the_job_and_its_start_begins_another(settings, clock):
    airbyte = Airbyte()
    with serving(airbyte) as wire:
        first = await Engine.open(settings, registry=registry(), clock=clock)
        await first.start(watch=False)
        await first.deploy(flow(wire.url))
        made = await first.create("company.team", "f", {}, started_by="a")
        await airbyte.begun.wait()
        await first.stop(grace=0)
        assert (airbyte.made, airbyte.cancelled) == (1, {1: 1})
        second = await Engine.open(settings, registry=registry(), clock=clock)
        await second.start(watch=False)
        try:
            ended = await second.wait(made.id, timeout=20)
            told = [line.message for line in await second.logs(made.id)]
        finally:
            await second.stop()
    assert (ended.state, airbyte.made, airbyte.cancelled) == (State.SUCCESS, 2, {1: 1})
    assert STOPPED in told
