"""What holds in a room: settings of its own, and flows whose runs it does not want to see for a time."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from engine.store.chat_tables import room_settings
from engine.store.statements import insert_new

CARD, MUTE = "card", "mute "  # the latter with the flow behind it
_table = room_settings.c


def put(connection: Connection, room: str, name: str, value: str, until: datetime | None = None) -> None:
    """Set one setting of a room, over what was there."""
    drop(connection, room, name)
    insert_new(connection, room_settings, {"room": room, "name": name, "value": value, "until": until})


def get(connection: Connection, room: str, name: str, now: datetime) -> tuple[str, datetime | None] | None:
    """A setting and until when it holds (None: for good); None when there is none, or no longer."""
    row = connection.execute(select(room_settings).where(_table.room == room, _table.name == name)).one_or_none()
    return None if row is None or _is_over(row, now) else (str(row.value), row.until)


def drop(connection: Connection, room: str, name: str) -> bool:
    """Forget a setting; whether there was one."""
    return connection.execute(delete(room_settings).where(_table.room == room, _table.name == name)).rowcount > 0


def beginning(connection: Connection, room: str, prefix: str, now: datetime) -> list[tuple[str, datetime | None]]:
    """Settings of a room whose names begin so, as (rest of the name, until when), by name."""
    query = select(room_settings).where(_table.room == room, _table.name.startswith(prefix, autoescape=True))
    rows = connection.execute(query.order_by(_table.name))
    return [(row.name.removeprefix(prefix), row.until) for row in rows if not _is_over(row, now)]


def of_flow(connection: Connection, room: str, flow: str, now: datetime) -> tuple[str | None, datetime | None]:
    """How a room shows runs, when it says so itself; and until when it mutes those of a flow."""
    card, mute = get(connection, room, CARD, now), get(connection, room, f"{MUTE}{flow}", now)
    return card and card[0], mute and mute[1]


def forget(connection: Connection, now: datetime) -> None:
    """Drop what no longer holds."""
    connection.execute(delete(room_settings).where(_table.until.is_not(None), _table.until <= now))


def _is_over(row: Any, now: datetime) -> bool:
    return row.until is not None and row.until <= now
