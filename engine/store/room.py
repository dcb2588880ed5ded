"""The messages of the page's own chat room."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, Table, func, insert, or_, select, update

from engine.store.statements import serial
from engine.store.tables import Chars, executions, metadata, pauses, task_runs

room_messages = Table(
    "room_messages",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("channel", Chars, nullable=False),
    Column("author", Chars, nullable=False),
    Column("author_kind", Chars, nullable=False),
    Column("body", Chars, nullable=False),
    Column("private_to", Chars),
    Column("nonce", Chars, unique=True),
    Column("version", Integer, nullable=False, default=0),
    Column("at", Chars, nullable=False),
    Column(
        "change", Integer, nullable=False
    ),  # grows with every message and every edit: what an open page has not seen
    Index("room_messages_by_channel", "channel", "id"),
    Index("room_messages_by_change", "change"),
)


@dataclass(frozen=True, slots=True)
class RoomRow:
    """One message; `body` is JSON text."""

    id: int
    channel: str
    author: str
    author_kind: str
    body: str
    private_to: str | None
    version: int
    at: datetime
    change: int


def add(
    connection: Connection,
    *,
    channel: str,
    author: str,
    author_kind: str,
    body: str,
    private_to: str | None,
    nonce: str | None,
    version: int,
    now: datetime,
) -> RoomRow:
    """Write a message; with a nonce that is there already, the message that has it."""
    table = room_messages.c
    if nonce is not None:
        found = connection.execute(select(room_messages).where(table.nonce == nonce)).mappings().first()
        if found is not None:
            return _row(found)
    done = connection.execute(
        insert(room_messages).values(
            channel=channel,
            author=author,
            author_kind=author_kind,
            body=body,
            private_to=private_to,
            nonce=nonce,
            version=version,
            at=now.isoformat(),
            change=_next(connection),
        )
    )
    key = done.inserted_primary_key
    assert key is not None  # noqa: S101 - an INTEGER PRIMARY KEY always comes back
    return _row(connection.execute(select(room_messages).where(table.id == key[0])).mappings().one())


def edit(connection: Connection, message_id: int, body: str, version: int, now: datetime) -> RoomRow | None:
    """Replace a message's body unless a newer version is shown already; None when the message is gone."""
    table = room_messages.c
    connection.execute(
        update(room_messages)
        .where(table.id == message_id, table.version <= version)
        .values(body=body, version=version, change=_next(connection))
    )
    found = connection.execute(select(room_messages).where(table.id == message_id)).mappings().first()
    return None if found is None else _row(found)


def one(connection: Connection, message_id: int) -> RoomRow | None:
    """A message, if it is there."""
    found = connection.execute(select(room_messages).where(room_messages.c.id == message_id)).mappings().first()
    return None if found is None else _row(found)


def flow_of(connection: Connection, id_: str) -> str | None:
    """The full name of the flow that a run, a pause or a task run belongs to."""
    run = select(task_runs.c.execution_id).where(task_runs.c.id == id_).scalar_subquery()
    for table, here in (
        (executions, executions.c.id == id_),
        (pauses, pauses.c.id == id_),
        (executions, executions.c.id == run),
    ):
        row = connection.execute(select(table.c.namespace, table.c.flow_id).where(here)).one_or_none()
        if row is not None:
            return f"{row.namespace}/{row.flow_id}"
    return None


def recent(connection: Connection, channel: str, accounts: Collection[str], limit: int) -> list[RoomRow]:
    """The newest messages of a channel that are for everybody or for a person of these accounts, oldest first."""
    table = room_messages.c
    newest = (
        select(room_messages)
        .where(table.channel == channel, or_(table.private_to.is_(None), table.private_to.in_(accounts)))
        .order_by(table.id.desc())
        .limit(limit)
    )
    return [_row(row) for row in reversed(connection.execute(newest).mappings().all())]


def _next(connection: Connection) -> int:
    serial(connection, "room")
    highest: int = connection.execute(select(func.coalesce(func.max(room_messages.c.change), 0))).scalar_one()
    return highest + 1


def _row(row: Any) -> RoomRow:
    return RoomRow(
        row["id"],
        row["channel"],
        row["author"],
        row["author_kind"],
        row["body"],
        row["private_to"],
        row["version"],
        datetime.fromisoformat(row["at"]),
        row["change"],
    )
