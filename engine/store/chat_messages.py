"""Messages that show runs and pauses: which version is wanted, which is shown, and what is due to be sent."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import BindParameter, Connection, Integer, Row, bindparam, delete, func, select, update

from engine.store import chat_evidence
from engine.store.chat_tables import messages, notices, runs
from engine.store.statements import insert_new
from engine.store.tables import executions

Kind = Literal["run", "pause", "log", "word"]  # word: what to tell whoever started a run that is not shown
DECISION, POST, END, PROGRESS = 0, 1, 2, 3
KEEP = timedelta(days=30)
MAX_CALLERS = 64  # how far up a chain of subflows the room is looked for


@dataclass(frozen=True, slots=True)
class Message:
    """One message and how far it is behind."""

    id: str
    kind: Kind
    entity: str
    execution_id: str
    platform: str
    place: str
    room: Mapping[str, Any]
    message: Mapping[str, Any] | None
    generation: int
    desired: int
    shown: int
    digest: str
    urgency: int
    state: str
    problem: str
    attempts: int
    due: datetime
    changed: datetime


@dataclass(frozen=True, slots=True)
class Start:
    """Where and by whom a run was started."""

    execution_id: str
    person: str
    room: Mapping[str, Any]
    flow: str
    created: datetime


def want(
    connection: Connection,
    id_: str,
    kind: Kind,
    entity: str,
    execution_id: str,
    place: str,
    room: Mapping[str, Any],
    now: datetime,
    *,
    is_quiet: bool = False,
) -> bool:
    """Ask for a message about an entity in a place; False when there is one already. A quiet one is sent only once it
    is woken."""
    row = {
        "id": id_,
        "kind": kind,
        "entity": entity,
        "execution_id": execution_id,
        "platform": room["platform"],
        "place": place,
        "room": json.dumps(room),
        "generation": 0,
        "desired": 0 if is_quiet else 1,
        "shown": 0,
        "digest": "",
        "urgency": POST,
        "state": "QUIET" if is_quiet else "LIVE",
        "problem": "",
        "attempts": 0,
        "due": now,
        "changed": now,
    }
    return insert_new(connection, messages, row)


def touch(
    connection: Connection, *, entity: str = "", execution_id: str = "", urgency: int = PROGRESS, now: datetime
) -> int:
    """What messages show has changed: they are to be drawn again. Nothing is made less urgent; how many there are."""
    which = messages.c.entity == entity if entity else messages.c.execution_id == execution_id
    more_urgent = func.min if connection.dialect.name == "sqlite" else func.least
    values = {
        "desired": messages.c.desired + 1,
        "urgency": more_urgent(messages.c.urgency, urgency),
        "changed": now,
    }
    open_ = messages.c.state.not_in(("DEAD", "QUIET"))
    return connection.execute(update(messages).where(which, open_).values(**values)).rowcount


def wake(connection: Connection, id_: str, now: datetime) -> None:
    """A quiet message is to be sent after all."""
    values = {"desired": messages.c.desired + 1, "urgency": END, "state": "LIVE", "changed": now, "due": now}
    connection.execute(update(messages).where(messages.c.id == id_, messages.c.state == "QUIET").values(**values))


def settle(connection: Connection, id_: str, end: str) -> bool:
    """A quiet message is done with at this end of its run; whether that is new."""
    row = messages.c
    which = (row.id == id_) & ((row.state == "QUIET") | ((row.state == "FINAL") & (row.digest != end)))
    return connection.execute(update(messages).where(which).values(state="FINAL", digest=end)).rowcount == 1


def rest(connection: Connection, id_: str) -> None:
    """The run goes on, so a quiet message waits for its end again."""
    values = update(messages).where(messages.c.id == id_, messages.c.state == "FINAL").values(state="QUIET")
    connection.execute(values)


def touch_live(connection: Connection, now: datetime) -> None:
    """After a start: whatever was not final may have changed meanwhile."""
    live = update(messages).where(messages.c.state == "LIVE")
    connection.execute(live.values(desired=messages.c.desired + 1, due=now, attempts=0))


def hurry(connection: Connection, now: datetime) -> None:
    """Whatever was put off may be tried now."""
    for table in (messages, notices):
        connection.execute(update(table).where(table.c.due > now).values(due=now))


# What every look of every outbox asks, built once.
_platform: BindParameter[Any] = bindparam("platform")
_now: BindParameter[Any] = bindparam("now")
_most = bindparam("most", type_=Integer())
_behind = (messages.c.platform == _platform, messages.c.desired > messages.c.shown, messages.c.state != "DEAD")
_due = (
    select(messages)
    .where(*_behind, messages.c.due <= _now)
    .order_by(messages.c.urgency, messages.c.changed, messages.c.id)
    .limit(_most)
)
_put_off = (
    select(func.min(messages.c.due)).where(*_behind, messages.c.due > _now),
    select(func.min(notices.c.due)).where(notices.c.platform == _platform, notices.c.due > _now),
)
_notices_due = (
    select(notices).where(notices.c.platform == _platform, notices.c.due <= _now).order_by(notices.c.due).limit(_most)
)


def due(
    connection: Connection, platform: str, now: datetime, limit: int, *, passing: Collection[str] = ()
) -> list[Message]:
    """Messages of a platform that are behind and may be tried now: the urgent first, then who waited longest; those in
    the places of `passing` are passed over."""
    query = _due.where(messages.c.place.not_in(passing)) if passing else _due
    asked = {"platform": platform, "now": now, "most": limit}
    return [_message(row) for row in connection.execute(query, asked)]


def next_try(connection: Connection, platform: str, now: datetime) -> datetime | None:
    """When the next message or sentence that was put off may be tried; None when none was."""
    asked = {"platform": platform, "now": now}
    found = [when for query in _put_off if (when := connection.execute(query, asked).scalar()) is not None]
    return min(found, default=None)


def showing(connection: Connection, *, entity: str = "", execution_id: str = "") -> list[Message]:
    """All messages about an entity, or about anything of an execution."""
    which = messages.c.entity == entity if entity else messages.c.execution_id == execution_id
    return [_message(row) for row in connection.execute(select(messages).where(which).order_by(messages.c.id))]


def find(connection: Connection, id_: str) -> Message | None:
    """One message."""
    row = connection.execute(select(messages).where(messages.c.id == id_)).one_or_none()
    return None if row is None else _message(row)


def live_executions(connection: Connection) -> list[str]:
    """Executions some message of which can still change."""
    query = select(messages.c.execution_id).where(messages.c.state.in_(("LIVE", "QUIET"))).distinct()
    return [str(found) for found in connection.execute(query).scalars()]


def shown(
    connection: Connection, id_: str, *, version: int, digest: str, reference: Mapping[str, Any] | None, is_final: bool
) -> None:
    """A message was posted or edited; versions only grow, so a slow older edit cannot hide a newer one."""
    values: dict[str, Any] = {"shown": version, "digest": digest, "attempts": 0, "problem": ""}
    values["state"] = "FINAL" if is_final else "LIVE"
    if reference is not None:
        values["message"] = json.dumps(reference)
    connection.execute(update(messages).where(messages.c.id == id_, messages.c.shown < version).values(**values))
    # What became urgent while this was on its way stays urgent.
    level = update(messages).where(messages.c.id == id_, messages.c.desired <= version)
    connection.execute(level.values(urgency=PROGRESS))


def trying(connection: Connection, id_: str) -> None:
    """A message is about to be posted; should nothing come back, it may be there all the same."""
    connection.execute(update(messages).where(messages.c.id == id_).values(attempts=messages.c.attempts + 1))


def delay(connection: Connection, id_: str, until: datetime, problem: str) -> None:
    """Try again later."""
    values = {"due": until, "problem": problem, "attempts": messages.c.attempts + 1}
    connection.execute(update(messages).where(messages.c.id == id_).values(**values))


def wait(connection: Connection, id_: str, until: datetime) -> None:
    """Not yet, which is nobody's refusal."""
    connection.execute(update(messages).where(messages.c.id == id_).values(due=until))


