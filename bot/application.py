"""The bot as a whole: engine, desk, front ends and page, started and stopped in order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from bot import chats
from bot.chat_port import FrontEndChat
from bot.desk import FrontDesk
from bot.findings import Finding
from bot.frontend import FrontEnd
from bot.people.accounts import Linked
from bot.settings import BotSettings
from bot.speaking import LEASE, Speaking
from bot.web.app import WebServer, WebSettings, make_app, make_gate
from bot.web.room import ChatRoom
from engine.clock import Clock
from engine.runtime import Engine

log = structlog.get_logger("parley")


@dataclass(slots=True)
class Application:
    """One running bot. `url` is the page's address once started."""

    engine: Engine
    desk: FrontDesk
    front_ends: Sequence[FrontEnd]
    speaking: Speaking
    server: WebServer
    url: str
    serving: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, settings: BotSettings, *, demo: bool = False, clock: Clock | None = None) -> "Application":
        """Open the database and put everything together; nothing listens, runs or connects yet."""
        engine = await Engine.open(settings, clock=clock)
        try:
            room = ChatRoom(engine)
            ends: list[FrontEnd] = [room]
            slack, discord = chats.slack(settings, engine.files.path), chats.discord(settings, engine.files.path)
            ends += [end for end in (slack, discord) if end is not None]
            slack_handler = slack.handle if slack is not None and settings.slack_app_token is None else None
            engine.chat = FrontEndChat(engine, ends)
            who = Linked(engine.database, settings.people.known, ends if settings.people.link_by_email else None)
            desk = FrontDesk(
                engine,
                ends,
                settings.chat,
                roles=settings.roles,
                approvals=settings.approvals,
                prices=settings.prices,
                identities=who,
                examine=partial(_examine, settings),
                explain=settings.explain,
            )
            room.sight = desk
            address = settings.web.public_url or settings.public_url
            web = WebSettings(settings.web.host, settings.web.port, address, settings.web.all_tokens(), demo=demo)
            app = make_app(engine, room, make_gate(engine, web), web, desk, slack_handler)
            server = WebServer(app, web)
            if engine.cluster is not None:
                engine.cluster.on("room", lambda signal: room.heard(int(signal.words[0])))
                engine.cluster.on("chat", lambda signal: desk.outbox.wake())
            return cls(engine, desk, ends, Speaking(desk, ends, room), server, server.bind())
        except BaseException:
            await engine.stop()
            raise

    async def start(self) -> None:
        """Run flows and schedules, answer the page, connect to the chats; SettingInvalid when a token is wrong. A chat
        that can't be reached now is tried again until it can; flows and the other chats do not wait for it."""
        self.serving = asyncio.create_task(self.server.serve(), name="page")
        cluster = self.engine.cluster
        if cluster is not None:
            cluster.hold(LEASE, self.speaking.lease_changed)
        await self.engine.start()
        await self.speaking.open(alone=cluster is None)
        (self.engine.settings.data / "page.url").write_text(self.url)
        log.info("who may do what", rule=self.desk.describe())
        for file, problem in self.engine.flows.problems().items():
            log.warning("flow file is not in use", file=str(file), problem=str(problem))

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set or the page's server dies."""
        waiting = asyncio.create_task(stop.wait())
        done = await asyncio.wait([waiting, *([self.serving] if self.serving else [])], return_when="FIRST_COMPLETED")
        waiting.cancel()
        for task in done[0]:
            if task is not waiting:
                task.result()

    async def stop(self) -> None:
        """Hear nothing new, let what runs end or keep it for the next start, close."""
        await self.speaking.stop()
        await self.desk.explaining.stop()  # also where another process is on the chats
        self.server.stop()
        await self.engine.stop()
        if self.serving is not None:
            await asyncio.wait([self.serving], timeout=5)
        (self.engine.settings.data / "page.url").unlink(missing_ok=True)


async def _examine(settings: BotSettings) -> list[Finding]:
    from bot.doctor import examine  # noqa: PLC0415 - asked for seldom, and it loads an HTTP client

    return await examine(settings)
