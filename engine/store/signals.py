"""What processes on one PostgreSQL database tell each other: the database says it, in the transaction that did it.

Triggers send a line on one channel: a topic and words. Nothing depends on a line arriving (whoever listens also looks
now and then), so a line lost with a connection costs a moment, never an execution.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

CHANNEL = "parley"
LINES = {  # table → when, and the words
    "event": ("INSERT", "'event ' || NEW.execution_id"),
    "execution": (
        "INSERT OR UPDATE",
        "concat_ws(' ', 'execution', NEW.id, NEW.version, NEW.state, NEW.namespace, NEW.flow_id)",
    ),
    "command": ("INSERT", "'command ' || NEW.execution_id"),
    "flow": ("INSERT OR UPDATE", "concat_ws(' ', 'flow', NEW.namespace, NEW.id)"),
    "trigger_state": ("INSERT OR UPDATE", "concat_ws(' ', 'trigger', NEW.namespace, NEW.flow_id, NEW.trigger_id)"),
    "room_messages": ("INSERT OR UPDATE", "'room ' || NEW.id"),
    "chat_message": ("INSERT OR UPDATE OF desired", "'chat ' || NEW.platform"),
    "chat_notice": ("INSERT", "'chat ' || NEW.platform"),
}
ONLY = {"command": "WHEN (NEW.id LIKE 'timer:%:start')"}  # of the outbox others need to hear of beginnings only


@dataclass(frozen=True, slots=True)
class Signal:
    """One line another process said."""

    topic: str
    words: tuple[str, ...]


def parse(line: str) -> Signal:
    """A line as it came."""
    topic, *words = line.split(" ")
    return Signal(topic, tuple(words))


def create(connection: Connection) -> None:
    """Make the triggers that are not there yet."""
    there = set(connection.execute(text("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'parley_tell_%'")).scalars())
    for table, (when, words) in LINES.items():
        name = f"parley_tell_{table}"
        if name in there:
            continue
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"PERFORM pg_notify('{CHANNEL}', left({words}, 2000)); RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            f'CREATE TRIGGER {name} AFTER {when} ON "{table}" FOR EACH ROW {ONLY.get(table, "")} '
            f"EXECUTE FUNCTION {name}()".replace("%", "%%")
        )
