"""People of an Enterprise Grid and of Slack Connect: permissions, approvals and links know whose they are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.approvals.policy import ApprovalRule
from bot.chat_settings import ChatSettings
from bot.conversation import Person
from bot.people.accounts import KnownPerson, Linked
from bot.people.roles import Role
from engine.core.state import State
from tests.bot.rig import BOB, DEV, PLAIN, Rig
from tests.slack.test_whole_bot import connect, ended
from tests.wire.slack import FakeSlack

PUBLIC = ChatSettings(public_url="https://parley.example.com")
SISTER, PARTNER = "W7SISTER", "U8PARTNER"


def rule(**given: object) -> tuple[ApprovalRule, ...]:
    return (ApprovalRule.model_validate(given),)


@pytest.fixture
async def slack_of_two(slack: FakeSlack) -> FakeSlack:
    """A channel with somebody of a sister workspace, and somebody of another company."""
    slack.users |= {SISTER: "sue", PARTNER: "pat"}
    slack.teams |= {SISTER: "T7", PARTNER: "T8"}
    slack.strangers |= {PARTNER}
    slack.channels["C1"].members |= {SISTER, PARTNER}
    return slack


@pytest.fixture
async def bot(slack_of_two: FakeSlack, tmp_path: Path) -> AsyncIterator[object]:
    made: list[Rig] = []

    async def start(*, grid: bool = True, **given: object) -> Rig:
        slack_of_two.enterprise = "E1" if grid else ""
        rig = Rig(tmp_path, settings=PUBLIC, **given)  # type: ignore[arg-type]
        rig.slack = connect(slack_of_two, tmp_path)  # type: ignore[assignment]
        await rig.start(PLAIN)
        made.append(rig)
        return rig

    yield start
    for rig in made:
        await rig.slack.stop()
        await rig.stop()


async def said_to(slack: FakeSlack, user: str, text: str) -> None:
    await slack.until(
        lambda: [one for one in slack.private(user) if text in slack.text(one)], f"{user} is told {text!r}"
    )


async def test_of_one_organization_whoever_is_in_the_channel_may(slack_of_two: FakeSlack, bot) -> None:
    """A click of a sister workspace names that workspace, and perhaps none at all for the app."""
    rig = await bot(approvals=rule(approvers=["anyone-in-channel"], four_eyes="requester"))
    await slack_of_two.command("/flow run ship", user=SISTER)
    card = await slack_of_two.said("Approval needed", channel="C1")
    await slack_of_two.press("Approve", user=SISTER, message=card)
    await said_to(slack_of_two, SISTER, "You started this run")
    payload = slack_of_two.press_payload("Approve", "U2", card)
    payload |= {"team": None, "enterprise": {"id": "E1", "name": "Org"}, "is_enterprise_install": True}
    await slack_of_two.deliver("interactive", payload)
    assert await ended(slack_of_two, rig, "ship") is State.SUCCESS
    (run,) = await rig.engine.executions()
    assert run.started_by == f"slack:{SISTER}"


@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize("approvers", [["anyone"], ["anyone-in-channel"]])
async def test_of_another_company_nobody_runs_or_decides_unless_named(
    slack_of_two: FakeSlack, bot, grid: bool, approvers: list[str]
) -> None:
    rig = await bot(grid=grid, approvals=rule(approvers=approvers))
    await slack_of_two.command("/flow run ship", user=PARTNER)
    await said_to(slack_of_two, PARTNER, "You are from another company")
    assert await rig.engine.executions() == []
    await slack_of_two.command("/flow run ship")
    card = await slack_of_two.said("Approval needed", channel="C1")
    await slack_of_two.press("Approve", user=PARTNER, message=card)
    await slack_of_two.until(lambda: len(slack_of_two.private(PARTNER)) >= 2)
    (pause,) = await rig.engine.pauses()
    assert pause.state == "WAITING"
    await slack_of_two.command("/flow web", user=PARTNER)
    await said_to(slack_of_two, PARTNER, "the page is not open to you")


async def test_of_another_company_who_is_named_may(slack_of_two: FakeSlack, bot) -> None:
    roles = (
        Role.model_validate({"name": "us", "members": ["anyone"], "may": [{"do": ["run", "approve"]}]}),
        Role.model_validate({"name": "partners", "members": [f"slack:{PARTNER}"], "may": [{"do": ["approve"]}]}),
    )
    rig = await bot(grid=False, approvals=rule(approvers=[f"slack:{PARTNER}"]), roles=roles)
    await slack_of_two.command("/flow run ship", user=PARTNER)
    await said_to(slack_of_two, PARTNER, "It needs the role")
    await slack_of_two.command("/flow run ship")
    card = await slack_of_two.said("Approval needed", channel="C1")
    await slack_of_two.press("Approve", user="U1", message=card)
    await said_to(slack_of_two, "U1", "You can't decide this")
    await slack_of_two.press("Approve", user=PARTNER, message=card)
    assert await ended(slack_of_two, rig, "ship") is State.SUCCESS


ASKS_FOR_A_KEY = """
id: deploy
namespace: company.team
inputs:
  - {id: key, type: SECRET}
