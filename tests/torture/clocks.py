"""Clocks that jump ahead and are set back, and the two nights in which the hours change, with restarts in between."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.clock import ShiftedClock
from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Settings
from tests.torture import books
from tests.torture.kills import damage, next_dates

ZONE = ZoneInfo("Europe/Berlin")
NIGHTS = {"gap": datetime(2027, 3, 27, 18, tzinfo=UTC), "repeated": datetime(2027, 10, 30, 18, tzinfo=UTC)}
SCHEDULES = """
id: nightly
namespace: torture
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ trigger.date }}"}
triggers:
  - {id: hourly, type: io.kestra.plugin.core.trigger.Schedule, cron: "30 * * * *", timezone: Europe/Berlin}
  - {id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: "30 2 * * *", timezone: Europe/Berlin}
"""
TIMERS = """
id: timers
namespace: torture
tasks:
  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT5H}
  - {id: ask, type: io.kestra.plugin.core.flow.Pause, timeout: PT7H, allowFailure: true}
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: awake}
"""
JUMPS = [timedelta(minutes=minutes) for minutes in (1, 29, 30, 31, 61, 125, 400, -20, -90)]


async def jumps(folder: Path, seed: int = 0) -> dict[str, Any]:
    """The report of both nights."""
    chosen, broken, dates = random.Random(seed), [], 0
    for night, start in NIGHTS.items():
        found = await _night(folder / night, start, chosen)
        dates += found.pop("dates")
        broken += [f"{night}: {line}" for line in found["broken"]]
    return {"nights": len(NIGHTS), "dates": dates, "broken": {"one fire a date, timers once": broken} if broken else {}}


async def _night(folder: Path, start: datetime, chosen: random.Random) -> dict[str, Any]:
    (folder / "flows").mkdir(parents=True)
    for name, text in (("nightly", SCHEDULES), ("timers", TIMERS)):
        (folder / "flows" / f"{name}.yaml").write_text(text)
    settings = Settings(data=folder / "data", flows=(folder / "flows",))
    ask, clock = books.of_file(folder / "data" / "parley.db"), ShiftedClock(start)
    engine = await _opened(settings, clock)
    slept = await engine.create("torture", "timers", {}, started_by="torture")
    latest = start
    while latest < start + timedelta(hours=36):
        clock.jump(chosen.choice(JUMPS))
        latest = max(latest, clock.now())
        if chosen.random() < 0.3:
            await engine.stop()
            engine = await _opened(settings, clock)
        await _settled(engine, ask)
    clock.jump(latest - clock.now())
    await _settled(engine, ask)
    ended = await engine.execution(slept.id)
    await engine.stop()
    fired: dict[str, list[datetime]] = {"hourly": [], "daily": []}
    for one in sorted(books.fires(ask), key=lambda fire: fire.at):
        fired[one.trigger].append(one.at)
    made = books.started(ask)
    broken = damage(folder / "data" / "parley.db")
    for name, due in (("hourly", list(hourly(start, latest))), ("daily", list(daily(start, latest)))):
        broken += [f"{name} missed {at.isoformat()}" for at in due if at not in fired[name]]
        broken += [f"{name} fired at {at.isoformat()}, which is no date of it" for at in fired[name] if at not in due]
        if len(made.get(name, ())) != len(due):
            broken.append(f"{name} had {len(due)} dates and made {len(made.get(name, ()))} executions")
    pauses = ask("SELECT state FROM pause")
    if ended.state is not State.WARNING or pauses != [("EXPIRED",)]:
        broken.append(f"the timers left {ended.state} and pauses {pauses}")
    return {"dates": sum(map(len, fired.values())), "broken": broken}


def hourly(start: datetime, end: datetime) -> Iterator[datetime]:
    """Half past every hour that goes by; hours that are repeated or skipped on the wall do not matter."""
    at = start.replace(minute=30, second=0, microsecond=0)
    while at <= end:
        if at > start:
            yield at
        at += timedelta(hours=1)


def daily(start: datetime, end: datetime) -> Iterator[datetime]:
    """Half past two on every day: where the clock skips that, when it goes on; where it comes twice, the first time."""
    day: date = start.astimezone(ZONE).date()
    while day <= end.astimezone(ZONE).date():
        wall = datetime(day.year, day.month, day.day, 2, 30, tzinfo=ZONE)
        at = wall.astimezone(UTC)
        if at.astimezone(ZONE).replace(tzinfo=None) != wall.replace(tzinfo=None):
            at = datetime(day.year, day.month, day.day, 3, 0, tzinfo=ZONE).astimezone(UTC)
        if start < at <= end:
            yield at
        day += timedelta(days=1)


async def _opened(settings: Settings, clock: ShiftedClock) -> Engine:
    engine = await Engine.open(settings, clock=clock)
    await engine.start(watch=False)
    return engine


async def _settled(engine: Engine, ask: books.Query) -> None:
    """Nothing is going on, and every schedule looks ahead."""
    async with asyncio.timeout(60):
        while engine.is_busy or any(at <= engine.clock.now() for at in await asyncio.to_thread(next_dates, ask)):
            await asyncio.sleep(0.02)
        due = engine.clock.now()
        while engine.is_busy or any(at <= due for at, _ in engine.timers.due()):
            await asyncio.sleep(0.02)
