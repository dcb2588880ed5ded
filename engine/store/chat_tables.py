"""Tables of the conversation: what was heard, what is shown where, and who decided what.

They hold no truth about executions: pauses and runs have their own tables, and a card is drawn from those each time.
Documents are JSON text.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Connection, Index, Integer, String, Table, Text
from sqlalchemy.dialects import postgresql, sqlite

from engine.store.tables import Instant, Serial, metadata

settings = Table(
    "chat_setting",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# One row a delivery. A redelivered click finds its row and gets the stored answer.
receipts = Table(
    "chat_receipt",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("kind", String(16), nullable=False),  # command | click | submission
    Column("event", Text, nullable=False),
    Column("state", String(8), nullable=False),  # OPEN | DONE
    Column("answer", Text),
    Column("handed", Boolean, nullable=False, default=False),  # the front end took the answer
    Column("created", Instant, nullable=False),
    Index("chat_receipt_open", "state", "handed"),
    Index("chat_receipt_created", "created"),
)

people = Table(
    "chat_person",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("name", Text, nullable=False),
    Column("platform", String(16), nullable=False),
    Column("mention", Text, nullable=False, default=""),
    Column("zone", String(64)),
    Column("seen", Instant, nullable=False),
)

# Where a run was started from: its card and its pauses are shown there.
runs = Table(
    "chat_run",
    metadata,
    Column("execution_id", String(64), primary_key=True),
    Column("person", String(200), nullable=False),
    Column("room", Text, nullable=False),
    Column("place", String(300), nullable=False),  # platform and channel, for "my last run here"
    Column("flow", String(300), nullable=False),
    Column("created", Instant, nullable=False),
    Index("chat_run_person", "person", "created"),
)

# One row a message that shows a run or a pause. `desired` beyond `shown` means it must be posted or edited.
messages = Table(
    "chat_message",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(8), nullable=False),  # run | pause
    Column("entity", String(64), nullable=False),
    Column("execution_id", String(64), nullable=False),
    Column("platform", String(16), nullable=False),
    Column("place", String(300), nullable=False),
    Column("room", Text, nullable=False),
    Column("message", Text),  # the reference, once it is posted
    Column("generation", Integer, nullable=False, default=0),  # grows when it must be posted anew
    Column("desired", BigInteger, nullable=False),
    Column("shown", BigInteger, nullable=False, default=0),
    Column("digest", String(64), nullable=False, default=""),
    Column("urgency", Integer, nullable=False),  # 0 decision, 1 new post, 2 end of a run, 3 progress
    Column("state", String(8), nullable=False),  # LIVE | FINAL | DEAD
    Column("problem", Text, nullable=False, default=""),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
    Index("chat_message_place", "kind", "entity", "platform", "place", unique=True),
    Index("chat_message_due", "platform", "state", "urgency", "due"),
    Index("chat_message_execution", "execution_id"),
)

# Private sentences that must arrive although the process may end before they are sent.
notices = Table(
    "chat_notice",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("platform", String(16), nullable=False),
    Column("room", Text, nullable=False),
    Column("person", String(200)),
    Column("notice", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due", Instant, nullable=False),
    Index("chat_notice_due", "platform", "due"),
)

drafts = Table(
    "chat_draft",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person", String(200), nullable=False),
    Column("document", Text, nullable=False),
    Column("changed", Instant, nullable=False),
    Index("chat_draft_changed", "changed"),
)

audit = Table(
    "chat_audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("person", String(200), nullable=False),
    Column("name", Text, nullable=False),
    Column("platform", String(16), nullable=False),
    Column("action", String(24), nullable=False),
    Column("entity", String(300), nullable=False),
    Column("execution_id", String(64), nullable=False, default=""),
    Column("flow", String(300), nullable=False, default=""),
    Column("details", Text, nullable=False, default="{}"),
    Index("chat_audit_entity", "entity"),
    Index("chat_audit_execution", "execution_id"),
    sqlite_autoincrement=True,
)


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is taken; whether it was new."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(insert(table).values(**values).on_conflict_do_nothing()).rowcount == 1
