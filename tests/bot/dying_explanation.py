"""A bot that kills itself on the way from *Explain* to the answer. Run as a child process."""

import asyncio
import sys
from pathlib import Path

from bot.conversation import Command
from bot.explaining import explainer
from bot.explaining.section import ExplainSection
from engine.store import chat_explanations
from tests.bot.dying_desk import FAILS, die
from tests.bot.rig import ANN, OPS, Rig

STEPS = ("while the model thinks", "before it is kept", "before it is told", "after it is told")


def arm(step: str) -> None:
    """Die when the step is reached. Real code runs up to there."""
    if step == STEPS[0]:
        explainer.models.ask = die
    elif step == STEPS[1]:
        chat_explanations.settle = die
    elif step == STEPS[2]:
        chat_explanations.waiting = die
    else:
        chat_explanations.heard = die


async def main(folder: Path, step: str, url: str) -> None:
    section = ExplainSection(provider="openai", model="small", base_url=url)
    rig = await Rig(folder, explain=section).start(FAILS)
    await rig.say("run fails --quiet")
    run = await rig.engine.wait((await rig.engine.executions(limit=1))[0].id, timeout=20)
    arm(step)
    print(run.id, flush=True)
    await rig.desk.command(Command(f"explain {run.id}", ANN, OPS, "the click", (), "https://answer.test/1"))
    await asyncio.gather(*tuple(rig.desk.explaining._going.values()))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
