"""Receipts: each delivery of a chat platform counts once, and its answer can be given again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select, update

from engine.store.chat_tables import people, receipts, settings
from engine.store.statements import insert_new

KEEP = timedelta(hours=24)  # platforms redeliver within minutes; a day is ample


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery. `answer` is there once `is_done`."""

    key: str
    kind: str
    event: Mapping[str, Any]
    is_done: bool
    answer: Mapping[str, Any] | None
    created: datetime


def open_receipt(
    connection: Connection, key: str, kind: str, event: Mapping[str, Any], now: datetime
) -> Receipt | None:
    """Write a delivery down; None when it is new, else the receipt it already has."""
    row = {"key": key, "kind": kind, "event": json.dumps(event), "state": "OPEN", "handed": False, "created": now}
    if insert_new(connection, receipts, row):
        return None
    return find(connection, key)


def find(connection: Connection, key: str) -> Receipt | None:
    """A receipt by its key."""
    row = connection.execute(select(receipts).where(receipts.c.key == key)).one_or_none()
    return _receipt(row) if row else None


def part(key: str, name: str) -> str:
    """The key of one piece of a delivery that does several things, each of which counts once."""
    return f"{key}#{name}"


def finish(connection: Connection, key: str, answer: Mapping[str, Any]) -> bool:
    """Store the answer of an open receipt, of whose event only the way back is kept, or of a part of one; False when it
    has one already."""
    row = connection.execute(select(receipts.c.event).where(receipts.c.key == key)).one_or_none()
    if row is None:
        return _finish_part(connection, key, answer)
    event = json.loads(row.event)
    kept = json.dumps({name: event[name] for name in ("answer_url", "person", "room") if name in event})
    done = update(receipts).where(receipts.c.key == key, receipts.c.state == "OPEN")
    return connection.execute(done.values(state="DONE", answer=json.dumps(answer), event=kept)).rowcount == 1


def _finish_part(connection: Connection, key: str, answer: Mapping[str, Any]) -> bool:
    whole = find(connection, key.rpartition("#")[0])
    if whole is None:
        return False
    row = {"key": key, "kind": "part", "event": "{}", "state": "DONE", "answer": json.dumps(answer), "handed": True}
    return insert_new(connection, receipts, {**row, "created": whole.created})


def hand_over(connection: Connection, key: str) -> None:
    """Note that the front end took the answer, so that a restart does not send it again."""
    connection.execute(update(receipts).where(receipts.c.key == key).values(handed=True))


def unanswered(connection: Connection, since: datetime) -> list[Receipt]:
    """Deliveries whose answer never left the process, oldest first."""
    waiting = or_(receipts.c.state == "OPEN", receipts.c.handed.is_(False))
    query = select(receipts).where(waiting, receipts.c.created >= since).order_by(receipts.c.created)
    return [_receipt(row) for row in connection.execute(query)]


def forget(connection: Connection, before: datetime) -> None:
    """Drop receipts that no platform will deliver again."""
    connection.execute(delete(receipts).where(receipts.c.created < before))


def _receipt(row: Row[Any]) -> Receipt:
    answer = json.loads(row.answer) if row.answer else None
    return Receipt(row.key, row.kind, json.loads(row.event), row.state == "DONE", answer, row.created)


def instance_key(connection: Connection, fresh: str) -> str:
    """The key of the check digits in action ids, one for every process on this database; `fresh` the first time."""
    insert_new(connection, settings, {"name": "instance_key", "value": fresh})
    return str(connection.execute(select(settings.c.value).where(settings.c.name == "instance_key")).scalar_one())


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody we have heard from."""

    id: str
    name: str
    platform: str
    mention: str
    zone: str | None


def remember(connection: Connection, person: KnownPerson, now: datetime) -> None:
    """Keep how a person is called, for cards and later answers; a zone that is known stays until another one is."""
    values = {"name": person.name, "platform": person.platform, "mention": person.mention, "seen": now}
    if person.zone:
        values["zone"] = person.zone
    if connection.execute(update(people).where(people.c.id == person.id).values(**values)).rowcount == 0:
        insert_new(connection, people, {"id": person.id, **values})


def lives_in(connection: Connection, person_id: str, zone: str) -> None:
    """Keep the time zone of somebody we have heard from."""
    connection.execute(update(people).where(people.c.id == person_id).values(zone=zone))


def who(connection: Connection, ids: set[str]) -> dict[str, KnownPerson]:
    """People by id; those we never heard from are missing."""
    query = select(people).where(people.c.id.in_(ids))
    return {
        row.id: KnownPerson(row.id, row.name, row.platform, row.mention, row.zone) for row in connection.execute(query)
    }
