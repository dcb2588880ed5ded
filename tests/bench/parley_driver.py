"""Parley as one more peer of the peers' benchmark: W1 to W7, variants `worker` and `return`. Run by `peers.py`.

Steps of the variant `worker` take the whole way by outbox and worker; those of `return` only compute, and are carried
out in the transaction that decides them. Everything is on disk (`synchronous=FULL`) before a step counts as done.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]
sys.path.insert(0, os.environ["PARLEY_PEERS"])

import common  # noqa: E402 - the peers' own module, found only now

from engine.expressions import Services, render  # noqa: E402
from tests.bench import server  # noqa: E402
from tests.bench.rig import Begun, approval, chain, fanout, opened, resident_mb, run, runs  # noqa: E402

VERSION = "0.1.0"


def setup(arguments: object) -> None:
    """Say who we are."""
    common.PEER.update(
        peer="parley", version=f"parley {VERSION}", durability="SQLite WAL, synchronous=FULL, group commit"
    )


def folder(name: str) -> Path:
    """A folder of this run."""
    return Path(common.ARGS.workdir) / name


def series() -> str:
    """What a step is."""
    return "return" if common.ARGS.variant == "return" else "worker"


def workload(body: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A workload as the peers' benchmark calls it."""
    return lambda: asyncio.run(body())  # type: ignore[arg-type]


async def start() -> None:
    """W1: from the command until the page takes executions, on a new and on an existing database. Another start comes
    before, which compiles the modules: an installation brings them compiled."""
    async with server.served(folder("compiled"), server.WEBHOOK):
        pass
    for label in ("fresh_db", "existing_db"):
        async with server.served(folder("w1"), server.WEBHOOK) as up:
            common.emit("W1", f"ready_{label}", up.seconds, "s")
            await asyncio.sleep(2)
            common.emit("W1", f"idle_rss_{label}", up.mb, "MB")
            before = up.cpu
            await asyncio.sleep(3)
            common.emit("W1", f"idle_cpu_{label}", (up.cpu - before) / 3 * 100, "%")


async def steps() -> None:
    """W2: a flow of ten steps, one run after another."""
    number, times = common.scaled(50), []
    async with opened(folder("w2")) as engine:
        await engine.deploy(chain("chain", series(), 10))
        await runs(engine, "chain", 3)
        with common.Meter() as meter:
            for _ in range(number):
                began = time.perf_counter()
                await run(engine, "chain")
                times.append(time.perf_counter() - began)
    common.emit_rate("W2", "steps", number * 10, "steps", meter)
    common.emit_lat("W2", times, "run")


async def items() -> None:
    """W3: one flow that runs a step for each of many items."""
    number = common.scaled(1000)
    async with opened(folder("w3")) as engine:
        await engine.deploy(fanout("warm", series(), 20))
        await engine.deploy(fanout("fan", series(), number))
        await run(engine, "warm")
        with common.Meter() as meter:
            await run(engine, "fan")
    common.emit_rate("W3", "items", number, "items", meter)


async def many() -> None:
    """W4: runs of three steps, submitted at once."""
    number = common.scaled(500)
    async with opened(folder("w4")) as engine:
        await engine.deploy(chain("burst", series(), 3))
        await runs(engine, "burst", 3)
        with common.Meter() as meter:
            await runs(engine, "burst", number)
    common.emit_rate("W4", "runs", number, "runs", meter)
    common.emit("W4", "drain", meter.wall, "s", n=number)


async def people() -> None:
    """W5: runs that wait for a person; then they are answered, one by one."""
    waiting, answered, times = common.scaled(1000), common.scaled(200), []
    async with opened(folder("w5")) as engine:
        await engine.deploy(approval("approve"))
        await run(engine, "approve", until="ended_or_paused")
        before = resident_mb()
        with common.Meter() as meter:
            ids = await asyncio.gather(
                *(run(engine, "approve", until="ended_or_paused") for _ in range(max(waiting, answered)))
            )
        common.emit("W5", "paused_reach", len(ids) / meter.wall, "runs/s", n=len(ids))
        common.emit("W5", "rss_per_1000_paused", (resident_mb() - before) / len(ids) * 1000, "MB", n=len(ids))
        with common.Meter() as idle:
            await asyncio.sleep(3)
        common.emit("W5", "idle_cpu_while_paused", idle.cpu / idle.wall * 100, "%")
        for execution_id in ids[:answered]:
            began = time.perf_counter()
            await engine.resume(execution_id, {}, by="local:ann")
            await engine.wait(execution_id, timeout=60)
            times.append(time.perf_counter() - began)
            Begun.at.pop(execution_id, None)
    common.emit_lat("W5", times, "resume_to_done")


async def expressions() -> None:
    """W6: one template, rendered again and again."""
    number = common.scaled(20_000)
    seen = {"name": "world", "items": [{"x": 1}]}
    services = Services(now=lambda: datetime.now(UTC), zone=UTC)
    began = time.perf_counter()
    for _ in range(number):
        render("Hello {{ name | upper }} {{ items[0].x }}", seen, services)
    common.emit("W6", "render_parley", number / (time.perf_counter() - began), "expr/s", n=number)


async def trigger() -> None:
    """W7: an HTTP request until its first step runs."""
    times = await server.first_steps(folder("w7"), 5 + common.scaled(200))
    common.emit_lat("W7", times[5:], "trigger")


common.main(
    {
        "W1": workload(start),
        "W2": workload(steps),
        "W3": workload(items),
        "W4": workload(many),
        "W5": workload(people),
        "W6": workload(expressions),
        "W7": workload(trigger),
    },
    setup,
)