def move(connection: Connection, id_: str, room: Mapping[str, Any], now: datetime) -> None:
    """A message that is not posted yet goes elsewhere, now."""
    values = {"room": json.dumps(room), "due": now}
    connection.execute(update(messages).where(messages.c.id == id_, messages.c.message.is_(None)).values(**values))


def revive(connection: Connection, execution_id: str, now: datetime) -> int:
    """Try once more what was given up; how many messages."""
    values = {"state": "LIVE", "desired": messages.c.desired + 1, "due": now, "attempts": 0, "urgency": POST}
    dead = update(messages).where(messages.c.execution_id == execution_id, messages.c.state == "DEAD")
    return connection.execute(dead.values(**values)).rowcount


def post_again(connection: Connection, id_: str, now: datetime) -> None:
    """The message was deleted: forget it, so that it is posted under a new number."""
    values = {"message": None, "shown": 0, "digest": "", "generation": messages.c.generation + 1, "due": now}
    connection.execute(update(messages).where(messages.c.id == id_).values(**values))


def give_up(connection: Connection, id_: str, problem: str) -> None:
    """The platform will never take this message."""
    connection.execute(update(messages).where(messages.c.id == id_).values(state="DEAD", problem=problem))


def leave(connection: Connection, execution_id: str, place: str) -> bool:
    """A run's card in a place follows it no longer; False when there was none."""
    row = messages.c
    which = delete(messages).where(row.kind == "run", row.entity == execution_id, row.place == place)
    return connection.execute(which).rowcount > 0


