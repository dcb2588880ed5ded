"""Being on the chats: front ends connected, the desk's cards drawn. One process at a time is, on one database."""

import asyncio
from collections.abc import Sequence

import structlog

from bot.desk import FrontDesk
from bot.frontend import FrontEnd, Unreachable
from engine.errors import SettingInvalid

log = structlog.get_logger("parley")

LEASE = "chat"
GRACE = 10.0  # seconds without the lease after which the connections are given up


class Speaking:
    """Connects front ends, and lets go of them. Where processes share a database, a lease says who does."""

    def __init__(self, desk: FrontDesk, front_ends: Sequence[FrontEnd], room: FrontEnd) -> None:
        self.desk = desk
        self._ends = front_ends
        self._room = room  # of the page: every process answers its own
        self._connected: list[FrontEnd] = []
        self._connecting: list[asyncio.Task[None]] = []
        self._desk_runs = False
        self._held = False
        self._open = False
        self._turn: asyncio.Task[None] | None = None
        self._changes = asyncio.Lock()

    async def open(self, *, alone: bool) -> None:
        """Answer the page; be on the chats too, when this process is alone or the lease is ours. SettingInvalid."""
        await self._connect(self._room)
        self._open = True
        if alone or self._held:
            await self.start()
        else:
            log.info("another process is on the chats; this one stands by")

    async def start(self) -> None:
        """Connect; SettingInvalid when a token is wrong. A chat that can't be reached now is tried again until it can;
        flows and the other chats do not wait for it."""
        for end in self._ends:
            if end not in self._connected and not await self._connect(end):
                self._connecting.append(asyncio.create_task(self._keep_connecting(end), name=f"connect {end.platform}"))
        await self._start_desk()

    def lease_changed(self, held: bool) -> None:
        """It falls to this process to be on the chats, or to another."""
        self._held = held
        if not self._open:
            return
        if self._turn is not None:
            self._turn.cancel()
        self._turn = asyncio.create_task(self._take_turn(held), name="chat lease")

    async def stop(self) -> None:
        """Hear nothing new, let what runs end."""
        if self._turn is not None:
            self._turn.cancel()
            await asyncio.gather(self._turn, return_exceptions=True)
        await self._disconnect()
        await self._stop_desk()
        for end in reversed(self._connected):
            await end.stop()

    async def _take_turn(self, held: bool) -> None:
        if held:
            async with self._changes:
                log.info("this process is on the chats now")
                try:
                    await self.start()
                except SettingInvalid as error:
                    log.error("gave up connecting", reason=str(error))
            return
        async with self._changes:
            await self._stop_desk()  # at once: somebody else may be drawing already
        log.warning("another process may be on the chats; this one stands by")
        await asyncio.sleep(GRACE)
        async with self._changes:
            await self._disconnect()

    async def _start_desk(self) -> None:
        if not self._desk_runs:
            self._desk_runs = True
            await self.desk.start()

    async def _stop_desk(self) -> None:
        if self._desk_runs:
            self._desk_runs = False
            await self.desk.stop()

    async def _disconnect(self) -> None:
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        self._connecting.clear()
        for end in reversed(self._connected):
            if end is not self._room:
                await end.stop()
        self._connected = [end for end in self._connected if end is self._room]

    async def _connect(self, end: FrontEnd) -> bool:
        try:
            await end.start(self.desk)
        except Unreachable as error:
            log.warning("not connected yet", to=end.platform, reason=error.reason)
            return False
        self._connected.append(end)
        log.info("connected", to=end.describe())
        return True

    async def _keep_connecting(self, end: FrontEnd) -> None:
        wait = 2.0
        while True:
            await asyncio.sleep(wait)
            try:
                if await self._connect(end):
                    return
            except SettingInvalid as error:
                log.error("gave up connecting", to=end.platform, reason=str(error))
                return
            wait = min(wait * 2, 60.0)
