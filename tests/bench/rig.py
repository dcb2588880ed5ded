"""An engine on a folder of its own, and the flows that are run on it."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import ClassVar, Literal

from bot.cli import starting
from engine.core.registry import Registry
from engine.plugin import RunContext, RunnableTask
from engine.runtime import Engine
from engine.settings import Settings
from engine.tasks import _third_party, places, renamed

NAMESPACE = "bench"
SERIES = {
    "return": 'type: io.kestra.plugin.core.debug.Return\n{0}format: "Hello {{{{ flow.id }}}} {{{{ taskrun.id }}}}"',
    "worker": "type: tests.Nothing",
}


class Nothing(RunnableTask):
    """Do nothing, the way every task with an outside effect takes: by the outbox and a worker."""

    type: Literal["tests.Nothing"]

    async def run(self, context: RunContext) -> None:
        pass


class Begun(RunnableTask):
    """Remember when the body of this task began to run."""

    type: Literal["tests.Begun"]
    at: ClassVar[dict[str, float]] = {}

    async def run(self, context: RunContext) -> None:
        self.at[context.execution_id] = time.perf_counter()


def registry() -> Registry:
    """Everything installed, Begun and Nothing."""
    return Registry([Begun, Nothing], places=places(), rename=renamed, plugins=_third_party)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Engine]:
    """An engine at work; `synchronous=FULL`, as it always is, and what is loaded out of the collector's way, as in a
    bot that runs."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    engine = await Engine.open(Settings(data=folder / "data", flows=(folder / "flows",)), registry=registry())
    await engine.start(watch=False)
    starting.settle()
    try:
        yield engine
    finally:
        gc.unfreeze()
        await engine.stop(grace=0)


def chain(flow_id: str, series: str, steps: int) -> str:
    """A flow of some tasks, one after the other."""
    tasks = "".join(f"  - id: t{n}\n    {SERIES[series].format('    ')}\n" for n in range(steps))
    return f"id: {flow_id}\nnamespace: {NAMESPACE}\ntasks:\n{tasks}"


def fanout(flow_id: str, series: str, items: int) -> str:
    """A flow that runs one task for each of many values."""
    values = ", ".join(str(n) for n in range(items))
    task = SERIES[series].format("        ")
    return (
        f"id: {flow_id}\nnamespace: {NAMESPACE}\ntasks:\n  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n"
        f"    concurrencyLimit: 0\n    values: [{values}]\n    tasks:\n      - id: item\n        {task}\n"
    )


def approval(flow_id: str) -> str:
    """A flow that waits for a person, then runs a task."""
    return (
        f"id: {flow_id}\nnamespace: {NAMESPACE}\ntasks:\n  - id: ask\n    type: io.kestra.plugin.core.flow.Pause\n"
        "  - id: next\n    type: tests.Begun\n"
    )


async def run(engine: Engine, flow_id: str, *, until: Literal["ended", "ended_or_paused"] = "ended") -> str:
    """Start a flow and wait for its end; its execution's id. AssertionError when it failed."""
    made = await engine.create(NAMESPACE, flow_id, {}, started_by="bench")
    ended = await engine.wait(made.id, until=until, timeout=600)
    expected = "SUCCESS" if until == "ended" else "PAUSED"
    assert ended.state.value == expected, f"{flow_id} ended as {ended.state}"
    return made.id


async def runs(engine: Engine, flow_id: str, number: int) -> None:
    """Start many executions at once and wait until all have ended."""
    await asyncio.gather(*(run(engine, flow_id) for _ in range(number)))


class Watch:
    """Seconds on the wall and of this process's CPU."""

    wall = 0.0
    cpu = 0.0


@contextmanager
def watched() -> Iterator[Watch]:
    """Measures its body."""
    watch, wall, cpu = Watch(), time.perf_counter(), time.process_time()
    yield watch
    watch.wall, watch.cpu = time.perf_counter() - wall, time.process_time() - cpu


def percentile(values: list[float], share: int) -> float:
    """The value below which `share` percent lie."""
    return quantiles(values, n=100, method="inclusive")[share - 1] if len(values) > 1 else values[0]


def resident_mb(pid: int | str = "self") -> float:
    """Memory a process occupies now, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("The system does not say how much memory a process occupies.")
