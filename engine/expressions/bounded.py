"""Work of unknown length in a process of its own, without the program's environment, stopped when it takes too long.

Run as a script it is that process: one JSON request on standard input, one JSON answer on standard output.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.expressions.failures import fail
from engine.expressions.limits import MAX_MEMORY, MAX_SECONDS, MAX_TEXT


def regex(work: str, pattern: str, text: str, argument: str) -> Any:
    """Split, search or replace with a pattern that may take long; ExpressionFailed when it does."""
    request = {"work": work, "pattern": pattern, "text": text, "argument": argument}
    return _ask(request, f"The regular expression {pattern[:80]!r}", "Avoid repeats inside repeats, such as (a+)+.")


def jq(program: str, document: str) -> Any:
    """All outputs of a jq program that may take long; ExpressionFailed when it does."""
    return _ask({"work": "jq", "program": program, "document": document}, f"The jq program {program[:80]!r}", "")


def _ask(request: dict[str, str], what: str, fix: str) -> Any:
    # -I keeps the environment and the working folder out; the path is handed over so that the same code is found.
    command = [sys.executable, "-I", "-c", _START, str(Path(__file__).resolve().parents[2]), *sys.path]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own code
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=MAX_SECONDS,
            check=False,
            env={},
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        fail(
            f"{what} takes longer than {MAX_SECONDS:g} s.", fix or "Do less in one program, or do it in a script task."
        )
    if done.returncode != 0 or len(done.stdout) > MAX_TEXT:
        fail(f"{what} needs too much memory or gives too much.", fix or "Do less in one program.")
    answer = json.loads(done.stdout)
    if "error" in answer:
        fail(answer["error"])
    return answer["result"]


_START = "import sys; sys.path[:0] = sys.argv[1:]; from engine.expressions.bounded_work import main; main()"


def limit_process() -> None:
    """Bound memory and time of the process this runs in, where the system can."""
    try:
        import resource  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    seconds = int(MAX_SECONDS) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
