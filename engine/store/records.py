"""Counting, reading and purging what executions left: rows, log lines, metrics, outputs, expired keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, exists, func, not_, or_, select

from engine.core.commands import CreateRetry
from engine.core.execution import Execution
from engine.core.state import State
from engine.plugin import Purged, Selection
from engine.store.chat_evidence import evidence
from engine.store.chat_explanations import explanations, listeners
from engine.store.chat_ladder import rungs
from engine.store.chat_sequels import sequels
from engine.store.chat_tables import messages, runs
from engine.store.chat_votes import delegations, votes
from engine.store.documents import Sealer
from engine.store.executions import OPEN, built
from engine.store.logs import LEVELS, NAMES
from engine.store.tables import commands, events, executions, key_values, logs, metrics, outputs, pauses, task_runs

NAMED = 500  # ids named in one statement


@dataclass(frozen=True, slots=True)
class Candidate:
    """An execution that may be purged."""

    id: str
    namespace: str
    flow_id: str


def ids(connection: Connection, chosen: Selection) -> list[str]:
    """Ids of the executions that are meant, oldest first."""
    query = _chosen(select(executions.c.id), chosen).order_by(executions.c.id)
    return list(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an execution has come. `goes_on`: it has not ended, or something of it is still to come all the same."""

    state: State
    goes_on: bool


def standings(connection: Connection, wanted: Sequence[str]) -> dict[str, Standing]:
    """Where those of some executions stand that there are."""
    found: dict[str, Standing] = {}
    row = executions.c
    for start in range(0, len(wanted), NAMED):
        asked = select(row.id, row.state, _goes_on().label("goes_on")).where(row.id.in_(wanted[start : start + NAMED]))
        found |= {one.id: Standing(State(one.state), bool(one.goes_on)) for one in connection.execute(asked)}
    return found


def namespaces(connection: Connection) -> list[str]:
    """Namespaces that have executions."""
    return sorted(connection.execute(select(executions.c.namespace).distinct()).scalars())


def count(connection: Connection, chosen: Selection) -> int:
    """How many executions are meant."""
    query = _chosen(select(func.count()).select_from(executions), chosen)
    found: int = connection.execute(query).scalar_one()
    return found


def newest(
    connection: Connection, chosen: Selection, sealer: Sealer, before: str | None, limit: int
) -> list[Execution]:
    """Executions that are meant, newest first; `before` is the id after which the last page ended."""
    query = _chosen(select(executions), chosen)
    if before is not None:
        query = query.where(executions.c.id < before)
    rows = connection.execute(query.order_by(executions.c.id.desc()).limit(limit)).all()
    return built(connection, rows, sealer)


def ended(connection: Connection, chosen: Selection, after: str, limit: int) -> list[Candidate]:
    """Executions that are meant and have come to rest, by id; nothing of them runs, waits or is still to be told."""
    row = executions.c
    query = _chosen(select(row.id, row.namespace, row.flow_id), chosen).where(row.id > after, rests())
    return [Candidate(*found) for found in connection.execute(query.order_by(row.id).limit(limit))]


def holds_at_rest(connection: Connection, execution_id: str) -> bool:
    """Whether an execution is there, has come to rest and has not been taken up again; nobody does until the commit."""
    asked = select(executions.c.id).where(executions.c.id == execution_id, rests()).with_for_update()
    return connection.execute(asked).first() is not None


def purge(connection: Connection, execution_id: str, parts: Collection[str]) -> Purged:
    """Delete parts (`execution`, `log`, `metric`) of an execution that is held at rest."""

    def gone(table: Any) -> int:
        return connection.execute(delete(table).where(table.c.execution_id == execution_id)).rowcount

    lines = gone(logs) if "log" in parts else 0
    measured = gone(metrics) if "metric" in parts else 0
    if "execution" not in parts:
        return Purged(logs=lines, metrics=measured)
    handed_on = gone(outputs)
    asked = select(pauses.c.id).where(pauses.c.execution_id == execution_id)
    for told in (rungs, votes, delegations):
        connection.execute(delete(told).where(told.c.pause_id.in_(asked)))
    cards = select(messages.c.id).where(messages.c.execution_id == execution_id)
    for beside in (sequels, evidence):
        connection.execute(delete(beside).where(beside.c.message.in_(cards)))
    for table in (task_runs, events, commands, pauses, runs, messages, explanations, listeners):
        gone(table)
    connection.execute(delete(executions).where(executions.c.id == execution_id))
    return Purged(executions=1, outputs=handed_on, logs=lines, metrics=measured)


