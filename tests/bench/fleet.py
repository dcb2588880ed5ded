"""Workers on PostgreSQL: what two and four do, beside what one does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.rows import Limits, Row, row
from tests.postgres import Server, server
from tests.scenarios.fleet import Fleet

AT_ONCE = 2  # tasks of a worker that wait at the same time
MUST = {("no-ops", 4): 0.8, ("tasks that wait 200 ms", 2): 1.7, ("tasks that wait 200 ms", 4): 3.0}
NO_OP = "type: io.kestra.plugin.core.log.Log\n        message: a line\n        timeout: PT1M"  # for a worker
WAITS = (
    "type: io.kestra.plugin.scripts.shell.Commands\n        commands: [sleep 0.2]\n"
    "        taskRunner: {type: io.kestra.plugin.core.runner.Process}"
)


async def workers(folder: Path, limits: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """A fan-out on one, two and four workers, with tasks that do nothing and with tasks that wait."""
    numbers = (200, 40) if quick else (1000, 160)
    with server(durable=True) as postgres:
        for series, task, number in (("no-ops", NO_OP, numbers[0]), ("tasks that wait 200 ms", WAITS, numbers[1])):
            alone = 0.0
            for count in (1, 2, 4):
                place = folder / f"{series.split()[0]}-{count}"
                place.mkdir()
                rate = await _rate(place, postgres, task, number, count)
                alone = alone or rate
                yield row("workers", f"{series}, {count} at work", rate, "tasks/s", number)
                if must := MUST.get((series, count)):
                    yield row("workers", f"{series}, {count} beside one", rate / alone, "x", number, must=must)


async def _rate(folder: Path, postgres: Server, task: str, number: int, count: int) -> float:
    """Tasks a second of a fan-out, from its creation to its end, once everybody is at work."""
    address = postgres.create()
    fleet = Fleet(folder, address, {"PARLEY_LIMITS__WORKERS": str(AT_ONCE), "PARLEY_HEARTBEAT": "5"})
    for flow, items in (("warm", 4 * count), ("fan", number)):
        values = ", ".join(str(n) for n in range(items))
        fleet.flow(
            flow,
            "tasks:\n  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    concurrencyLimit: 0\n"
            f"    values: [{values}]\n    tasks:\n      - id: item\n        {task}\n",
        )
    try:
        bot = await fleet.start("bot")
        await asyncio.gather(*(fleet.start("worker") for _ in range(count)))
        for flow in ("warm", "fan"):
            await fleet.begin(bot, flow)
            await fleet.until(lambda flow=flow: fleet.states(flow)["SUCCESS"] == 1, f"the end of {flow}", 300)
        ((micros,),) = fleet.query("SELECT updated - created FROM execution WHERE flow_id = 'fan'")
        return number / (micros / 1e6)
    finally:
        await fleet.stop()
        postgres.drop(address)
