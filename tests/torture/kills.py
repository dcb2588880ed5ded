"""kill -9 at random moments while orders come, pauses are answered and schedules fire; then the books are checked."""

import asyncio
import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.torture import books, promises
from tests.torture.errands import states
from tests.torture.world import World, until

QUIET = timedelta(seconds=4)
AT_START = 0.25  # how many of the kills meet a process that is still starting


async def kills(folder: Path, number: int, seed: int) -> dict[str, Any]:
    """The report of one run on SQLite: figures, and what was broken of which promise."""
    async with World(folder, seed) as world:
        ask = books.of_file(world.data / "parley.db")
        life = await world.start()
        since = datetime.now(UTC)
        async with world.clients(lambda: books.waiting(ask)), world.errands.at_work(ask):
            for count in range(number):
                await asyncio.sleep(world.random.uniform(0.2, 2.0))
                await world.kill(life)
                if count % 10 == 9:
                    sys.stderr.write(f"{count + 1} kills, {len(world.told.acknowledged)} orders taken …\n")
                while world.random.random() < AT_START:
                    life = world.launch()
                    await asyncio.sleep(world.random.uniform(0.1, 2.5))
                    await world.kill(life)
                life = await world.start()
            await asyncio.sleep(1)
        return await closed(world, ask, since, kills=number)


async def closed(world: World, ask: books.Query, since: datetime, **figures: Any) -> dict[str, Any]:
    """Let everything come to its end, stop the process, and hold the promises against the books."""
    until_date = datetime.now(UTC)
    broken = await settled(world, ask, until_date)
    return await judged(world, ask, broken, since, until_date, **figures)


async def judged(
    world: World, ask: books.Query, broken: dict[str, list[str]], since: datetime, until_date: datetime, **figures: Any
) -> dict[str, Any]:
    """Stop the process, and hold the promises against the books."""
    status = await world.leave()
    if status != 0:
        broken["clean end"] = [f"SIGTERM gave status {status}"]
    broken |= held(world, ask, since, until_date)
    broken["database is whole"] = damage(world.data / "parley.db")
    return report(world, ask, broken, **figures)


async def settled(world: World, ask: books.Query, until_date: datetime) -> dict[str, list[str]]:
    """Wait until schedules have caught up, switch them off, and see everything end; what did not."""
    broken: dict[str, list[str]] = {}
    try:
        async with answered(world, ask):
            caught_up = lambda: all(at >= until_date for at in next_dates(ask))  # noqa: E731
            await until(caught_up, "the schedules catch up", moves=lambda: next_dates(ask))
            world.schedules(on=False)
            await until(off(ask), "the schedules are off")
            await all_ends(ask)
    except TimeoutError as error:
        broken["all ends"] = [str(error)]
    return broken


@contextlib.asynccontextmanager
async def answered(world: World, ask: books.Query) -> AsyncIterator[None]:
    """What waits for somebody is answered, and what hangs is killed; nothing new comes."""
    clients = [world.answering(lambda: books.waiting(ask)), world.errands.killing(ask)]
    working = [asyncio.create_task(one) for one in clients]
    try:
        yield
    finally:
        for one in working:
            one.cancel()
        ended = await asyncio.gather(*working, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception):
            raise one


async def all_ends(ask: books.Query) -> None:
    """Nothing is under way any more; TimeoutError."""

    def rest() -> tuple[int, ...]:
        return (books.under_way(ask), *books.left(ask))

    await until(lambda: rest() == (0, 0, 0), "everything ends", moves=rest)


def next_dates(ask: books.Query) -> list[datetime]:
    """When the schedules are due next."""
    rows = ask("SELECT next_date FROM trigger_state WHERE next_date IS NOT NULL")
    return sorted(books.moment(at) for (at,) in rows)


def off(ask: books.Query) -> Callable[[], bool]:
    """Says whether the schedules are off: that is in the books, and no date was taken for a while since, though the
    next one lies in the past."""
    seen, since = next_dates(ask), datetime.now(UTC)

    def is_off() -> bool:
        nonlocal seen, since
        dates, now = next_dates(ask), datetime.now(UTC)
        ((source,),) = ask("SELECT source FROM flow WHERE id = 'tick' ORDER BY revision DESC LIMIT 1")
        if dates != seen or "disabled: true" not in source:
            seen, since = dates, now
        return max([since, *dates]) < now - QUIET

    return is_off


def held(world: World, ask: books.Query, since: datetime, until_date: datetime) -> dict[str, list[str]]:
    """What was broken of each promise."""
    ran, marks, told, begun = books.ran(ask), world.marks(), world.told, world.errands.begun
    ended = {flow: states(ask, flow) for flow in ("errand", "stuck")}
    return {
        "nothing is lost": promises.nothing_lost(told, ran),
        "one decision a pause": promises.decided_once(told, ran, books.decisions(ask), marks),
        "one fire a date": promises.fired_once(books.fires(ask), books.started(ask), world.steps, since, until_date),
        "effects at least once": promises.done_at_least_once(ran, marks),
        "timers, tries and kills": promises.errands_end(begun, world.errands.killed, ended["errand"], ended["stuck"]),
        "one success a task": promises.recorded_once(books.task_rows(ask), ended["stuck"], world.outcomes),
        "nothing is left": promises.at_rest(*books.left(ask)),
        "no traceback": world.tracebacks(),
    }


def damage(path: Path) -> list[str]:
    """What SQLite's own check finds."""
    with closing(sqlite3.connect(path)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    return [] if found == ["ok"] else found


def report(world: World, ask: books.Query, broken: dict[str, list[str]], **figures: Any) -> dict[str, Any]:
    """Figures of a run, with what was broken."""
    marks = world.marks()
    return {
        **figures,
        "lives": len(world.lives),
        "orders": len(world.told.orders),
        "acknowledged": len(world.told.acknowledged),
        "executions": ask("SELECT count(*) FROM execution")[0][0],
        "answers": sum(map(len, world.told.answers.values())),
        "accepted": sum(map(len, world.told.accepted.values())),
        "fires": len(books.fires(ask)),
        "errands": len(world.errands.begun),
        "killed": len(world.errands.killed),
        "effects again": len(marks) - len({tuple(mark.split(" ")[:2]) for mark in marks}),
        "broken": {promise: found[:10] for promise, found in broken.items() if found},
    }
