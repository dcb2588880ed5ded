"""What the chat tables keep for a time is forgotten when that is over."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from engine.errors import EngineError
from engine.store import (
    chat_drafts,
    chat_explanations,
    chat_ladder,
    chat_messages,
    chat_receipts,
    chat_rooms,
    chat_votes,
)
from engine.store.database import Database, Unit

log = logging.getLogger(__name__)

EVERY = 3600.0  # seconds between two clean-ups


async def tidy(database: Database, clock: Callable[[], datetime]) -> None:
    """Forget what nobody will come back to, now and then; it never ends."""
    while True:
        now = clock()

        def work(unit: Unit, now: datetime = now) -> None:
            chat_receipts.forget(unit.connection, now - chat_receipts.KEEP)
            chat_drafts.forget(unit.connection, now - chat_drafts.KEEP)
            chat_messages.forget(unit.connection, now - chat_messages.KEEP)
            chat_ladder.forget(unit.connection, now - chat_messages.KEEP)
            chat_votes.forget(unit.connection, now - chat_messages.KEEP)
            chat_explanations.forget(unit.connection, now, now - chat_messages.KEEP)
            chat_rooms.forget(unit.connection, now)

        try:
            await database.transact(work)
        except EngineError as error:
            log.warning("The chat tables were not cleaned up: %s", error)
        await asyncio.sleep(EVERY)
