"""A bot that kills itself (SIGKILL, nothing is cleaned up) at a named step of a decision. Run as a child process."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bot.approvals.policy import ApprovalRule
from bot.conversation import Click, Command
from bot.deliveries import Deliveries
from engine.store import chat_audit, chat_messages, chat_receipts
from engine.store.chat_audit import HEARD
from tests.bot.rig import ANN, ASKING, BOB, DEV, OPS, PLAIN, Rig

TWO = (ApprovalRule.model_validate({"approvers": ["anyone"], "need": 2}),)
POLICIES = {"vote": TWO, "quorum": TWO}  # the click is the first vote of two, or the second

NOTE = """
id: note
namespace: company.team
inputs:
  - {id: who, type: STRING}
  - {id: prompt, type: STRING, description: The whole prompt}
tasks:
  - {id: end, type: io.kestra.plugin.core.log.Log, message: done}
"""
LONG = "it's a text\nwith 'quotes that never end"
FAILS = """
id: fails
namespace: company.team
tasks:
  - {id: boom, type: io.kestra.plugin.core.execution.Fail}
"""


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(database, number: int) -> None:
    """Whoever writes for the `number`th time from now on, in whatever way, is the death of the process."""
    seen = 0

    def counting(write):
        def counted(*given, **more):
            nonlocal seen
            seen += 1
            if seen == number:
                die()
            return write(*given, **more)

        return counted

    database.transact, database.submit = counting(database.transact), counting(database.submit)


def arm(step: str, rig: Rig) -> None:
    """Die when the step is reached. Real code runs up to there."""
    database = rig.engine.database
    if step == "before the receipt":
        chat_receipts.open_receipt = die
    elif step == "after the receipt":
        rig.desk.deliveries.handle = die
    elif step == "before the transaction":
        handle = rig.desk.deliveries.handle

        async def no_further_writing(event):
            database.transact = die  # the receipt is written; whoever writes next is the last
            return await handle(event)

        rig.desk.deliveries.handle = no_further_writing
    elif step == "inside the transaction":
        record = chat_audit.record
        chat_audit.record = lambda connection, deed: record(connection, deed) if deed.action in HEARD else die()
    elif step.startswith("write "):
        die_at(database, int(step.partition(" ")[2]))
    elif step == "after the transaction":
        finish = Deliveries._answered

        async def answered(self, key, kind, event):
            await finish(self, key, kind, event)
            die()

        Deliveries._answered = answered


async def main(folder: Path, step: str, deed: str) -> None:
    rig = await Rig(folder, approvals=POLICIES.get(deed, ())).start(PLAIN, FAILS, ASKING, NOTE)
    if deed in ("approve", "vote", "quorum"):
        card = await rig.asked()
        await rig.slack.shows("run", lambda shown: shown.tone == "paused")
        if deed == "quorum":
            await rig.press(card, "Approve", BOB, DEV)
        print(card.entity, flush=True)
        arm(step, rig)
        approve = rig.desk.office.ids("ap", card.entity)
        await rig.desk.click(Click(approve, ANN, OPS, "the click", answer_url="https://answer.test/1"))
        if step.startswith("write "):  # all that follows, too: the run goes on, the cards are drawn
            await rig.engine.wait((await rig.engine.pause_row(card.entity)).execution_id, timeout=20)
            await rig.slack.shows("pause", lambda shown: shown.tone == "success")
            await rig.slack.shows("run", lambda shown: shown.tone == "success")
    elif deed == "reject":
        card = await rig.asked("run picture prompt=fox")
        form = await rig.press(card, "Reject\u2026")
        print(card.entity, form.id, flush=True)
        arm(step, rig)
        await rig.fill(form, receipt="the click", feedback="too red")
    elif deed == "message":
        form = await rig.say("run note --form")
        full = (await rig.fill(form, who="Ann", prompt="cut", full=("prompt",))).body
        await rig.desk.click(Click(full.actions[1].id, ANN, OPS, "longer"))
        print(form.id, flush=True)
        arm(step, rig)
        await rig.say(LONG, room=OPS, spoken=True, receipt="the click")
    elif deed in ("replay", "restart"):
        await rig.say("run fails")
        failed = await rig.engine.wait((await rig.engine.executions())[0].id, timeout=20)
        print(failed.id, flush=True)
        arm(step, rig)
        typed = Command(f"{deed} {failed.id}", ANN, OPS, "the click", answer_url="https://answer.test/1")
        await rig.desk.command(typed)
    elif deed == "a run that is not shown":
        await rig.say("settings card=off")
        await rig.say("settings mute ship 1d")
        if step == "before the failure is noted":
            chat_messages.settle = die
        elif step == "while it is noted":
            chat_messages.tell = die
        else:
            rig.slack.notify = die
        await rig.say("run fails")
        await asyncio.sleep(60)
    else:
        arm(step, rig)
        await rig.desk.command(Command("run ship", ANN, OPS, "the click", answer_url="https://answer.test/1"))
    await asyncio.gather(*tuple(rig.desk.deliveries._later))  # the answer is handed over
    die()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
