"""Processes that a script left: also those that changed their session, or whose parents are gone (Linux only).

What a script starts inherits its environment, and in it a mark that no other script has. When a script is stopped, a
process is its own that carries the mark, belongs to its session, or has it among its parents. Only one that does away
with all three, its environment, its session and its parents, is not found: containers are for those.
"""

import asyncio
import atexit
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from engine.tasks.threads import in_own_thread

MARK = "PARLEY_JOB"
PATIENCE = 5.0  # seconds in which all must be gone, however fast they make more of themselves
PAUSE = 0.01
SOON = 1.0  # seconds after which what scripts left behind is looked for: once for all that ended meanwhile
INIT = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A process. Its session is 0 when that began outside of the container we are in."""

    pid: int
    parent: int
    session: int
    mark: str = ""  # "" when it carries none, or will not show it


def belonging(seen: Iterable[Seen], marks: Collection[str], leader: int | None, own: int) -> set[int]:
    """Which processes carry one of some marks, or belong to a leader; never the process that asks, nor one above it."""
    there = {one.pid: one for one in seen}
    above = {own, *_above(own, there)}
    found = {one.pid for one in there.values() if one.mark and one.mark in marks}
    if leader is not None and leader > INIT:
        found |= {one.pid for one in there.values() if one.session == leader or leader in _above(one.pid, there)}
    return {pid for pid in found - above if pid > INIT}


def end(mark: str, leader: int) -> bool:
    """Kill the script that `leader` began, which has not been waited for, and all it made; False when some are left."""
    there = belonging(_processes(), {mark}, leader, os.getpid())
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    return _end(there, {mark})


def end_marked(marks: Collection[str]) -> bool:
    """Kill what scripts left that ended by themselves; False when some of it is left."""
    return _end(belonging(_processes(), marks, None, os.getpid()), marks)


class Leftovers:
    """What scripts that ended by themselves may have left. To look for it costs more than many a script."""

    def __init__(self) -> None:
        self._marks: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def expect(self, mark: str) -> None:
        """Look for what a script left, soon."""
        self._marks.add(mark)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="leftovers of scripts")

    async def _later(self) -> None:
        await asyncio.sleep(SOON)
        await in_own_thread(self.end)

    def end(self) -> None:
        """Kill what there is now."""
        marks, self._marks = self._marks, set()
        if marks:
            end_marked(marks)


LEFTOVERS = Leftovers()
atexit.register(LEFTOVERS.end)


def _end(there: set[int], marks: Collection[str]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while there:
        for pid in there:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
        there = belonging(_processes(), marks, None, os.getpid())
    return True


def _processes() -> Iterator[Seen]:
    """All that live and that we may look at."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - as below
    except OSError:  # not Linux
        return
    for name in filter(str.isdigit, names):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - hundreds, so nothing around it
            said = file.read()
            state, parent, _group, session, _ = said[said.rindex(b")") + 2 :].split(b" ", 4)
            if state not in (b"Z", b"X"):
                yield Seen(int(name), int(parent), int(session), _mark(name))


def _mark(name: str) -> str:
    with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - as above
        for line in file.read().split(b"\0"):
            if line.startswith(MARK.encode() + b"="):
                return line.partition(b"=")[2].decode("ascii", "replace")
    return ""  # it has none, is gone, or another user's


def _above(pid: int, there: dict[int, Seen]) -> Iterator[int]:
    """Parents of a process, the nearest first."""
    passed: set[int] = set()
    while (one := there.get(pid)) is not None and one.parent > 0 and one.parent not in passed:
        pid = one.parent
        passed.add(pid)
        yield pid
