"""A process whose trigger moves the files of a folder, and that dies by SIGKILL at a chosen moment.

`python -m tests.runtime.dying_taker DATA FOLDER MOMENT DAY` looks three times at `FOLDER/in`, whose files go to
`FOLDER/done`; each DAY is later. MOMENT: those of `victim`, and `moved:N` right after the N-th file was moved.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.clock import ShiftedClock
from engine.runtime import Engine
from engine.settings import LocalFileSettings, Settings
from engine.tasks import local_files
from tests.runtime.victim import arm, die

FLOW = """
id: orders
namespace: company.team
tasks:
  - {{id: say, type: io.kestra.plugin.core.log.Log, message: "{{{{ trigger.files | length }}}}"}}
triggers:
  - id: arrived
    type: io.kestra.plugin.fs.local.Trigger
    from: {folder}/in
    action: MOVE
    moveDirectory: {folder}/done
"""


def dies_once_moved(number: int) -> None:
    """Die right after so many files were moved."""
    move, left = local_files.moved, [number]

    def moved(*given, **more):
        found = move(*given, **more)
        left[0] -= 1
        if left[0] == 0:
            die()
        return found

    local_files.moved = moved


async def main(data: Path, folder: Path, moment: str, day: int) -> None:
    """Look three times, or die before."""
    clock = ShiftedClock(datetime.now(UTC) + timedelta(days=day))
    settings = Settings(data=data, flows=(), local_files=LocalFileSettings(allowed_paths=(folder,)))
    engine = await Engine.open(settings, clock=clock)
    await engine.start(watch=False)
    if moment.startswith("moved:"):
        dies_once_moved(int(moment.removeprefix("moved:")))
    else:
        arm(engine, moment)
    await engine.deploy(FLOW.format(folder=folder))
    for _ in range(3):
        idle = 0
        while idle < 10:
            await asyncio.sleep(0.01)
            idle = 0 if engine.is_busy else idle + 1
        clock.jump(timedelta(minutes=5))
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
