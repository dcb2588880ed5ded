"""Fixtures of the desk's tests."""

import pytest


@pytest.fixture
async def rig(tmp_path):
    """A bot with two flows that pause."""
    from tests.bot.rig import ASKING, PLAIN, Rig  # the pure tests beside need no engine

    made = await Rig(tmp_path).start(PLAIN, ASKING)
    yield made
    await made.stop()
