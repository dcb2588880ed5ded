"""The outbox: what is to be done because of a decision, until it is done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from engine.core.commands import Command, CreateRetry, RunTask, SetTimer, StartSubflow
from engine.store.batches import Statement, Target, write
from engine.store.documents import Sealer, command_from, payload
from engine.store.tables import commands, executions, instant

ANNOUNCE = "Announce"

_delete = Statement(delete(commands).where(commands.c.id == bindparam("key")))
_insert = Statement(insert(commands), columns=("id", "execution_id", "kind", "run_at", "payload"))


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


def retry_key(execution_id: str, version: int) -> str:
    """Id of the row that asks for the execution in the place of a RETRIED one."""
    return f"retry:{execution_id}:{version}"


def stored(execution_id: str, command: Command | Announcement, version: int) -> Stored:
    """The row for a command."""
    match command:
        case RunTask():
            return Stored(run_key(command.task_run_id, command.attempt), execution_id, command)
        case SetTimer():
            return Stored(timer_key(execution_id, command.key), execution_id, command, command.at)
        case StartSubflow():
            key = f"subflow:{command.task_run_id}:{command.attempt}:{command.iteration or 0}"
            return Stored(key, execution_id, command)
        case CreateRetry():
            return Stored(retry_key(execution_id, version), execution_id, command, command.at)
        case Announcement():
            return Stored(f"announce:{execution_id}:{version}:{command.state}", execution_id, command)
    raise TypeError(f"{type(command).__name__} has no place in the outbox")


def put(target: Target, rows: Iterable[Stored], sealer: Sealer) -> None:
    """Ask for these; a row with the same id is replaced (a timer that moves)."""
    written: dict[str, dict[str, Any]] = {}
    for row in rows:
        announced = isinstance(row.command, Announcement)
        fields = {"state": row.command.state} if isinstance(row.command, Announcement) else payload(row.command)
        written[row.id] = {
            "id": row.id,
            "execution_id": row.execution_id,
            "kind": ANNOUNCE if announced else type(row.command).__name__,
            "run_at": instant(row.run_at),
            "payload": sealer.dumps(fields, row.execution_id),
        }
    drop(target, [key for key, row in written.items() if row["run_at"] is not None])  # only timers are set again
    write(target, _insert, list(written.values()))


def drop(target: Target, ids: Iterable[str]) -> None:
    """These are done, or not wanted any more."""
    write(target, _delete, [{"key": key} for key in ids])


def take(connection: Connection, key: str) -> bool:
    """Drop one; False when it was gone already (somebody else carried it out, or it was cancelled)."""
    return _delete.run(connection, [{"key": key}]) == 1


def take_retry(connection: Connection, execution_id: str) -> bool:
    """Drop what asks for the execution in the place of a RETRIED one; False when it is there already."""
    row = commands.c
    asked = delete(commands).where(row.execution_id == execution_id, row.kind == CreateRetry.__name__)
    return connection.execute(asked).rowcount > 0


def replacement_of(connection: Connection, execution_id: str) -> str | None:
    """The execution that was made in the place of a RETRIED one, the last if there were several."""
    row, key = executions.c, f"retry:{execution_id}"
    made = select(row.id).where(row.dedupe > f"{key}:", row.dedupe < f"{key};")  # of `key:<version>`, by the index
    found: str | None = connection.execute(made.order_by(row.id.desc()).limit(1)).scalar_one_or_none()
    return found


def is_there(connection: Connection, key: str) -> bool:
    """Whether one is still to be done."""
    return connection.execute(select(commands.c.id).where(commands.c.id == key)).first() is not None


def waiting(connection: Connection, sealer: Sealer) -> list[Stored]:
    """Everything that is still to be done."""
    return _read(connection, select(commands), sealer)


def flows(connection: Connection) -> dict[str, tuple[str, str]]:
    """(namespace, id) of the flow of every execution that asks for an attempt."""
    row = executions.c
    asking = select(commands.c.execution_id).where(commands.c.kind == RunTask.__name__)
    found = connection.execute(select(row.id, row.namespace, row.flow_id).where(row.id.in_(asking)))
    return {one.id: (one.namespace, one.flow_id) for one in found}


def due(connection: Connection, sealer: Sealer, now: datetime, limit: int) -> list[Stored]:
    """What is to be done now."""
    at = commands.c.run_at
    return _read(connection, select(commands).where(at.is_(None) | (at <= now)).limit(limit), sealer)


def timers(connection: Connection, sealer: Sealer, execution_id: str, prefix: str) -> list[Stored]:
    """The timers of an execution whose keys begin so."""
    begin = timer_key(execution_id, prefix)
    which = (commands.c.execution_id == execution_id, commands.c.id.startswith(begin, autoescape=True))
    return _read(connection, select(commands).where(*which), sealer)


def any_waiting(connection: Connection) -> bool:
    """Whether there is something to be done that does not wait for its time."""
    return connection.execute(select(commands.c.id).where(commands.c.run_at.is_(None)).limit(1)).first() is not None


def _read(connection: Connection, query: Select[Any], sealer: Sealer) -> list[Stored]:
    found = []
    for row in connection.execute(query.order_by(commands.c.id)):
        fields = sealer.loads(row.payload, row.execution_id)
        command = Announcement(fields["state"]) if row.kind == ANNOUNCE else command_from(row.kind, fields)
        found.append(Stored(row.id, row.execution_id, command, row.run_at))
    return found
