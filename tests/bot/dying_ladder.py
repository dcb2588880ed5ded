"""A bot that kills itself (SIGKILL) around a reminder. Run as a child process."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.approvals.ladder import Ladder
from bot.approvals.policy import ApprovalRule
from engine.clock import ShiftedClock
from engine.store import chat_ladder, chat_messages
from tests.bot.rig import PLAIN, Rig

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


TIMED = """
id: timed
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H, behavior: RESUME}
"""


async def asked_and_dead(folder: Path) -> None:
    """A pause is open, what the policy says about its end is written down with it, and nothing more has happened."""
    entry = ApprovalRule.model_validate({"approvers": ["anyone"], "on_timeout": "cancel"})
    rig = await Rig(folder, approvals=(entry,), clock=ShiftedClock(NOON)).start(TIMED)
    post = rig.engine.decider.post_stored

    def only_starts(posted, done=None):
        if type(posted.event).__name__ != "Overruled":
            post(posted, done)

    rig.engine.decider.post_stored = only_starts
    card = await rig.asked("run timed")
    print(card.entity, flush=True)
    die()


async def main(folder: Path, step: str) -> None:
    if step == "overruled":
        await asked_and_dead(folder)
    entry = ApprovalRule.model_validate({"approvers": ["slack:U3"], "remind": ["15m"]})
    rig = await Rig(folder, approvals=(entry,), clock=ShiftedClock(NOON)).start(PLAIN)
    card = await rig.asked()
    print(card.entity, flush=True)
    if step == "before it is due":
        die()
    elif step == "before the transaction":
        Ladder._do = die
    elif step == "inside the transaction":
        take = chat_ladder.take
        chat_ladder.take = lambda connection, rung: take(connection, rung) and die()
    elif step == "after it":
        chat_messages.notices_due = lambda *_: []  # the sentence is stored and not yet on its way
        do = Ladder._do

        async def done(self, rung):
            await do(self, rung)
            die()

        Ladder._do = done
    rig.clock.jump(timedelta(minutes=20))
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