def forget(connection: Connection, before: datetime) -> None:
    """Drop what is long final: such cards change no more, and their buttons are answered without it."""
    old = delete(messages).where(messages.c.state != "LIVE", messages.c.changed < before)
    connection.execute(old.where(messages.c.desired <= messages.c.shown))
    chat_evidence.forget(connection)


def _message(row: Row[Any]) -> Message:
    values = dict(row._mapping)
    values["room"] = json.loads(values["room"])
    values["message"] = json.loads(values["message"]) if values["message"] else None
    return Message(**values)


def started(
    connection: Connection,
    execution_id: str,
    person: str,
    room: Mapping[str, Any],
    place: str,
    flow: str,
    now: datetime,
) -> None:
    """Remember where a run was started."""
    row = {"execution_id": execution_id, "person": person, "room": json.dumps(room), "place": place, "flow": flow}
    insert_new(connection, runs, {**row, "created": now})


def start_of(connection: Connection, execution_ids: Iterable[str]) -> dict[str, Start]:
    """Starts by execution; runs that nobody started from chat are missing."""
    query = select(runs).where(runs.c.execution_id.in_(list(execution_ids)))
    return {row.execution_id: _start(row) for row in connection.execute(query)}


def start_above(connection: Connection, execution_id: str) -> Start | None:
    """Where a run was started: its own start, else that of the run which called it, however far up."""
    at: str | None = execution_id
    for _ in range(MAX_CALLERS):
        if at is None:
            return None
        if found := start_of(connection, [at]):
            return found[at]
        at = connection.execute(select(executions.c.caller_id).where(executions.c.id == at)).scalar()
    return None


def starts_by(connection: Connection, person: str, *, place: str | None = None, limit: int = 20) -> list[Start]:
    """What a person started, newest first, everywhere or in one place."""
    query = select(runs).where(runs.c.person == person).order_by(runs.c.created.desc(), runs.c.execution_id.desc())
    if place is not None:
        query = query.where(runs.c.place == place)
    return [_start(row) for row in connection.execute(query.limit(limit))]


def recent_starts(connection: Connection, limit: int) -> list[Start]:
    """The latest starts of everybody."""
    query = select(runs).order_by(runs.c.created.desc()).limit(limit)
    return [_start(row) for row in connection.execute(query)]


def _start(row: Row[Any]) -> Start:
    return Start(row.execution_id, row.person, json.loads(row.room), row.flow, row.created)


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A private sentence on its way."""

    id: str
    platform: str
    room: Mapping[str, Any]
    person: str | None
    notice: Mapping[str, Any]
    attempts: int


def tell(
    connection: Connection,
    id_: str,
    room: Mapping[str, Any],
    person: str | None,
    notice: Mapping[str, Any],
    now: datetime,
) -> None:
    """Queue a private sentence; the same id again is the same sentence."""
    row = {
        "id": id_,
        "platform": room["platform"],
        "room": json.dumps(room),
        "person": person,
        "attempts": 0,
        "due": now,
    }
    insert_new(connection, notices, {**row, "notice": json.dumps(notice)})


def notices_due(connection: Connection, platform: str, now: datetime, limit: int) -> list[StoredNotice]:
    """Sentences to be said now."""
    asked = {"platform": platform, "now": now, "most": limit}
    return [
        StoredNotice(row.id, row.platform, json.loads(row.room), row.person, json.loads(row.notice), row.attempts)
        for row in connection.execute(_notices_due, asked)
    ]


def told(connection: Connection, id_: str) -> None:
    """A sentence arrived, or never will."""
    connection.execute(delete(notices).where(notices.c.id == id_))


def tell_later(connection: Connection, id_: str, until: datetime) -> None:
    """Say it again later."""
    connection.execute(update(notices).where(notices.c.id == id_).values(due=until, attempts=notices.c.attempts + 1))
