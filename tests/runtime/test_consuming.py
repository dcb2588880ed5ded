"""Polling triggers of queues: a message is gone from its queue once its execution is there, and not before."""

import json
import subprocess
import sys
from collections import Counter, deque
from datetime import timedelta

import pytest
from pamqp import commands

from engine.core.state import State
from engine.errors import StoreFailed
from engine.file_settings import open_files
from engine.runtime import Engine
from engine.runtime.polls import Polls
from engine.settings import Settings
from tests.runtime.dying_consumer import FLOW
from tests.runtime.test_schedules import at_rest
from tests.shared import ROOT
from tests.wire.amqp import Held, amqp_broker

ORDERS = ["first", "second", "third"]


@pytest.fixture
def broker():
    with amqp_broker("s3cret") as running:
        running.queues["orders"] = deque(Held(commands.Basic.Properties(), text.encode()) for text in ORDERS)
        yield running


@pytest.mark.parametrize(("moment", "times"), [("taken", 1), ("written", 2)])
async def test_a_kill_loses_no_message(tmp_path, broker, moment, times):
    def live(day, at):
        command = [
            sys.executable,
            "-m",
            "tests.runtime.dying_consumer",
            str(tmp_path / "data"),
            broker.url,
            at,
            str(day),
        ]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    died = live(0, moment)
    assert died.returncode == -9, died.stderr
    again = live(1, "never")
    assert again.returncode == 0, again.stderr
    assert (len(broker.queues["orders"]), broker.unsaid) == (0, 0)
    assert await _orders(tmp_path / "data") == Counter(ORDERS * times)


async def _orders(data):
    """What executions were started with, from the files of their triggers."""
    settings = Settings(data=data, flows=())
    engine, storage = await Engine.open(settings), open_files(settings)
    try:
        found = await engine.executions(limit=100)
        texts = [storage.path(one.origin.variables["uri"]).read_text() for one in found]
    finally:
        await engine.database.close()
    return Counter(json.loads(line)["data"] for text in texts for line in text.splitlines())


async def test_messages_that_cannot_be_written_come_again(engine, clock, broker, monkeypatch):
    write, refusals = Polls._written, [StoreFailed("disk full")]

    async def written(self, one, seen, start, *more):
        if start is not None and refusals:
            raise refusals.pop()
        return await write(self, one, seen, start, *more)

    monkeypatch.setattr(Polls, "_written", written)
    await engine.deploy(FLOW.format(url=broker.url))
    await at_rest(engine)
    (made,) = await engine.executions()
    assert (made.origin.variables["count"], len(broker.queues["orders"]), broker.unsaid) == (3, 0, 0)


async def test_messages_that_do_not_fit_become_one_failed_execution(engine, clock, broker):
    await engine.deploy(
        FLOW.format(url=broker.url).replace("queue: orders,", "queue: orders, inputs: {number: no},")
        + "inputs: [{id: number, type: INT}]\n"
    )
    await at_rest(engine)
    clock.jump(timedelta(minutes=5))
    await at_rest(engine)
    (made,) = await engine.executions()
    assert (made.state, made.origin.variables["count"], len(broker.queues["orders"])) == (State.FAILED, 3, 0)
    assert "number" in (await engine.logs(made.id))[0].message
