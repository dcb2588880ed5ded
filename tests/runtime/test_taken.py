"""What polling triggers took away is given up where it lay once its execution is written, and comes again otherwise."""

import asyncio
from typing import ClassVar, Literal

import pytest

from engine.core.registry import Registry
from engine.errors import TaskFailed
from engine.plugin import Outputs, PollContext, PollingTrigger, Taken
from engine.runtime import Engine
from engine.tasks import _third_party, places, renamed
from tests.runtime.test_schedules import at_rest

FLOW = """
id: f
namespace: company.team
tasks: [{id: say, type: io.kestra.plugin.core.log.Log, message: hello}]
triggers: [{id: watch, type: tests.Queue}]
"""


class Found(Outputs):
    """A message."""

    text: str


class Queue(PollingTrigger):
    """Takes one message, and notes what becomes of it."""

    type: Literal["tests.Queue"]
    heard: ClassVar[list[str]] = []
    gate: ClassVar[dict[str, asyncio.Event]] = {}
    refuses: ClassVar[str] = ""

    async def poll(self, context: PollContext) -> Taken:
        taking = self._taking()
        found = await anext(taking)
        return Taken(found, taking)

    async def _taking(self):
        self.heard.append("took")
        await self._pass("look")
        try:
            yield Found(text="hello")
            await self._pass("confirm")
            self.heard.append("confirmed")
        finally:
            await self._pass("close")
            self.heard.append("closed")
            if self.refuses:
                raise TaskFailed(self.refuses)

    async def _pass(self, name):
        if name in self.gate:
            await self.gate[name].wait()


@pytest.fixture
async def queue(settings, clock):
    Queue.heard, Queue.gate, Queue.refuses = [], {}, ""
    types = Registry([Queue], places=places(), rename=renamed, plugins=_third_party)
    Queue.engine = await Engine.open(settings, registry=types, clock=clock)
    await Queue.engine.start(watch=False)
    yield Queue
    await Queue.engine.stop(grace=0)


async def until(heard, what):
    async with asyncio.timeout(20):
        while what not in heard:
            await asyncio.sleep(0.005)


async def test_what_is_taken_is_confirmed_once_its_execution_is_there(queue):
    await queue.engine.deploy(FLOW)
    await at_rest(queue.engine)
    assert queue.heard == ["took", "confirmed", "closed"]
    (made,) = await queue.engine.executions()
    assert made.origin.variables == {"text": "hello"}


async def test_a_stop_while_it_is_confirmed_lets_go_of_it(queue):
    queue.gate["confirm"] = asyncio.Event()
    await queue.engine.deploy(FLOW)
    async with asyncio.timeout(20):
        while not await queue.engine.executions():
            await asyncio.sleep(0.005)
    await queue.engine.stop(grace=0)
    assert queue.heard == ["took", "closed"]


@pytest.mark.parametrize("change", ["deleted", "removed", "disabled", "flow disabled", "edited"])
async def test_a_trigger_that_is_gone_meanwhile_starts_nothing(queue, change):
    queue.gate["look"] = asyncio.Event()
    await queue.engine.deploy(FLOW)
    await until(queue.heard, "took")
    if change == "deleted":
        await queue.engine.flows.delete("company.team", "f")
    elif change == "removed":
        await queue.engine.deploy(FLOW.partition("triggers")[0])
    elif change == "disabled":
        await queue.engine.deploy(FLOW.replace("tests.Queue", "tests.Queue, disabled: true"))
    elif change == "flow disabled":
        await queue.engine.deploy(FLOW + "disabled: true\n")
    else:
        await queue.engine.deploy(FLOW.replace("tests.Queue", "tests.Queue, interval: PT2M"))
    queue.gate.pop("look").set()
    await at_rest(queue.engine)
    if change == "edited":
        assert queue.heard == ["took", "closed", "took", "confirmed", "closed"]
    else:
        assert queue.heard == ["took", "closed"]
        assert await queue.engine.executions() == []


async def test_what_can_not_be_let_go_is_said_in_a_sentence(queue, caplog):
    queue.gate["look"] = asyncio.Event()
    queue.refuses = "The queue is gone."
    await queue.engine.deploy(FLOW)
    await until(queue.heard, "took")
    await queue.engine.flows.delete("company.team", "f")
    queue.gate.pop("look").set()
    await at_rest(queue.engine)
    assert "could not let go of what it took: The queue is gone." in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_close_that_hangs_keeps_no_stop_waiting(queue, monkeypatch):
    monkeypatch.setattr("engine.runtime.listening.AGAIN", 0.01)
    queue.gate |= {"confirm": asyncio.Event(), "close": asyncio.Event()}
    await queue.engine.deploy(FLOW)
    async with asyncio.timeout(20):
        while not await queue.engine.executions():
            await asyncio.sleep(0.005)
        await queue.engine.stop(grace=0)
    assert queue.heard == ["took"]
