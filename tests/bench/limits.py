"""The physical limit: what SQLite itself commits on this disk, with nothing of ours around it."""

import sqlite3
import time
from pathlib import Path

from tests.bench.rows import Limits

DOCUMENT = "x" * 1000
GROUP = 64


def measured(folder: Path, *, quick: bool) -> Limits:
    """Lone and grouped transitions a second, `synchronous=FULL`: one row updated and one inserted in each."""
    path = folder / "limit.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE execution (id TEXT PRIMARY KEY, doc TEXT)")
    connection.execute("CREATE TABLE command (id TEXT PRIMARY KEY, doc TEXT)")
    connection.executemany("INSERT INTO execution VALUES (?, ?)", [(str(n), DOCUMENT) for n in range(200)])
    number = 200 if quick else 1000
    lone = max(_rate(connection, number, 1, turn) for turn in range(3))
    grouped = max(_rate(connection, number * 8, GROUP, 3 + turn) for turn in range(3))
    connection.close()
    return Limits(lone, grouped)


def _rate(connection: sqlite3.Connection, number: int, group: int, turn: int) -> float:
    began = time.perf_counter()
    for start in range(0, number, group):
        connection.execute("BEGIN IMMEDIATE")
        for n in range(start, min(start + group, number)):
            connection.execute("UPDATE execution SET doc = ? WHERE id = ?", (DOCUMENT, str(n % 200)))
            connection.execute("INSERT INTO command VALUES (?, '{}')", (f"{turn}.{n}",))
        connection.execute("COMMIT")
    return number / (time.perf_counter() - began)
