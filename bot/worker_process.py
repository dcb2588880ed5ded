"""A process without chat and page: a worker, or a scheduler."""

import asyncio
from dataclasses import dataclass

from bot.settings import BotSettings
from bot.silence import Silence
from engine.clock import Clock
from engine.runtime import Engine


@dataclass(slots=True)
class WorkerProcess:
    """An engine alone. `url` stands for the page it has not."""

    engine: Engine
    url: str = "-"

    @classmethod
    async def open(cls, settings: BotSettings, *, clock: Clock | None = None) -> "WorkerProcess":
        """Open the database; nothing runs yet."""
        engine = await Engine.open(settings, clock=clock)
        engine.door.keeper = Silence(settings.approvals)
        return cls(engine)

    async def start(self) -> None:
        """Run what falls to this process."""
        await self.engine.start()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        await stop.wait()

    async def stop(self) -> None:
        """Let what runs end, or hand it to another process."""
        await self.engine.stop()
