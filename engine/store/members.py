"""Processes on one database. A row says what a member does; that it lives, a lock in the database says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import BigInteger, Column, Table

from engine.store.tables import EPOCH, MICROSECOND, Chars, Instant, metadata

members = Table(
    "member",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("role", Chars, nullable=False),
    Column("queues", Chars, nullable=False),  # of tasks it runs, with spaces between
    Column("host", Chars, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("started", Instant, nullable=False),
)


DEFAULT = "default"  # the queue of tasks that any worker runs


def queue_of(group: str | None) -> str:
    """The queue of a worker group; None: of tasks that any worker runs."""
    return DEFAULT if group is None else f"group:{group}"


def group_of(queue: str) -> str | None:
    """The worker group of a queue."""
    return queue.removeprefix("group:") if queue != DEFAULT else None


@dataclass(frozen=True, slots=True)
class Member:
    """One process."""

    id: int
    role: str
    queues: tuple[str, ...]
    host: str
    pid: int
    started: datetime

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Member":
        """A member by its row as it lies in the database."""
        queues = tuple(unquote(queue) for queue in row[2].split())
        return cls(row[0], row[1], queues, row[3], row[4], EPOCH + row[5] * MICROSECOND)

    @property
    def decides(self) -> bool:
        """Whether it decides about executions; workers only run tasks."""
        return self.role != "worker"


def listed(queues: Iterable[str]) -> str:
    """Queues as a row holds them; a group's name may have blanks."""
    return " ".join(quote(queue, safe=":") for queue in queues)
