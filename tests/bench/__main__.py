"""Measure the engine: `python -m tests.bench [--quick] [--json] [--only FIGURE] [--check]`.

Every figure stands beside the physical limit of the same run. One that breaks off counts as a broken promise, and the
others are measured all the same. Exit status 1 with `--check` when a promise is broken, 2 for a wrong call.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.bench import chat, fleet, limits, programs, schedules, scripts, server, workloads
from tests.bench.rows import Limits, Row, row, table

FIGURES: dict[str, Callable[..., AsyncIterator[Row]]] = {
    "burst": workloads.burst,
    "chain": workloads.one_by_one,
    "fanout": workloads.fan_out,
    "approve": workloads.approve,
    "render": programs.rendering,
    "load_flows": programs.load_flows,
    "paused": programs.paused,
    "start": programs.start,
    "trigger": server.http_trigger,
    "workers": fleet.workers,
    "webhook": server.webhooks,
    "chat": chat.chats,
    "scripts": scripts.scripts,
    "schedules": schedules.schedules,
}


def arguments() -> argparse.Namespace:
    """The call; leaves with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the engine.")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a look")
    parser.add_argument("--json", action="store_true", help="rows as JSON on standard output")
    parser.add_argument("--only", action="append", choices=tuple(FIGURES), help="this figure; may be given again")
    parser.add_argument("--check", action="store_true", help="status 1 when a promise is broken")
    return parser.parse_args()


async def measured(wanted: list[str], *, quick: bool) -> list[Row]:
    """Every figure that is wanted, one after the other."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        physical: Limits = await asyncio.to_thread(limits.measured, folder, quick=quick)
        rows = [
            row("limit", "lone commits", physical.lone, "commits/s", 1),
            row("limit", "grouped", physical.grouped, "transitions/s", limits.GROUP),
        ]
        for figure in wanted:
            print(f"measuring {figure} …", file=sys.stderr, flush=True)
            (folder / figure).mkdir()
            try:
                async for one in FIGURES[figure](folder / figure, physical, quick=quick):
                    rows.append(one)  # noqa: PERF401 - what was measured before a figure broke is kept
            except Exception:  # noqa: BLE001 - whatever it is, it is shown
                traceback.print_exc()
                rows.append(Row(figure, "broke off", 0.0, "-", 0, ok=False))
    return rows


def main() -> int:
    """Measure and print."""
    given = arguments()
    rows = asyncio.run(measured(given.only or list(FIGURES), quick=given.quick))
    shown: Any = json.dumps([one.as_json() for one in rows], indent=1) if given.json else table(rows)
    print(shown)
    return 1 if given.check and any(one.ok is False for one in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
