"""Figures of scripts in child processes."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.rig import NAMESPACE, opened, run, watched
from tests.bench.rows import Limits, Row, row

SCRIPT = "def fibo(n):\n    return n if n <= 1 else fibo(n - 1) + fibo(n - 2)\n\n\nprint(fibo(10))\n"
NUMBER = 40


def forty() -> str:
    """The flow of Windmill's benchmark: forty short Python scripts, one after another, each in its own process."""
    script = "".join(f"        {line}\n" for line in SCRIPT.splitlines())
    tasks = "".join(
        f"  - id: s{n}\n    type: io.kestra.plugin.scripts.python.Script\n"
        "    taskRunner: {type: io.kestra.plugin.core.runner.Process}\n"
        f"    script: |\n{script}"
        for n in range(NUMBER)
    )
    return f"id: forty\nnamespace: {NAMESPACE}\ntasks:\n{tasks}"


async def scripts(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """Seconds for forty short scripts in a row. The limit is forty bare interpreters, started by nobody else."""
    turns = 1 if quick else 3
    spent: list[float] = []
    async with opened(folder) as engine:
        await engine.deploy(forty())
        for _ in range(turns):
            with watched() as watch:
                execution_id = await run(engine, "forty")
            spent.append(watch.wall)
        lines = [line.message for line in await engine.logs(execution_id)]
        assert lines.count("55") == NUMBER, "a script printed something else"
    bare = min([await _bare() for _ in range(turns)])
    yield row("scripts", "40 in a row", min(spent), "s", NUMBER, limit=bare, must=2.5, aim=1.2, more_is_better=False)


async def _bare() -> float:
    began = time.perf_counter()
    for _ in range(NUMBER):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
    return time.perf_counter() - began
