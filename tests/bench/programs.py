"""Figures of whole programs: start, memory of what waits, loading many flows, rendering."""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from jinja2.sandbox import SandboxedEnvironment

from engine.core.flow_source import check, load
from engine.expressions import Services, render
from tests.bench.rig import chain, opened, percentile, registry, runs, watched
from tests.bench.rows import Limits, Row, row
from tests.bench.server import served
from tests.bench.workloads import create_paused

TEMPLATE = "Hello {{ name | upper }} {{ items[0].x }}"
SEEN = {"name": "world", "items": [{"x": 1}]}
ROOT = Path(__file__).parents[2]


async def rendering(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Renderings a second of one template, against Jinja2's compiled sandbox in the same run."""
    number = 20_000 if quick else 100_000
    services = Services(now=lambda: datetime.now(UTC), zone=UTC)
    theirs = SandboxedEnvironment().from_string(TEMPLATE)
    assert theirs.render(SEEN) == render(TEMPLATE, SEEN, services)
    ours_rate = jinja_rate = 0.0
    for _ in range(3):
        ours_rate = max(ours_rate, _rate(lambda: render(TEMPLATE, SEEN, services), number))
        jinja_rate = max(jinja_rate, _rate(lambda: theirs.render(SEEN), number))
    promised = {"must": jinja_rate * 0.5, "aim": jinja_rate}
    yield row("render", "three parts", ours_rate, "renders/s", number, limit=jinja_rate, **promised)


def _rate(work: Callable[[], object], number: int) -> float:
    began = time.process_time()
    for _ in range(number):
        work()
    return number / (time.process_time() - began)


async def load_flows(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Seconds to load a thousand different flows, and to validate them as `parley validate` does; on one core."""
    number = 200 if quick else 1000
    installed = registry()
    shipped = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "flows").rglob("*.yaml"))]
    for series, work in (("1000, loaded", load), ("1000, validated", check)):
        texts = [_different(n, series, shipped) for n in range(number)]
        began = time.process_time()
        for text in texts:
            work(text, installed)
        spent = (time.process_time() - began) * 1000 / number
        yield row("load_flows", series, spent, "s CPU", number, must=10.0, aim=5.0, more_is_better=False)


def _different(number: int, series: str, shipped: list[str]) -> str:
    """One of many flows: half are chains, half are those we ship; no two share a template."""
    if number % 2:
        text = chain(f"flow{number}", ("return", "worker")[number % 4 // 2], 5 + number % 5)
    else:
        text = re.sub("^id: .*", f"id: flow{number}", shipped[number // 2 % len(shipped)], count=1, flags=re.MULTILINE)
    return text.replace('}}"', "}} " + f'{series} {number}"')


async def paused(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """What a process pays for executions that wait for people."""
    number = 2000 if quick else 100_000
    bare = await _child(folder / "bare")
    spent = await create_paused(folder / "many", number)
    yield row("paused", "creation", number / spent, "pauses/s", number, limit=limits.grouped)
    full = await _child(folder / "many")
    grown = (full["mb"] - bare["mb"]) * (1.0 if quick else 100_000 / number)
    yield row("paused", "memory", grown, "MB", number, must=10.0, aim=5.0, more_is_better=False)
    yield row(
        "paused",
        "ready after start",
        full["seconds"],
        "s",
        number,
        must=1.0,
        aim=0.5,
        scale=limits.scale,
        more_is_better=False,
    )
    growth = await _growth(folder / "bare", folder / "many", 50 if quick else 150)
    series = f"cost of a step with {number} stored"
    yield row("paused", series, growth, "x CPU", number, must=1.2, aim=1.05, more_is_better=False)


async def _growth(few: Path, many: Path, number: int) -> float:
    """What a step costs in a database that holds many executions, beside one that holds few; measured in turns."""
    spent: dict[Path, list[float]] = {few: [], many: []}
    async with opened(few) as first, opened(many) as second:
        engines = {few: first, many: second}
        for engine in engines.values():
            await engine.deploy(chain("stored", "worker", 3))
            await runs(engine, "stored", 10)
        for _ in range(7):
            for place, engine in engines.items():
                with watched() as watch:
                    await runs(engine, "stored", number)
                spent[place].append(watch.cpu)
    return median(spent[many]) / median(spent[few])


async def _child(folder: Path) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.child", str(folder)), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


async def start(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """From the command until the page answers, without a chat platform; and the memory then. Half of the starts find a
    database, the others make one; the modules are compiled."""
    number = 2 if quick else 5
    async with served(folder / "compiling"):
        pass
    seconds: dict[str, list[float]] = {"ready": [], "ready, new data folder": []}
    memory, cpu = [], []
    for turn in range(number):
        for series, place in zip(seconds, ("compiling", f"new{turn}"), strict=True):
            async with served(folder / place) as bot:
                seconds[series].append(bot.seconds)
                memory.append(bot.mb)
                cpu.append(bot.cpu)
    for series, spent in seconds.items():
        p50 = percentile(spent, 50)
        yield row("start", series, p50, "s p50", number, must=1.5, aim=1.0, scale=limits.scale, more_is_better=False)
    yield row("start", "CPU", percentile(cpu, 50), "s", 2 * number)
    yield row("start", "memory", percentile(memory, 50), "MB", 2 * number, must=110.0, aim=90.0, more_is_better=False)
