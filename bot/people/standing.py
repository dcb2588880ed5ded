"""Whether the account somebody signed in with is still there. The chat is asked; what it said is remembered a while,
for whoever only reads."""

import asyncio
from datetime import datetime, timedelta

from bot.conversation import Person, Room
from bot.frontend import Unreachable
from bot.people.accounts import Linked
from bot.people.identities import CHATS
from bot.people.membership import Membership
from bot.texts import Answer, answer
from engine.clock import Clock
from engine.store import chat_audit, visits
from engine.store.chat_audit import Deed
from engine.store.database import Database, Unit

REMEMBERED = timedelta(minutes=5)
GRACE = timedelta(minutes=5)  # beyond that, while the chat can't be asked
PATIENCE = 5.0  # seconds for the chat to answer in
UNSURE = "account-unsure"
GONE = "the account is not there any more"
MOST = 5000  # accounts that are remembered


class Standings:
    """Knows which accounts are still there."""

    def __init__(self, database: Database, clock: Clock, membership: Membership) -> None:
        self._database = database
        self._clock = clock
        self._membership = membership
        self._seen: dict[str, datetime] = {}  # when the chat last said that an account is there

    async def is_active(self, person_id: str, *, fresh: bool) -> bool:
        """Whether somebody is still there: always, unless they are an account of a chat, or a token that parley.yaml
        gives to somebody with such an account. `fresh`: as the chat says now. Unreachable when that can't be told."""
        accounts, unsure = self._accounts(person_id), None
        for account in accounts:
            try:
                if await self._is_there(account, fresh):
                    return True
            except Unreachable as silence:
                unsure = silence
        if unsure is not None:
            raise unsure
        return not accounts

    async def refuse(self, person: Person, room: Room | None = None, *, fresh: bool = True) -> Answer | None:
        """Why an account may do nothing now; None when it is still there. With a `room`: where a chat itself lets in
        whoever is there, nobody is asked about."""
        if room is not None and not (room.platform == "discord" and room.is_direct):
            return None  # but direct messages of Discord stay open to who left its servers
        try:
            if await self.is_active(person.id, fresh=fresh):
                return None
        except Unreachable as silence:
            return answer(UNSURE, why=silence.reason)
        return answer("account-gone", platform=person.id.partition(":")[0].capitalize())

    def _accounts(self, person_id: str) -> tuple[str, ...]:
        """The accounts of chats, one of which must be there. Who is linked counts by the one they signed in with."""
        kind, identities = person_id.partition(":")[0], self._membership.identities
        if kind == "token" and isinstance(identities, Linked):
            owner = identities.written_down((person_id,))
            return tuple(one for one in (owner.accounts if owner else ()) if one.partition(":")[0] in CHATS)
        return (person_id,) if kind in CHATS else ()

    async def _is_there(self, account: str, fresh: bool) -> bool:
        now, seen = self._clock.now(), self._seen.get(account)
        if not fresh and seen is not None and now < seen + REMEMBERED:
            return True
        try:
            is_there = await self._ask(account)
        except Unreachable:
            if not fresh and seen is not None and now < seen + REMEMBERED + GRACE:
                return True
            raise
        self._seen.pop(account, None)
        if is_there:
            if len(self._seen) >= MOST:
                self._seen.clear()
            self._seen[account] = now
        return is_there

    async def _ask(self, account: str) -> bool:
        platform = account.partition(":")[0]
        end = self._membership.connected(platform)
        if end is None:
            raise Unreachable(f"The bot is not connected to {platform.capitalize()} any more.")
        try:
            async with asyncio.timeout(PATIENCE):
                return await end.is_active(account)
        except TimeoutError as error:
            raise Unreachable(f"{platform.capitalize()} does not answer.", retry_after=PATIENCE) from error

    async def end_visits(self, person: Person) -> None:
        """No browser is signed in any more with an account that is gone, and no link it was given is good; it is on
        record that this was so."""
        now = self._clock.now()

        def work(unit: Unit) -> None:
            ended = visits.end_all(unit.connection, (person.id,))
            action, details = "sign out", {"browsers": ended, "why": GONE}
            if not ended:
                action, details = "refused", {"text": GONE}
            deed = Deed(now, person.id, person.name, person.platform, action, "", details=details)
            chat_audit.record(unit.connection, deed)

        await self._database.transact(work)
