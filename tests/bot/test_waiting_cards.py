"""Cards of several pauses at once, or of one after the other: each decides its own, for as long as it waits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.core.state import State
from tests.bot.rig import ANN, BOB, DEV, OPS, Rig

IN_A_ROW = """
id: twice
namespace: company.team
tasks:
  - {id: first, type: io.kestra.plugin.core.flow.Pause}
  - {id: second, type: io.kestra.plugin.core.flow.Pause}
"""
SIDE_BY_SIDE = """
id: beside
namespace: company.team
tasks:
  - id: both
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
      - {id: left, type: io.kestra.plugin.core.flow.Pause}
      - {id: right, type: io.kestra.plugin.core.flow.Pause}
"""


async def state_of(rig, card):
    return (await rig.engine.pause_row(card.entity)).state


async def test_the_second_of_two_pauses_in_a_row_has_buttons_of_its_own(rig):
    await rig.engine.deploy(IN_A_ROW)
    first = await rig.asked("run twice")
    assert (await rig.press(first, "Approve")).tone == "success"
    second = (await rig.slack.shows("pause", lambda card: card.entity != first.entity)).card
    assert {action.id for action in first.actions}.isdisjoint(action.id for action in second.actions)
    assert (await rig.press(first, "Approve")).code == "E21"
    assert await state_of(rig, second) == "WAITING"
    assert (await rig.press(second, "Approve")).tone == "success"
    run = (await rig.engine.pause_row(second.entity)).execution_id
    assert (await rig.engine.wait(run, timeout=20)).state is State.SUCCESS


async def test_two_pauses_of_one_run_at_once_are_told_apart(rig):
    await rig.engine.deploy(SIDE_BY_SIDE)
    await rig.say("run beside")
    await rig.slack.until(lambda: len(rig.slack.of("pause")) == 2)
    one, other = (shown.card for shown in rig.slack.of("pause"))
    assert {action.id for action in one.actions}.isdisjoint(action.id for action in other.actions)
    assert (await rig.press(other, "Approve")).tone == "success"
    assert await state_of(rig, one) == "WAITING"
    assert (await rig.press(one, "Approve")).tone == "success"


@pytest.mark.parametrize("pressed", [0, 1])
async def test_of_two_cards_in_one_thread_the_pressed_one_is_decided(rig, pressed):
    thread = replace(OPS, thread="1700000000.000100")
    cards = [await rig.asked(room=thread), await rig.asked(room=thread)]
    assert {shown.room for shown in rig.slack.of("pause")} == {thread}
    assert (await rig.press(cards[pressed], "Approve", room=thread)).tone == "success"
    assert await state_of(rig, cards[1 - pressed]) == "WAITING"
    await rig.slack.until(lambda: rig.slack.of("pause", cards[pressed].entity)[0].card.tone == "success")
    assert rig.slack.of("pause", cards[1 - pressed].entity)[0].card.actions == cards[1 - pressed].actions


async def test_what_happens_later_does_not_wipe_who_decided(rig):
    await rig.engine.deploy(IN_A_ROW)
    first = await rig.asked("run twice")
    await rig.press(first, "Approve")
    second = (await rig.slack.shows("pause", lambda card: card.entity != first.entity)).card
    await rig.again()
    await rig.press(first, "Reject…", BOB, DEV)
    await rig.press(second, "Approve", BOB, DEV)
    await rig.slack.shows("run", lambda card: card.tone == "success")
    await rig.slack.shows("pause", lambda card: card.entity == second.entity and "by Bob" in card.body)
    assert "**Approved by Ann** (Slack)" in rig.slack.of("pause", first.entity)[0].card.body


async def test_a_pause_without_a_deadline_waits_for_weeks(rig):
    card = await rig.asked()
    assert card.deadline is None
    rig.clock.jump(timedelta(days=40))
    await rig.again()
    assert await state_of(rig, card) == "WAITING"
    assert (await rig.press(card, "Approve", ANN)).tone == "success"


ROUNDS = """
id: rollout
namespace: company.team
tasks:
  - id: regions
    type: io.kestra.plugin.core.flow.ForEach
    values: [eu, us]
    concurrencyLimit: 0
    tasks:
      - id: stages
        type: io.kestra.plugin.core.flow.ForEach
        values: [test, prod]
        tasks:
          - {id: ask, type: io.kestra.plugin.core.flow.Pause, description: "Go on in {{ taskrun.value }}?"}
          - {id: go, type: io.kestra.plugin.core.debug.Return, format: "{{ taskrun.value }}"}
"""


async def test_of_several_rounds_each_question_tells_its_own(tmp_path):
    rig = await Rig(tmp_path).start(ROUNDS)
    try:
        await rig.say("run rollout")
        await rig.slack.until(lambda: len(rig.slack.of("pause")) == 2)
        cards = {shown.card.subtitle.partition(" \u00b7 ")[0]: shown.card for shown in rig.slack.of("pause")}
        assert set(cards) == {"`ask` for `eu` / `test`", "`ask` for `us` / `test`"}
        assert {card.title for card in cards.values()} == {"Go on in test?"}
        rows = (await rig.say("pending")).rows[:2]
        assert all(any(f"{name} waits for" in row.text for row in rows) for name in cards)
        (run,) = await rig.engine.executions()
        several = (await rig.say(f"approve {run.id}")).text
        assert "ask eu test`" in several
        assert "ask us test`" in several
        await rig.press(cards["`ask` for `us` / `test`"], "Approve")
        await rig.slack.shows("pause", lambda card: card.subtitle.startswith("`ask` for `us` / `prod`"))
        runs = (await rig.engine.execution(run.id)).task_runs
        assert [runs[one.parent_id].value for one in runs.values() if one.task_id == "go"] == ["us"]
    finally:
        await rig.stop()
