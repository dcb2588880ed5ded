"""A bot that kills itself (SIGKILL) between posting a card and filling its thread. Run as a child process."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bot.cards.outbox import Lane
from bot.slack.delivery import Delivery
from engine.store import chat_sequels
from tests.bot.rig import Rig
from tests.slack.files_below import FLOW, connect


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: str) -> None:
    """Die when the step is reached. Real code runs up to there."""
    if step == "before the card is noted":
        shown = Lane._shown
        Lane._shown = lambda self, row, *given, **more: (
            die() if row.kind == "pause" else shown(self, row, *given, **more)
        )
    elif step == "before it is known to be there":
        chat_sequels.settled = die
    else:
        upload, seen = Delivery.upload, []

        async def counted(self, channel, thread, name, content, alt=""):
            seen.append(name)
            if len(seen) > {"before the first file": 0, "between two files": 1}[step]:
                die()
            await upload(self, channel, thread, name, content, alt)

        Delivery.upload = counted


async def main(folder: Path, step: str, url: str) -> None:
    rig = Rig(folder)
    await connect(rig, url, folder)
    await rig.start(FLOW)
    arm(step)
    await rig.say("run fills")
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
