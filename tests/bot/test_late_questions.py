"""The time to answer begins when a question can be seen, not while the platform that gets it is down."""

from datetime import timedelta

import pytest

from bot.frontend import Unreachable
from tests.bot.rig import Rig

TIMED = """
id: timed
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    pauseDuration: PT1H
    behavior: FAIL
    onResume:
      - {id: ok, type: BOOLEAN}
"""
SLEEPS = """
id: sleeps
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H}
"""
MINUTES = timedelta(minutes=1)


def down(operation):
    return Unreachable("no connection", retry_after=0.02) if operation in ("post", "edit") else None


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path).start(TIMED, SLEEPS)
    yield made
    await made.stop()


async def opened(rig, flow="timed"):
    run = (await rig.engine.executions(flow_id=flow))[0].id
    await rig.engine.wait(run, until="ended_or_paused", timeout=20)
    return (await rig.engine.pauses(execution_id=run))[0]


async def tried(rig):
    """The platform refused once more."""
    before = len(rig.slack.calls)
    await rig.slack.until(lambda: len(rig.slack.calls) > before + 3)


async def test_a_question_nobody_could_see_gets_its_whole_time_once_it_is_shown(rig):
    rig.slack.refusal = down
    await rig.say("run timed")
    pause = await opened(rig)
    for _ in range(5):  # more than two hours without the platform
        rig.clock.jump(25 * MINUTES)
        await tried(rig)
    assert (await rig.engine.pause_row(pause.id)).state == "WAITING"
    rig.slack.refusal = lambda operation: None
    begun = rig.clock.now()
    card = await rig.slack.shows("pause", lambda shown: shown.deadline and shown.deadline >= begun + 59 * MINUTES)
    row = await rig.engine.pause_row(pause.id)
    assert card.card.deadline == row.deadline
    rig.clock.jump(58 * MINUTES)
    assert (await rig.press(card.card, "Approve")).tone == "success"
    assert (await rig.engine.wait(pause.execution_id, timeout=20)).state == "SUCCESS"


async def test_the_new_end_is_the_end_also_after_a_restart(rig):
    rig.slack.refusal = down
    await rig.say("run timed")
    pause = await opened(rig)
    rig.clock.jump(30 * MINUTES)
    await tried(rig)
    rig.slack.refusal = lambda operation: None
    await rig.slack.shows("pause")
    await rig.slack.until(lambda: len(rig.slack.of("pause")[0].versions) >= 1)
    await rig.again()
    rig.clock.jump(45 * MINUTES)
    assert (await rig.engine.pause_row(pause.id)).state == "WAITING", "the first end has passed"
    rig.clock.jump(45 * MINUTES)
    assert (await rig.engine.wait(pause.execution_id, timeout=20)).state == "FAILED"
    assert (await rig.engine.pause_row(pause.id)).state == "EXPIRED"


async def test_a_question_shown_in_time_keeps_its_end(rig):
    rig.slack.refusal = lambda operation: None
    await rig.say("run timed")
    pause = await opened(rig)
    await rig.slack.shows("pause")
    rig.slack.refusal = down
    rig.clock.jump(61 * MINUTES)
    assert (await rig.engine.wait(pause.execution_id, timeout=20)).state == "FAILED"


async def test_what_only_waits_goes_on_when_it_would_have(rig):
    rig.slack.refusal = down
    await rig.say("run sleeps")
    pause = await opened(rig, "sleeps")
    rig.clock.jump(30 * MINUTES)
    await tried(rig)
    assert (await rig.engine.pause_row(pause.id)).deadline == pause.deadline
    rig.clock.jump(31 * MINUTES)
    assert (await rig.engine.wait(pause.execution_id, timeout=20)).state == "SUCCESS"


async def test_seen_on_one_platform_is_seen(rig):
    """A pause whose card stands in Discord has been asked, whatever Slack does."""
    rig.desk.office.settings = rig.desk.office.settings.model_copy(
        update={"default_rooms": ("slack:C1", "discord:900")}
    )
    rig.slack.refusal = down
    run = await rig.engine.create("company.team", "timed", {}, started_by="cli")
    await rig.engine.wait(run.id, until="ended_or_paused", timeout=20)
    await rig.discord.shows("pause")
    await tried(rig)
    pause = (await rig.engine.pauses(execution_id=run.id))[0]
    rig.clock.jump(61 * MINUTES)
    assert (await rig.engine.wait(pause.execution_id, timeout=20)).state == "FAILED"
