"""The process dies between "Asking …" and the answer: who waits is told after the next start, and the model is asked
anew only when what it said was not kept."""

import asyncio
import os
import signal
import sys

import pytest

from bot.conversation import Command
from bot.explaining import explainer
from bot.explaining.section import ExplainSection
from engine.store import audit_chain, chat_explanations
from tests.bot.dying_explanation import STEPS
from tests.bot.rig import ANN, OPS, Rig
from tests.bot.test_explaining import until_told
from tests.shared import ROOT
from tests.wire.openai import openai_service

__all__ = ["openai_service"]
CALLS = dict(zip(STEPS, (1, 2, 1, 1), strict=True))  # in both lives: it dies before the first, or after it


async def killed(folder, step, url):
    """Run the child until it kills itself; the run that is to be explained."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.dying_explanation", str(folder), step, url,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 90)
    assert child.returncode == -signal.SIGKILL, f"the child was to die at {step!r}"
    return out.decode().strip()


@pytest.mark.parametrize("step", STEPS)
async def test_killed_before_the_answer(tmp_path, openai_service, step):
    run = await killed(tmp_path, step, openai_service.url)
    section = ExplainSection(provider="openai", model="small", base_url=openai_service.url)
    rig = await Rig(tmp_path, explain=section).start()
    try:
        (told,) = await until_told(rig.slack)
        await asyncio.gather(*rig.desk.explaining._going.values())
        assert "Hello." in told.text
        assert len(openai_service.asked) == CALLS[step]
        again = await rig.desk.command(Command(f"explain {run}", ANN, OPS, "the click", (), "https://answer.test/1"))
        assert again.body.text.startswith("Asking `small`"), "the same delivery gets the same answer"
        assert (await rig.say(f"explain {run}", receipt="another")).text == told.text
        left = await rig.engine.database.read(lambda c: chat_explanations.overdue(c, explainer.EVER))
        rows = await rig.engine.database.read(lambda connection: list(audit_chain.export(connection)))
        deeds = [row["details"]["answer"] for row in rows if row["action"] == "explain"]
        assert (left, deeds) == ([], ["asked for", "shown"])
        assert len(openai_service.asked) == CALLS[step]
    finally:
        await rig.stop()
