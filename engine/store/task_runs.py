"""Rows of task runs: one each, so that a fan-out of a thousand does not rewrite one document."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from engine.core.execution import TaskRun
from engine.store import outputs
from engine.store.documents import loads, task_run_document, task_run_from
from engine.store.tables import task_runs

_insert = insert(task_runs)
_update = (
    update(task_runs).where(task_runs.c.id == bindparam("key")).values(state=bindparam("state"), doc=bindparam("doc"))
)
_delete = delete(task_runs).where(task_runs.c.id == bindparam("key"))


def save(
    connection: Connection, execution_id: str, before: Mapping[str, TaskRun], after: Mapping[str, TaskRun]
) -> None:
    """Write what changed between two sets of task runs."""
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    large: list[dict[str, Any]] = []
    for run in after.values():
        old = before.get(run.id)
        if old is run:
            continue
        text, rows = outputs.place(task_run_document(run), {"o": run.outputs}, run.id, execution_id)
        large += rows
        if old is None:
            new.append(
                {
                    "id": run.id,
                    "execution_id": execution_id,
                    "position": int(run.id.rpartition(".")[2]),
                    "task_id": run.task_id,
                    "state": run.state.value,
                    "doc": text,
                }
            )
        else:
            changed.append({"key": run.id, "state": run.state.value, "doc": text})
    if new:
        connection.execute(_insert, new)
    if changed:
        connection.execute(_update, changed)
    outputs.save(connection, large)
    if len(before) + len(new) > len(after):
        drop(connection, before.keys() - after.keys())


def drop(connection: Connection, ids: Iterable[str]) -> None:
    """Delete task runs and their outputs."""
    gone = sorted(ids)
    if gone:
        connection.execute(_delete, [{"key": key} for key in gone])
        outputs.drop(connection, gone)


def of_executions(connection: Connection, ids: list[str], large: Mapping[str, Any]) -> dict[str, dict[str, TaskRun]]:
    """The task runs of some executions, each in order of creation."""
    found: dict[str, dict[str, TaskRun]] = {key: {} for key in ids}
    rows = connection.execute(
        select(task_runs)
        .where(task_runs.c.execution_id.in_(ids))
        .order_by(task_runs.c.execution_id, task_runs.c.position)
    )
    for row in rows:
        doc = loads(row.doc)
        value = doc.get("o")
        found[row.execution_id][row.id] = task_run_from(row, doc, large.get(f"{row.id}#o") if value is None else value)
    return found
