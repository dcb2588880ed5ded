"""A bot on Discord that lives until it is killed. Run as a child process."""

import asyncio
import sys
from pathlib import Path

from bot.discord.client import DiscordFrontEnd
from tests.bot.rig import PLAIN, Rig
from tests.wire.discord import TOKEN


def connect(rig: Rig, base_url: str, gateway_url: str) -> DiscordFrontEnd:
    """Discord in place of the rig's own."""
    end = DiscordFrontEnd(
        TOKEN, locate=lambda uri: rig.engine.files.path(uri), base_url=base_url, gateway_url=gateway_url
    )
    rig.discord = end  # type: ignore[assignment]
    return end


async def main(folder: Path, base_url: str, gateway_url: str) -> None:
    rig = Rig(folder)
    end = connect(rig, base_url, gateway_url)
    await rig.start(PLAIN)
    print(end.describe(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
