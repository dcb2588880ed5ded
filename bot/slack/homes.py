"""App Homes: the inbox of whoever opened it, drawn anew when a request comes or is decided, wherever that happens."""

import asyncio
from collections import OrderedDict
from dataclasses import replace

import structlog

from bot.frontend import Desk, Unreachable
from bot.slack import payloads
from bot.slack.answering import Answering
from bot.slack.payloads import Asked
from bot.slack.people import People
from bot.slack.work import Work

log = structlog.get_logger("parley.slack")

MOST = 20  # homes that are kept up to date: of those who opened theirs last
GATHER = 1.0  # seconds in which changes are gathered


class Homes:
    """Draws App Homes of one workspace."""

    def __init__(self, desk: Desk, answering: Answering, people: People, work: Work, gather: float = GATHER) -> None:
        self._desk = desk
        self._answering = answering
        self._people = people
        self._work = work
        self._gather = gather
        self._open: OrderedDict[str, Asked] = OrderedDict()
        self._drawn = 0
        self._is_called = False

    async def draw(self, asked: Asked) -> None:
        """The home of the person who opened it, or pressed something on it."""
        person = await self._people.named(self._people.with_roles(asked.person))
        asked = replace(asked, person=person)
        self._open[person.id] = asked
        self._open.move_to_end(person.id)
        while len(self._open) > MOST:
            self._open.popitem(last=False)
        self._drawn += 1
        again = replace(asked, receipt=f"{asked.receipt}:home:{self._drawn}")
        reply = await self._desk.command(payloads.command_of(again, "pending"))
        try:
            await self._answering.publish_home(asked, reply)
        except Unreachable as error:
            log.warning("slack home not drawn", reason=error.reason)

    def changed(self) -> None:
        """Something waits, or waits no more: every home that is kept is drawn again, once for what comes together."""
        if self._open and not self._is_called:
            self._is_called = True
            self._work.spawn(self._redraw(), "homes")

    async def _redraw(self) -> None:
        await asyncio.sleep(self._gather)
        self._is_called = False
        for asked in list(self._open.values()):
            await self.draw(replace(asked, person=replace(asked.person, roles=())))
