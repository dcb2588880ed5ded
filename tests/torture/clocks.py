"""The clock of the real process is set ahead and back, by minutes and by days, across the nights in which the hours
change (where the zone skips an hour, or has one twice, or half an hour), and the process is killed meanwhile.

What is right, here as in Kestra: whatever waits for a time keeps the date, not the distance.
- A schedule fires once for each of its dates. Ahead: for all that were passed over, one after another, in time of a
  second or two, whether the process lived meanwhile or not (`recoverMissedSchedules` is ALL). Back: for none until the
  clock comes to the first that it has not had.
- A timer (Sleep, the duration or the timeout of a pause, the interval of a retry, an SLA) comes when the clock shows
  its time: at once when that was passed over, never before it, and later by as much when the clock was set back.
- A cron with a fixed time fires once a day: where the clock skips that time, when it goes on; where it comes twice,
  the first time. With `*` it fires whenever the clock shows such a time.
- What the bot does for itself does not depend on that clock: orders are taken, and answers, all the time.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx

from tests.torture import books, promises
from tests.torture.disk import taken
from tests.torture.kills import all_ends, answered, judged, next_dates
from tests.torture.wall import MISSING, Wall
from tests.torture.world import World, until

FIXED = (time(1, 45), time(2, 15), time(2, 30))  # on the wall: some of them are skipped, or come twice
TRIGGER = """
  - {{id: {id}, type: io.kestra.plugin.core.trigger.Schedule, cron: "{cron}", timezone: {zone}}}"""
DATES = """
id: dates
namespace: torture
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "{{ trigger.date }}"}
triggers:"""
KEY = "a-third-long-webhook-key"
TIMERS = f"""
id: timers
namespace: torture
sla:
  - {{id: short, type: MAX_DURATION, duration: PT4H, behavior: NONE, labels: {{late: by-hours}}}}
tasks:
  - {{id: begun, type: io.kestra.plugin.core.debug.Return, format: "{{{{ now() }}}}"}}
  - {{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT2H}}
  - {{id: napped, type: io.kestra.plugin.core.debug.Return, format: "{{{{ now() }}}}"}}
  - {{id: silence, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H}}
  - {{id: silent, type: io.kestra.plugin.core.debug.Return, format: "{{{{ now() }}}}"}}
  - {{id: unanswered, type: io.kestra.plugin.core.flow.Pause, timeout: PT3H, allowFailure: true}}
  - {{id: given_up, type: io.kestra.plugin.core.debug.Return, format: "{{{{ now() }}}}"}}
  - id: flaky
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: io.kestra.plugin.core.runner.Process}}
    retry: {{type: constant, interval: PT30M, maxAttempts: 9}}
    commands: ['test {{{{ taskrun.attemptsCount }}}} -gt 1']
  - {{id: done, type: io.kestra.plugin.core.debug.Return, format: "{{{{ now() }}}}"}}
triggers:
  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: {KEY}}}
outputs:
  - id: moments
    type: STRING
    value: >-
      {{{{ outputs.begun.value }}}} {{{{ outputs.napped.value }}}} {{{{ outputs.silent.value }}}}
      {{{{ outputs.given_up.value }}}} {{{{ outputs.done.value }}}}
