"""A delivery is told to be kept once it is on disk, and before it is answered."""

import sqlite3

import pytest

from bot.frontend import KEPT
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
