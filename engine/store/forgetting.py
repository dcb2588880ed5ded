"""Taking a person out of everything the database keeps: their account, their names, and where runs say who did it.

The record of deeds has its own way (`audit_chain.forget`), told by a row of the chain. What a flow itself wrote of a
person, such as a greeting in its output, stays until the run is purged: nobody can tell it from a flow's own words.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, or_, select, update

from engine.core.state import State
from engine.store import audit_chain, chat_aliases, chat_links
from engine.store.chat_aliases import aliases
from engine.store.chat_audit import FORGOTTEN, REMOVED
from engine.store.chat_explanations import explanations
from engine.store.chat_ladder import rungs
from engine.store.chat_tables import audit, audit_private, notices, people, receipts, runs
from engine.store.chat_votes import delegations, votes
from engine.store.executions import OPEN
from engine.store.own_schedules import schedules
from engine.store.room import room_messages
from engine.store.tables import commands, events, executions, logs, metadata, outputs, pauses, task_runs

OWN = ("person", "account")  # rows of any other table that are somebody's, and go with them


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was taken out. `texts`: names and words in the record; `runs`: how many executions no longer say who;
    `under_way`: those that still do, since they are not over and their approvals must know."""

    texts: int
    runs: int
    under_way: int

    @property
    def is_nothing(self) -> bool:
        """Whether nobody had heard of them."""
        return not (self.texts or self.runs or self.under_way)


def forget(connection: Connection, ids: Sequence[str], now: datetime) -> Forgotten:
    """Take somebody out under some accounts."""
    names = set(connection.execute(select(people.c.name).where(people.c.id.in_(ids))).scalars())
    words = _words(ids)
    waiting = _waiting(connection, ids, words)
    changed = _runs(connection, ids, words)
    _decisions(connection, ids, words)
    for account in ids:
        chat_links.unlink(connection, account)
    connection.execute(update(schedules).where(schedules.c.person.in_(ids)).values(person=REMOVED))
    _aliases(connection, ids, words)
    said = [*words, *names]
    _rows_with(connection, receipts, (receipts.c.event, receipts.c.answer), said)
    _rows_with(connection, notices, (notices.c.person, notices.c.notice), said)
    connection.execute(delete(room_messages).where(room_messages.c.private_to.in_(ids)))
    _rows_with(connection, room_messages, (room_messages.c.body,), said)
    _explanations(connection, said)
    _own(connection, ids)
    texts = audit_chain.forget(connection, [*ids, *_mentions(ids)], now)
    return Forgotten(texts, changed, waiting)


def _words(ids: Iterable[str]) -> list[str]:
    """An account as it stands in texts: its id, and how chats write a mention of it."""
    return [*ids, *_mentions(ids)]


def _mentions(ids: Iterable[str]) -> list[str]:
    chats = [one.partition(":")[2] for one in ids if one.startswith(("slack:", "discord:"))]
    return [f"<@{mark}{one}" for one in chats for mark in ("", "!")]


def _pattern(words: Collection[str]) -> re.Pattern[str]:
    """The words as a whole, as they stand in JSON text."""
    escaped = (re.escape(json.dumps(word, ensure_ascii=False)[1:-1]) for word in words if word)
    return re.compile(rf"(?<!\w)(?:{'|'.join(escaped)})(?!\w)")


def _holds(column: Column[Any], words: Iterable[str]) -> ColumnElement[bool]:
    """Whether a text has one of the words in it: the database sorts out most, the pattern decides."""
    found = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words if word]
    return or_(*(column.contains(word, autoescape=True) for word in found))


def _rows_with(connection: Connection, table: Table, columns: Sequence[Column[Any]], words: Sequence[str]) -> None:
    """Delete the rows of a table in whose texts one of the words stands."""
    (key,) = table.primary_key.columns
    pattern = _pattern(words)
    query = select(key, *columns).where(or_(*(_holds(column, words) for column in columns)))
    for row in connection.execute(query).all():
        if any(pattern.search(str(text)) for text in row[1:] if text is not None):
            connection.execute(delete(table).where(key == row[0]))


def _aliases(connection: Connection, ids: Sequence[str], words: Sequence[str]) -> None:
    """What they made for everybody stays, by nobody in particular; what is theirs alone goes, and what stands for a
    command about them."""
    connection.execute(delete(aliases).where(aliases.c.workspace.in_([chat_aliases.own(one) for one in ids])))
    pattern, row = _pattern(words), aliases.c
    for one in connection.execute(select(aliases).where(_holds(row.command, words))).all():
        if pattern.search(one.command):
            connection.execute(delete(aliases).where(row.workspace == one.workspace, row.name == one.name))
    connection.execute(update(aliases).where(row.person.in_(ids)).values(person=REMOVED))


def _explanations(connection: Connection, words: Sequence[str]) -> None:
    """What a model said about them goes; it can be asked again."""
    pattern, row = _pattern(words), explanations.c
    for one in connection.execute(select(explanations).where(_holds(row.text, words))).all():
        if pattern.search(one.text):
            here = (row.execution_id == one.execution_id) & (row.ending == one.ending)
            connection.execute(delete(explanations).where(here))


