"""Messages whose thread may lack something still: files and texts that follow a card once it is posted or edited."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Column, Connection, Table, delete, select

from engine.store.statements import insert_new
from engine.store.tables import Chars, metadata

sequels = Table(
    "chat_sequel",
    metadata,
    Column("message", Chars, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("platform", Chars, nullable=False),
    Column("fresh", Boolean, nullable=False),  # the message was posted then, not edited
)


@dataclass(frozen=True, slots=True)
class Sequel:
    """What follows one version of a message."""

    message: str
    version: int
    is_fresh: bool


def owe(connection: Connection, platform: str, one: Sequel) -> None:
    """Until it is `settled`, what follows this version may be missing."""
    row = {"message": one.message, "version": one.version, "platform": platform, "fresh": one.is_fresh}
    insert_new(connection, sequels, row)


def owed(connection: Connection, platform: str) -> list[Sequel]:
    """What may be missing on a platform."""
    query = select(sequels).where(sequels.c.platform == platform).order_by(sequels.c.message, sequels.c.version)
    return [Sequel(row.message, row.version, row.fresh) for row in connection.execute(query)]


def settled(connection: Connection, one: Sequel) -> None:
    """All of it is there, or never will be."""
    here = (sequels.c.message == one.message) & (sequels.c.version == one.version)
    connection.execute(delete(sequels).where(here))
