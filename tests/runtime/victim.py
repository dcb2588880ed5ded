"""A process with an engine that dies by SIGKILL at a chosen moment.

`python -m tests.runtime.victim DATA FLOWS MOMENT` starts flow `crash` unless it was started before, and ends when every
execution has ended. MOMENT: `before:N` dies in the N-th commit, before it is on disk; `after:N` right after it, before
anybody is told; `mark` while a task runs; `paused`, `timer` while one waits; `never`.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from engine.core.state import State
from engine.runtime import Engine
from engine.settings import Limits, Settings
from tests.runtime.marks import marks, registry

OPEN = [state for state in State if not state.is_terminal]


def die() -> None:
    """Leave without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(engine: Engine, moment: str) -> None:
    """Set the moment of death."""
    kind, _, number = moment.partition(":")
    if kind not in ("before", "after"):
        return
    database, left = engine.database, [int(number)]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            die()

    if kind == "before":
        event.listen(database._writer, "commit", lambda _connection: count())
    else:
        tell = database._tell

        def told(group: list) -> None:
            count()
            tell(group)

        database._tell = told


async def main(data: Path, flows: Path, moment: str) -> None:
    """Live until everything has ended, or the moment comes."""
    settings = Settings(data=data, flows=(flows,), limits=Limits(workers=4))
    engine = await Engine.open(settings, registry=registry())
    arm(engine, moment)
    await engine.start(watch=False)
    await engine.create("company.team", "crash", {}, started_by="test", dedupe="the one")
    print("started", flush=True)
    answered: set[str] = set()
    while True:
        if moment == "mark" and marks(data):
            die()
        for pause in await engine.pauses():
            if moment == "paused":
                die()
            if pause.id not in answered:
                answered.add(pause.id)
                await engine.resume(pause.execution_id, {"ok": True}, by="test", dedupe=f"answer {pause.id}")
        if moment == "timer" and any(":sleep:" in key for _, key in engine.timers.due()):
            die()
        if not engine.is_busy and not await engine.executions(states=OPEN):
            break
        await asyncio.sleep(0.005)
    await engine.stop()
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
