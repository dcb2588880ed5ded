"""Log lines of executions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from engine.store.batches import Statement, Target
from engine.store.batches import write as run
from engine.store.tables import instant, logs

LEVELS = {"TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40}
NAMES = {number: name for name, number in LEVELS.items()}
LONGEST = 10_240  # characters of one line; longer messages become several


_insert = Statement(
    insert(logs), columns=("execution_id", "at", "level", "task_id", "task_run_id", "attempt", "message")
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `id` grows from line to line; 0 until it is stored."""

    at: datetime
    level: str
    task_id: str | None
    task_run_id: str | None
    attempt: int | None
    message: str
    id: int = 0
    execution_id: str = ""


def write(target: Target, lines: Sequence[LogLine]) -> None:
    """Append lines; secrets must be masked by now."""
    rows = [
        {
            "execution_id": line.execution_id,
            "at": instant(line.at),
            "level": LEVELS[line.level],
            "task_id": line.task_id,
            "task_run_id": line.task_run_id,
            "attempt": line.attempt,
            "message": part,
        }
        for line in lines
        for part in (
            [line.message]
            if len(line.message) <= LONGEST
            else [line.message[start : start + LONGEST] for start in range(0, len(line.message), LONGEST)]
        )
    ]
    run(target, _insert, rows)


def find(
    connection: Connection,
    execution_id: str,
    *,
    task_id: str | None = None,
    task_run_id: str | None = None,
    level: str | None = None,
    limit: int = 1000,
    after: int = 0,
    last: bool = False,
) -> list[LogLine]:
    """Lines in the order they were written, from `level` up, after the line with id `after`; of too many the first, or
    with `last` the last."""
    query = select(logs).where(logs.c.execution_id == execution_id, logs.c.id > after)
    if task_id is not None:
        query = query.where(logs.c.task_id == task_id)
    if task_run_id is not None:
        query = query.where(logs.c.task_run_id == task_run_id)
    if level is not None:
        query = query.where(logs.c.level >= LEVELS[level])
    order = logs.c.id.desc() if last else logs.c.id
    found = [_line(row) for row in connection.execute(query.order_by(order).limit(limit))]
    return found[::-1] if last else found


def purge(
    connection: Connection, before: datetime, *, execution_id: str | None = None, levels: Sequence[str] = ()
) -> int:
    """Delete lines older than a date; how many."""
    query = delete(logs).where(logs.c.at < before)
    if execution_id is not None:
        query = query.where(logs.c.execution_id == execution_id)
    if levels:
        query = query.where(logs.c.level.in_([LEVELS[level] for level in levels]))
    return connection.execute(query).rowcount


def _line(row: Any) -> LogLine:
    return LogLine(
        row.at, NAMES[row.level], row.task_id, row.task_run_id, row.attempt, row.message, row.id, row.execution_id
    )
