"""Policies by how dangerous a step is, and that no role stands above them."""

import pytest

from bot.approvals.policy import ApprovalRule
from bot.people.roles import Role
from engine.core.state import State
from tests.bot.rig import BOB, DEV, PLAIN, Rig

TIERS = """
id: change
namespace: company.team
inputs:
  - {id: risk, type: SELECT, values: [low, medium, high]}
tasks:
  - {id: one, type: io.kestra.plugin.core.flow.Pause, runIf: "{{ inputs.risk == 'medium' }}"}
  - {id: two, type: io.kestra.plugin.core.flow.Pause, runIf: "{{ inputs.risk == 'high' }}"}
  - {id: act, type: io.kestra.plugin.core.debug.Return, format: done}
outputs:
  - {id: result, type: STRING, value: "{{ outputs.act.value }}"}
"""
TRIAL = PLAIN.replace("company.team", "company.trial").replace("id: ship", "id: attempt")
ADMIN = Role.model_validate(
    {"name": "admins", "members": ["slack:U1", "discord:7"], "may": [{"do": ["run", "approve", "manage", "kv", "see"]}]}
)


def rules(*entries):
    return tuple(ApprovalRule.model_validate(entry) for entry in entries)


@pytest.fixture
async def tiers(tmp_path):
    policy = rules(
        {"match": {"flow": "company.team/*", "task": "two"}, "approvers": ["anyone"], "need": 2},
        {"approvers": ["anyone"]},
    )
    made = await Rig(tmp_path, approvals=policy).start(TIERS)
    yield made
    await made.stop()


async def test_low_risk_asks_nobody_and_high_risk_asks_two(tiers):
    await tiers.say("run change risk=low")
    await tiers.slack.shows("run", lambda card: card.tone == "success")
    assert not tiers.slack.of("pause")
    card = await tiers.asked("run change risk=medium")
    await tiers.press(card, "Approve")
    run = (await tiers.engine.pause_row(card.entity)).execution_id
    assert (await tiers.engine.wait(run, timeout=20)).outputs == {"result": "done"}
    card = await tiers.asked("run change risk=high")
    await tiers.press(card, "Approve")
    assert (await tiers.engine.pause_row(card.entity)).state == "WAITING"
    await tiers.press(card, "Approve", BOB, DEV)
    run = (await tiers.engine.pause_row(card.entity)).execution_id
    assert (await tiers.engine.wait(run, timeout=20)).state is State.SUCCESS


@pytest.fixture
async def ruled(tmp_path):
    """Admins with every permission; four eyes everywhere but in the namespace for trials."""
    policy = rules(
        {"match": {"flow": "company.trial/*"}, "approvers": ["anyone"]},
        {"approvers": ["anyone"], "four_eyes": "requester"},
    )
    made = Rig(tmp_path, approvals=policy, roles=(ADMIN,))
    await made.start(PLAIN, TRIAL)
    yield made
    await made.stop()


async def test_four_eyes_bind_administrators_too(ruled):
    card = await ruled.asked("run ship")
    assert (await ruled.press(card, "Approve")).code == "E22"
    assert (await ruled.say("approve last")).code == "E22"
    assert (await ruled.engine.pause_row(card.entity)).state == "WAITING"
    assert (await ruled.press(card, "Approve", BOB, DEV)).tone == "success"


async def test_a_policy_may_let_people_approve_themselves_where_they_try_things(ruled):
    card = await ruled.asked("run attempt")
    assert (await ruled.press(card, "Approve")).tone == "success"
