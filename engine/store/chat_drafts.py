"""Drafts: what somebody typed into a form that is not sent yet. They survive restarts and are kept for a day."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from engine.store.chat_tables import drafts
from engine.store.statements import insert_new

KEEP = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """A draft as kept; `document` is the desk's business."""

    id: str
    person: str
    document: Mapping[str, Any]
    changed: datetime


def keep(connection: Connection, id_: str, person: str, document: Mapping[str, Any], now: datetime) -> None:
    """Write a draft down, or over its earlier version."""
    if not keep_on(connection, id_, document, now):
        insert_new(connection, drafts, {"id": id_, "person": person, "document": json.dumps(document), "changed": now})


def keep_on(connection: Connection, id_: str, document: Mapping[str, Any], now: datetime) -> bool:
    """Write a draft over its earlier version; False when it was sent, cancelled or forgotten meanwhile."""
    values = {"document": json.dumps(document), "changed": now}
    return connection.execute(update(drafts).where(drafts.c.id == id_).values(**values)).rowcount == 1


def find(connection: Connection, id_: str) -> StoredDraft | None:
    """A draft by its id; None when it was sent, cancelled or forgotten."""
    row = connection.execute(select(drafts).where(drafts.c.id == id_)).one_or_none()
    return StoredDraft(row.id, row.person, json.loads(row.document), row.changed) if row else None


def of(connection: Connection, person: str, limit: int) -> list[StoredDraft]:
    """What a person typed last, newest first."""
    query = select(drafts).where(drafts.c.person == person).order_by(drafts.c.changed.desc(), drafts.c.id.desc())
    return [
        StoredDraft(row.id, row.person, json.loads(row.document), row.changed)
        for row in connection.execute(query.limit(limit))
    ]


def drop(connection: Connection, id_: str) -> bool:
    """The draft has become a run or an answer, or was cancelled; False when it was gone already."""
    return connection.execute(delete(drafts).where(drafts.c.id == id_)).rowcount == 1


def forget(connection: Connection, before: datetime) -> None:
    """Drop drafts nobody came back to."""
    connection.execute(delete(drafts).where(drafts.c.changed < before))