"""
LENGTHS = [timedelta(hours=2), timedelta(hours=1), timedelta(hours=3), timedelta(hours=1)]
LIVES, DIES, IS_DEAD = "it lives on", "it is killed while it catches up", "it is dead meanwhile"
MOVES = [
    *((timedelta(minutes=minutes), LIVES) for minutes in (1, 29, 61, 190, -20, -90, -300)),
    (timedelta(minutes=31), IS_DEAD),
    (timedelta(minutes=125), DIES),
]
DAYS = [(timedelta(hours=25), LIVES), (timedelta(hours=-26), LIVES)]
LONG = timedelta(hours=7)  # each night is over by then
PACE = 1.0  # seconds between two orders of a client
PATIENCE = 30  # seconds in which something that is due must move
BEGUN = (0, 4, 8)  # before these of the jumps timers are set


@dataclass(frozen=True, slots=True)
class Night:
    """One in which the hours change: where, and a few hours before."""

    zone: str
    start: datetime
    more: Sequence[tuple[timedelta, str]] = ()  # moves of the clock


NIGHTS = {
    "an hour skipped": Night("Europe/Berlin", datetime(2027, 3, 27, 21, tzinfo=UTC), DAYS),
    "an hour twice": Night("Europe/Berlin", datetime(2027, 10, 30, 21, tzinfo=UTC)),
    "half an hour skipped": Night("Australia/Lord_Howe", datetime(2027, 10, 2, 12, tzinfo=UTC)),
    "half an hour twice": Night("Australia/Lord_Howe", datetime(2027, 4, 3, 12, tzinfo=UTC)),
}


class ClockWorld(World):
    """The process on a clock of its own, with schedules in one zone, and timers of hours."""

    steps: ClassVar[dict[str, timedelta]] = {}  # the dates are told one by one
    outcomes: ClassVar[dict[str, str]] = {"unanswered": "WARNING"}

    def __init__(self, folder: Path, seed: int, night: Night) -> None:
        folder.mkdir(parents=True)
        self.zone = ZoneInfo(night.zone)
        self.wall = Wall(folder, night.start)
        super().__init__(folder, seed, env=self.wall.env)
        self.write("timers", TIMERS)
        self.timers: list[str] = []

    def schedules(self, *, on: bool) -> None:
        """The flow with the dates; they stay on."""
        crons = {"minutely": "* * * * *", "half_past": "30 * * * *"}
        crons |= {f"at_{at:%H%M}": f"{at.minute} {at.hour} * * *" for at in FIXED}
        found = "".join(TRIGGER.format(id=name, cron=cron, zone=self.zone) for name, cron in crons.items())
        self.write("dates", DATES + found)

    async def begin(self) -> None:
        """Set timers; until that is acknowledged."""
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            answer = await client.post(f"{self.url}/api/v1/executions/webhook/torture/timers/{KEY}", json={})
        answer.raise_for_status()
        self.timers.append(answer.json()["id"])

    async def shows(self) -> list[str]:
        """What is wrong with the pages that show times."""
        paths = ["/", "/metrics", *(f"/ui/executions/torture/timers/{key}" for key in self.timers)]
        header = {"Authorization": f"Bearer {self.token('')}"}
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=True) as client:
            answers = [(path, await client.get(f"{self.url}{path}", headers=header)) for path in paths]
        return [f"{path} answers {one.status_code}" for path, one in answers if one.status_code != 200]


async def jumps(folder: Path, seed: int) -> dict[str, Any]:
    """The report of all nights, two at a time."""
    if MISSING:
        return {"skipped": MISSING, "broken": {"it can be tried": [MISSING]} if os.environ.get("CI") else {}}
    whole: dict[str, Any] = {"nights": len(NIGHTS)}
    broken: dict[str, list[str]] = {}
    places = asyncio.Semaphore(2)

    async def looked_at(name: str, one: Night) -> dict[str, Any]:
        async with places:
            return await night(folder / name.replace(" ", "-"), seed, one)

    reports = await asyncio.gather(*(looked_at(*each) for each in NIGHTS.items()))
    for name, found in zip(NIGHTS, reports, strict=True):
        broken |= {f"{name}, {promise}": lines for promise, lines in found.pop("broken").items()}
        for figure, value in found.items():
            whole[figure] = whole.get(figure, 0) + value
    return whole | {"broken": broken}


async def night(folder: Path, seed: int, one: Night) -> dict[str, Any]:
    """The report of one of them."""
    async with ClockWorld(folder, seed, one) as world:
        ask, wall, said = books.of_file(world.data / "parley.db"), world.wall, list[str]()
        moves = world.random.sample([*MOVES, *one.more], len(MOVES) + len(one.more))
        await world.start()
        since = latest = wall.now()
        broken: dict[str, list[str]] = {}
        try:
            async with world.clients(lambda: books.waiting(ask), PACE):
                for number, (by, way) in enumerate(moves):
                    if number in BEGUN:
                        await world.begin()
                    await until(lambda: not at_work(ask), "timers are waited for", PATIENCE)
                    await moved(world, by, way)
                    latest = max(latest, wall.now())
                    await caught_up(ask, wall.now(), f"{by} ({way})")
                    await taken(world, 1)
                    said += await world.shows()
            latest = max(latest, one.start + LONG)
            wall.move(latest - wall.now())
            async with answered(world, ask), on_and_on(world, ask):
                await all_ends(ask)
            until_date = wall.now()
            await caught_up(ask, until_date, "the end")
        except TimeoutError as error:
            broken["what is due comes"], until_date = [str(error)], wall.now()
        await world.leave()
        dates = due(world.zone, since, until_date)
        broken["the bot answers"] = said + [f"{status}: {text[:200]}" for status, text in world.refusals][:5]
        broken["one fire a date"] = promises.fired_at(books.fires(ask), books.started(ask), dates, since, until_date)
        broken["timers in their time"] = timed(ask, world.timers)
        found = await judged(world, ask, broken, since, until_date, moves=len(moves), timers=len(world.timers))
        return found | {"dates": sum(map(len, dates.values()))}


async def moved(world: ClockWorld, by: timedelta, way: str) -> None:
    """The clock is moved; the process lives when this returns."""
    life = world.lives[-1]
    if way == IS_DEAD:
        await world.kill(life)
    world.wall.move(by)
    if way == DIES:
        await asyncio.sleep(world.random.uniform(0.2, 2))
        await world.kill(life)
    if way != LIVES:
        await world.start()


async def caught_up(ask: books.Query, now: datetime, what: str) -> None:
    """Nothing is left that was due; TimeoutError."""

    def left() -> list[datetime]:
        timers = ask("SELECT run_at FROM command WHERE run_at IS NOT NULL")
        return sorted(at for at in (*next_dates(ask), *(books.moment(at) for (at,) in timers)) if at <= now)

    await until(lambda: not left(), f"what is due after {what}", PATIENCE, moves=left)


@contextlib.asynccontextmanager
async def on_and_on(world: ClockWorld, ask: books.Query) -> AsyncIterator[None]:
    """The clock goes on to the next timer, and the next."""

    async def move() -> None:
        while True:
            ((at,),) = await asyncio.to_thread(ask, "SELECT min(run_at) FROM command")
            if at is not None:
                world.wall.move(max(books.moment(at) - world.wall.now(), timedelta(0)))
            await asyncio.sleep(0.3)

    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)


def at_work(ask: books.Query) -> list[Any]:
    """Attempts of what waits for timers, and what was not yet decided upon: while there are some the clock stays, so
    that we know what they saw."""
    own = "execution_id IN (SELECT id FROM execution WHERE flow_id = 'timers')"
    return ask(f"SELECT execution_id FROM command WHERE kind = 'RunTask' AND {own} "
               f"UNION ALL SELECT execution_id FROM event WHERE NOT consumed AND {own}")  # fmt: skip


def timed(ask: books.Query, begun: list[str]) -> list[str]:
    """What is wrong with the executions that waited for timers."""
    there = {key: (state, whole, handed) for key, state, whole, handed in books.of_flow(ask, "timers")}
    broken = [f"{key} was acknowledged and is not there" for key in begun if key not in there]
    for key, (state, whole, handed) in there.items():
        moments = [datetime.fromisoformat(one) for one in handed.get("moments", "").split()]
        found = promises.in_their_time(moments, LENGTHS)
        if state != "WARNING":
            found.append(f"it ended as {state}")
        if whole["labels"].count(["late", "by-hours"]) != 1:
            found.append(f"it has the labels {whole['labels']}")
        pauses = sorted(ask(f"SELECT task_id, state FROM pause WHERE execution_id = '{key}'"))
        if pauses != [("silence", "EXPIRED"), ("unanswered", "EXPIRED")]:
            found.append(f"its pauses are {pauses}")
        broken += [f"{key}: {one}" for one in found]
    return broken


def due(zone: ZoneInfo, since: datetime, until_date: datetime) -> dict[str, list[datetime]]:
    """The dates of each schedule between two moments, found minute by minute on the clock on the wall."""
    found: dict[str, list[datetime]] = {"minutely": [], "half_past": [], **{f"at_{at:%H%M}": [] for at in FIXED}}
    done: set[tuple[Any, time]] = set()
    at = since.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    while at <= until_date:
        wall = at.astimezone(zone)
        names = ["minutely", *(["half_past"] if wall.minute == 30 else [])]
        for fixed in FIXED:
            if wall.time() >= fixed and (wall.date(), fixed) not in done:
                done.add((wall.date(), fixed))
                names.append(f"at_{fixed:%H%M}")
        for name in names:
            if at > since:
                found[name].append(at)
        at += timedelta(minutes=1)
    return found
