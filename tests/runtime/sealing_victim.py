"""Records deeds and is killed: `python -m tests.runtime.sealing_victim <folder> <before|after>` the first seal."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from engine.runtime import Engine
from engine.settings import Settings
from engine.store import chat_audit
from tests.store.test_audit_chain import DEEDS


async def main(folder: str, when: str) -> None:
    engine = await Engine.open(Settings(data=Path(folder), flows=()))
    await engine.start(watch=False)

    async def deed() -> None:
        await engine.database.transact(lambda unit: chat_audit.record(unit.connection, DEEDS[0]))

    await deed()
    if when == "after":
        await engine.notary.seal("time")
        await deed()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
