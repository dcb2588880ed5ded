"""Tables of the conversation: what was heard, what is shown where, and who decided what.

They hold no truth about executions: pauses and runs have their own tables, and a card is drawn from those each time.
Documents are JSON text.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from engine.store.tables import Chars, Instant, metadata

settings = Table(
    "chat_setting",
    metadata,
    Column("name", Chars, primary_key=True),
    Column("value", Chars, nullable=False),
)

# One row a delivery. A redelivered click finds its row and gets the stored answer.
receipts = Table(
    "chat_receipt",
    metadata,
    Column("key", Chars, primary_key=True),
    Column("kind", Chars, nullable=False),  # command | click | submission
    Column("event", Chars, nullable=False),
    Column("state", Chars, nullable=False),  # OPEN | DONE
    Column("answer", Chars),
    Column("handed", Boolean, nullable=False, default=False),  # the front end took the answer
    Column("created", Instant, nullable=False),
    Index("chat_receipt_open", "state", "handed"),
    Index("chat_receipt_created", "created"),
)

people = Table(
    "chat_person",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("name", Chars, nullable=False),
    Column("platform", Chars, nullable=False),
    Column("mention", Chars, nullable=False, default=""),
    Column("zone", Chars),
    Column("seen", Instant, nullable=False),
)

# Where a run was started from: its card and its pauses are shown there.
runs = Table(
    "chat_run",
    metadata,
    Column("execution_id", Chars, primary_key=True),
    Column("person", Chars, nullable=False),
    Column("room", Chars, nullable=False),
    Column("place", Chars, nullable=False),  # platform and channel, for "my last run here"
    Column("flow", Chars, nullable=False),
    Column("created", Instant, nullable=False),
    Index("chat_run_person", "person", "created"),
)

# What holds in a room (platform and channel): `card`, `mute <flow>` …; `until` when it ends by itself.
room_settings = Table(
    "chat_room_setting",
    metadata,
    Column("room", Chars, primary_key=True),
    Column("name", Chars, primary_key=True),
    Column("value", Chars, nullable=False),
    Column("until", Instant),
)

# One row a message that shows a run, its log or a pause. `desired` beyond `shown` means it must be posted or edited.
messages = Table(
    "chat_message",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("kind", Chars, nullable=False),  # run | pause | log | word
    Column("entity", Chars, nullable=False),
    Column("execution_id", Chars, nullable=False),
    Column("platform", Chars, nullable=False),
    Column("place", Chars, nullable=False),
    Column("room", Chars, nullable=False),
    Column("message", Chars),  # the reference, once it is posted
    Column("generation", Integer, nullable=False, default=0),  # grows when it must be posted anew
    Column("desired", BigInteger, nullable=False),
    Column("shown", BigInteger, nullable=False, default=0),
    Column("digest", Chars, nullable=False, default=""),
    Column("urgency", Integer, nullable=False),  # 0 decision, 1 new post, 2 end of a run, 3 progress
    Column("state", Chars, nullable=False),  # LIVE | QUIET | FINAL | DEAD
    Column("problem", Chars, nullable=False, default=""),
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
    Column("id", Chars, primary_key=True),
    Column("platform", Chars, nullable=False),
    Column("room", Chars, nullable=False),
    Column("person", Chars),
    Column("notice", Chars, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due", Instant, nullable=False),
    Index("chat_notice_due", "platform", "due"),
)

drafts = Table(
    "chat_draft",
    metadata,
    Column("id", Chars, primary_key=True),
    Column("person", Chars, nullable=False),
    Column("document", Chars, nullable=False),
    Column("changed", Instant, nullable=False),
    Index("chat_draft_changed", "changed"),
)

# A chain: each row's hash covers the row and the hash before it. `person` and `details` are keys of `audit_private`.
audit = Table(
    "audit_entry",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # counts without gaps
    Column("at", Instant, nullable=False),
    Column("person", Chars, nullable=False),
    Column("platform", Chars, nullable=False),
    Column("action", Chars, nullable=False),
    Column("entity", Chars, nullable=False),
    Column("execution_id", Chars, nullable=False),
    Column("flow", Chars, nullable=False),
    Column("details", Chars, nullable=False),  # "" without any
    Column("facts", Chars, nullable=False),
    Column("prev", Chars, nullable=False),
    Column("hash", Chars, nullable=False),
    Index("audit_entry_entity", "entity"),
    Index("audit_entry_execution", "execution_id"),
)

# What can be taken out of the record again: its key is a hash of salt and content, so it can go but not change.
audit_private = Table(
    "audit_private",
    metadata,
    Column("key", Chars, primary_key=True),
    Column("salt", Chars, nullable=False),
    Column("owner", Chars, nullable=False),  # whom it names; "" for what somebody said or gave
    Column("content", Chars, nullable=False),
    Index("audit_private_owner", "owner"),
)
