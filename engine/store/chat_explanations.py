"""What a model said about the failure of runs, who waits to hear it, and how often it was asked lately.

A run has one explanation for each time it ended. Whoever asks the model for it says again and again that it is still
at it (`until`); when it no longer does, another may take over.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Column, Connection, Index, Integer, Row, Table, and_, delete, exists, func, or_, select, update

from engine.store.statements import insert_new, put, serial
from engine.store.tables import Chars, Instant, metadata

HOUR = timedelta(hours=1)  # in which questions are counted
State = Literal["ASKING", "DONE", "FAILED"]

explanations = Table(
    "chat_explanation",
    metadata,
    Column("execution_id", Chars, primary_key=True),
    Column("ending", Integer, primary_key=True),  # which of its ends: the length of its history then
    Column("state", Chars, nullable=False),
    Column("owner", Chars, nullable=False),  # whoever asks the model
    Column("model", Chars, nullable=False),
    Column("text", Chars, nullable=False),  # what it said, or why it said nothing
    Column("asked", Instant, nullable=False),
    Column("until", Instant, nullable=False),  # then the owner is taken for dead
)

listeners = Table(
    "chat_explanation_listener",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("execution_id", Chars, nullable=False, index=True),
    Column("ending", Integer, nullable=False),
    Column("person", Chars, nullable=False),
    Column("room", Chars, nullable=False),
    Column("answer_url", Chars),
)

questions = Table(
    "chat_explanation_question",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("person", Chars, nullable=False),
    Column("at", Instant, nullable=False),
    Index("chat_explanation_question_at", "at"),
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explanation. `text` is there once it is DONE; of one that FAILED it says why."""

    execution_id: str
    ending: int
    state: State
    owner: str
    model: str
    text: str
    asked: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Listener:
    """Somebody who waits to hear it."""

    id: str
    person: str
    room: Mapping[str, Any]
    answer_url: str | None


@dataclass(frozen=True, slots=True)
class Crowded:
    """Nobody was asked: one of the limits is reached, until then."""

    is_own: bool
    until: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody wants a model asked: for whom it counts, and how many of them there may be in an hour."""

    id: str
    person: str
    accounts: Collection[str]
    per_person: int
    in_total: int


def find(connection: Connection, execution_id: str, ending: int) -> Explanation | None:
    """The explanation of one end of a run."""
    row = connection.execute(select(explanations).where(_is(execution_id, ending))).one_or_none()
    return _explanation(row) if row else None


def claim(connection: Connection, wanted: Explanation, question: Question) -> Explanation | Crowded:
    """What is known of an end of a run, or `wanted` when its owner shall ask the model now. A question counts once,
    also when somebody takes over from an owner that died."""
    serial(connection, "explanations")
    known, now = find(connection, wanted.execution_id, wanted.ending), wanted.asked
    if known is not None and (known.state == "DONE" or (known.state == "ASKING" and known.until > now)):
        return known
    if known is None or known.state == "FAILED":
        if (crowded := _crowded(connection, question, now)) is not None:
            return crowded
        insert_new(connection, questions, {"id": question.id, "person": question.person, "at": now})
    put(connection, explanations, {name: getattr(wanted, name) for name in explanations.c.keys()})  # noqa: SIM118
    return wanted


def _crowded(connection: Connection, question: Question, now: datetime) -> Crowded | None:
    lately = questions.c.at > now - HOUR
    own = and_(lately, questions.c.person.in_(list(question.accounts)))
    for which, most in ((own, question.per_person), (lately, question.in_total)):
        count, first = connection.execute(select(func.count(), func.min(questions.c.at)).where(which)).one()
        if count >= most:
            return Crowded(which is own, (first or now) + HOUR)
    return None


def overdue(connection: Connection, before: datetime) -> list[Explanation]:
    """Those whose owner is taken for dead, and those that not everybody heard who waits; oldest first."""
    waits = exists().where(
        listeners.c.execution_id == explanations.c.execution_id, listeners.c.ending == explanations.c.ending
    )
    query = select(explanations).where(explanations.c.until <= before, or_(explanations.c.state == "ASKING", waits))
    return [_explanation(row) for row in connection.execute(query.order_by(explanations.c.asked))]


def take_over(connection: Connection, one: Explanation, owner: str, until: datetime) -> bool:
    """Become the owner of one that is overdue; False when somebody was faster."""
    same = and_(_is(one.execution_id, one.ending), explanations.c.owner == one.owner, explanations.c.until == one.until)
    done = connection.execute(update(explanations).where(same).values(owner=owner, until=until))
    return done.rowcount == 1


def still_asking(connection: Connection, one: Explanation, until: datetime) -> bool:
    """Its owner lives; False when it is not the owner any more."""
    done = connection.execute(update(explanations).where(_owned(one)).values(until=until))
    return done.rowcount == 1


def settle(connection: Connection, one: Explanation, state: State, text: str, until: datetime) -> bool:
    """Keep what the model said, or why it did not; until then its owner tells those who wait."""
    done = update(explanations).where(_owned(one), explanations.c.state == "ASKING")
    return connection.execute(done.values(state=state, text=text, until=until)).rowcount == 1


def listen(
    connection: Connection, one: Explanation, person: str, room: Mapping[str, Any], answer_url: str | None
) -> bool:
    """Somebody is told once it is there; False when they wait already, in that room."""
    where = json.dumps(room)
    known = select(listeners.c.room).where(_waits(one), listeners.c.person == person)
    if where in connection.execute(known).scalars().all():
        return False
    count = connection.execute(select(func.count()).where(_waits(one), listeners.c.person == person)).scalar_one()
    row = {"id": f"{one.execution_id}:{one.ending}:{person}:{count}", "person": person, "room": where}
    at = {"execution_id": one.execution_id, "ending": one.ending, "answer_url": answer_url}
    return insert_new(connection, listeners, {**row, **at})


def waiting(connection: Connection, one: Explanation) -> list[Listener]:
    """Who waits for it."""
    found = connection.execute(select(listeners).where(_waits(one)).order_by(listeners.c.id))
    return [Listener(row.id, row.person, json.loads(row.room), row.answer_url) for row in found]


def heard(connection: Connection, listener_id: str) -> None:
    """Somebody was told."""
    connection.execute(delete(listeners).where(listeners.c.id == listener_id))


def forget(connection: Connection, now: datetime, before: datetime) -> None:
    """Drop questions that count no more, and explanations of before a moment."""
    connection.execute(delete(questions).where(questions.c.at <= now - HOUR))
    old = and_(explanations.c.state != "ASKING", explanations.c.asked < before)
    connection.execute(delete(explanations).where(old))


def _is(execution_id: str, ending: int) -> Any:
    return and_(explanations.c.execution_id == execution_id, explanations.c.ending == ending)


def _owned(one: Explanation) -> Any:
    return and_(_is(one.execution_id, one.ending), explanations.c.owner == one.owner)


def _waits(one: Explanation) -> Any:
    return and_(listeners.c.execution_id == one.execution_id, listeners.c.ending == one.ending)


def _explanation(row: Row[Any]) -> Explanation:
    return Explanation(**row._mapping)
