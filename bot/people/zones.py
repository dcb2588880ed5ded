"""On whose clock people say times: as their chat tells, else an account linked to theirs, else the bot's own."""

import asyncio
import time
from dataclasses import replace

from bot.conversation import Person
from bot.frontend import Unreachable
from bot.people.membership import Membership
from engine.store import chat_receipts
from engine.store.database import Database

REMEMBERED = 3600.0  # seconds
AGAIN = 300.0  # seconds until a chat that did not tell is asked again
PATIENCE = 1.0  # seconds for the chat to answer in: a window must open within three
MOST = 5000  # accounts that are remembered


class Zones:
    """Knows the zones of accounts; a chat is asked at most once an hour for each."""

    def __init__(self, database: Database, membership: Membership, default: str) -> None:
        self._database = database
        self._membership = membership
        self.default = default
        self._known: dict[str, tuple[str | None, float]] = {}  # what was told, and until when that holds

    async def placed(self, person: Person) -> Person:
        """A person with their zone."""
        return person if person.zone else replace(person, zone=await self._of(person.id) or self.default)

    async def _of(self, account: str) -> str | None:
        began = time.monotonic()
        if found := await self._told(account):
            return found
        try:
            who = await self._membership.identities.of(account)
        except Unreachable:
            return None
        for other in who.accounts:
            if time.monotonic() - began > PATIENCE / 2:
                break
            if other != account and (found := await self._told(other)):
                return found
        return None

    async def _told(self, account: str) -> str | None:
        """What the chat of an account says; what it said before, while it says nothing, also after a restart."""
        zone, until = self._known.get(account, (None, 0.0))
        now = time.monotonic()
        end = next((end for name, end in self._membership.front_ends.items() if account.startswith(f"{name}:")), None)
        if end is None or now < until:
            return zone
        try:
            async with asyncio.timeout(PATIENCE):
                told = await end.zone_of(account)
        except TimeoutError:
            told = None
        if told and told != zone:
            await self._database.transact(lambda unit: chat_receipts.lives_in(unit.connection, account, told))
        elif not told and zone is None:
            kept = await self._database.read(lambda c: chat_receipts.who(c, {account}))
            zone = kept[account].zone if account in kept else None
        self._known.pop(account, None)
        self._known[account] = (told or zone, now + (REMEMBERED if told else AGAIN))
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return told or zone
