"""Roles: what they allow, down to values, and that every way in asks."""

import pytest
from pydantic import ValidationError

from bot.conversation import Listing, Notice
from bot.people.permissions import ByRole
from bot.people.roles import Role, grants
from tests.bot.rig import ANN, BOB, DEV, OPS, PLAIN, WEB, Rig

DEPLOY = """
id: deploy
namespace: company.deploy
inputs:
  - {id: env, type: STRING, defaults: prod}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "{{ inputs.env }}"}
"""
ROLES = tuple(
    Role.model_validate(one)
    for one in (
        {
            "name": "developers",
            "members": ["slack:usergroup:dev"],
            "may": [{"do": ["run"], "flow": "company.deploy/*", "inputs": {"env": ["staging", "test-*"]}}],
        },
        {"name": "owners", "members": ["discord:7"], "may": [{"do": ["run", "approve", "manage", "kv"]}]},
    )
)


def role(**grant):
    return Role.model_validate({"name": "r", "members": ["anyone"], "may": [grant]})


@pytest.mark.parametrize(
    ("grant", "permission", "flow", "values", "allowed"),
    [
        ({"do": ["run"]}, "run", "a/b", None, True),
        ({"do": ["run"], "flow": "a/*"}, "run", "a/b", {}, True),
        ({"do": ["run"], "flow": "a/*"}, "run", "a.c/b", {}, False),
        ({"do": ["run"]}, "approve", "a/b", None, False),
        ({"do": ["run"]}, "see", "a/b", None, True),
        ({"do": ["kv"]}, "see", "a/b", None, False),
        ({"do": ["kv"], "flow": "a/*"}, "kv", "a", None, True),
        ({"do": ["kv"], "flow": "a/*"}, "kv", "ab", None, False),
        ({"do": ["run"], "inputs": {"env": ["staging"]}}, "run", "a/b", None, True),
        ({"do": ["run"], "inputs": {"env": ["staging"]}}, "run", "a/b", {"env": "staging"}, True),
        ({"do": ["run"], "inputs": {"env": ["staging"]}}, "run", "a/b", {"env": "prod"}, False),
        ({"do": ["run"], "inputs": {"env": ["staging"]}}, "run", "a/b", {}, False),
        ({"do": ["run"], "inputs": {"env": ["*"]}}, "run", "a/b", {}, False),
        ({"do": ["run"], "inputs": {"envs": ["a", "b"]}}, "run", "a/b", {"envs": ["a", "b"]}, True),
        ({"do": ["run"], "inputs": {"envs": ["a", "b"]}}, "run", "a/b", {"envs": ["a", "c"]}, False),
        ({"do": ["run"], "inputs": {"n": [1]}}, "run", "a/b", {"n": 1}, True),
        ({"do": ["run"], "inputs": {"n": [1]}}, "run", "a/b", {"n": True}, False),
        ({"do": ["run"], "inputs": {"x.y": ["1"]}}, "run", "a/b", {"x": {"y": "1"}}, True),
    ],
)
def test_what_a_grant_allows(grant, permission, flow, values, allowed):
    assert grants(role(**grant), permission, flow, values) is allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"members": ["anyone-in-channel"]},
        {"members": ["nobody at all"]},
        {"members": []},
        {"may": [{"do": ["fly"]}]},
        {"may": [{"do": ["run"], "flwo": "*"}]},
    ],
)
def test_a_role_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Role.model_validate({"name": "r", "members": ["anyone"], "may": [{"do": ["run"]}], **wrong})


@pytest.fixture
async def rig(tmp_path):
    made = await Rig(tmp_path, roles=ROLES).start(PLAIN, DEPLOY)
    made.slack.groups["dev"] = {ANN.id}
    yield made
    await made.stop()


async def runs(rig):
    return len(await rig.engine.executions())


async def test_a_run_needs_a_role_and_its_values(rig):
    no = await rig.say("run ship")
    assert no.code == "E04"
    assert no.text == "You can't run `company.team/ship`. It needs the role `owners`. Ask **discord:7**."
    other = await rig.say("run deploy env=prod")
    assert other.code == "E04"
    assert "the role `developers` with other values" in other.text or "the role `owners`" in other.text
    assert (await rig.say("run deploy")).code == "E04"  # the default is prod
    assert await runs(rig) == 0
    assert (await rig.say("run deploy env=test-7")).tone == "success"
    assert (await rig.say("run ship", BOB, DEV)).tone == "success"
    assert await runs(rig) == 2


async def test_the_form_asks_again(rig):
    form = await rig.say("run deploy --form")
    reply = await rig.fill(form, env="prod")
    assert reply.body.code == "E04"
    assert await runs(rig) == 0


async def test_who_left_the_group_may_no_more(rig):
    form = await rig.say("run deploy --form")
    rig.slack.groups["dev"] = set()
    assert (await rig.fill(form, env="staging")).body.code == "E04"
    assert await runs(rig) == 0


async def test_decisions_runs_and_values_of_others(rig):
    card = await rig.asked(person=BOB, room=DEV)
    run = (await rig.engine.pause_row(card.entity)).execution_id
    assert (await rig.press(card, "Approve")).code == "E04"
    for command in (f"kill {run}", f"status {run}", f"logs {run}", f"audit {run}", f"replay {run}", "show ship"):
        assert (await rig.say(command)).code == "E04", command
    assert (await rig.say("kv list company.team")).code == "E04"
    assert isinstance(await rig.say("kv list company.team", BOB, DEV), Notice)
    assert (await rig.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")


async def test_ones_own_run_may_be_stopped(rig):
    await rig.say("run deploy env=staging")
    run = await rig.engine.wait((await rig.engine.executions())[0].id, timeout=20)
    assert (await rig.say(f"kill {run.id}")).code == "E17"  # past the role, too late for the run
    assert (await rig.say(f"kill {run.id}", WEB)).code in ("E04", "E17")


async def test_a_replay_is_held_to_the_values(rig):
    await rig.say("run deploy env=prod", BOB, DEV)
    run = await rig.engine.wait((await rig.engine.executions())[0].id, timeout=20)
    assert (await rig.say(f"replay {run.id}")).code == "E04"
    assert (await rig.say(f"replay {run.id}", BOB, DEV)).tone == "success"


async def test_lists_help_and_completion_show_what_one_may_do(rig):
    listed = await rig.say("list")
    assert isinstance(listed, Listing)
    assert [row.title for row in listed.rows] == ["company.deploy/deploy"]
    told = (await rig.say("help")).text
    assert "/flow run " in told
    assert "/flow kv" not in told
    assert "/flow approve" not in told
    assert "/flow approve" in (await rig.say("help", BOB, DEV)).text
    offered = await rig.desk.complete("flow", "", ANN.id, OPS, 25)
    assert [option.value for option in offered] == ["company.deploy/deploy"]


async def test_who_has_a_role_is_told(rig):
    assert isinstance(rig.desk.permissions, ByRole)
    assert "developers" in rig.desk.describe()
    assert (await rig.desk.refuse("manage", WEB, "*")).code == "E04"
    assert await rig.desk.refuse("manage", BOB, "*") is None
