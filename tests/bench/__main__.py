"""Measure the engine: `python -m tests.bench [--quick] [--json] [--only|--skip FIGURE] [--minutes M] [--check]`.

Every figure has a process and a folder of its own, stands beside the physical limit measured just before it, and is
shown as soon as it is known. One that breaks off counts as a broken promise, and the others are measured all the same;
for what comes when the time is over, it says so. Exit status 1 with `--check` when a promise is broken, 2 for a wrong
call.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from tests.bench.figures import FIGURES
from tests.bench.rows import HEAD, Row, line

ROOT = Path(__file__).parents[2]
LONGEST = 300.0  # seconds that one figure may take


def arguments() -> argparse.Namespace:
    """The call; leaves with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the engine.")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a look")
    parser.add_argument("--json", action="store_true", help="rows as JSON on standard output")
    parser.add_argument("--only", action="append", choices=tuple(FIGURES), help="this figure; may be given again")
    parser.add_argument("--skip", action="append", choices=tuple(FIGURES), help="not this one; may be given again")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no figure after so long, and end what runs")
    parser.add_argument("--check", action="store_true", help="status 1 when a promise is broken")
    return parser.parse_args()


async def measured(figure: str, *, quick: bool, seconds: float) -> AsyncIterator[Row]:
    """The rows of one figure, measured by a process of its own that has so many seconds."""
    if seconds <= 0:
        yield Row(figure, "not measured: the time was over", 0.0, "-", 0)
        return
    with tempfile.TemporaryDirectory(prefix="parley-bench-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.figures", figure, folder, *(["--quick"] if quick else [])),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        why = "broke off"
        try:
            async with asyncio.timeout(seconds):
                while said := await process.stdout.readline():
                    yield Row(**json.loads(said))
                why = "" if await process.wait() == 0 else why
        except TimeoutError:
            why = f"broke off after {seconds:.0f} s"
        finally:
            with suppress(ProcessLookupError):  # with everything it started
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if why:
            yield Row(figure, why, 0.0, "-", 0, ok=False)


async def main(given: argparse.Namespace) -> int:
    """Measure and print."""
    end, broken, opened = time.monotonic() + given.minutes * 60, False, False
    wanted = [figure for figure in given.only or FIGURES if figure not in (given.skip or ())]
    print("[" if given.json else line(HEAD), flush=True)
    for figure in ("limit", *wanted):
        print(f"measuring {figure} …", file=sys.stderr, flush=True)
        async for one in measured(figure, quick=given.quick, seconds=min(LONGEST, end - time.monotonic())):
            broken = broken or one.ok is False
            if given.json:
                print("," * opened + json.dumps(one.as_json()), flush=True)
            else:
                print(line(one.cells()), flush=True)
            opened = True
    if given.json:
        print("]")
    return 1 if given.check and broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(arguments())))
