"""A bot on a workspace that lives until it is killed. Run as a child process."""

import asyncio
import sys
from pathlib import Path

from tests.bot.rig import PLAIN, Rig
from tests.slack.files_below import connect


async def main(folder: Path, url: str) -> None:
    rig = Rig(folder)
    end = await connect(rig, url, folder)
    await rig.start(PLAIN)
    print(end.describe(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