# Runs


def _waiting(connection: Connection, ids: Sequence[str], words: Sequence[str]) -> int:
    """How many executions of theirs are not over."""
    theirs = or_(executions.c.started_by.in_(ids), _holds(executions.c.doc, words))
    return len(connection.execute(select(executions.c.id).where(executions.c.state.in_(OPEN), theirs)).all())


def _runs(connection: Connection, ids: Sequence[str], words: Sequence[str]) -> int:
    """Executions that are over no longer say who started, answered or stopped them."""
    over = executions.c.state.in_([state.value for state in State if state.is_terminal])
    pattern = _pattern(words)
    # Held: whoever takes up one of them again comes before this, and then it is left as it is, or after.
    begun = select(executions.c.id).where(over, executions.c.started_by.in_(ids)).with_for_update()
    theirs = set(connection.execute(begun).scalars())
    held = dict.fromkeys(theirs, True)

    def is_held(execution_id: str) -> bool:
        if execution_id not in held:
            asked = select(executions.c.id).where(executions.c.id == execution_id, over).with_for_update()
            held[execution_id] = connection.execute(asked).first() is not None
        return held[execution_id]

    said = select(executions.c.id, executions.c.doc).where(over, _holds(executions.c.doc, words)).with_for_update()
    for row in connection.execute(said).all():
        theirs.add(row.id)
        values = {"doc": _without(row.doc, ids, pattern)}
        connection.execute(update(executions).where(executions.c.id == row.id).values(values))
    connection.execute(
        update(executions)
        .where(executions.c.id.in_(theirs), executions.c.started_by.in_(ids))
        .values(started_by=REMOVED)
    )
    ended = select(executions.c.id).where(over)
    for table, column in (
        (task_runs, task_runs.c.doc),
        (outputs, outputs.c.doc),
        (events, events.c.payload),
        (commands, commands.c.payload),
        (logs, logs.c.message),
    ):
        (key,) = table.primary_key.columns
        here = table.c.execution_id.in_(ended)
        for found in connection.execute(select(key, table.c.execution_id).where(here, _holds(column, words))).all():
            if not is_held(found[1]):
                continue
            now = connection.execute(select(column).where(key == found[0])).scalar_one_or_none()
            if now is not None:
                text = pattern.sub(REMOVED, now)
                connection.execute(update(table).where(key == found[0]).values({column.name: text}))
                theirs.add(found[1])
    open_ = select(executions.c.id).where(executions.c.state.in_(OPEN))
    mine = runs.c.person.in_(ids) & runs.c.execution_id.not_in(open_)
    connection.execute(update(runs).where(mine).values(person=REMOVED))
    for id_ in sorted(theirs):  # one version further, so that nobody goes on from a copy that still says who
        row_of = update(executions).where(executions.c.id == id_)
        connection.execute(row_of.values(version=executions.c.version + 1))
    return len(theirs)


def _without(text: str, ids: Collection[str], pattern: re.Pattern[str]) -> str:
    """An execution's document without somebody; their name stands beside their id in what started it."""
    document = json.loads(text)
    origin = document.get("origin")
    if isinstance(origin, list) and isinstance(origin[2], dict) and origin[2].get("person") in ids:
        origin[2]["name"] = REMOVED
    return pattern.sub(REMOVED, json.dumps(document, ensure_ascii=False))


# Decisions


def _decisions(connection: Connection, ids: Sequence[str], words: Sequence[str]) -> None:
    """Pauses that are over no longer say who voted, decided, handed on or snoozed."""
    waiting = select(pauses.c.id).where(pauses.c.state == "WAITING")
    connection.execute(update(pauses).where(pauses.c.decided_by.in_(ids)).values(decided_by=REMOVED))
    theirs = or_(votes.c.voter.in_(ids), votes.c.person.in_(ids))
    cast = select(votes.c.pause_id, votes.c.voter).where(votes.c.pause_id.not_in(waiting), theirs)
    for number, row in enumerate(connection.execute(cast).all()):
        here = (votes.c.pause_id == row.pause_id) & (votes.c.voter == row.voter)
        nobody = {"voter": f"{REMOVED}:{number}:{row.pause_id}", "person": REMOVED, "name": FORGOTTEN, "details": "{}"}
        connection.execute(update(votes).where(here).values(nobody))
    handed = or_(delegations.c.giver.in_(ids), delegations.c.taker.in_(ids))
    connection.execute(delete(delegations).where(delegations.c.pause_id.not_in(waiting), handed))
    said = or_(rungs.c.person.in_(ids), _holds(rungs.c.detail, words))
    connection.execute(delete(rungs).where(rungs.c.pause_id.not_in(waiting), said))


def _own(connection: Connection, ids: Sequence[str]) -> None:
    """Rows of all other tables that are theirs."""
    handled = {aliases, audit, audit_private, executions, runs, votes, delegations, rungs, schedules, notices}
    for table in metadata.sorted_tables:
        columns = [table.c[name] for name in OWN if name in table.c]
        if table not in handled and columns:
            connection.execute(delete(table).where(or_(*(column.in_(ids) for column in columns))))
