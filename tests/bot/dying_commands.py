"""A bot that kills itself while it carries out a command that changes something. Run as a child process."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from bot.conversation import Click, Command
from engine.core.state import State
from engine.store import chat_audit
from engine.store.chat_audit import HEARD
from tests.bot.dying_desk import FAILS, arm, die
from tests.bot.rig import ANN, OPS, PLAIN, Rig
from tests.bot.test_run_changes import LONG
from tests.bot.test_schedule_commands import GREET

SAID = {
    "alias set": 'alias set ship-it "run ship"',
    "settings": "settings card=off",
    "mute": "settings mute ship 1d",
    "skip": "schedule skip nightly",
    "shift": "schedule shift nightly +2h",
    "pause": "schedule pause nightly",
}
BEFORE = {
    "alias delete": ('alias set ship-it "run ship"', "alias delete ship-it"),
    "unmute": ("settings mute ship 1d", "settings unmute ship"),
    "force": ("run greet who=Ann --at='in 3 days'", "force {}"),
}
RIGHTS = {"labels": "labels {} team=web", "mark --task": "mark {} SUCCESS --task=boom"}
REQUESTS = 3


async def typed(rig: Rig, deed: str) -> str | None:
    """The command that arrives, where one does; what it is about is there."""
    if deed in SAID:
        return SAID[deed]
    if deed in BEFORE:
        before, text = BEFORE[deed]
        await rig.say(before)
        return text.format(*(run.id for run in await rig.engine.executions(limit=1)))
    if deed == "backfill":
        return f"schedule backfill greet nightly {(rig.clock.now() - timedelta(days=5)).date().isoformat()}"
    if deed in RIGHTS:
        await rig.say("run fails --quiet")
        failed = await rig.engine.wait((await rig.engine.executions(limit=1))[0].id, timeout=20)
        return RIGHTS[deed].format(failed.id)
    if deed == "hold":
        await rig.say("run long --quiet")
        run = (await rig.engine.executions(limit=1))[0]
        while (await rig.engine.execution(run.id)).state is not State.RUNNING:
            await asyncio.sleep(0.01)
        return f"pause {run.id}"
    return None


async def prepared(rig: Rig, deed: str) -> Click | Command:
    """What arrives and is not survived."""
    if (text := await typed(rig, deed)) is not None:
        return Command(text, ANN, OPS, "the click", answer_url="https://answer.test/1")
    if deed == "add":
        shown = await rig.say("schedule add greet 'every weekday at 9:00' who=chat")
    elif deed == "batch":
        for _ in range(REQUESTS):
            await rig.asked()
        shown = await rig.say("approve ship --all")
    elif deed == "restore":
        file = rig.folder / "flows" / "kept.yaml"
        for text in ("first", "second"):
            file.write_text(PLAIN.replace("id: ship", "id: kept").replace("shipped", text))
            await rig.engine.flows.look()
        shown = await rig.say("restore kept 1")
    else:
        await rig.say("run fails --quiet")
        failed = await rig.engine.wait((await rig.engine.executions(limit=1))[0].id, timeout=20)
        shown = await rig.say({"delete": f"delete {failed.id}", "bulk": "bulk mark SUCCESS --flow=fails"}[deed])
    return Click(shown.actions[0].id, ANN, OPS, "the click", answer_url="https://answer.test/1")


def arm_between() -> None:
    """Die when the second of several is decided, inside its transaction."""
    record, seen = chat_audit.record, []

    def second(connection, deed):
        if deed.action not in HEARD:
            seen.append(deed)
            if len(seen) == 2:
                die()
        record(connection, deed)

    chat_audit.record = second


async def main(folder: Path, step: str, deed: str) -> None:
    rig = await Rig(folder).start(PLAIN, FAILS, GREET, LONG)
    arrives = await prepared(rig, deed)
    print(arrives.text if isinstance(arrives, Command) else arrives.action_id, flush=True)
    if step == "between two":
        arm_between()
    else:
        arm(step, rig)
    await (rig.desk.command(arrives) if isinstance(arrives, Command) else rig.desk.click(arrives))
    await asyncio.gather(*tuple(rig.desk.deliveries._later))
    die()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
