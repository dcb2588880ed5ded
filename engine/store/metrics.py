"""Metrics that tasks recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from engine.store.documents import dumps, loads
from engine.store.tables import metrics


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


def write(connection: Connection, recorded: Sequence[Metric]) -> None:
    """Append metrics."""
    if recorded:
        rows = [{name: getattr(metric, name) for name in metric.__slots__} for metric in recorded]
        connection.execute(insert(metrics), [row | {"tags": dumps(row["tags"])} for row in rows])


def find(connection: Connection, execution_id: str) -> list[Metric]:
    """Metrics of an execution in the order they were recorded."""
    rows = connection.execute(select(metrics).where(metrics.c.execution_id == execution_id).order_by(metrics.c.id))
    found: list[Any] = [dict(row._mapping) for row in rows]
    return [
        Metric(**{k: v for k, v in row.items() if k not in ("id", "tags")}, tags=loads(row["tags"])) for row in found
    ]