def log_rows(
    connection: Connection, execution_id: str, tasks: Sequence[str], level: str, after: int, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    """(number, line) of an execution's log from a level up, after the line with a number."""
    query = select(logs).where(logs.c.execution_id == execution_id, logs.c.id > after, logs.c.level >= LEVELS[level])
    if tasks:
        query = query.where(logs.c.task_id.in_(tasks))
    found = connection.execute(query.order_by(logs.c.id).limit(limit))
    return [
        (
            row.id,
            {
                "taskId": row.task_id,
                "taskRunId": row.task_run_id,
                "attemptNumber": row.attempt,
                "timestamp": row.at.isoformat(),
                "level": NAMES[row.level],
                "message": row.message,
            },
        )
        for row in found
    ]


def owner_of(connection: Connection, execution_id: str) -> tuple[str, str] | None:
    """Namespace and flow of an execution."""
    row = executions.c
    found = connection.execute(select(row.namespace, row.flow_id).where(row.id == execution_id)).one_or_none()
    return None if found is None else (found.namespace, found.flow_id)


def purge_logs(connection: Connection, chosen: Selection, levels: Collection[str], limit: int) -> int:
    """Delete up to `limit` log lines that were written between two dates; how many."""
    query = select(logs.c.id)
    if chosen.since is not None:
        query = query.where(logs.c.at >= chosen.since)
    if chosen.until is not None:
        query = query.where(logs.c.at <= chosen.until)
    if levels:
        query = query.where(logs.c.level.in_([LEVELS[level] for level in levels]))
    if chosen.execution_id is not None:
        query = query.where(logs.c.execution_id == chosen.execution_id)
    if chosen.namespace is not None or chosen.flow_id is not None:
        whose = Selection(chosen.namespace, chosen.flow_id, below=chosen.below)
        query = query.where(logs.c.execution_id.in_(_chosen(select(executions.c.id), whose)))
    return connection.execute(delete(logs).where(logs.c.id.in_(query.limit(limit)))).rowcount


def purge_metrics(connection: Connection, chosen: Selection, limit: int) -> int:
    """Delete up to `limit` metrics that were recorded between two dates; how many."""
    query = select(metrics.c.id)
    if chosen.since is not None:
        query = query.where(metrics.c.at >= chosen.since)
    if chosen.until is not None:
        query = query.where(metrics.c.at <= chosen.until)
    if chosen.namespace is not None or chosen.flow_id is not None:
        whose = Selection(chosen.namespace, chosen.flow_id, below=chosen.below)
        query = query.where(metrics.c.execution_id.in_(_chosen(select(executions.c.id), whose)))
    return connection.execute(delete(metrics).where(metrics.c.id.in_(query.limit(limit)))).rowcount


def under_way(connection: Connection) -> set[str]:
    """Executions that have not come to rest."""
    return set(connection.execute(select(executions.c.id).where(not_(rests()))).scalars())


def keys(connection: Connection) -> list[tuple[str, str, datetime | None]]:
    """(namespace, key, end) of every pair of the KV store."""
    row = key_values.c
    return [tuple(found) for found in connection.execute(select(row.namespace, row.key, row.expires))]


def purge_keys(connection: Connection, pairs: Collection[tuple[str, str]], now: datetime, *, expired_only: bool) -> int:
    """Delete pairs of the KV store; how many. With `expired_only` one that was set again meanwhile stays."""
    row, gone = key_values.c, 0
    for namespace, key in pairs:
        statement = delete(key_values).where(row.namespace == namespace, row.key == key)
        if expired_only:
            statement = statement.where(row.expires <= now)
        gone += connection.execute(statement).rowcount
    return gone


def _chosen(query: Select[Any], chosen: Selection) -> Select[Any]:
    row = executions.c
    if chosen.namespace is not None:
        own = row.namespace == chosen.namespace
        below = row.namespace.startswith(f"{chosen.namespace}.", autoescape=True)
        query = query.where(or_(own, below) if chosen.below else own)
    if chosen.flow_id is not None:
        query = query.where(row.flow_id == chosen.flow_id)
    if chosen.execution_id is not None:
        query = query.where(row.id == chosen.execution_id)
    if chosen.states:
        query = query.where(row.state.in_([State(state).value for state in chosen.states]))
    if chosen.since is not None:
        query = query.where(row.created >= chosen.since)
    if chosen.until is not None:
        query = query.where(row.created <= chosen.until)
    return query


def _goes_on() -> Any:
    """Not ended, or a task run of what comes after the end is open, or another execution is to take its place."""
    row = executions.c
    return or_(
        row.state.in_(OPEN),
        exists().where(task_runs.c.execution_id == row.id, task_runs.c.state.in_(OPEN)),
        exists().where(commands.c.execution_id == row.id, commands.c.kind == CreateRetry.__name__),
    )


def rests() -> Any:
    """Ended, with no task run under way (`afterExecution`), nothing in the outbox and nothing unread in the inbox."""
    row = executions.c
    return and_(
        row.state.not_in(OPEN),
        ~exists().where(task_runs.c.execution_id == row.id, task_runs.c.state.in_(OPEN)),
        ~exists().where(commands.c.execution_id == row.id),
        ~exists().where(events.c.execution_id == row.id, events.c.consumed.is_(False)),
    )
