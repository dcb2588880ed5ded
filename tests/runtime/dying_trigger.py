"""A process whose calendar trigger looks four times, and that dies by SIGKILL at a chosen moment.

`python -m tests.runtime.dying_trigger DATA URL MOMENT DAY`: the moments are those of `victim`; each day is later.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.clock import ShiftedClock
from engine.runtime import Engine
from engine.settings import Settings
from tests.runtime.victim import arm

FLOW = """
id: meetings
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ trigger.events | length }}"}
triggers:
  - id: new
    type: io.kestra.plugin.googleworkspace.calendar.EventCreatedTrigger
    calendarIds: [team@group.calendar.google.com]
    serviceAccount: "{{ secret('GOOGLE_SA') }}"
"""


async def main(data: Path, url: str, moment: str, day: int) -> None:
    """Look four times, or die before."""
    clock = ShiftedClock(datetime.now(UTC) + timedelta(days=day))
    settings = Settings(data=data, flows=(), providers={"google_calendar": {"base_url": url}})
    engine = await Engine.open(settings, clock=clock)
    await engine.start(watch=False)
    await engine.deploy(FLOW)
    arm(engine, moment)
    for _ in range(4):
        clock.jump(timedelta(minutes=5))
        await asyncio.sleep(0)
        idle = 0
        while idle < 10:
            await asyncio.sleep(0.01)
            idle = 0 if engine.is_busy else idle + 1
    await engine.stop()
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
