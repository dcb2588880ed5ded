"""Who may decide: asked at every door, at the time of the click, by the platforms' own groups."""

import subprocess
from dataclasses import replace

import pytest

from bot.approvals.policy import ApprovalRule
from bot.conversation import Person, Room
from bot.frontend import Unreachable
from bot.people.identities import Identity
from engine.core.state import State
from engine.errors import Refused
from tests.bot.rig import ANN, ASKING, BOB, DEV, OPS, PAGE, PLAIN, WEB, Rig

CY = Person("slack:U3", "Cy", "slack", "<@U3>")


def rules(*entries):
    return tuple(ApprovalRule.model_validate(entry) for entry in entries)


@pytest.fixture
async def bot(tmp_path):
    """Makes a bot with a policy; call it once."""
    made = []

    async def start(*entries, identities=None, flows=(PLAIN, ASKING)):
        rig = await Rig(tmp_path, approvals=rules(*entries), identities=identities).start(*flows)
        made.append(rig)
        return rig

    yield start
    for rig in made:
        await rig.stop()


async def state_of(rig, card):
    return (await rig.engine.pause_row(card.entity)).state


GROUP = {"match": {"flow": "*"}, "approvers": ["slack:usergroup:design", "discord:role:42"]}


async def test_members_of_a_group_decide_and_others_are_told_whom_to_ask(bot):
    rig = await bot(GROUP)
    rig.slack.groups = {"design": {"slack:U3"}}
    rig.discord.groups = {"42": set()}
    card = await rig.asked()
    assert "the Slack group `design` or the Discord role `42`" in {fact.value for fact in card.facts}
    for label in ("Approve", "Reject…"):
        said = await rig.press(card, label)
        assert said.code == "E20"
        assert said.text == (
            "You can't decide this: it needs the Slack group `design` or the Discord role `42`. Ask one of them."
        )
    for text in ("approve last", "reject last no"):
        assert (await rig.say(text)).code == "E20"
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    assert await state_of(rig, card) == "WAITING"
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_a_form_that_was_opened_while_one_could_is_refused_when_one_can_no_more(bot):
    rig = await bot(GROUP)
    rig.slack.groups = {"design": {"slack:U1"}}
    card = await rig.asked("run picture prompt=x")
    form = await rig.press(card, "Reject…")
    rig.slack.groups = {"design": set()}
    assert (await rig.fill(form, feedback="too late")).body.code == "E20"
    assert await state_of(rig, card) == "WAITING"


async def test_somebody_who_left_the_group_between_card_and_click_is_refused(bot):
    rig = await bot(GROUP)
    rig.slack.groups = {"design": {"slack:U3"}}
    card = await rig.asked()
    rig.slack.groups["design"].clear()
    assert (await rig.press(card, "Approve", CY)).code == "E20"


async def test_a_group_nobody_can_tell_about_lets_nobody_in(bot):
    rig = await bot(GROUP)
    card = await rig.asked()
    limited = Unreachable("Slack limits this bot for the moment.", retry_after=30)
    rig.slack.refusal = lambda operation: limited if operation == "member" else None
    said = await rig.press(card, "Approve", CY)
    assert said.text.startswith("I can't tell now whether you may decide this: Slack limits this bot")
    assert await state_of(rig, card) == "WAITING"
    rig.slack.refusal = lambda operation: None
    rig.slack.groups = {"design": {"slack:U3"}}
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_addresses_and_domains(bot):
    rig = await bot({"approvers": ["email:example.com", "email:guest@other.org"]})
    rig.slack.emails = {"slack:U1": "ann@example.com", "slack:U3": "cy@evil-example.com", "slack:U4": "guest@other.org"}
    card = await rig.asked()
    assert (await rig.press(card, "Approve", CY)).code == "E20"
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    other = await rig.asked()
    assert (await rig.press(card, "Approve", ANN)).tone == "success"
    assert (await rig.press(other, "Approve", replace(CY, id="slack:U4"))).tone == "success"


async def test_anyone_in_the_channel_is_whoever_presses_there(bot):
    rig = await bot({"approvers": ["anyone-in-channel"]})
    card = await rig.asked()
    elsewhere = Room("slack", "C2", workspace="T1")
    assert (await rig.say("approve " + card.entity, CY, elsewhere)).code == "E20"
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E20"
    assert (await rig.press(card, "Approve", WEB, PAGE)).code == "E20"
    in_thread = replace(OPS, thread="17.1")
    assert (await rig.press(card, "Approve", CY, in_thread)).tone == "success"


async def test_a_name_on_a_platform_is_no_name(bot):
    """People choose their names there; a person is an account, or a name the machine or an administrator gave."""
    rig = await bot({"approvers": ["user:eve"]})
    card = await rig.asked()
    assert (await rig.press(card, "Approve", replace(CY, name="eve"))).code == "E20"
    assert (await rig.press(card, "Approve", WEB, PAGE)).tone == "success"


