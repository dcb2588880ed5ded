"""What the messages about pauses said when they were last shown: a decision keeps the hash of what stood there."""

import json

from sqlalchemy import Column, Connection, Table, delete, select

from engine.store.chat_tables import messages
from engine.store.statements import put
from engine.store.tables import Chars, metadata

evidence = Table(
    "chat_evidence",
    metadata,
    Column("message", Chars, primary_key=True),
    Column("shown", Chars, nullable=False),  # SHA-256; "" when nobody knows what came through
)


def note(connection: Connection, message: str, shown: str) -> None:
    """A message says this from now on."""
    put(connection, evidence, {"message": message, "shown": shown})


def before(connection: Connection, entity: str, platform: str, channel: str, pressed: str) -> str:
    """What somebody had before them: the message they pressed, else the newest one in their channel; "" when neither is
    known."""
    query = select(messages.c.message, evidence.c.shown).join(evidence, evidence.c.message == messages.c.id)
    known = (messages.c.entity == entity, messages.c.platform == platform, messages.c.message.is_not(None))
    rows = connection.execute(query.where(*known, evidence.c.shown != "").order_by(messages.c.id))
    cards = [(json.loads(row.message), str(row.shown)) for row in rows]
    found = [said for at, said in cards if at["message"] == pressed]
    return next(iter(found or [said for at, said in reversed(cards) if at["channel"] == channel]), "")


def forget(connection: Connection) -> None:
    """Drop what belongs to messages that are forgotten."""
    connection.execute(delete(evidence).where(evidence.c.message.not_in(select(messages.c.id))))
