"""A delivery is told to be kept once it is on disk, and before it is answered."""

import asyncio
import sqlite3

import pytest

from bot.frontend import KEPT
from engine.errors import StoreFailed
from tests.bot.rig import PLAIN, Rig


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path).start(PLAIN)
    yield made
    await made.stop()


async def test_what_is_told_to_be_kept_lies_on_disk(rig, tmp_path):
    seen = []

    def kept():
        [path] = tmp_path.rglob("parley.db")
        with sqlite3.connect(path) as connection:
            seen.append(connection.execute("select key, state from chat_receipt").fetchall())
        connection.close()

    before = KEPT.set(kept)
    await rig.say("list", receipt="r1")
    KEPT.reset(before)
    assert seen == [[("slack:r1", "OPEN")]]


async def test_who_waits_for_an_answer_when_the_process_ends_is_told(rig):
    deliveries, hangs = rig.desk.deliveries, asyncio.Event()

    async def handle(event):
        await hangs.wait()

    deliveries.handle = handle
    waiting = asyncio.create_task(rig.say("list", receipt="r1"))
    while not deliveries._running:
        await asyncio.sleep(0)
    for running in list(deliveries._running.values()):
        running.cancel()
    with pytest.raises(StoreFailed, match="stopping"):
        await waiting
    hung_up = asyncio.create_task(rig.say("list", receipt="r2"))
    while not deliveries._running:
        await asyncio.sleep(0)
    hung_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung_up
