"""The outbox: what is to be done because of a decision, until it is done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from engine.core.commands import Command, CreateRetry, RunTask, SetTimer, StartSubflow
from engine.store.documents import command_from, command_payload, dumps, loads
from engine.store.tables import commands

ANNOUNCE = "Announce"

_delete = delete(commands).where(commands.c.id == bindparam("key"))


@dataclass(frozen=True, slots=True)
class Announcement:
    """A change of state that flow triggers have to look at."""

    state: str


@dataclass(frozen=True, slots=True)
class Stored:
    """One row of the outbox."""

    id: str
    execution_id: str
    command: Command | Announcement
    run_at: datetime | None = None


def run_key(task_run_id: str, attempt: int) -> str:
    """Id of the row that asks for one attempt."""
    return f"run:{task_run_id}:{attempt}"


def timer_key(execution_id: str, key: str) -> str:
    """Id of the row of a timer."""
    return f"timer:{execution_id}:{key}"


def stored(execution_id: str, command: Command | Announcement, version: int) -> Stored:
    """The row for a command."""
    match command:
        case RunTask():
            return Stored(run_key(command.task_run_id, command.attempt), execution_id, command)
        case SetTimer():
            return Stored(timer_key(execution_id, command.key), execution_id, command, command.at)
        case StartSubflow():
            return Stored(f"subflow:{command.task_run_id}", execution_id, command)
        case CreateRetry():
            return Stored(f"retry:{execution_id}:{version}", execution_id, command, command.at)
        case Announcement():
            return Stored(f"announce:{execution_id}:{version}:{command.state}", execution_id, command)
    raise TypeError(f"{type(command).__name__} has no place in the outbox")


def put(connection: Connection, rows: Iterable[Stored]) -> None:
    """Ask for these; a row with the same id is replaced (a timer that moves)."""
    written: dict[str, dict[str, Any]] = {}
    for row in rows:
        kind, payload = (
            (ANNOUNCE, dumps({"state": row.command.state}))
            if isinstance(row.command, Announcement)
            else command_payload(row.command)
        )
        written[row.id] = {
            "id": row.id,
            "execution_id": row.execution_id,
            "kind": kind,
            "run_at": row.run_at,
            "payload": payload,
        }
    if written:
        drop(connection, written)
        connection.execute(insert(commands), list(written.values()))


def drop(connection: Connection, ids: Iterable[str]) -> None:
    """These are done, or not wanted any more."""
    keys = [{"key": key} for key in ids]
    if keys:
        connection.execute(_delete, keys)


def take(connection: Connection, key: str) -> bool:
    """Drop one; False when it was gone already (somebody else carried it out, or it was cancelled)."""
    return connection.execute(_delete, {"key": key}).rowcount == 1


def waiting(connection: Connection) -> list[Stored]:
    """Everything that is still to be done."""
    rows = connection.execute(select(commands).order_by(commands.c.id))
    return [Stored(row.id, row.execution_id, _command(row.kind, row.payload), row.run_at) for row in rows]


def _command(kind: str, payload: str) -> Command | Announcement:
    return Announcement(loads(payload)["state"]) if kind == ANNOUNCE else command_from(kind, payload)