async def test_without_a_fitting_entry_the_flow_alone_decides(bot):
    rig = await bot({"match": {"flow": "other/*"}, "approvers": ["user:nobody"]})
    card = await rig.asked()
    assert "Who may decide" not in {fact.label for fact in card.facts}
    assert (await rig.press(card, "Approve")).tone == "success"


async def test_the_card_goes_where_the_policy_says(bot):
    rig = await bot({"approvers": ["anyone-in-channel"], "where": ["slack:#design", "discord:900"]})
    await rig.say("run ship")
    here = await rig.slack.shows("pause")
    there = await rig.discord.shows("pause")
    assert (here.room.channel, there.room.channel) == ("#design", "900")
    assert len(rig.slack.of("pause")) == 1
    assert (await rig.press(there.card, "Approve", BOB, DEV)).tone == "success"
    await rig.slack.shows("pause", lambda card: "**Approved by Bob** (Discord)" in card.body)
    await rig.discord.shows("pause", lambda card: "**Approved by Bob** (Discord)" in card.body)


# Four eyes


async def test_who_started_a_run_does_not_approve_it(bot):
    rig = await bot({"approvers": ["anyone"], "four_eyes": "requester"})
    card = await rig.asked()
    said = await rig.press(card, "Approve")
    assert said.code == "E22"
    assert said.text.startswith("You started this run, so someone else must approve it (four eyes).")
    assert (await rig.press(card, "Reject…")).code == "E22"
    assert (await rig.press(card, "Approve", BOB, DEV)).tone == "success"


class Linked:
    """Ann is one person on both platforms."""

    async def of(self, person_id):
        if person_id in ("slack:U1", "discord:9"):
            return Identity("ann", ("slack:U1", "discord:9"), "ann", ("ann@example.com",))
        return Identity(person_id, (person_id,))


ANN_ON_DISCORD = Person("discord:9", "Ann", "discord", "<@9>")


async def test_four_eyes_know_a_person_on_another_platform(bot):
    rig = await bot({"approvers": ["anyone"], "four_eyes": "requester"}, identities=Linked())
    card = await rig.asked()
    assert (await rig.press(card, "Approve", ANN_ON_DISCORD, DEV)).code == "E22"
    assert (await rig.press(card, "Approve", BOB, DEV)).tone == "success"


async def test_a_linked_account_is_in_the_groups_of_the_person(bot):
    rig = await bot(GROUP, identities=Linked())
    rig.slack.groups = {"design": {"slack:U1"}}
    card = await rig.asked()
    assert (await rig.press(card, "Approve", ANN_ON_DISCORD, DEV)).tone == "success"


CALLING = """
id: outer
namespace: company.team
tasks:
  - {id: call, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: ship}
"""


async def test_four_eyes_see_through_a_subflow(bot):
    rig = await bot({"approvers": ["anyone"], "four_eyes": "requester"}, flows=(PLAIN, CALLING))
    card = await rig.asked("run outer")
    assert (await rig.press(card, "Approve")).code == "E22"
    assert (await rig.press(card, "Approve", BOB, DEV)).tone == "success"


async def test_four_eyes_see_through_a_subflow_of_a_run_that_was_started_past_the_chat(bot):
    rig = await bot({"approvers": ["anyone"], "four_eyes": "requester"}, flows=(PLAIN, CALLING))
    await rig.engine.create("company.team", "outer", {}, started_by="local:eve")
    async with rig.engine.subscribe() as changes:
        while not (waiting := await rig.engine.pauses()):
            await anext(aiter(changes))
    assert (await rig.say(f"approve {waiting[0].id}", WEB, PAGE)).code == "E22"
    assert (await rig.say(f"approve {waiting[0].id}", BOB, DEV)).tone == "success"


