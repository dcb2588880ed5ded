"""A process whose trigger takes the messages of a queue, and that dies by SIGKILL at a chosen moment.

`python -m tests.runtime.dying_consumer DATA URL MOMENT DAY` looks twice at the queue `orders` of a broker; each DAY is
later. MOMENT: `taken` before what it took is written, `written` right after it, or `never`.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.clock import ShiftedClock
from engine.runtime import Engine
from engine.runtime.polls import Polls
from engine.settings import Settings
from tests.runtime.victim import die

FLOW = """
id: orders
namespace: company.team
tasks:
  - {{id: say, type: io.kestra.plugin.core.log.Log, message: "{{{{ trigger.count }}}}"}}
triggers:
  - {{id: came, type: io.kestra.plugin.amqp.Trigger, url: "{url}", queue: orders, maxRecords: 100}}
"""


def dies_once(moment: str) -> None:
    """Set the moment of death."""
    write = Polls._written

    async def written(self, one, seen, start, *more):
        if start is not None and moment == "taken":
            die()
        done = await write(self, one, seen, start, *more)
        if start is not None and moment == "written":
            die()
        return done

    Polls._written = written


async def main(data: Path, url: str, moment: str, day: int) -> None:
    """Look twice, or die before."""
    clock = ShiftedClock(datetime.now(UTC) + timedelta(days=day))
    engine = await Engine.open(Settings(data=data, flows=()), clock=clock)
    await engine.start(watch=False)
    dies_once(moment)
    await engine.deploy(FLOW.format(url=url))
    for _ in range(2):
        idle = 0
        while idle < 10:
            await asyncio.sleep(0.01)
            idle = 0 if engine.is_busy else idle + 1
        clock.jump(timedelta(minutes=5))
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
