"""Everything that wants too much, at once: the bot answers, and other runs go on. How much each gets is told in
`tests/runtime/test_limits.py`."""

import asyncio
import threading

import pytest

from bot.cli.serve import threads
from bot.conversation import Listing, Notice
from bot.settings import BotSettings
from engine.core.state import State
from tests.bot.rig import BOB, DEV, PLAIN, Rig
from tests.runtime.greedy import EACH, ENDLESS, FORKS, HANGS, LARGE, TALKATIVE

HANGING = 40  # more than there are places for tasks
TALK = "'while :; do seq 1000; sleep 0.1; done'"
CYCLES = 3
FLOOD = 100  # commands of one person at once, again and again; 120 are taken, and then ten a second


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path).start()
    yield made
    await made.stop()


async def flood(rig):
    """One person sends a hundred commands at once, three times; every answer."""
    return [one for _ in range(3) for one in await asyncio.gather(*(rig.say("list") for _ in range(FLOOD)))]


async def cycle(rig):
    """Another person starts a run, is asked, answers, and sees its end."""
    card = await rig.asked("run ship", BOB, DEV)
    said = await rig.press(card, "Approve", BOB, DEV)
    assert getattr(said, "code", "") == "", said


async def test_while_flows_and_people_want_too_much_everybody_else_is_answered(rig, tmp_path):
    forks = FORKS.replace("PT2S", "PT10M") % (tmp_path / "pids")
    for flow in (PLAIN, ENDLESS, HANGS, LARGE, TALKATIVE.replace("seq 10000", TALK), EACH, forks):
        await rig.engine.deploy(flow)
    greedy = [("endless", {}), ("large", {"size": 20_000_000}), ("talkative", {}), ("each", {"last": 1000})]
    greedy += [("forks", {}), *[("hangs", {})] * HANGING]
    made = [await rig.engine.create("n", flow, given, started_by="test") for flow, given in greedy]
    flooded = asyncio.create_task(flood(rig))
    for _ in range(CYCLES):
        await cycle(rig)
    assert isinstance(await rig.say("list", BOB, DEV), Listing)
    said = await flooded
    refused = [one for one in said if isinstance(one, Notice) and one.code == "E27"]
    assert refused
    assert len(said) - len(refused) >= 120
    assert {type(one) for one in said if one not in refused} == {Listing}
    states = {flow: (await rig.engine.execution(one.id)).state for (flow, _), one in zip(greedy, made, strict=True)}
    assert {states[flow] for flow in ("endless", "talkative", "hangs", "forks")} == {State.RUNNING}
    shipped = [one for one in await rig.engine.executions(limit=200) if one.flow_id == "ship"]
    async with asyncio.timeout(60):
        ends = [(await rig.engine.wait(one.id, timeout=60)).state for one in shipped]
    assert ends == [State.SUCCESS] * CYCLES


async def test_as_many_tasks_as_may_run_leave_threads_for_the_rest(tmp_path):
    settings = BotSettings(data=tmp_path)
    asyncio.get_running_loop().set_default_executor(threads(settings))
    over = threading.Event()
    stuck = [asyncio.create_task(asyncio.to_thread(over.wait)) for _ in range(settings.limits.workers)]
    async with asyncio.timeout(60):
        assert await asyncio.to_thread(lambda: "done") == "done"
    over.set()
    assert all(await asyncio.gather(*stuck))
