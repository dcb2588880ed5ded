"""Work of unknown length in a process of its own, without the program's environment, stopped when it takes too long.

Run as a script it is that process: one JSON request on standard input, one JSON answer on standard output.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from engine.expressions.allowance import current, excerpt
from engine.expressions.failures import fail
from engine.expressions.limits import MAX_MEMORY, MAX_PROCESSES, MAX_SECONDS, MAX_TEXT, MAX_WAIT


def regex(work: str, pattern: str, text: str, argument: str) -> Any:
    """Split, search, replace or choose texts with a pattern that may take long; ExpressionFailed when it does."""
    request = {"work": work, "pattern": pattern, "text": text, "argument": argument}
    return _ask(
        request, f"The regular expression {excerpt(pattern, 80)!r}", "Avoid repeats inside repeats, such as (a+)+."
    )


def jq(program: str, document: str) -> Any:
    """All outputs of a jq program that may take long; ExpressionFailed when it does."""
    return _ask(
        {"work": "jq", "program": program, "document": document}, f"The jq program {excerpt(program, 80)!r}", ""
    )


def _ask(request: dict[str, str], what: str, fix: str) -> Any:
    # -I keeps the environment and the working folder out; the path is handed over so that the same code is found.
    left = current()
    command = [sys.executable, "-I", "-c", _START, str(Path(__file__).resolve().parents[2]), *sys.path]
    with _TURN:
        began = time.monotonic()
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and our own code
                command,
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=left.wait,
                check=False,
                env={},
                cwd="/",
            )
        except subprocess.TimeoutExpired:
            fail(f"{what} keeps the template waiting for more than {MAX_WAIT:g} s.", fix or _LESS)
        finally:
            left.wait = max(0.0, left.wait - (time.monotonic() - began))
    if done.returncode == -_OUT_OF_TIME:
        fail(f"{what} takes longer than {MAX_SECONDS:g} s.", fix or _LESS)
    if done.returncode != 0 or len(done.stdout) > MAX_TEXT * 2:
        fail(f"{what} needs too much memory or gives too much.", fix or _LESS)
    answer = json.loads(done.stdout)
    if "error" in answer:
        fail(answer["error"])
    return answer["result"]


_TURN = BoundedSemaphore(MAX_PROCESSES)
_LESS = "Do less in one program, or do it in a script task."
_OUT_OF_TIME = 24  # SIGXCPU, which Windows does not have: there `MAX_WAIT` alone holds
_START = "import sys; sys.path[:0] = sys.argv[1:]; from engine.expressions.bounded_work import main; main()"


def limit_process() -> None:
    """Bound memory and time of the process this runs in, where the system can."""
    try:
        import resource  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    begun = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(begun.ru_utime + begun.ru_stime) + 1  # by the start of the process itself
    resource.setrlimit(resource.RLIMIT_CPU, (spent + MAX_SECONDS, spent + MAX_SECONDS + 1))
