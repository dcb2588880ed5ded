"""Processes on one database. A row says what a member does; that it lives, a lock in the database says."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, Table, select

from engine.store.tables import Chars, Instant, metadata

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

    @property
    def decides(self) -> bool:
        """Whether it decides about executions; workers only run tasks."""
        return self.role != "worker"


def known(connection: Connection) -> list[Member]:
    """Everybody who said what he does, living or not."""
    return [
        Member(row.id, row.role, tuple(row.queues.split()), row.host, row.pid, row.started)
        for row in connection.execute(select(members).order_by(members.c.id))
    ]
