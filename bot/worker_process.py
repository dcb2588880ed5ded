"""A process without chat and page: a worker, or a scheduler."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.approvals.silence import Silence
from bot.settings import BotSettings
from engine.clock import Clock
from engine.runtime import Engine

if TYPE_CHECKING:  # most workers are not watched, and need no web server
    from bot.web.app import WebServer


@dataclass(slots=True)
class WorkerProcess:
    """An engine alone; with `web.worker_port`, health and numbers at `url`."""

    engine: Engine
    url: str = "-"
    server: "WebServer | None" = None
    serving: asyncio.Task[None] | None = None
    is_ready: bool = False

    @classmethod
    async def open(cls, settings: BotSettings, *, clock: Clock | None = None) -> "WorkerProcess":
        """Open the database; nothing runs yet. SettingInvalid when the port can't be used."""
        engine = await Engine.open(settings, clock=clock)
        engine.door.keeper = Silence(settings.approvals)
        process = cls(engine)
        if settings.web.worker_port is not None:
            try:
                process._watch(settings, settings.web.worker_port)
            except BaseException:
                await engine.stop()
                raise
        return process

    def _watch(self, settings: BotSettings, port: int) -> None:
        from bot.web.app import WebServer, WebSettings, make_gate, make_watched  # noqa: PLC0415 - as above

        web = WebSettings(settings.web.host, port, settings.web.public_url, settings.web.all_tokens())
        self.server = WebServer(make_watched(self.engine, make_gate(self.engine, web), self._takes_work), web)
        self.url = self.server.bind()

    async def start(self) -> None:
        """Run what falls to this process."""
        if self.server is not None:
            self.serving = asyncio.create_task(self.server.serve(), name="health")
        await self.engine.start()
        self.is_ready = True

    def _takes_work(self) -> bool:
        return self.is_ready and self.engine.is_connected

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        await stop.wait()

    async def stop(self) -> None:
        """Let what runs end, or hand it to another process."""
        self.is_ready = False
        await self.engine.stop()
        if self.server is not None and self.serving is not None:
            self.server.stop()
            await asyncio.wait([self.serving], timeout=5)
