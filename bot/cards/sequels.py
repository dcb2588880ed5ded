"""What follows a card in its thread comes although the process ends in between: it is owed from the moment the card is
noted as shown, and sent at the next start as far as the thread lacks it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bot import documents
from bot.conversation import Card, MessageRef
from bot.frontend import FrontEnd, Unreachable
from engine.errors import NotFound
from engine.store import chat_messages, chat_sequels
from engine.store.chat_messages import Message
from engine.store.chat_sequels import Sequel
from engine.store.database import Database

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sequels:
    """Those of one platform."""

    front_end: FrontEnd
    database: Database
    draw: Callable[[Message], Awaitable[tuple[Card, bool]]]
    _sending: set[asyncio.Task[Any]] = field(default_factory=set)

    def follow(self, one: Sequel, ref: MessageRef, card: Card) -> None:
        """Send what is owed, beside."""
        task = asyncio.create_task(self._send(one, ref, card), name=f"sequel of {one.message}")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def catch_up(self) -> None:
        """Send what was owed when the process ended."""
        for one in await self.database.read(lambda c: chat_sequels.owed(c, self.front_end.platform)):
            row = await self.database.read(partial(chat_messages.find, id_=one.message))
            try:
                card = None if row is None or row.message is None else (await self.draw(row))[0]
            except NotFound:
                card = None
            if card is None or row is None or row.message is None:
                await self._settled(one)
            else:
                self.follow(one, documents.message_ref(row.message), card)

    async def stop(self) -> None:
        """What is under way is cut off; it is still owed."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, one: Sequel, ref: MessageRef, card: Card) -> None:
        while True:
            try:
                await self.front_end.send_sequel(ref, card, is_fresh=one.is_fresh)
            except Unreachable as refusal:
                if refusal.retry_after is None:
                    break
                await asyncio.sleep(max(refusal.retry_after, 0.05))
            except Exception:
                log.exception("What follows message %s could not be sent; the next start tries again.", one.message)
                return
            else:
                break
        await self._settled(one)

    async def _settled(self, one: Sequel) -> None:
        await self.database.transact(lambda unit: chat_sequels.settled(unit.connection, one))
