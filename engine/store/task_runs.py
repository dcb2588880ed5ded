"""Rows of task runs: one each, so that a fan-out of a thousand does not rewrite one document."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from engine.core.execution import TaskRun, TaskRuns, number_of
from engine.core.state import State
from engine.store import outputs
from engine.store.batches import Statement, Target, write
from engine.store.documents import Sealer, task_run_document, task_run_from
from engine.store.tables import executions, task_runs

_insert = Statement(insert(task_runs), columns=("id", "execution_id", "position", "task_id", "state", "doc"))
_update = Statement(
    update(task_runs)
    .where(task_runs.c.id == bindparam("key"))
    .values(state=bindparam("new_state"), doc=bindparam("new_doc"))
)
_all = select(task_runs).where(task_runs.c.execution_id == bindparam("key")).order_by(task_runs.c.position)
_delete = Statement(delete(task_runs).where(task_runs.c.id == bindparam("key")))


def save(
    target: Target,
    execution_id: str,
    before: Mapping[str, TaskRun],
    after: Mapping[str, TaskRun],
    sealer: Sealer,
) -> None:
    """Write what changed between two sets of task runs."""
    runs, gone = (after if isinstance(after, TaskRuns) else TaskRuns(after.values())).changed_since(before)
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    large: list[dict[str, Any]] = []
    for run in runs:
        text, rows = outputs.place(task_run_document(run), {"o": run.outputs}, run.id, execution_id, sealer)
        large += rows
        if run.id in before:
            changed.append({"key": run.id, "new_state": run.state.value, "new_doc": text})
        else:
            row = {"id": run.id, "execution_id": execution_id, "position": number_of(run.id)}
            new.append(row | {"task_id": run.task_id, "state": run.state.value, "doc": text})
    write(target, _insert, new)
    write(target, _update, changed)
    outputs.save(target, large)
    drop(target, gone)


def drop(target: Target, ids: Iterable[str]) -> None:
    """Delete task runs and their outputs."""
    gone = sorted(ids)
    if gone:
        write(target, _delete, [{"key": key} for key in gone])
        outputs.drop(target, gone)


def stopped(connection: Connection, ids: Collection[str]) -> set[str]:
    """Those of some task runs that may not run on: stopped, gone, or of an execution that is being killed. What comes
    after the end of a killed execution may."""
    of_one = task_runs.c.execution_id == executions.c.id
    asked = select(task_runs.c.id, task_runs.c.state, executions.c.state.label("whole")).where(of_one)
    found = connection.execute(asked.where(task_runs.c.id.in_(ids)))
    over = (State.KILLING.value, State.KILLED.value)
    return set(ids) - {row.id for row in found if row.state not in over and row.whole != State.KILLING.value}


def of_execution(connection: Connection, execution_id: str, large: Mapping[str, Any], sealer: Sealer) -> TaskRuns:
    """The task runs of one execution, in order of creation."""
    return TaskRuns(_whole(row, large, sealer) for row in connection.execute(_all, {"key": execution_id}))


def of_executions(
    connection: Connection, ids: list[str], large: Mapping[str, Any], sealer: Sealer
) -> dict[str, TaskRuns]:
    """The task runs of some executions, each in order of creation."""
    found: dict[str, list[TaskRun]] = {key: [] for key in ids}
    rows = connection.execute(
        select(task_runs)
        .where(task_runs.c.execution_id.in_(ids))
        .order_by(task_runs.c.execution_id, task_runs.c.position)
    )
    for row in rows:
        found[row.execution_id].append(_whole(row, large, sealer))
    return {key: TaskRuns(runs) for key, runs in found.items()}


def _whole(row: Row[Any], large: Mapping[str, Any], sealer: Sealer) -> TaskRun:
    doc = sealer.loads(row.doc, row.execution_id)
    value = doc.get("o")
    return task_run_from(row, doc, large.get(f"{row.id}#o") if value is None else value)
