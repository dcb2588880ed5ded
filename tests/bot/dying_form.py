"""A bot that kills itself (SIGKILL) while somebody fills a form, two of its pages sent. Run as a child process."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.bot import monster
from tests.bot.rig import Rig


async def main(folder: Path) -> None:
    rig = await Rig(folder).start(monster.flow())
    form = await rig.say("run monster")
    await rig.fill(form, last=False, page=0, text0="the first page", count0="41")
    await rig.fill(form, last=False, page=1, text1="the second page")
    print(form.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(Path(sys.argv[1])))
