"""HumanTask: a question for those whom the flow names, at every door; a policy narrows it and never widens it."""

import pytest

from bot.approvals.approvers import Approver
from bot.approvals.assignment import assigned
from bot.approvals.policy import ApprovalRule
from bot.conversation import Person
from bot.people.roles import Role
from engine.core.execution import Execution, TaskRun, TaskRuns
from engine.core.state import State
from tests.bot.rig import ANN, BOB, DEV, Rig

CY = Person("slack:U3", "Cy", "slack", "<@U3>")
FLOW = """
id: release
namespace: company.team
inputs:
  - {id: boss, type: STRING, defaults: cy@example.com}
tasks:
  - id: sign_off
    type: io.kestra.plugin.ee.flow.HumanTask
    assignment:
      %s
    onResume:
      - {id: approve, type: BOOLEAN}
  - {id: ship, type: io.kestra.plugin.core.log.Log, message: shipped}
"""
USERS = FLOW % 'users: ["{{ inputs.boss }}", "slack:U9"]'
GROUPS = FLOW % "groups: [leads]"
LEADS = Role.model_validate({"name": "leads", "members": ["slack:U3"], "may": [{"do": ["approve"]}]})
ALL = Role.model_validate({"name": "all", "members": ["anyone"], "may": [{"do": ["run", "approve", "manage"]}]})


@pytest.fixture
async def bot(tmp_path):
    """Makes a bot; call it once."""
    made = []

    async def start(flow, *entries, roles=()):
        rules = tuple(ApprovalRule.model_validate(entry) for entry in entries)
        rig = Rig(tmp_path, approvals=rules, roles=roles)
        made.append(rig)
        await rig.start(flow)
        rig.slack.emails = {"slack:U1": "ann@example.com", "slack:U3": "cy@example.com"}
        return rig

    yield start
    for rig in made:
        await rig.stop()


async def state_of(rig, card):
    return (await rig.engine.pause_row(card.entity)).state


async def test_only_those_who_are_named_decide_and_the_card_says_who(bot):
    rig = await bot(USERS)
    card = await rig.asked("run release")
    assert any("cy@example.com" in fact.value for fact in card.facts)
    for said in (await rig.press(card, "Approve", ANN), await rig.say("approve last"), await rig.say("reject last no")):
        assert said.code == "E20"
        assert "cy@example.com" in said.text
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    assert await state_of(rig, card) == "WAITING"
    assert (await rig.press(card, "Approve", CY)).tone == "success"
    run = (await rig.engine.pause_row(card.entity)).execution_id
    assert (await rig.engine.wait(run, timeout=20)).state is State.SUCCESS


async def test_the_inbox_shows_it_to_those_alone(bot):
    rig = await bot(USERS)
    card = await rig.asked("run release")
    assert card.entity not in str(await rig.say("pending", ANN))
    assert card.entity in str(await rig.say("pending", CY))


async def test_a_group_is_the_role_of_that_name_or_else_a_group_of_the_platform(bot):
    rig = await bot(GROUPS, roles=(LEADS, ALL))
    rig.slack.groups = {"leads": {"slack:U1"}}  # anybody might make a group of that name; the role comes first
    card = await rig.asked("run release")
    assert (await rig.press(card, "Approve", ANN)).code == "E20"
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_a_group_that_is_no_role_is_asked_of_the_platforms(bot):
    rig = await bot(GROUPS)
    rig.slack.groups, rig.discord.groups = {"leads": set()}, {"leads": {"discord:7"}}
    card = await rig.asked("run release")
    assert (await rig.press(card, "Approve", CY)).code == "E20"
    assert (await rig.press(card, "Approve", BOB, DEV)).tone == "success"


async def test_a_policy_that_names_approvers_narrows_it(bot):
    rig = await bot(FLOW % 'users: ["slack:U1", "slack:U3"]', {"approvers": ["slack:U3", "discord:7"]})
    card = await rig.asked("run release")
    assert (await rig.press(card, "Approve", ANN)).code == "E20"
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    assert await state_of(rig, card) == "WAITING"
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_a_policy_that_names_none_leaves_it_to_the_flow(bot):
    rig = await bot(FLOW % 'users: ["slack:U1", "slack:U3"]', {"four_eyes": "requester"})
    card = await rig.asked("run release")
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    assert (await rig.press(card, "Approve", ANN)).code == "E22"
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_a_replay_never_takes_over_what_somebody_named_decided(bot):
    rig = await bot(USERS)
    card = await rig.asked("run release")
    await rig.press(card, "Approve", CY)
    run = (await rig.engine.pause_row(card.entity)).execution_id
    await rig.engine.wait(run, timeout=20)
    said = await rig.say(f"replay {run} --from=ship", ANN)
    assert "asks again" in said.text


async def test_an_assignment_that_comes_out_empty_fails_instead_of_waiting_for_ever(bot):
    rig = await bot(FLOW % "users: [\"{{ inputs.boss == 'nobody' ? 'x' : '' }}\"]")
    await rig.say("run release")
    await rig.slack.shows("run", lambda shown: "names nobody" in str(shown))


@pytest.mark.parametrize(
    ("user", "meant"),
    [
        ("ann@example.com", Approver("email", "ann@example.com")),
        ("slack:U1", Approver("account", "slack:U1", "slack")),
        ("user:ann", Approver("name", "ann")),
        ("ann", Approver("name", "ann")),
        ("anyone", Approver("name", "anyone")),  # a flow can't open what it assigns
        ("email:example.com", Approver("name", "email:example.com")),
    ],
)
def test_what_a_user_is(user, meant):
    run = TaskRun("x.1", "ask", State.PAUSED, (), rendered={"assignment": {"users": [user], "groups": []}})
    execution = Execution("x", "company.team", "release", 1, State.PAUSED, (), task_runs=TaskRuns([run]))
    assert assigned(execution, "x.1", (), ("slack",)) == (meant,)
    assert assigned(execution, "x.2", (), ("slack",)) == ()
