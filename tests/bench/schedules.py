"""Ten thousand schedules that are due in the same second."""

import asyncio
import gc
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.cli import starting
from engine.runtime import Engine
from engine.settings import Settings
from tests.bench.rig import NAMESPACE, registry, resident_mb
from tests.bench.rows import Limits, Row, row
from tests.bench.server import ended

TICK = 0.002
SAMPLE = 200  # flows


def scheduled(number: int, due: datetime) -> str:
    """A flow that is due at one second of one day."""
    cron = f"{due.second} {due.minute} {due.hour} {due.day} {due.month} *"
    return (
        f"id: flow{number}\nnamespace: {NAMESPACE}\ntasks:\n  - id: t\n    type: tests.Nothing\n"
        f"triggers:\n  - id: at\n    type: io.kestra.plugin.core.trigger.Schedule\n"
        f"    withSeconds: true\n    cron: '{cron}'\n"
    )


def _settings(folder: Path, number: int, due: datetime) -> Settings:
    """So many flows in a folder, all due at one moment."""
    (folder / "flows").mkdir(parents=True)
    for n in range(number):
        (folder / "flows" / f"flow{n}.yaml").write_text(scheduled(n, due))
    return Settings(data=folder / "data", flows=(folder / "flows",))


async def _loading(folder: Path) -> float:
    """Seconds that it takes to write and load one flow."""
    far = datetime.now(UTC) + timedelta(days=100)
    began = time.perf_counter()
    engine = await Engine.open(_settings(folder, SAMPLE, far), registry=registry())
    await engine.start(watch=False)
    spent = time.perf_counter() - began
    await engine.stop(grace=0)
    return spent / SAMPLE


async def _longest_block(stop: asyncio.Event) -> float:
    """Seconds that the loop let a waiting task wait beyond its time, at the worst."""
    worst = 0.0
    while not stop.is_set():
        before = time.perf_counter()
        await asyncio.sleep(TICK)
        worst = max(worst, time.perf_counter() - before - TICK)
    return worst


async def schedules(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """How late the last of many fires is on disk, how long the loop is blocked meanwhile, and the memory it costs."""
    number = 1000 if quick else 10_000
    ahead = 10 + 1.5 * number * await _loading(folder / "few")
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ahead)
    engine = await Engine.open(_settings(folder, number, due), registry=registry())
    await engine.start(watch=False, schedules=False)
    loaded = resident_mb()
    await engine.schedules.start()
    starting.settle()  # as `parley up` does once it is ready
    assert datetime.now(UTC) < due - timedelta(seconds=2), "the flows were loaded too slowly to wait for their date"
    await asyncio.sleep((due - datetime.now(UTC)).total_seconds() - 1)
    stop = asyncio.Event()
    watching = asyncio.create_task(_longest_block(stop))
    peak, deadline = resident_mb(), time.monotonic() + 600
    while engine.is_busy or time.time() < due.timestamp() + 3:
        assert time.monotonic() < deadline, "the fires did not come to rest"
        await asyncio.sleep(0.1)
        peak = max(peak, resident_mb())
    stop.set()
    blocked = await watching
    gc.unfreeze()
    await engine.stop(grace=0)
    late = [at - due.timestamp() for at in _created(folder / "data")]
    states = {state for state, _ in ended(folder / "data").values()}
    assert len(late) == number, f"{len(late)} of {number} schedules fired"
    assert states == {"SUCCESS"}, states
    promised = {} if quick else {"must": 3.0}
    yield row(
        "schedules",
        "last fire on disk",
        max(late),
        "s",
        number,
        limit=number / limits.grouped,
        scale=limits.scale,
        more_is_better=False,
        **promised,
    )
    yield row("schedules", "loop blocked", blocked * 1000, "ms", number, must=100.0, more_is_better=False)
    yield row("schedules", "memory", peak - loaded, "MB", number, must=80.0, more_is_better=False)


def _created(data: Path) -> list[float]:
    """When each execution was made, seconds since 1970."""
    connection = sqlite3.connect(f"file:{data / 'parley.db'}?mode=ro", uri=True)
    try:
        return [created / 1e6 for (created,) in connection.execute("SELECT created FROM execution")]
    finally:
        connection.close()
