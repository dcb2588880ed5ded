"""Log lines on their way to the store: a flood is written whole, and a disk that is full for a while loses none."""

from datetime import UTC, datetime

import pytest

from engine import logbook
from engine.errors import StoreFailed
from engine.logbook import LogBook
from engine.store import logs
from engine.store.database import SqliteDatabase
from engine.store.logs import LogLine

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Disk:
    """The database, on a disk that may be full."""

    def __init__(self, database):
        self.database, self.is_full = database, False

    async def transact(self, work):
        if self.is_full:
            raise StoreFailed("The disk is full.")
        return await self.database.transact(work)


@pytest.fixture
async def disk(tmp_path):
    database = await SqliteDatabase.open(tmp_path / "parley.db", synchronous="OFF")
    yield Disk(database)
    await database.close()


def said(book, count, run="run"):
    for number in range(count):
        book.add(LogLine(NOW, "INFO", "task", None, 1, f"line {number}", execution_id=run))


async def stored(disk, run="run"):
    return [line.message for line in await disk.database.read(lambda c: logs.find(c, run, limit=300_000))]


async def test_a_flood_is_written_whole(disk):
    book = LogBook(disk)
    said(book, 120_001)
    said(book, 1, "another")
    await book.flush()
    assert len(await stored(disk)) == 120_001
    assert await stored(disk, "another") == ["line 0"]


async def test_lines_wait_in_their_order_while_nothing_can_be_written(disk):
    book = LogBook(disk)
    disk.is_full = True
    said(book, 2)
    with pytest.raises(StoreFailed):
        await book.flush()
    said(book, 1)
    disk.is_full = False
    await book.flush()
    assert await stored(disk) == ["line 0", "line 1", "line 0"]


async def test_what_there_was_no_room_for_is_said(disk, monkeypatch):
    monkeypatch.setattr(logbook, "WAITING", 3)
    book = LogBook(disk)
    disk.is_full = True
    said(book, 2)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await book.flush()
        said(book, 2)
    disk.is_full = False
    await book.flush()
    *kept, last = await stored(disk)
    assert len(kept) == 3
    assert last == "3 more lines could not be kept: the database could not be written for too long."
    await book.flush()
    assert len(await stored(disk)) == 4


async def test_a_run_of_which_no_line_is_left_is_told_too(disk, monkeypatch):
    monkeypatch.setattr(logbook, "WAITING", 2)
    book = LogBook(disk)
    disk.is_full = True
    said(book, 2)
    with pytest.raises(StoreFailed):
        await book.flush()
    said(book, 2, "crowded out")
    with pytest.raises(StoreFailed):
        await book.flush()
    book.take("run")  # whoever decides about it writes its lines
    disk.is_full = False
    await book.flush()
    assert await stored(disk, "crowded out") == [
        "2 more lines could not be kept: the database could not be written for too long."
    ]
