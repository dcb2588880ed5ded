"""How long earlier runs of a flow took: the latest successful ones, whatever else is stored."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from engine.core.execution import Histories
from engine.core.state import State
from engine.store.documents import from_histories, loads
from engine.store.tables import executions, task_runs

AMONG = 100  # runs of the flow that are looked through, newest first
MAX_RUNS = 20
MAX_TASK_RUNS = 1000


@dataclass(frozen=True, slots=True)
class PastRun:
    """The states of a successful run with their times, and those of its tasks that ran once."""

    revision: int
    histories: Histories
    tasks: Mapping[str, Histories]


def past(connection: Connection, namespace: str, flow_id: str) -> list[PastRun]:
    """The latest successful runs of a flow, newest first. What it costs does not grow with what is stored."""
    row = executions.c
    newest = select(row.id, row.revision, row.state, row.doc).where(row.namespace == namespace, row.flow_id == flow_id)
    latest = newest.order_by(row.created.desc()).limit(AMONG).subquery().c
    good = select(latest.id, latest.revision, latest.doc).where(latest.state == State.SUCCESS.value).limit(MAX_RUNS)
    rows = connection.execute(good).all()
    task = task_runs.c
    query = select(task.execution_id, task.task_id, task.doc).where(
        task.execution_id.in_([found.id for found in rows]), task.state == State.SUCCESS.value
    )
    by_run: dict[str, dict[str, list[Histories]]] = {}
    for found in connection.execute(query.order_by(task.execution_id.desc(), task.position).limit(MAX_TASK_RUNS)):
        tasks = by_run.setdefault(found.execution_id, {})
        tasks.setdefault(found.task_id, []).append(from_histories(loads(found.doc)["h"]))
    return [
        PastRun(
            found.revision,
            from_histories(loads(found.doc)["histories"]),
            {name: many[0] for name, many in by_run.get(found.id, {}).items() if len(many) == 1},
        )
        for found in rows
    ]
