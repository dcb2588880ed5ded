"""A whole bot with its page on a free port."""

import re
import shutil
from contextlib import asynccontextmanager

import httpx
import pytest

from bot.application import Application
from bot.chat_settings import ChatSettings
from bot.settings import BotSettings, WebSection
from tests.bot.memory_front_end import MemoryFrontEnd
from tests.shared import ROOT


class Browser:
    """An httpx client that sends forms as a browser does: with the page's own CSRF token."""

    def __init__(self, url: str, **options):
        self.client = httpx.AsyncClient(base_url=url, follow_redirects=True, **options)
        self.token = ""

    async def get(self, path: str, **options) -> httpx.Response:
        answer = await self.client.get(path, **options)
        if found := re.search(r'name="csrf" value="([^"]+)"', answer.text):
            self.token = found[1]
        return answer

    async def post(self, path: str, **fields) -> httpx.Response:
        return await self.client.post(path, data={"csrf": self.token, **fields})

    async def say(self, text: str) -> httpx.Response:
        await self.get("/")
        return await self.post("/say", text=text)


def _tour(folder):
    """The tour's flows but the one that runs by itself: tests count executions."""
    if not (there := folder / "tour").exists():
        shutil.copytree(ROOT / "flows" / "tour", there, ignore=shutil.ignore_patterns("water_the_plants.*"))
    return there


@asynccontextmanager
async def running(folder, flows=None, approvals=(), roles=(), chats=(), clock=None, settings=None, **web):
    """The application, started; stopped at the end. `chats` say of everybody that they are there."""
    given = {"slack_bot_token": None, "discord_token": None, **(settings or {})}
    made = BotSettings(
        data=folder / "data",
        flows=(flows or _tour(folder),),
        approvals=approvals,
        roles=roles,
        web=WebSection(**{"port": 0, **web}),
        public_url=web.get("public_url"),
        chat=ChatSettings(public_url=web.get("public_url")),
        **given,
    )
    app = await Application.open(made, clock=clock)
    app.desk.front_ends |= {name: MemoryFrontEnd(name) for name in chats}
    try:
        await app.start()
        yield app
    finally:
        await app.stop()


@pytest.fixture
async def parley(tmp_path):
    async with running(tmp_path) as app:
        yield app


@pytest.fixture
async def browser(parley):
    made = Browser(parley.url)
    yield made
    await made.client.aclose()
