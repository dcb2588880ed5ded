"""Who waits for what becomes of an execution is told, whoever decided it, whenever, and also when nobody will."""

import asyncio
import threading

import pytest

from engine.core.events import PauseAsked, Resumed
from engine.core.state import State
from engine.errors import StoreFailed
from engine.store import events as inbox

ASKS = "tasks:\n  - {id: ask, type: io.kestra.plugin.core.flow.Pause}\n"


@pytest.fixture
def post(engine):
    """Puts the answer of a pause into the inbox, as another process would: nobody here is told of it."""

    async def do(execution):
        event = Resumed(engine.clock.now(), f"{execution.id}.1", {}, "ann")
        sealer = engine.creator.sealer
        return await engine.database.transact(
            lambda unit: inbox.post(unit.connection, execution.id, event, event.now, sealer, f"a {execution.id}")
        )

    return do


@pytest.fixture
def answered(engine):
    """Waits for what becomes of an event."""

    async def do(posted):
        done = asyncio.get_running_loop().create_future()
        engine.decider.post_stored(posted, done)
        async with asyncio.timeout(20):
            return await done

    return do


async def test_an_event_that_was_found_in_the_inbox_before_its_sender_speaks_of_it(deploy, run, engine, post, answered):
    await deploy(ASKS)
    posted = await post(paused := await run())
    engine.decider.post_stored(posted)
    assert (await answered(posted)).state is State.SUCCESS
    assert (await engine.execution(paused.id)).state is State.SUCCESS


async def test_an_event_that_is_being_written_when_its_sender_speaks_of_it(deploy, run, engine, post, answered):
    await deploy(ASKS)
    posted = await post(await run())
    begun, go_on = threading.Event(), threading.Event()

    def block(unit):
        begun.set()
        go_on.wait(20)

    written = asyncio.create_task(engine.database.transact(block))
    await asyncio.to_thread(begun.wait, 20)
    engine.decider.post_stored(posted)
    while not engine.decider._writing:
        await asyncio.sleep(0.001)
    waiting = asyncio.create_task(answered(posted))
    await asyncio.sleep(0)
    go_on.set()
    await written
    assert (await waiting).state is State.SUCCESS


async def test_an_event_that_was_decided_upon_before_its_sender_speaks_of_it(deploy, run, engine, post, answered):
    await deploy(ASKS)
    posted = await post(await run())
    assert (await answered(posted)).state is State.SUCCESS
    assert (await answered(posted)).state is State.SUCCESS


async def test_what_is_not_decided_any_more(deploy, run, engine):
    await deploy(ASKS)
    paused = await run()
    engine.decider._round = lambda: None  # its turn does not come before the end
    waiting = asyncio.create_task(engine.decider.decide(paused.id, PauseAsked(engine.clock.now(), "ann")))
    await asyncio.sleep(0)
    await engine.decider.stop()
    with pytest.raises(StoreFailed, match="stopping"):
        async with asyncio.timeout(20):
            await waiting
