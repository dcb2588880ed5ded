"""A Loop that asks for each item, in chat: a no is about its item, and every card says what became of its own."""

from datetime import timedelta

import pytest

from engine.core.state import State
from tests.bot.rig import BOB, DEV, Rig

SERVERS = """
id: servers
namespace: company.team
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.Loop
    values: [mail, web, db]
    tasks:
      - id: both
        type: io.kestra.plugin.core.flow.Parallel
        tasks:
          - {id: ask, type: io.kestra.plugin.core.flow.Approval, timeout: PT1H}
          - id: second
            type: io.kestra.plugin.core.flow.Pause
            runIf: "{{ item.value == 'web' }}"
      - {id: do, type: io.kestra.plugin.core.debug.Return, format: "{{ item.value }}"}
"""


@pytest.fixture
async def rig(tmp_path):
    rig = await Rig(tmp_path).start(SERVERS)
    yield rig
    await rig.stop()


async def asked(rig):
    """The cards of a run that asks about all, by what they are about."""
    await rig.say("run servers")
    await rig.slack.until(lambda: len(rig.slack.of("pause")) == 4)
    return {shown.card.subtitle.partition(" \u00b7 ")[0]: shown.card for shown in rig.slack.of("pause")}


def now(rig, card):
    return rig.slack.of("pause", card.entity)[0].card


def said(execution):
    return sorted(run.outputs["value"] for run in execution.task_runs.values() if run.task_id == "do")


async def test_a_no_is_about_its_item_and_the_others_go_on(rig):
    cards = await asked(rig)
    assert set(cards) == {"`ask` for `mail`", "`ask` for `web`", "`ask` for `db`", "`second` for `web`"}
    (run,) = await rig.engine.executions()
    form = await rig.press(cards["`ask` for `web`"], "Deny\u2026", BOB, DEV)
    assert (await rig.fill(form, BOB, DEV, comment="not today")).body.text.startswith("Rejected.")
    await rig.slack.until(
        lambda: not any(action.label == "Approve" for action in now(rig, cards["`second` for `web`"]).actions)
    )
    denied, beside = now(rig, cards["`ask` for `web`"]), now(rig, cards["`second` for `web`"])
    assert (denied.title, denied.tone) == ("Rejected: servers", "danger")
    assert "**Rejected by Bob** (Discord)" in denied.body
    assert beside.title == "Cancelled: servers"
    assert "The step was stopped before anybody answered." in beside.body
    late = await rig.press(cards["`second` for `web`"], "Approve")
    assert "already past this question" in late.text
    for item in ("mail", "db"):
        assert (await rig.press(cards[f"`ask` for `{item}`"], "Approve")).text.startswith("Approved.")
    done = await rig.engine.wait(run.id, timeout=20)
    assert (done.state, said(done)) == (State.SUCCESS, ["db", "mail"])


async def test_silence_is_about_its_item_too_and_the_card_says_so(rig):
    cards = await asked(rig)
    facts = {fact.label: fact.value for fact in cards["`ask` for `web`"].facts}
    assert facts["Without an answer"] == "its round of the loop is cancelled, those beside it go on"
    (run,) = await rig.engine.executions()
    await rig.press(cards["`ask` for `mail`"], "Approve")
    rig.clock.jump(timedelta(hours=2))
    done = await rig.engine.wait(run.id, timeout=20)
    assert (done.state, said(done)) == (State.SUCCESS, ["mail"])
    await rig.slack.until(lambda: now(rig, cards["`ask` for `db`"]).tone == "warning")
    body = now(rig, cards["`ask` for `db`"]).body
    assert "Nobody answered in time; its round of the loop is cancelled, those beside it go on." in body
    late = await rig.press(cards["`ask` for `db`"], "Approve")
    assert "its round of the loop is cancelled" in late.text
