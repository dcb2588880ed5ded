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
from sqlalchemy.dialects import postgresql

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
# Text sorts by its code points everywhere: ids grow with time, and "newest first" is "largest first".
Chars = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in a column of type INTEGER


def only(condition: str, on_postgres: str = "") -> dict[str, Any]:
    """Of an index: it holds the rows for which a condition is true, and is small."""
    return {"sqlite_where": text(condition), "postgresql_where": text(on_postgres or condition)}


schema_version = Table(
    "schema_version", metadata, Column("version", Integer, primary_key=True), Column("applied", Instant, nullable=False)
)

schema_parts = Table(  # parts of the schema that count for themselves
    "schema_part", metadata, Column("name", Chars, primary_key=True), Column("version", Chars, nullable=False)
)

executions = Table(
    "execution",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("namespace", Chars, nullable=False),
    Column("flow_id", Chars, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", Chars, nullable=False),
    Column("version", Integer, nullable=False),
    Column("started_by", Chars, nullable=False),
    Column("caller_id", Chars),  # the execution whose Subflow task made this one
    Column("caller", Chars),  # … and what that task asked for, as JSON (see Caller)
    Column("trigger_id", Chars),
    Column("dedupe", Chars, unique=True),
    Column("created", Instant, nullable=False),
    Column("updated", Instant, nullable=False),
    Column("doc", Chars, nullable=False),
    Index("execution_by_flow", "namespace", "flow_id", "created"),
    Index("execution_by_state", "state", "created"),
    Index("execution_by_caller", "caller_id", **only("caller_id IS NOT NULL")),
)

task_runs = Table(
    "task_run",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("execution_id", Chars, nullable=False),
    Column("position", Integer, nullable=False),
    Column("task_id", Chars, nullable=False),
    Column("state", Chars, nullable=False),
    Column("doc", Chars, nullable=False),
    Index("task_run_by_execution", "execution_id", "position"),
)

outputs = Table(  # large values apart, so that moving a task run's state does not write them again
    "output",
    metadata,
    Column("id", Chars, primary_key=True),  # a task run's id, or `<execution>#inputs` | `<execution>#outputs`
    Column("execution_id", Chars, nullable=False),
    Column("doc", Chars, nullable=False),
    Index("output_by_execution", "execution_id"),
)

events = Table(  # the inbox
    "event",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("execution_id", Chars, nullable=False),
    Column("kind", Chars, nullable=False),
    Column("payload", Chars, nullable=False),
    Column("dedupe", Chars, unique=True),
    Column("consumed", Boolean, nullable=False, default=False),
    Column("created", Instant, nullable=False),
    Index("event_waiting", "execution_id", **only("consumed = 0", "NOT consumed")),
    sqlite_autoincrement=True,
)

commands = Table(  # the outbox
    "command",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("execution_id", Chars, nullable=False),
    Column("kind", Chars, nullable=False),
    Column("run_at", Instant),
    Column("payload", Chars, nullable=False),
    Index("command_by_execution", "execution_id"),
    Index("command_by_time", "run_at", **only("0", "true")),  # a file's timers are kept in memory
)

pauses = Table(
    "pause",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("execution_id", Chars, nullable=False),
    Column("task_run_id", Chars, nullable=False),
    Column("task_id", Chars, nullable=False),
    Column("namespace", Chars, nullable=False),
    Column("flow_id", Chars, nullable=False),
    Column("state", Chars, nullable=False),
    Column("created", Instant, nullable=False),
    Column("deadline", Instant),
    Column("deadline_behavior", Chars, nullable=False),
    Column("decided_by", Chars),
    Column("decided_at", Instant),
    Column("inputs", Chars),
    Index("pause_by_execution", "execution_id"),
    Index("pause_waiting", "created", **only("state = 'WAITING'")),
)

flows = Table(
    "flow",
    metadata,
    Column("namespace", Chars, nullable=False),
    Column("id", Chars, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("source", Chars, nullable=False),
    Column("file", Chars, nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
    Column("created", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "id", "revision"),
)

trigger_states = Table(
    "trigger_state",
    metadata,
    Column("namespace", Chars, nullable=False),
    Column("flow_id", Chars, nullable=False),
    Column("trigger_id", Chars, nullable=False),
    Column("next_date", Instant),
    Column("last_date", Instant),
    Column("execution_id", Chars),  # the one it started, while that is under way
    Column("disabled", Boolean, nullable=False, default=False),
    Column("backfill", Chars),
    Column("definition", Chars),
    Column("updated", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "flow_id", "trigger_id"),
)

trigger_fires = Table(
    "trigger_fire",
    metadata,
    Column("trigger_key", Chars, nullable=False),
    Column("scheduled_at", Instant, nullable=False),
    Column("execution_id", Chars),
    Column("fired_at", Instant, nullable=False),
    PrimaryKeyConstraint("trigger_key", "scheduled_at"),
)

trigger_memories = Table(  # what a polling trigger has seen, so that it neither misses nor repeats anything
    "trigger_memory",
    metadata,
    Column("trigger_key", Chars, primary_key=True),
    Column("doc", Chars, nullable=False),
)

trigger_windows = Table(  # which conditions of a flow trigger have been met in its present window
    "trigger_window",
    metadata,
    Column("trigger_key", Chars, nullable=False),
    Column("window_id", Chars, nullable=False),
    Column("starts", Instant, nullable=False),
    Column("ends", Instant, nullable=False),
    Column("doc", Chars, nullable=False),
    PrimaryKeyConstraint("trigger_key", "window_id"),
)

logs = Table(
    "log",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("execution_id", Chars, nullable=False),
    Column("at", Instant, nullable=False),
    Column("level", Integer, nullable=False),
    Column("task_id", Chars),
    Column("task_run_id", Chars),
    Column("attempt", Integer),
    Column("message", Chars, nullable=False),
    Index("log_by_execution", "execution_id", "id"),
    sqlite_autoincrement=True,
)

metrics = Table(
    "metric",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("execution_id", Chars, nullable=False),
    Column("task_run_id", Chars, nullable=False),
    Column("task_id", Chars, nullable=False),
    Column("name", Chars, nullable=False),
    Column("kind", Chars, nullable=False),
    Column("value", Float, nullable=False),
    Column("tags", Chars, nullable=False),
    Column("at", Instant, nullable=False),
    Index("metric_by_execution", "execution_id"),
    sqlite_autoincrement=True,
)

key_values = Table(
    "key_value",
    metadata,
    Column("namespace", Chars, nullable=False),
    Column("key", Chars, nullable=False),
    Column("kind", Chars, nullable=False),
    Column("value", Chars, nullable=False),  # JSON; of kind SECRET: encrypted
    Column("description", Chars),
    Column("expires", Instant),
    Column("updated", Instant, nullable=False),
    PrimaryKeyConstraint("namespace", "key"),
)
