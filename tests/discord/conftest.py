"""The real client in simcord's world, every request of it before two judges."""

import pytest

from bot.discord.client import DiscordFrontEnd
from tests.discord.desk import RuleDesk
from tests.wire.discord_spec import judge

TOKEN = "MTIz.abc.def"


@pytest.fixture
def desk():
    return RuleDesk()


@pytest.fixture
def storage(tmp_path):
    """Files in internal storage, by URI."""
    (tmp_path / "fox.png").write_bytes(b"\x89PNG fox")
    (tmp_path / "report.csv").write_bytes(b"a,b\n")
    return lambda uri: tmp_path / uri.rsplit("/", 1)[-1]


@pytest.fixture
def front(desk, storage):
    made = DiscordFrontEnd(TOKEN, locate=storage)
    made.desk = desk
    return made


@pytest.fixture
def simcord_bot(front):
    return front.client


@pytest.fixture
async def world(simcord_env, front):
    """simcord's world; at the end both judges look at every request."""
    simcord_env.front = front
    yield simcord_env
    found = {
        f"{request.method} {request.path}": problems
        for request in simcord_env.http_requests
        if request.method in ("POST", "PATCH", "PUT")
        and (problems := judge(request.method, request.path, request.json))
    }
    assert found == {}


@pytest.fixture
async def place(world):
    """A channel and somebody in it."""
    guild = world.create_guild()
    channel = guild.create_text_channel("general")
    ann = guild.add_member(world.create_user("ann"))
    return channel, ann
