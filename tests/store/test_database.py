"""The writer thread: groups, redo of a failing unit, locks, versions, what is said when the file can't be had."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, inspect, select

from engine.errors import Refused, StoreFailed
from engine.store import migrations
from engine.store.database import SqliteDatabase
from engine.store.tables import logs, metadata, schema_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def write(message):
    row = {"execution_id": "e", "at": NOW, "level": 20, "message": message}
    return lambda unit: unit.connection.execute(insert(logs), row)


async def messages(database):
    return await database.read(lambda c: list(c.execute(select(logs.c.message).order_by(logs.c.id)).scalars()))


async def held_back(database):
    """Keeps the writer busy until released, so that what follows becomes one group."""
    entered, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def block(unit):
        loop.call_soon_threadsafe(entered.set)
        release.wait(10)

    blocked = asyncio.create_task(database.transact(block))
    await entered.wait()
    return blocked, release


async def test_what_waits_is_written_in_one_commit(database):
    blocked, release = await held_back(database)
    waiting = [asyncio.create_task(database.transact(write(str(n)))) for n in range(60)]
    await asyncio.sleep(0)
    before = database.groups
    release.set()
    await asyncio.gather(blocked, *waiting)
    assert database.groups - before == 2  # the one that blocked, then all others together
    assert await messages(database) == [str(n) for n in range(60)]


async def test_what_is_urgent_is_written_before_what_waits_and_by_itself(database):
    blocked, release = await held_back(database)
    waiting = [asyncio.create_task(database.transact(write(str(n)))) for n in range(3)]
    urgent = [asyncio.create_task(database.transact(write(f"urgent {n}"), urgent=True)) for n in range(100)]
    await asyncio.sleep(0)
    before = database.groups
    release.set()
    await asyncio.gather(blocked, *waiting, *urgent)
    first, rest = ([f"urgent {n}" for n in some] for some in (range(64), range(64, 100)))
    assert await messages(database) == [*first, "0", "1", "2", *rest]
    assert database.groups - before == 4  # the one that blocked, and no group of both kinds


async def test_a_group_that_has_begun_gives_way_to_what_is_urgent(database):
    blocked, release = await held_back(database)
    entered, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def second(unit):
        write("1")(unit)
        loop.call_soon_threadsafe(entered.set)
        go_on.wait(10)

    works = [write("0"), second, *(write(str(n)) for n in range(2, 60))]
    waiting = [asyncio.create_task(database.transact(work)) for work in works]
    await asyncio.sleep(0)
    before = database.groups
    release.set()
    await entered.wait()
    urgent = asyncio.create_task(database.transact(write("urgent"), urgent=True))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(blocked, *waiting, urgent)
    assert await messages(database) == ["0", "1", "urgent", *(str(n) for n in range(2, 60))]
    assert database.groups - before == 4  # the one that blocked, what had begun, what is urgent, the rest


async def test_what_is_urgent_at_the_end_is_written_too(sqlite, tmp_path):
    blocked, release = await held_back(sqlite)
    urgent = [asyncio.create_task(sqlite.transact(write(str(n)), urgent=True)) for n in range(150)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(sqlite.close())
    await asyncio.sleep(0)
    release.set()
    await asyncio.gather(blocked, *urgent, closing)
    assert on_disk(tmp_path / "parley.db") == [str(n) for n in range(150)]
    with pytest.raises(StoreFailed, match="closed"):
        await sqlite.transact(write("late"), urgent=True)


async def test_of_a_group_only_the_unit_that_fails_fails(database):
    blocked, release = await held_back(database)
    told = []

    def bad(unit):
        write("never")(unit)
        unit.after_commit(lambda: told.append("bad"))
        raise Refused("no")

    def good(number):
        def work(unit):
            write(f"good {number}")(unit)
            unit.after_commit(lambda: told.append(number))
            return number

        return work

    tasks = [asyncio.create_task(database.transact(work)) for work in (good(1), bad, good(2))]
    await asyncio.sleep(0)
    release.set()
    await blocked
    first, failed, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second) == (1, 2)
    assert isinstance(failed, Refused)
    assert await messages(database) == ["good 1", "good 2"]
    assert told == [1, 2]  # once each, although their work ran twice


async def test_an_effect_comes_before_the_answer_and_only_after_the_commit(sqlite, tmp_path):
    seen = []

    def work(unit):
        write("kept")(unit)
        unit.after_commit(lambda: seen.append(on_disk(tmp_path / "parley.db")))

    await sqlite.transact(work)
    assert seen == [["kept"]]


def on_disk(path):
    with sqlite3.connect(path) as connection:
        found = [row[0] for row in connection.execute("select message from log")]
    connection.close()
    return found


async def test_a_caller_that_gives_up_does_not_take_its_work_along(database):
    blocked, release = await held_back(database)
    task = asyncio.create_task(database.transact(write("kept")))
    await asyncio.sleep(0)
    task.cancel()
    release.set()
    await blocked
    await asyncio.gather(task, return_exceptions=True)
    await database.transact(write("after"))
    assert await messages(database) == ["kept", "after"]


async def test_readers_can_not_write(database):
    with pytest.raises(StoreFailed):
        await database.read(
            lambda c: c.execute(insert(logs), {"execution_id": "e", "at": NOW, "level": 1, "message": ""})
        )


async def test_two_bots_never_run_on_one_file(sqlite, tmp_path):
    with pytest.raises(StoreFailed, match=r"in use by another Parley \(process \d+\).*--data"):
        await SqliteDatabase.open(tmp_path / "parley.db")


async def test_another_process_is_kept_out_too(sqlite, tmp_path):
    code = (
        "import asyncio, sys; from pathlib import Path; from engine.store.database import SqliteDatabase\n"
        "asyncio.run(SqliteDatabase.open(Path(sys.argv[1])))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path / "parley.db"), stderr=subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode != 0
    assert b"in use by another Parley" in said


async def test_the_file_is_free_again_after_closing(tmp_path):
    for _ in range(2):
        database = await SqliteDatabase.open(tmp_path / "parley.db")
        await database.transact(write("x"))
        await database.close()
        with pytest.raises(StoreFailed, match="closed"):
            await database.transact(write("late"))


async def test_a_newer_database_is_refused(tmp_path):
    database = await SqliteDatabase.open(tmp_path / "parley.db")
    row = {"version": len(migrations.STEPS) + 1, "applied": NOW}
    await database.transact(lambda unit: unit.connection.execute(insert(schema_version), row))
    await database.close()
    with pytest.raises(StoreFailed, match=r"newer Parley \(schema \d+, this one knows \d+\)"):
        await SqliteDatabase.open(tmp_path / "parley.db")
    with pytest.raises(StoreFailed, match="newer"):  # and it was not kept locked
        await SqliteDatabase.open(tmp_path / "parley.db")


async def test_every_table_is_made_also_those_of_the_bot(database):
    found = await database.read(lambda c: set(inspect(c).get_table_names()))
    assert found >= set(metadata.tables)
    assert any(name.startswith("chat") for name in metadata.tables)


async def test_what_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "parley.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreFailed, match=r"parley\.db is damaged"):
        await SqliteDatabase.open(tmp_path / "parley.db")


async def test_a_full_disk_is_a_sentence_and_the_next_write_works(sqlite):
    await sqlite.transact(lambda unit: unit.connection.exec_driver_sql("PRAGMA max_page_count=1"))
    with pytest.raises(StoreFailed, match=r"The disk of .* is full"):
        await sqlite.transact(write("x" * 10_000_000))
    await sqlite.transact(lambda unit: unit.connection.exec_driver_sql("PRAGMA max_page_count=1000000"))
    await sqlite.transact(write("fits"))
    assert await messages(sqlite) == ["fits"]


async def test_a_lock_of_an_outside_program_is_waited_for(sqlite, tmp_path):
    other = sqlite3.connect(tmp_path / "parley.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(sqlite.transact(write("waited")))
    await asyncio.sleep(0.05)
    assert not task.done()
    other.execute("COMMIT")
    other.close()
    await task
    assert await messages(sqlite) == ["waited"]


async def test_durability_is_full(sqlite):
    level = await sqlite.transact(lambda unit: unit.connection.exec_driver_sql("PRAGMA synchronous").scalar())
    assert level == 2
