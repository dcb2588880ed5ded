"""Fixtures of the desk's tests."""

import pytest

from tests.bot.rig import ASKING, PLAIN, Rig


@pytest.fixture
async def rig(tmp_path):
    """A bot with two flows that pause."""
    made = await Rig(tmp_path).start(PLAIN, ASKING)
    yield made
    await made.stop()
