"""A workspace, a scripted desk, and the front end between them."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bot.slack.app import SlackFrontEnd
from tests.slack.desk import ScriptedDesk
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, slack

__all__ = ["slack"]

FILES = {"kestra:///fox.png": b"\x89PNG fox", "kestra:///notes.txt": b"notes"}
Connect = Callable[[], Awaitable[SlackFrontEnd]]


async def read_file(uri: str) -> bytes:
    """The internal storage of these tests."""
    return FILES[uri]


@pytest.fixture
def desk() -> ScriptedDesk:
    """A desk that answers by rules and keeps what it heard."""
    return ScriptedDesk()


@pytest.fixture
async def connect(slack: FakeSlack, desk: ScriptedDesk) -> AsyncIterator[Connect]:
    """Starts a front end by Socket Mode; call it again for the process after a restart."""
    ends: list[SlackFrontEnd] = []

    async def start() -> SlackFrontEnd:
        end = SlackFrontEnd(
            BOT_TOKEN,
            APP_TOKEN,
            base_url=f"{slack.url}/api/",
            read_file=read_file,
            secure_link=lambda form_id, person_id: f"https://parley.test/forms/{form_id}",
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
