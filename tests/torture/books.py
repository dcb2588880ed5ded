"""What the database says at the end, read past the program, from either database."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.torture.promises import Fire, Ran, TaskRow

Query = Callable[[str], list[Any]]


def of_file(path: Path) -> Query:
    """Asks a SQLite file, read-only."""

    def ask(statement: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    return ask


def of_server(address: str) -> Query:
    """Asks a PostgreSQL database."""

    def ask(statement: str) -> list[Any]:
        with psycopg.connect(address, autocommit=True, connect_timeout=10) as connection:
            return connection.execute(statement).fetchall()

    return ask


def of_flow(ask: Query, flow: str) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(id, state, document, what it handed on) of every execution of a flow."""
    outputs = {owner: json.loads(doc) for owner, doc in ask("SELECT id, doc FROM output WHERE id LIKE '%#outputs'")}
    found = []
    for key, state, doc in ask(f"SELECT id, state, doc FROM execution WHERE flow_id = '{flow}'"):
        whole = json.loads(doc)
        found.append((key, state, whole, outputs.get(f"{key}#outputs") or whole.get("out") or {}))
    return found


def ran(ask: Query) -> list[Ran]:
    """Executions of the flow `order`."""
    return [
        Ran(key, int(whole["origin"][2]["body"]["order"]), state, handed.get("word"))
        for key, state, whole, handed in of_flow(ask, "order")
    ]


def task_rows(ask: Query) -> list[TaskRow]:
    """Every task run of every execution."""
    found = []
    for execution, task, state, doc in ask("SELECT execution_id, task_id, state, doc FROM task_run"):
        whole = json.loads(doc)
        won = sum(one[0] == "SUCCESS" for one in whole.get("a", ()))
        place = json.dumps([whole.get(part) for part in ("p", "v", "i")])
        found.append(TaskRow(execution, task, place, state, won))
    return found


def decisions(ask: Query) -> dict[str, list[str]]:
    """The words of decided pauses by execution."""
    found: dict[str, list[str]] = {}
    for execution, inputs in ask("SELECT execution_id, inputs FROM pause WHERE state = 'RESUMED'"):
        found.setdefault(execution, []).append(json.loads(inputs or "{}").get("word", ""))
    return found


def fires(ask: Query) -> list[Fire]:
    """Dates that were taken; the trigger's name is the last part of its key."""
    rows = ask("SELECT trigger_key, scheduled_at, execution_id FROM trigger_fire")
    return [Fire(_trigger(key), moment(at), execution) for key, at, execution in rows]


def started(ask: Query) -> dict[str, list[str]]:
    """Executions by the schedule that started them."""
    found: dict[str, list[str]] = {}
    for trigger, key in ask("SELECT trigger_id, id FROM execution WHERE started_by = 'schedule'"):
        found.setdefault(trigger, []).append(key)
    return found


def waiting(ask: Query) -> list[tuple[str, str]]:
    """(execution, pause) of all that waits for an answer, and not for its time to pass; nothing while the database is
    away, or has no room for who only reads."""
    with suppress(psycopg.OperationalError, sqlite3.OperationalError):
        return [
            tuple(row) for row in ask("SELECT execution_id, id FROM pause WHERE state = 'WAITING' AND deadline IS NULL")
        ]
    return []


def left(ask: Query) -> tuple[int, int]:
    """Rows in the outbox, and in the inbox."""
    return ask("SELECT count(*) FROM command")[0][0], ask("SELECT count(*) FROM event WHERE NOT consumed")[0][0]


def under_way(ask: Query) -> int:
    """Executions that have not ended."""
    ended = "'SUCCESS', 'WARNING', 'FAILED', 'KILLED', 'CANCELLED', 'SKIPPED'"
    count: int = ask(f"SELECT count(*) FROM execution WHERE state NOT IN ({ended})")[0][0]
    return count


def moment(at: int) -> datetime:
    """A time as a file keeps it."""
    return datetime.fromtimestamp(at / 1e6, UTC)


def _trigger(key: str) -> str:
    return key.rpartition("/")[2]
