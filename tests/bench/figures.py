"""The figures by name, and the process in which one of them is measured: `python -m tests.bench.figures FIGURE FOLDER`.

It prints one row a line, as JSON, as soon as it is known.
"""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tests.bench import chat, fleet, limits, programs, schedules, scripts, server, workloads
from tests.bench.rows import Limits, Row, row


async def physical(folder: Path, found: Limits, *, quick: bool) -> AsyncIterator[Row]:
    """The limits themselves."""
    yield row("limit", "lone commits", found.lone, "commits/s", 1)
    yield row("limit", "grouped", found.grouped, "transitions/s", limits.GROUP)


# What is promised first comes first, what needs its minutes last.
FIGURES: dict[str, Callable[..., AsyncIterator[Row]]] = {
    "burst": workloads.burst,
    "chain": workloads.one_by_one,
    "fanout": workloads.fan_out,
    "approve": workloads.approve,
    "trigger": server.http_trigger,
    "chat": chat.chats,
    "scripts": scripts.scripts,
    "start": programs.start,
    "render": programs.rendering,
    "load_flows": programs.load_flows,
    "schedules": schedules.schedules,
    "paused": programs.paused,
    "webhook": server.webhooks,
    "workers": fleet.workers,
}


async def measure(figure: str, folder: Path, *, quick: bool) -> None:
    """Print the rows of one figure; the physical limit is that of the moment before it."""
    os.sync()  # what others wrote before is no load on the disk any more
    found = await asyncio.to_thread(limits.measured, folder, quick=quick)
    place = folder / figure
    place.mkdir()
    async for one in (physical if figure == "limit" else FIGURES[figure])(place, found, quick=quick):
        print(json.dumps(one.as_json()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.figures", description=__doc__)
    parser.add_argument("figure", choices=("limit", *FIGURES))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    asyncio.run(measure(given.figure, given.folder, quick=given.quick))
