"""Databases of every released schema come up to date with their rows, whole or not at all; newer ones are refused.

`schemas/<version>.sql` is what that version made, with rows of a run that waits. A change of a table that was released
needs a step in `engine.store.migrations` and a new file: `python -m tests.store.schemas`.
"""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import MetaData, create_engine, insert, inspect

from engine.core.state import State
from engine.errors import StoreFailed
from engine.runtime import Engine
from engine.settings import Settings
from engine.store import chat_sequels, migrations, triggers
from engine.store.chat_sequels import Sequel
from engine.store.postgres import PostgresDatabase
from engine.store.tables import schema_version
from tests.store.schemas import NOW, SCHEDULE, SCHEMAS, WAITING, fresh

VERSIONS = range(1, len(migrations.STEPS) + 1)


def load(version, path):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"{version}.sql").read_text())


def shape(path):
    """Columns and indexes by table."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            look = inspect(connection)
            return {
                table: (
                    {(one["name"], str(one["type"]), one["nullable"]) for one in look.get_columns(table)},
                    {(one["name"], tuple(one["column_names"]), one["unique"]) for one in look.get_indexes(table)},
                )
                for table in look.get_table_names()
            }
    finally:
        engine.dispose()


def migrated(path):
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            migrations.migrate(connection, str(path))
    finally:
        engine.dispose()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_released_schema_becomes_the_present_one(version, tmp_path):
    load(version, tmp_path / "old.db")
    migrated(tmp_path / "old.db")
    fresh(tmp_path / "new.db")
    assert shape(tmp_path / "old.db") == shape(tmp_path / "new.db")


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_waited_under_a_released_schema_goes_on(version, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    load(version, data / "parley.db")
    engine = await Engine.open(Settings(data=data, flows=()))
    try:
        await engine.start(watch=False)
        (pause,) = await engine.pauses()
        assert pause.execution_id == WAITING
        await engine.resume(WAITING, {"word": "late"}, by="ann")
        ended = await engine.wait(WAITING, timeout=20)
        assert (ended.state, ended.outputs) == (State.SUCCESS, {"said": "late"})
    finally:
        await engine.stop(grace=0)


async def test_schedules_from_chat_stay_in_force(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    load(2, data / "parley.db")
    engine = await Engine.open(Settings(data=data, flows=()))
    try:
        await engine.start(watch=False)
        assert engine.schedules.own.find("ops", "ask", SCHEDULE.id) == SCHEDULE
        assert f"ops/ask/{SCHEDULE.id}" in [entry.key for entry in engine.schedules.occurrences.standing()]
    finally:
        await engine.stop(grace=0)


ALIASES = (
    ("discord:", "one", "run a", "discord:1"),
    ("discord:", "two", "run b", "discord:2"),
    ("discord:", "six", "run c", "removed"),  # nobody's any more
    ("@discord:2", "two", "run mine", "discord:2"),  # made since: it stays
    ("discord:G1", "one", "run d", "discord:1"),
)


def test_aliases_made_in_discord_for_everybody_become_their_makers_once(tmp_path):
    path = tmp_path / "old.db"
    load(2, path)
    migrate_from_two(path, ALIASES)
    with closing(sqlite3.connect(path)) as connection:
        held = connection.execute("SELECT workspace, name, command FROM chat_alias ORDER BY 1, 2").fetchall()
    assert held == [("@discord:1", "one", "run a"), ("@discord:2", "two", "run mine"), ("discord:G1", "one", "run d")]
    migrate_from_two(path, (("discord:", "new", "run e", "discord:3"),))
    with closing(sqlite3.connect(path)) as connection:
        late = connection.execute("SELECT name FROM chat_alias WHERE workspace = 'discord:'").fetchall()
    assert late == [("new",)], "a step is run once"


def migrate_from_two(path, aliases):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO chat_alias VALUES (?, ?, ?, ?, 0)", aliases)
    migrated(path)


async def test_a_table_that_came_later_is_made_on_a_server_too(new_postgres):
    later = ["trigger_memory", "chat_sequel"]
    opened = await PostgresDatabase.open(new_postgres)

    def back(unit):
        old = MetaData()
        old.reflect(unit.connection, only=later)
        old.drop_all(unit.connection)

    await opened.transact(back)
    await opened.close()
    again = await PostgresDatabase.open(new_postgres)
    try:
        await again.transact(lambda unit: triggers.save_memory(unit.connection, "ops/ask/poll", {"seen": ["a"]}))
        await again.transact(lambda unit: chat_sequels.owe(unit.connection, "slack", Sequel("m1", 2, True)))
        assert await again.read(lambda c: triggers.memory(c, "ops/ask/poll")) == {"seen": ["a"]}
        assert await again.read(lambda c: chat_sequels.owed(c, "slack")) == [Sequel("m1", 2, True)]
    finally:
        await again.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path, monkeypatch):
    load(1, tmp_path / "old.db")
    before = shape(tmp_path / "old.db")

    def breaks(connection):
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise StoreFailed("no")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, breaks))
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "old.db").rename(data / "parley.db")
    with pytest.raises(StoreFailed, match="no"):
        await Engine.open(Settings(data=data, flows=()))
    after = shape(data / "parley.db")
    assert "half" not in after
    assert after == before


async def test_a_newer_database_is_refused_and_left_alone(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    load(1, data / "parley.db")
    engine = create_engine(f"sqlite:///{data / 'parley.db'}")
    with engine.begin() as connection:
        connection.execute(insert(schema_version).values(version=len(VERSIONS) + 1, applied=NOW))
    engine.dispose()
    before = shape(data / "parley.db")
    with pytest.raises(StoreFailed, match=r"written by a newer Parley \(schema \d+, this one knows \d+\).*backup"):
        await Engine.open(Settings(data=data, flows=()))
    assert shape(data / "parley.db") == before
