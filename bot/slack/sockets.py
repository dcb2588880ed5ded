"""Socket Mode over several connections: Slack sends each event over one of them, so that a slow or broken one holds up
no more than its share, and while one is renewed the others hear."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.refusals import TOKEN
from bot.slack.transport import as_unreachable, error_code
from bot.tallies import REFUSALS
from engine.errors import SettingInvalid

log = logging.getLogger("parley.slack")
_HELLO = 15.0  # seconds for Slack to greet
_AGAIN = 30.0  # seconds before a further connection is tried again
_pause = asyncio.sleep


class Sockets:
    """Connections of one app. The first must stand; the others join when they can."""

    def __init__(self, app: AsyncApp, token: str, client: AsyncWebClient, count: int, ping_interval: float) -> None:
        self._app = app
        self._token = token
        self._client = client
        self._count = count
        self._ping_interval = ping_interval
        self._open: list[AsyncSocketModeHandler] = []
        self._joining: asyncio.Task[None] | None = None
        self._told = False

    async def start(self) -> None:
        """Connect once and begin with the others; SettingInvalid when the token is wrong."""
        try:
            await self._connect()
        except SlackApiError as error:
            raise SettingInvalid(
                f"Slack does not accept the app token ({error_code(error)}).",
                fix="Switch on Socket Mode and make an app-level token with the scope connections:write.",
            ) from error
        if self._count > 1:
            self._joining = asyncio.create_task(self._join(), name="slack sockets")

    async def stop(self) -> None:
        """Hear nothing more."""
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)
        await asyncio.gather(*(_close(socket) for socket in self._open))
        self._open.clear()

    async def _join(self) -> None:
        while len(self._open) < self._count:
            try:
                await self._connect()
            except (SlackClientError, aiohttp.ClientError, OSError, TimeoutError) as error:
                refusal = as_unreachable(error)
                log.info("A further connection to Slack is tried again: %s", refusal.reason)
                await _pause(max(refusal.retry_after or 0, _AGAIN))

    async def _connect(self) -> None:
        opened = await self._client.apps_connections_open(app_token=self._token)
        socket = AsyncSocketModeHandler(
            self._app, self._token, web_client=self._client, ping_interval=self._ping_interval
        )
        # The SDK asks a refused token again and again, and logs each time; so we ask.
        socket.client.wss_uri = str(opened["url"])
        hello = asyncio.Event()

        async def listen(_: Any, message: dict[str, Any], __: str | None = None) -> None:
            if message.get("type") == "hello":
                hello.set()

        socket.client.message_listeners.append(listen)
        socket.client.issue_new_wss_url = self._address  # type: ignore[method-assign]
        try:
            async with asyncio.timeout(_HELLO):
                await socket.connect_async()  # type: ignore[no-untyped-call]
                await hello.wait()
        except BaseException:
            await _close(socket)
            raise
        self._open.append(socket)

    async def _address(self) -> str:
        """A new address, once Slack gives one. That it takes the token no more is said once."""
        while True:
            try:
                opened = await self._client.apps_connections_open(app_token=self._token)
            except SlackApiError as error:
                await self._refused(error)
                continue
            if self._told:
                log.warning("Slack accepts the app token again.")
            self._told = False
            return str(opened["url"])

    async def _refused(self, error: SlackApiError) -> None:
        refusal = as_unreachable(error)
        if error_code(error) in TOKEN and not self._told:
            REFUSALS.add("slack", "no token")
            log.error(
                "Slack no longer accepts the app token (%s), so the bot hears nothing there. Make a new one with "
                "connections:write, set SLACK_APP_TOKEN, restart Parley.",
                error_code(error),
            )
            self._told = True
        await _pause(refusal.retry_after if refusal.retry_after is not None else _AGAIN)


async def _close(socket: AsyncSocketModeHandler) -> None:
    client = socket.client
    left = [client.message_processor, client.current_session_monitor, client.message_receiver]
    with suppress(aiohttp.ClientError, OSError):
        await socket.close_async()  # type: ignore[no-untyped-call]
    await asyncio.gather(*(task for task in left if task is not None), return_exceptions=True)