def git(folder, *words, author="Ann <ann@example.com>"):
    name, _, email = author.partition(" <")
    who = ["-c", f"user.name={name}", "-c", f"user.email={email.rstrip('>')}", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


EDITED = {"approvers": ["anyone"], "four_eyes": "requester+editor"}


async def committed(bot, folder, author, **more):
    (folder / "flows").mkdir(exist_ok=True)
    (folder / "flows" / "ship.yaml").write_text(PLAIN)
    git(folder, "init", "-q")
    git(folder, "add", "flows")
    git(folder, "commit", "-qm", "a flow", author=author)
    return await bot({**EDITED, **more}, flows=())


@pytest.mark.parametrize("author", ["Somebody <bob@example.com>", "Bob <b@nowhere.org>", "bob <b@nowhere.org>"])
async def test_who_changed_the_flow_last_does_not_approve_it(bot, tmp_path, author):
    rig = await committed(bot, tmp_path, author)
    rig.discord.emails = {"discord:7": "bob@example.com"}
    card = await rig.asked()
    said = await rig.press(card, "Approve", BOB, DEV)
    assert said.text.startswith("You changed this flow last, so someone else must approve it (four eyes).")
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_who_wrote_what_a_run_goes_by_does_not_approve_it_when_others_changed_the_flow_since(bot, tmp_path):
    rig = await committed(bot, tmp_path, "Bob <b@nowhere.org>")
    card = await rig.asked()
    file = tmp_path / "flows" / "ship.yaml"
    for author, more in (("Fay\u2028 <fay@example.com>", "# tidy\r\n"), ("Dan <dan@example.com>", "# tidier\n")):
        file.write_bytes(file.read_bytes() + more.encode())
        git(tmp_path, "commit", "-qam", "tidy", author=author)
    for person in (BOB, replace(BOB, id="discord:8", name="Dan")):
        said = await rig.press(card, "Approve", person, DEV)
        assert said.text.startswith("You changed this flow last, so someone else must approve it (four eyes).")
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_who_wrote_one_flow_of_a_file_does_not_approve_it_when_others_changed_its_neighbour(bot, tmp_path):
    rig = await committed(bot, tmp_path, "Eve <eve@example.com>")
    file = tmp_path / "flows" / "ship.yaml"
    ship, other = PLAIN.lstrip("\n") + "# Bob's\n", "id: other\r\nnamespace: x\r\ntasks: []\r\n"
    for author, text in (
        ("Bob <b@nowhere.org>", f"{ship}---\n{other}"),
        ("Fay <fay@example.com>", f"# both\n---\n{ship}---\n{other}# more\n"),
        ("Dan <dan@example.com>", f"{other}---\n{ship}"),
    ):
        file.write_bytes(text.encode())
        git(tmp_path, "commit", "-qam", "a change", author=author)
    await rig.engine.deploy(ship, file=str(file))
    card = await rig.asked()
    for person in (BOB, replace(BOB, id="discord:8", name="Dan")):
        said = await rig.press(card, "Approve", person, DEV)
        assert said.text.startswith("You changed this flow last, so someone else must approve it (four eyes).")
    assert (await rig.press(card, "Approve", CY)).tone == "success"


async def test_a_run_whose_text_is_in_no_commit_is_decided_by_nobody(bot, tmp_path):
    rig = await committed(bot, tmp_path, "Dan <dan@example.com>")
    file = tmp_path / "flows" / "ship.yaml"
    await rig.engine.deploy(PLAIN + "# never committed\n", file=str(file))
    card = await rig.asked()
    assert "in none of its last commits" in (await rig.press(card, "Approve", CY)).text


async def test_an_editor_nobody_knows_stops_the_approval_unless_the_policy_allows_it(bot, tmp_path):
    rig = await committed(bot, tmp_path, "Dan <dan@example.com>")
    (tmp_path / "flows" / "ship.yaml").write_text(PLAIN + "# changed\n")
    card = await rig.asked()
    said = await rig.press(card, "Approve", BOB, DEV)
    assert "its file has changes that are not committed" in said.text
    assert "Commit the flow's file, or set `unknown_editor: allow`" in said.text
    assert await state_of(rig, card) == "WAITING"


async def test_an_unknown_editor_may_be_allowed(bot):
    rig = await bot({**EDITED, "unknown_editor": "allow"})
    card = await rig.asked()
    assert (await rig.press(card, "Approve")).code == "E22"
    assert (await rig.press(card, "Approve", BOB, DEV)).tone == "success"


async def test_a_flow_outside_git_says_why_nobody_can_approve(bot):
    rig = await bot(EDITED)
    card = await rig.asked()
    assert "the flow is in no file" in (await rig.press(card, "Approve", BOB, DEV)).text


# Past the chat


async def test_the_engines_own_door_passes_the_same_policy(bot):
    rig = await bot({"approvers": ["user:eve"], "four_eyes": "requester"})
    card = await rig.asked()
    run = (await rig.engine.pause_row(card.entity)).execution_id
    with pytest.raises(Refused, match=r"You can't decide this: it needs eve\."):
        await rig.engine.resume(run, {}, by="token:ci")
    assert await state_of(rig, card) == "WAITING"
    await rig.engine.resume(run, {}, by="local:eve")
    assert (await rig.engine.wait(run, timeout=20)).state is State.SUCCESS
    await rig.slack.shows("pause", lambda shown: "**Approved by eve**" in shown.body)


RESUMING = """
id: resuming
namespace: company.team
inputs:
  - {id: run, type: STRING}
tasks:
  - {id: go, type: io.kestra.plugin.core.execution.Resume, executionId: "{{ inputs.run }}"}
"""


async def test_a_flow_that_answers_is_the_documented_exception(bot):
    rig = await bot({"approvers": ["user:nobody"]}, flows=(PLAIN, RESUMING))
    card = await rig.asked()
    run = (await rig.engine.pause_row(card.entity)).execution_id
    await rig.engine.create("company.team", "resuming", {"run": run}, started_by="local:admin")
    assert (await rig.engine.wait(run, timeout=20)).state is State.SUCCESS


async def test_the_inbox_shows_what_one_may_decide(bot):
    rig = await bot({"approvers": ["discord:7"]})
    await rig.asked()
    assert (await rig.say("pending")).text == "Nothing waits for your answer."
    assert len((await rig.say("pending", BOB, DEV)).rows) == 1
    assert len((await rig.say("pending --all")).rows) == 1
