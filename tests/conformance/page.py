"""The web page on an engine, reached over HTTP without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from bot.desk import FrontDesk
from bot.web.app import WebSettings, make_app, make_gate
from bot.web.room import ChatRoom
from engine.runtime import Engine


@asynccontextmanager
async def page_of(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page."""
    settings = WebSettings()

    room = ChatRoom(engine)
    app = make_app(engine, room, make_gate(engine, settings), settings, FrontDesk(engine, [room]))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8082") as client:
        yield client
