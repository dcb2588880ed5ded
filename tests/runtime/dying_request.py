"""A process that is sent a request for a trigger, and dies by SIGKILL at a chosen moment.

`python -m tests.runtime.dying_request DATA FLOW MOMENT` reads the request (`key`, `body`, `headers`) from stdin;
the moments are those of `victim`.
"""

import asyncio
import json
import sys
from pathlib import Path

from engine.runtime import Engine
from engine.settings import Settings
from tests.runtime.victim import arm


async def main(data: Path, source: str, moment: str) -> None:
    """Answer one request, or die before."""
    asked = json.load(sys.stdin)
    engine = await Engine.open(Settings(data=data, flows=()))
    await engine.start(watch=False)
    flow = await engine.deploy(source)
    arm(engine, moment)
    await engine.webhooks.fire(flow.namespace, flow.id, asked["key"], body=asked["body"], headers=asked["headers"])
    print("answered", flush=True)
    while engine.is_busy:
        await asyncio.sleep(0.01)
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]).read_text(), sys.argv[3]))
