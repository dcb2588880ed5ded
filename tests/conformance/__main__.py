"""Run files of conformance cases: `python -m tests.conformance [--expressions|--engine] [-v] [--skip-tag TAG]… FILE…`.

One line for each case that fails; the last line of standard output is `N passed, N failed, N skipped`. Exit status 1
when a case failed, 2 for a wrong call.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

Runner = Callable[..., tuple[int, int, int]]
KINDS = ("expressions", "engine")


def arguments() -> argparse.Namespace:
    """The call; leaves with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Run conformance cases.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--expressions", dest="kind", action="store_const", const="expressions", help="files hold expressions"
    )
    which.add_argument("--engine", dest="kind", action="store_const", const="engine", help="files hold engine cases")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each case that passes, too")
    parser.add_argument("--skip-tag", action="append", default=[], metavar="TAG", help="skip cases with this tag")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    given = parser.parse_args()
    for path in given.files:
        if not path.is_file():
            parser.error(f"There is no file {path}.")
    return given


def kind_of(path: Path) -> str:
    """Which of the two formats a file has."""
    try:
        loaded: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SystemExit(wrong(f"{path} is not YAML: {error}")) from error
    cases = loaded.get("cases") if isinstance(loaded, dict) else loaded
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise SystemExit(wrong(f"{path} holds no list of cases."))
    return "expressions" if any("template" in case for case in cases) else "engine"


def wrong(message: str) -> int:
    """Say what is wrong with the call."""
    print(message, file=sys.stderr)
    return 2


def runner(kind: str) -> Runner:
    """What runs a file of a kind."""
    if kind == "expressions":
        from tests.conformance.expressions import run_file

        return run_file
    from tests.conformance.engine import run_file as run_engine_file

    return run_engine_file


def run(files: Iterable[Path], kind: str | None, skip_tags: Iterable[str], verbose: bool) -> int:
    """Run all files and print the count; the exit status."""
    totals = [0, 0, 0]
    for path in files:
        counts = runner(kind or kind_of(path))(path, frozenset(skip_tags), verbose)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    print("{} passed, {} failed, {} skipped".format(*totals), flush=True)
    return 1 if totals[1] else 0


if __name__ == "__main__":
    given = arguments()
    sys.exit(run(given.files, given.kind, given.skip_tag, given.verbose))
