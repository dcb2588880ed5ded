"""Torture the real process: `python -m tests.torture [--store sqlite|postgresql|all] [--kills N] [--seed S] [--json]`.

Exit status 0 when every promise was kept, 1 when one was broken (the folder is kept), 2 for a wrong call.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.postgres import server
from tests.torture import clocks, disk, lock
from tests.torture.fleet import fleet
from tests.torture.kills import kills


def arguments() -> argparse.Namespace:
    """The call; leaves with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=str(__doc__).partition(":")[0])
    parser.add_argument("--store", choices=("sqlite", "postgresql", "all"), default="sqlite")
    parser.add_argument("--kills", type=int, default=30, help="how often the process is killed (default 30)")
    parser.add_argument("--seed", type=int, help="the same moments again, as far as a machine can")
    parser.add_argument("--json", action="store_true", help="the report as JSON on standard output")
    given = parser.parse_args()
    if given.kills < 1:
        parser.error("--kills must be 1 or more")
    return given


async def on_a_file(folder: Path, number: int, seed: int) -> dict[str, dict[str, Any]]:
    """The report of every scenario on SQLite, by name; all at the same time, for most of them mostly wait."""
    scenarios = {
        "kills": kills(folder / "kills", number, seed),
        "disk full": disk.disk_full(folder / "disk", seed),
        "database locked": lock.locked(folder / "lock", seed),
        "clocks": clocks.jumps(folder / "clocks", seed),
    }
    return dict(zip(scenarios, await asyncio.gather(*scenarios.values()), strict=True))


def tortured(store: str, folder: Path, number: int, seed: int) -> dict[str, dict[str, Any]]:
    """The report of every scenario on a store, by name."""
    found: dict[str, dict[str, Any]] = {}
    if store != "postgresql":
        found |= asyncio.run(on_a_file(folder, number, seed))
    if store != "sqlite":
        with server() as running:
            found["fleet"] = asyncio.run(fleet(folder / "fleet", number, seed, running))
    return found


def main() -> int:
    """Torture, print, and keep the folder of a run that broke something."""
    given = arguments()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    sys.stderr.write(f"seed {seed}\n")
    folder = Path(tempfile.mkdtemp(prefix="parley-torture-"))
    found = tortured(given.store, folder, given.kills, seed)
    ok = not any(one["broken"] for one in found.values())
    if given.json:
        print(json.dumps({"seed": seed, "ok": ok, "scenarios": found}, indent=1))
    else:
        for name, one in found.items():
            said = "BROKEN" if one["broken"] else "skipped" if "skipped" in one else "kept"
            print(f"{name}: {said}")
            print("".join(f"  {key}: {value}\n" for key, value in one.items() if key != "broken"), end="")
            for promise, lines in one["broken"].items():
                print(f"  {promise}:" + "".join(f"\n    {line}" for line in lines))
    if ok:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        sys.stderr.write(f"A promise was broken; everything lies in {folder}\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