tasks:
  - {id: log, type: io.kestra.plugin.core.log.Log, message: deployed}
"""
ASKS_FOR_A_CODE = """
id: login
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: code, type: SECRET}
"""


async def test_nobody_of_another_company_is_given_a_link_to_the_page(slack_of_two: FakeSlack, bot) -> None:
    """There a visitor is taken for one of ours; also who may run a flow or answer it types its secrets elsewhere."""
    roles = (
        Role.model_validate({"name": "us", "members": ["anyone"], "may": [{"do": ["run", "approve"]}]}),
        Role.model_validate({"name": "partners", "members": [f"slack:{PARTNER}"], "may": [{"do": ["run", "approve"]}]}),
    )
    rig = await bot(grid=False, approvals=rule(approvers=[f"slack:{PARTNER}"]), roles=roles)
    await rig.engine.deploy(ASKS_FOR_A_KEY)
    await rig.engine.deploy(ASKS_FOR_A_CODE)
    await slack_of_two.command("/flow run deploy", user=PARTNER)
    await said_to(slack_of_two, PARTNER, "the page is not open to you")
    await slack_of_two.command("/flow run login")
    card = await slack_of_two.said("Approval needed", channel="C1")
    await slack_of_two.press("Open secure form", user=PARTNER, message=card)
    await slack_of_two.until(
        lambda: len([one for one in slack_of_two.private(PARTNER) if "is not open" in slack_of_two.text(one)]) == 2
    )
    assert not [one for one in slack_of_two.private(PARTNER) if "/in/" in str(one.payload)]


async def test_an_address_of_another_company_counts_for_nothing(slack_of_two: FakeSlack, bot) -> None:
    """They may have written any address into their own profile."""
    slack_of_two.emails |= {PARTNER: "boss@example.com", SISTER: "sue@example.com"}
    rig = await bot(approvals=rule(approvers=["email:example.com"]))
    rig.desk.office.permissions = rig.desk.permissions
    await slack_of_two.command("/flow run ship")
    card = await slack_of_two.said("Approval needed", channel="C1")
    await slack_of_two.press("Approve", user=PARTNER, message=card)
    await slack_of_two.until(lambda: slack_of_two.private(PARTNER))
    (pause,) = await rig.engine.pauses()
    assert pause.state == "WAITING"
    await slack_of_two.press("Approve", user=SISTER, message=card)
    assert await ended(slack_of_two, rig, "ship") is State.SUCCESS


async def test_two_ids_of_one_person_are_one(slack_of_two: FakeSlack, bot) -> None:
    """Somebody who was moved into the organization has an older id as well."""
    rig = await bot(approvals=rule(approvers=["anyone"], four_eyes="requester"))
    known = (KnownPerson(name="sue", accounts=(f"slack:{SISTER}", "slack:U1")),)
    people = Linked(rig.engine.database, known)
    rig.desk.office.eligibility.identities = rig.desk.office.eligibility.membership.identities = people
    await slack_of_two.command("/flow run ship", user="U1")
    card = await slack_of_two.said("Approval needed", channel="C1")
    await slack_of_two.press("Approve", user=SISTER, message=card)
    await said_to(slack_of_two, SISTER, "You started this run")
    await slack_of_two.press("Approve", user="U2", message=card)
    assert await ended(slack_of_two, rig, "ship") is State.SUCCESS


@pytest.mark.parametrize("approvers", ["email:example.com", "slack:usergroup:design"])
async def test_a_deactivated_account_proves_nothing_any_more(slack_of_two: FakeSlack, bot, approvers: str) -> None:
    """Its owner may still be there under a linked account of another platform."""
    slack_of_two.emails |= {"U1": "ann@example.com", "U2": "bob@example.com"}
    slack_of_two.groups["S1"] = ("design", ["U1", "U2"])
    slack_of_two.deactivated |= {"U2"}
    rig = await bot(approvals=rule(approvers=[approvers]))
    known = (
        KnownPerson(name="bob", accounts=("slack:U2", "discord:7")),
        KnownPerson(name="cy", accounts=("slack:U1", "discord:8")),
    )
    people = Linked(rig.engine.database, known)
    rig.desk.office.eligibility.identities = rig.desk.office.eligibility.membership.identities = people
    cy, dan = (Person(f"discord:{number}", "x", "discord") for number in (8, 9))
    card = await rig.asked("run ship", dan, DEV)
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    assert (await rig.press(card, "Approve", cy, DEV)).tone == "success"
