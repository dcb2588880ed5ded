"""A workspace, a scripted desk, and the front end between them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bot.slack.app import SlackFrontEnd
from tests.slack.desk import ScriptedDesk
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, slack

__all__ = ["slack"]

FILES = {"fox.png": b"\x89PNG fox", "notes.txt": b"notes"}
Connect = Callable[[], Awaitable[SlackFrontEnd]]


@pytest.fixture
def desk() -> ScriptedDesk:
    """A desk that answers by rules and keeps what it heard."""
    return ScriptedDesk()


@pytest.fixture
async def connect(slack: FakeSlack, desk: ScriptedDesk, tmp_path: Path) -> AsyncIterator[Connect]:
    """Starts a front end by Socket Mode; call it again for the process after a restart."""
    ends: list[SlackFrontEnd] = []
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    async def start() -> SlackFrontEnd:
        end = SlackFrontEnd(
            BOT_TOKEN,
            APP_TOKEN,
            base_url=f"{slack.url}/api/",
            locate=lambda uri: tmp_path / uri.rpartition("/")[2],
            inbox=tmp_path / "inbox",
            ping_interval=0.2,
            grace=2.0,
        )
        await end.start(desk)
        ends.append(end)
        return end

    yield start
    for end in ends:
        await end.stop()


@pytest.fixture
async def end(connect: Connect) -> SlackFrontEnd:
    """The front end, connected."""
    return await connect()
