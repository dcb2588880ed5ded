"""Metrics that tasks recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from engine.store.batches import Statement, Target
from engine.store.batches import write as run
from engine.store.documents import dumps, loads
from engine.store.tables import instant, metrics

_insert = Statement(
    insert(metrics),
    columns=("execution_id", "task_run_id", "task_id", "name", "kind", "value", "at", "tags"),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One value a task run recorded."""

    execution_id: str
    task_run_id: str
    task_id: str
    name: str
    kind: str
    value: float
    at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)


def write(target: Target, recorded: Sequence[Metric]) -> None:
    """Append metrics."""
    rows = [
        {
            "execution_id": metric.execution_id,
            "task_run_id": metric.task_run_id,
            "task_id": metric.task_id,
            "name": metric.name,
            "kind": metric.kind,
            "value": metric.value,
            "at": instant(metric.at),
            "tags": dumps(metric.tags),
        }
        for metric in recorded
    ]
    run(target, _insert, rows)


def find(connection: Connection, execution_id: str) -> list[Metric]:
    """Metrics of an execution in the order they were recorded."""
    rows = connection.execute(select(metrics).where(metrics.c.execution_id == execution_id).order_by(metrics.c.id))
    found: list[Any] = [dict(row._mapping) for row in rows]
    return [
        Metric(**{k: v for k, v in row.items() if k not in ("id", "tags")}, tags=loads(row["tags"])) for row in found
    ]
