"""`python -m tests.simulate`: plays seeds, prints a shrunk history of the first that breaks a law.

Exit status 0: every law held; 1: one broke; 2: wrong call; 130: interrupted.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tests.simulate.histories import History
from tests.simulate.plants import PLANTS
from tests.simulate.seeds import player, results
from tests.simulate.shrinking import PLAYS, shrunk

STORES = ("memory", "sqlite", "postgresql")
FIRST_FEW = 5  # seeds that are named when many break
FEW_PLAYS = 80  # of a whole bot, which take longer


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """What was asked for; exits with 2 when it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count(), help="processes (default: all cores)")
    parser.add_argument("--store", choices=STORES, default="memory", help="what survives a crash (default memory)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play one history as it is written")
    parser.add_argument("--plant", choices=sorted(PLANTS), metavar="NAME", default="", help="a bug that must be caught")
    parser.add_argument("--json", action="store_true", help="only JSON on stdout")
    asked = parser.parse_args(given)
    if asked.seeds < 1 or asked.jobs < 1 or asked.start < 0:
        parser.error("`--seeds` and `--jobs` are at least 1, `--start` at least 0")
    if asked.store != "memory" and asked.plant:
        parser.error("`--plant` works with `--store memory`")
    return asked


def told(history: History) -> str:
    """A history for people: what broke, in which flows, by which steps."""
    scene = history.scene.as_json()
    flows = yaml.safe_dump(scene.pop("flows"), sort_keys=False, width=120)
    rest = yaml.safe_dump(scene, sort_keys=False, width=120, default_flow_style=None)
    steps = "".join(f"  {step}\n" for step in history.steps) or "  (in order)\n"
    head = f"seed {history.seed} ({history.mode}) breaks: {history.law}\n  {history.detail}\n"
    return f"{head}flows:\n{flows}{rest}steps:\n{steps}"


def search(asked: argparse.Namespace) -> int:
    """Play seeds until all are done or some broke a law."""
    started, done, broke = time.monotonic(), 0, list[History]()
    shown = started
    for count, histories in results(
        range(asked.start, asked.start + asked.seeds), asked.plant, asked.store, asked.jobs
    ):
        done += count
        broke += histories
        for one in histories:
            print(f"seed {one.seed} ({one.mode}): {one.law}: {one.detail}", file=sys.stderr)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{done} of {asked.seeds} seeds, {len(broke)} broke a law", file=sys.stderr)
        if len(broke) >= FIRST_FEW:
            break
    broke.sort(key=lambda history: history.seed)
    seconds = round(time.monotonic() - started, 1)
    smallest = [_shrunk(broke[0], asked)] if broke else []
    report: dict[str, Any] = {
        "store": asked.store, "start": asked.start, "seeds": done, "seconds": seconds, "plant": asked.plant,
        "broken": [{"seed": one.seed, "mode": one.mode, "law": one.law, "detail": one.detail} for one in broke],
        "history": json.loads(smallest[0].as_json()) if smallest else None,
    }  # fmt: skip
    if asked.json:
        print(json.dumps(report))
    elif not broke:
        print(f"{done} seeds over {asked.store} in {seconds} s: every law held")
    else:
        for one in broke:
            print(f"seed {one.seed} ({one.mode}): {one.law}: {one.detail}")
        print("\nas small as it gets:\n")
        print(told(smallest[0]))
    if smallest:
        file = Path(tempfile.gettempdir()) / f"simulate-{smallest[0].seed}.json"
        file.write_text(smallest[0].as_json(), encoding="utf-8")
        print(f"play it again: python -m tests.simulate --replay {file}", file=sys.stderr)
    return 1 if broke else 0


def _shrunk(history: History, asked: argparse.Namespace) -> History:
    print(f"seed {history.seed} broke a law; looking for a smaller history", file=sys.stderr)
    with player(asked.store, asked.plant) as play:
        return shrunk(history, play, PLAYS if asked.store == "memory" else FEW_PLAYS)


def replay(asked: argparse.Namespace) -> int:
    """Play one history as it is written."""
    try:
        history = History.from_json(asked.replay.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{asked.replay} holds no history: {error}", file=sys.stderr)
        return 2
    with player(history.store, history.plant) as play:
        again = play(replace(history, law="", detail=""))
    if asked.json:
        print(again.as_json())
    else:
        print(told(again) if again.law else "every law held")
    return 1 if again.law else 0


def main(given: list[str] | None = None) -> int:
    """The exit status."""
    asked = arguments(given)
    try:
        return replay(asked) if asked.replay else search(asked)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set of texts is part of a history
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulate", *sys.argv[1:]])
    sys.exit(main())
