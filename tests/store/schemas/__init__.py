"""What each released schema looked like: `python -m tests.store.schemas` writes the file of the present version."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine

from engine.clock import ShiftedClock
from engine.runtime import Engine
from engine.settings import Settings
from engine.store import migrations
from engine.store.own_schedules import OwnSchedule

SCHEMAS = Path(__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = "WAITINGEXECUTION"
FLOW = """
id: ask
namespace: ops
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: word, type: STRING}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.gate.onResume.word }}"}
"""


SCHEDULE = OwnSchedule(
    "ops",
    "ask",
    "chat-abc123",
    {"id": "chat-abc123", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "0 9 * * 1-5", "timezone": "UTC"},
    "every weekday at 9:00",
    "slack:U1",
    {"platform": "slack", "channel": "C1", "thread": None, "workspace": "T1", "is_direct": False},
    NOW,
)


def fresh(path: Path) -> None:
    """A new database of the present schema."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.migrate(connection, str(path))
    engine.dispose()


async def _waiting(data: Path) -> str:
    engine = await Engine.open(Settings(data=data, flows=()), clock=ShiftedClock(NOW))
    await engine.start(watch=False)
    await engine.deploy(FLOW)
    made = await engine.create("ops", "ask", {}, started_by="ann")
    await engine.wait(made.id, until="ended_or_paused")
    await engine.database.transact(lambda unit: engine.schedules.own.add_in(unit, SCHEDULE))
    await engine.stop(grace=0)
    return made.id


def main() -> None:
    """Run a flow up to its pause, and write what the database then holds."""
    with tempfile.TemporaryDirectory() as folder:
        waiting = asyncio.run(_waiting(Path(folder)))
        with closing(sqlite3.connect(Path(folder) / "parley.db")) as connection:
            text = "\n".join(line for line in connection.iterdump() if "sqlite_sequence" not in line) + "\n"
    file = SCHEMAS / f"{len(migrations.STEPS)}.sql"
    file.write_text(text.replace(waiting, WAITING))
    print(f"wrote {file}")
