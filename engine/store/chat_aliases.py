"""Aliases: short words that a workspace, a channel or one person gave to commands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Column, Connection, PrimaryKeyConstraint, Table, delete, select

from engine.store.chat_audit import REMOVED
from engine.store.statements import put as put_row
from engine.store.tables import Chars, Instant, metadata

aliases = Table(
    "chat_alias",
    metadata,
    Column("workspace", Chars, nullable=False),  # platform and workspace, one channel of it, or whose own they are
    Column("name", Chars, nullable=False),
    Column("command", Chars, nullable=False),
    Column("person", Chars, nullable=False),
    Column("created", Instant, nullable=False),
    PrimaryKeyConstraint("workspace", "name"),
)


@dataclass(frozen=True, slots=True)
class Alias:
    """One of them; `command` is what it stands for, without the alias's own further words."""

    workspace: str
    name: str
    command: str
    person: str
    created: datetime


DIRECT = "discord:"  # where those of direct messages lay in schema 2, of everybody together


def own(account: str) -> str:
    """Instead of a workspace: where those lie that one person alone has."""
    return f"@{account}"


def channel(platform: str, workspace: str, channel: str) -> str:
    """Instead of a workspace: where those lie that hold in one channel of it."""
    return f"#{platform}:{workspace}/{channel}"


def make_own(connection: Connection) -> None:
    """Give those that were made in direct messages for everybody to who made them; nobody's are dropped."""
    for one in every(connection, DIRECT):
        mine = own(one.person)
        if one.person != REMOVED and find(connection, mine, one.name) is None:
            put(connection, replace(one, workspace=mine))
        remove(connection, DIRECT, one.name)


def put(connection: Connection, alias: Alias) -> None:
    """Keep one, over what the name stood for."""
    put_row(connection, aliases, {name: getattr(alias, name) for name in alias.__slots__})


def remove(connection: Connection, workspace: str, name: str) -> bool:
    """Forget one; False when there is none."""
    row = aliases.c
    return connection.execute(delete(aliases).where(row.workspace == workspace, row.name == name)).rowcount > 0


def find(connection: Connection, workspace: str, name: str) -> Alias | None:
    """One by its name."""
    row = aliases.c
    found = connection.execute(select(aliases).where(row.workspace == workspace, row.name == name)).one_or_none()
    return Alias(**found._mapping) if found else None


def holding(connection: Connection, places: Sequence[str]) -> list[Alias]:
    """All of several places, those of the first place first."""
    return [one for place in places for one in every(connection, place)]


def every(connection: Connection, workspace: str) -> list[Alias]:
    """All of a workspace, by name."""
    query = select(aliases).where(aliases.c.workspace == workspace).order_by(aliases.c.name)
    return [Alias(**row._mapping) for row in connection.execute(query)]
