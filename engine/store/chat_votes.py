"""Votes on pauses, and who handed theirs to whom. One vote a person and pause; it may change while the pause waits."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, String, Table, Text, delete, select, update

from engine.store.statements import insert_new
from engine.store.tables import Instant, metadata, pauses

votes = Table(
    "chat_vote",
    metadata,
    Column("pause_id", String(64), primary_key=True),
    Column("voter", String(200), primary_key=True),  # the identity, whatever account was used
    Column("person", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("platform", String(16), nullable=False),
    Column("ballot", String(200), nullable=False),
    Column("word", Text, nullable=False),
    Column("details", Text, nullable=False, default="{}"),
    Column("shown", String(64), nullable=False, default=""),  # SHA-256 of what the card said
    Column("at", Instant, nullable=False),
)

delegations = Table(
    "chat_delegation",
    metadata,
    Column("pause_id", String(64), primary_key=True),
    Column("giver", String(200), primary_key=True),  # identity
    Column("giver_name", Text, nullable=False),
    Column("taker", String(200), nullable=False),  # account
    Column("at", Instant, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody said to a pause. Equal ballots agree; `details` hold what was answered, secrets masked."""

    pause_id: str
    voter: str
    person: str
    name: str
    platform: str
    ballot: str
    word: str  # as cards tell it
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Delegation:
    """Somebody's vote in somebody else's hands."""

    pause_id: str
    giver: str
    giver_name: str
    taker: str
    at: datetime


def lock(connection: Connection, pause_id: str) -> str | None:
    """The state of a pause, which nobody else can change before this transaction is over; None when it is gone."""
    query = select(pauses.c.state).where(pauses.c.id == pause_id).with_for_update()
    found: str | None = connection.execute(query).scalar()
    return found


def cast(connection: Connection, vote: Vote) -> None:
    """Write a vote, over an earlier one of the same person."""
    values = {
        "person": vote.person,
        "name": vote.name,
        "platform": vote.platform,
        "ballot": vote.ballot,
        "word": vote.word,
        "details": json.dumps(vote.details),
        "shown": vote.shown,
        "at": vote.at,
    }
    own = (votes.c.pause_id == vote.pause_id) & (votes.c.voter == vote.voter)
    if connection.execute(update(votes).where(own).values(**values)).rowcount == 0:
        insert_new(connection, votes, {"pause_id": vote.pause_id, "voter": vote.voter, **values})


def withdraw(connection: Connection, pause_id: str, voters: Collection[str]) -> None:
    """Take back the votes of some: they may not decide any more."""
    connection.execute(delete(votes).where(votes.c.pause_id == pause_id, votes.c.voter.in_(voters)))


def votes_on(connection: Connection, pause_id: str) -> list[Vote]:
    """Every vote on a pause, oldest first."""
    query = select(votes).where(votes.c.pause_id == pause_id).order_by(votes.c.at, votes.c.voter)
    found = []
    for row in connection.execute(query):
        values = dict(row._mapping)
        found.append(Vote(**{**values, "details": json.loads(values["details"])}))
    return found


def delegate(connection: Connection, given: Delegation) -> None:
    """Hand a vote over; a vote that was cast already is withdrawn, since one right is one vote."""
    own = (delegations.c.pause_id == given.pause_id) & (delegations.c.giver == given.giver)
    values = {"giver_name": given.giver_name, "taker": given.taker, "at": given.at}
    if connection.execute(update(delegations).where(own).values(**values)).rowcount == 0:
        insert_new(connection, delegations, {"pause_id": given.pause_id, "giver": given.giver, **values})
    cast_already = (votes.c.pause_id == given.pause_id) & (votes.c.voter == given.giver)
    connection.execute(delete(votes).where(cast_already))


def take_back(connection: Connection, pause_id: str, giver: str) -> bool:
    """A vote that was handed over is its giver's again; False when it was not."""
    own = (delegations.c.pause_id == pause_id) & (delegations.c.giver == giver)
    return connection.execute(delete(delegations).where(own)).rowcount == 1


def delegations_of(connection: Connection, pause_id: str) -> list[Delegation]:
    """Who handed their vote on a pause to whom."""
    query = select(delegations).where(delegations.c.pause_id == pause_id).order_by(delegations.c.at)
    return [Delegation(**row._mapping) for row in connection.execute(query)]


def forget(connection: Connection, before: datetime) -> None:
    """Drop what belongs to pauses that are long over or gone."""
    open_ones = select(pauses.c.id).where(pauses.c.state == "WAITING")
    for table in (votes, delegations):
        connection.execute(delete(table).where(table.c.at < before, table.c.pause_id.not_in(open_ones)))
