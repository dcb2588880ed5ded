"""A bot that kills itself (SIGKILL) while somebody opens the page by a link from chat. Run as a child process."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bot.people.identities import CHATS
from engine.store import chat_audit, visits
from tests.web.conftest import running
from tests.web.test_visits import PUBLIC, link, say, visitor


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, step: str) -> None:
    async with running(folder, public_url=PUBLIC, chats=CHATS) as app:
        if step == "as the link is made":
            offer = visits.offer
            visits.offer = lambda *given: die(offer(*given))
            await say(app, "web", receipt="the command")
        path = await link(app, receipt="the command")
        browser = visitor(app)
        await browser.get(path)
        print(path, flush=True)
        if step == "before the session":
            visits.begin = die
        elif step == "before the record":
            record = chat_audit.record
            chat_audit.record = lambda connection, deed: die() if deed.action == "sign in" else record(connection, deed)
        else:
            transact = app.engine.database.transact

            async def last(*given, **more):
                await transact(*given, **more)
                die()

            app.engine.database.transact = last
        await browser.post(path)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
