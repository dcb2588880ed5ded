"""All tables of the engine, and the type of their times. The bot's tables (`chat*.py`) join the same metadata."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    text,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A point in time with a zone, kept as microseconds since 1970 so that it sorts and compares everywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        """Microseconds of an aware datetime."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The datetime in UTC."""
        return None if value is None else EPOCH + value * MICROSECOND


def instant(moment: datetime | None) -> int | None:
    """A point in time as it lies in a column of type Instant."""
    return None if moment is None else (moment - EPOCH) // MICROSECOND


metadata = MetaData()
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in a column of type INTEGER

schema_version = Table(
    "schema_version", metadata, Column("version", Integer, primary_key=True), Column("applied", Instant, nullable=False)
)

executions = Table(
    "execution",
    metadata,
    Column("id", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("flow_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("caller_id", Text),  # the execution whose Subflow task made this one
    Column("caller", Text),  # … and what that task asked for, as JSON (see Caller)
    Column("trigger_id", Text),
    Column("dedupe", Text, unique=True),
    Column("created", Instant, nullable=False),
    Column("updated", Instant, nullable=False),
    Column("doc", Text, nullable=False),
    Index("execution_by_flow", "namespace", "flow_id", "created"),
    Index("execution_by_state", "state", "created"),
    Index("execution_by_caller", "caller_id", sqlite_where=text("caller_id IS NOT NULL")),
)

task_runs = Table(
    "task_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("execution_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("doc", Text, nullable=False),
    Index("task_run_by_execution", "execution_id", "position"),
)

outputs = Table(  # large values apart, so that moving a task run's state does not write them again
    "output",
    metadata,
    Column("id", Text, primary_key=True),  # a task run's id, or `<execution>#inputs` | `<execution>#outputs`
    Column("execution_id", Text, nullable=False),
    Column("doc", Text, nullable=False),
    Index("output_by_execution", "execution_id"),
)

events = Table(  # the inbox
    "event",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("execution_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("dedupe", Text, unique=True),
    Column("consumed", Boolean, nullable=False, default=False),
    Column("created", Instant, nullable=False),
    Index("event_waiting", "execution_id", sqlite_where=text("consumed = 0")),
    sqlite_autoincrement=True,
)

commands = Table(  # the outbox
    "command",
    metadata,
    Column("id", Text, primary_key=True),
    Column("execution_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("run_at", Instant),
    Column("payload", Text, nullable=False),
    Index("command_by_execution", "execution_id"),
)

pauses = Table(
    "pause",
    metadata,
    Column("id", Text, primary_key=True),
    Column("execution_id", Text, nullable=False),
    Column("task_run_id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("flow_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", Instant, nullable=False),
    Column("deadline", Instant),
    Column("deadline_behavior", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("inputs", Text),
    Index("pause_by_execution", "execution_id"),
    Index("pause_waiting", "created", sqlite_where=text("state = 'WAITING'")),
)

flows = Table(
    "flow",
    metadata,
    Column("namespace", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("created", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "id", "revision"),
)

trigger_states = Table(
    "trigger_state",
    metadata,
    Column("namespace", Text, nullable=False),
    Column("flow_id", Text, nullable=False),
    Column("trigger_id", Text, nullable=False),
    Column("next_date", Instant),
    Column("last_date", Instant),
    Column("execution_id", Text),  # the one it started, while that is under way
    Column("disabled", Boolean, nullable=False, default=False),
    Column("backfill", Text),
    Column("definition", Text),
    Column("updated", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "flow_id", "trigger_id"),
)

trigger_fires = Table(
    "trigger_fire",
    metadata,
    Column("trigger_key", Text, nullable=False),
    Column("scheduled_at", Instant, nullable=False),
    Column("execution_id", Text),
    Column("fired_at", Instant, nullable=False),
    PrimaryKeyConstraint("trigger_key", "scheduled_at"),
)

trigger_windows = Table(  # which conditions of a flow trigger have been met in its present window
    "trigger_window",
    metadata,
    Column("trigger_key", Text, nullable=False),
    Column("window_id", Text, nullable=False),
    Column("starts", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("trigger_key", "window_id"),
)

logs = Table(
    "log",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("execution_id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("level", Integer, nullable=False),
    Column("task_id", Text),
    Column("task_run_id", Text),
    Column("attempt", Integer),
    Column("message", Text, nullable=False),
    Index("log_by_execution", "execution_id", "id"),
    sqlite_autoincrement=True,
)

metrics = Table(
    "metric",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("execution_id", Text, nullable=False),
    Column("task_run_id", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("tags", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("metric_by_execution", "execution_id"),
    sqlite_autoincrement=True,
)

key_values = Table(
    "key_value",
    metadata,
    Column("namespace", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", Text, nullable=False),  # JSON; of kind SECRET: encrypted
    Column("description", Text),
    Column("expires", Instant),
    Column("updated", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "key"),
)
