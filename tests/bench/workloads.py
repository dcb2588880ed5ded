"""Figures of the engine at work."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.rig import (
    NAMESPACE,
    SERIES,
    Begun,
    approval,
    chain,
    fanout,
    opened,
    percentile,
    run,
    runs,
    watched,
)
from tests.bench.rows import REFERENCE_LONE, Limits, Row, row

STEPS = 3
CHAIN = 10


async def burst(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Many runs of three steps at once: steps a second."""
    number = 150 if quick else 500
    for series in SERIES:
        async with opened(folder / series) as engine:
            await engine.deploy(chain("burst", series, STEPS))
            await runs(engine, "burst", 10)
            groups, units = engine.database.groups, engine.database.units
            with watched() as watch:
                await runs(engine, "burst", number)
            groups, units = engine.database.groups - groups, engine.database.units - units
        steps = number * STEPS
        rate = steps / watch.wall
        yield row(
            "burst", series, rate, "steps/s", steps, limit=limits.grouped, must=2000.0, aim=4000.0, scale=limits.scale
        )
        yield row("burst", f"{series}, CPU", watch.cpu / steps * 1000, "ms/step", steps)
        yield row("burst", f"{series}, units in a commit", units / max(groups, 1), "units", units)


async def one_by_one(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Runs of ten steps, one at a time: milliseconds a run. The limit is ten lone commits."""
    number = 30 if quick else 100
    for series in SERIES:
        times: list[float] = []
        async with opened(folder / series) as engine:
            await engine.deploy(chain("chain", series, CHAIN))
            await runs(engine, "chain", 5)
            with watched() as watch:
                for _ in range(number):
                    began = time.perf_counter()
                    await run(engine, "chain")
                    times.append((time.perf_counter() - began) * 1000)
        yield row(
            "chain",
            series,
            percentile(times, 50),
            "ms/run p50",
            number,
            limit=CHAIN / limits.lone * 1000,
            must=20.0,
            aim=2 * CHAIN / REFERENCE_LONE * 1000,
            scale=limits.scale,
            more_is_better=False,
        )
        yield row("chain", f"{series}, p99", percentile(times, 99), "ms/run", number)
        yield row("chain", f"{series}, CPU", watch.cpu / number / CHAIN * 1000, "ms/step", number)


async def fan_out(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """One task for each of many values: items a second, and what an item costs when there are ten times as many."""
    sizes = (300, 1000) if quick else (1000, 10_000)
    for series in SERIES:
        cost: list[float] = []
        async with opened(folder / series) as engine:
            await engine.deploy(fanout("warm", series, 50))
            await run(engine, "warm")
            for size in sizes:
                flow_id = f"fan{size}"
                await engine.deploy(fanout(flow_id, series, size))
                with watched() as watch:
                    await run(engine, flow_id)
                cost.append(watch.cpu / size * 1000)
                promised = {"must": 1500.0, "aim": 3000.0} if size == 1000 else {}
                yield row(
                    "fanout",
                    f"{series}, {size}",
                    size / watch.wall,
                    "items/s",
                    size,
                    limit=limits.grouped,
                    scale=limits.scale,
                    **promised,
                )
                yield row("fanout", f"{series}, {size}, CPU", cost[-1], "ms/item", size)
        growth = cost[-1] / cost[0]
        yield row("fanout", f"{series}, cost growth", growth, "x", sizes[-1], must=1.5, aim=1.1, more_is_better=False)


async def approve(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """From the answer to a pause until the body of the next task runs, with a thousand others that wait. The limit is
    two lone commits."""
    number, waiting = (60, 200) if quick else (300, 1000)
    async with opened(folder) as engine:
        await engine.deploy(approval("approve"))
        await asyncio.gather(*(run(engine, "approve", until="ended_or_paused") for _ in range(waiting)))
        made = [await run(engine, "approve", until="ended_or_paused") for _ in range(number)]
        times = []
        for execution_id in made:
            began = time.perf_counter()
            await engine.resume(execution_id, {}, by="local:ann")
            await engine.wait(execution_id, timeout=60)
            times.append((Begun.at.pop(execution_id) - began) * 1000)
    limit = 2 / limits.lone * 1000
    for share in (50, 99):
        promised = {"must": 3.0, "aim": 1.5} if share == 50 else {"must": 15.0}
        yield row(
            "approve",
            f"p{share}",
            percentile(times, share),
            "ms",
            number,
            limit=limit,
            scale=limits.scale,
            more_is_better=False,
            **promised,
        )


async def create_paused(folder: Path, number: int) -> float:
    """Make many executions that wait for a person; the seconds it took."""
    async with opened(folder) as engine:
        await engine.deploy(approval("approve"))
        began = time.perf_counter()
        for start in range(0, number, 500):
            many = range(start, min(start + 500, number))
            await asyncio.gather(*(run(engine, "approve", until="ended_or_paused") for _ in many))
        assert len(await engine.pauses(limit=number)) == number
        assert (await engine.executions(namespace=NAMESPACE, limit=1))[0].state.value == "PAUSED"
        return time.perf_counter() - began
