"""Reminders, new posts, escalation, snooze and delegation: durable, each once, none in quiet hours."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.approvals.policy import ApprovalRule
from bot.approvals.rungs import steps_of
from bot.commands.handing_on import account_of, moment
from bot.conversation import Click, Person
from bot.frontend import Unreachable
from bot.people.accounts import KnownPerson, Linked
from bot.settings import BotSettings
from bot.worker_process import WorkerProcess
from engine.clock import ShiftedClock
from engine.core.state import State
from engine.errors import Refused
from engine.store import chat_ladder, chat_messages
from engine.store.pauses import PauseRow
from tests.bot.rig import ANN, BOB, DEV, PLAIN, Rig

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
CY = Person("slack:U3", "Cy", "slack", "<@U3>", "Europe/London")
LADDER = {
    "approvers": ["slack:usergroup:design", "slack:U3", "discord:7"],
    "remind": ["15m", "1h"],
    "repost": ["90m"],
    "escalate": [{"after": "2h", "to": ["slack:usergroup:leads", "slack:#leads"]}],
}


def rule(**given):
    return ApprovalRule.model_validate(given)


@pytest.fixture
async def bot(tmp_path):
    made = []

    async def start(entry=LADDER, *flows):
        rig = await Rig(tmp_path, approvals=(rule(**entry),), clock=ShiftedClock(NOON)).start(*(flows or (PLAIN,)))
        rig.slack.groups = {"design": {"slack:U1"}, "leads": {"slack:U5"}}
        made.append(rig)
        return rig

    yield start
    for rig in made:
        await rig.stop()


def test_the_times_of_a_ladder_leave_quiet_hours_out():
    pause = PauseRow("P", "E", "R", "wait", "n", "f", "WAITING", datetime(2026, 1, 5, 18, 30, tzinfo=UTC))
    quiet = {"zone": "Europe/London", "from": "19:00", "to": "08:00"}
    steps = steps_of(rule(remind=["15m", "1h"], escalate=[{"after": "2h", "to": ["anyone"]}], quiet_hours=quiet), pause)
    assert [(step.kind, f"{step.due:%d %H:%M}") for step in steps] == [
        ("remind", "05 18:45"),
        ("remind", "06 08:00"),
        ("escalate", "06 08:00"),
    ]


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("1h", "2026-07-06T13:00Z"),
        ("in 30 minutes", "2026-07-06T12:30Z"),
        ("14:00", "2026-07-06T13:00Z"),  # London, summer
        ("12:30", "2026-07-07T11:30Z"),
        ("at 2pm", "2026-07-06T13:00Z"),
        ("tomorrow 9:00", "2026-07-07T08:00Z"),
        ("2026-07-08T10:00Z", "2026-07-08T10:00Z"),
    ],
)
def test_a_time_to_be_asked_again(text, then):
    now = datetime(2026, 7, 6, 12, 0, tzinfo=UTC)
    assert moment(text, now, ZoneInfo("Europe/London")) == datetime.fromisoformat(then)


@pytest.mark.parametrize("text", ["", "soon", "yesterday 9:00", "2020-01-01T00:00Z", "2 years", "-1h"])
def test_no_time_to_be_asked_again(text):
    with pytest.raises(ValueError, match=r"."):
        moment(text, NOON, UTC)


@pytest.mark.parametrize(
    ("text", "person", "account"),
    [
        ("<@U2>", ANN, "slack:U2"),
        ("<@U2|bob>", ANN, "slack:U2"),
        ("@U2", ANN, "slack:U2"),
        ("@bob", ANN, ""),
        ("<@42>", BOB, "discord:42"),
        ("discord:42", ANN, "discord:42"),
        ("", ANN, ""),
    ],
)
def test_a_colleague_is_an_account(text, person, account):
    assert account_of(text, person) == account


GROUP_OF_LEADS = "slack:usergroup:leads"


async def told(end, count):
    await end.until(lambda: len(end.notices) >= count)
    return end.notices


async def posted(rig, card):
    """The message of a card, once it is noted down that it was posted."""
    while True:
        rows = await rig.engine.database.read(lambda c: chat_messages.showing(c, entity=card.entity))
        if rows and rows[0].message is not None:
            return rows[0].message


async def test_those_who_may_decide_are_reminded_each_where_they_are(bot):
    rig = await bot()
    card = await rig.asked()
    message = await posted(rig, card)
    rig.clock.jump(timedelta(minutes=16))
    notices = await told(rig.slack, 2)
    direct = next(one for one in notices if one[2] == "slack:U3")
    assert direct[0].is_direct
    assert direct[1].text.startswith("Still waiting for an answer: `ship` `#")
    assert [action.label for action in direct[1].actions][:2] == ["Approve", "Reject…"]
    below = next(one for one in notices if one[2] is None)
    assert (below[0].channel, below[0].thread) == (message["channel"], message["message"])
    assert below[1].calls == ("slack:usergroup:design",)
    assert (await told(rig.discord, 1))[0][2] == "discord:7"
    said = await rig.press(card.__class__(card.kind, card.entity, card.tone, card.title, actions=direct[1].actions),
                           "Approve", CY, direct[0])  # fmt: skip
    assert said.tone == "success"
    rig.clock.jump(timedelta(hours=5))
    await rig.slack.shows("pause", lambda shown: shown.tone == "success")
    rows = await rig.engine.database.read(lambda c: chat_ladder.due(c, rig.clock.now(), 50))
    await rig.again()
    assert len(rig.slack.notices) == 2, rows


async def test_who_has_voted_is_not_reminded(bot):
    rig = await bot({**LADDER, "need": 2})
    card = await rig.asked()
    assert (await rig.press(card, "Approve", CY)).code == "E23"
    rig.clock.jump(timedelta(minutes=16))
    await told(rig.discord, 1)
    await told(rig.slack, 1)
    assert [one[2] for one in rig.slack.notices] == [None]


async def test_who_has_voted_under_one_account_is_not_reminded_under_another(bot):
    rig = await bot({"approvers": ["slack:U3", "slack:U5"], "need": 2, "remind": ["15m"]})
    known = (KnownPerson(name="cy", accounts=(CY.id, BOB.id)),)
    rig.desk.office.eligibility.identities = Linked(rig.engine.database, known)
    card = await rig.asked()
    assert (await rig.press(card, "Approve", BOB, DEV)).code == "E23"
    rig.clock.jump(timedelta(minutes=16))
    await told(rig.slack, 1)
    assert [one[2] for one in rig.slack.notices] == ["slack:U5"]


async def test_the_card_is_posted_again_at_the_bottom_and_both_are_decided(bot):
    rig = await bot({"approvers": ["anyone"], "repost": ["1h"]})
    card = await rig.asked()
    await posted(rig, card)
    rig.clock.jump(timedelta(minutes=61))
    await rig.slack.until(lambda: len(rig.slack.of("pause", card.entity)) == 2)
    await rig.press(card, "Approve", BOB, DEV)
    await rig.slack.until(lambda: all(shown.card.tone == "success" for shown in rig.slack.of("pause", card.entity)))


async def test_escalation_lets_others_decide_and_shows_them_the_card(bot):
    rig = await bot()
    lead = Person("slack:U5", "Lea", "slack")
    card = await rig.asked()
    await posted(rig, card)
    assert (await rig.press(card, "Approve", lead)).code == "E20"
    rig.clock.jump(timedelta(hours=2, minutes=1))
    there = await rig.slack.until(lambda: next((s for s in rig.slack.of("pause") if s.room.channel == "#leads"), None))
    await rig.slack.until(lambda: any("You may decide it now" in one[1].text for one in rig.slack.notices))
    called = next(one for one in rig.slack.notices if "You may decide it now" in one[1].text)
    assert called[1].calls == ("slack:usergroup:leads",)
    await rig.slack.shows("pause", lambda shown: any("`leads`" in fact.value for fact in shown.facts))
    assert (await rig.press(there.card, "Approve", lead)).tone == "success"


async def test_a_group_is_called_where_it_gets_the_card_though_its_platform_showed_none(bot):
    rig = await bot({"approvers": ["discord:7"], "escalate": [{"after": "2h", "to": [GROUP_OF_LEADS, "slack:#leads"]}]})
    await rig.asked("run ship", BOB, DEV)
    rig.clock.jump(timedelta(hours=2, minutes=1))
    ((room, notice, person),) = await told(rig.slack, 1)
    assert (room.channel, person, notice.calls) == ("#leads", None, (GROUP_OF_LEADS,))
    assert "You may decide it now." in notice.text
    assert rig.discord.notices == []


async def test_a_group_whose_platform_shows_no_card_is_named_where_one_is(bot):
    rig = await bot({"approvers": [GROUP_OF_LEADS], "remind": ["1h"]})
    await rig.asked("run ship", BOB, DEV)
    rig.clock.jump(timedelta(hours=1, minutes=1))
    ((room, notice, person),) = await told(rig.discord, 1)
    assert (room.channel, person, notice.calls) == (DEV.channel, None, ())
    assert notice.text.endswith("It is for the Slack group `leads` to decide.")
    assert rig.slack.notices == []


async def test_a_snooze_asks_one_person_again_and_spares_them_meanwhile(bot):
    rig = await bot()
    card = await rig.asked()
    choices = await rig.press(card, "Snooze", CY)
    assert [action.label for action in choices.actions] == ["In 1 hour", "In 4 hours", "Tomorrow at 9:00"]
    said = await rig.say("snooze last 30m", CY)
    assert said.text.startswith("`#") or said.code == ""
    said = await rig.say(f"snooze {card.entity} 13:30", CY)
    assert said.text == "I ask you again at 2026-01-05 13:30 UTC."
    rig.clock.jump(timedelta(minutes=16))
    await told(rig.discord, 1)
    assert "slack:U3" not in [one[2] for one in rig.slack.notices]
    rig.clock.jump(timedelta(minutes=80))
    await rig.slack.until(lambda: any(one[1].text.startswith("You wanted to be asked") for one in rig.slack.notices))
    (asked,) = [one for one in rig.slack.notices if one[1].text.startswith("You wanted to be asked")]
    assert asked[2] == "slack:U3"
    assert (await rig.say(f"snooze {card.entity} whenever", CY)).text.startswith("I can't read `whenever`")


async def test_a_time_is_said_on_the_clock_of_whoever_says_it(bot):
    rig = await bot()
    rig.slack.zones = {"slack:U9": "America/New_York"}
    card = await rig.asked()
    said = await rig.say(f"snooze {card.entity} 9:00", Person("slack:U9", "Ira", "slack"))
    assert said.text == "I ask you again at 2026-01-05 14:00 UTC."


async def test_a_colleague_decides_instead(bot):
    rig = await bot({"approvers": ["slack:U3", "slack:U4"], "need": 2})
    dan, eli = Person("discord:9", "Dan", "discord"), Person("slack:U4", "Eli", "slack")
    card = await rig.asked()
    assert (await rig.say(f"delegate {card.entity} discord:9")).code == "E20"
    assert (await rig.press(card, "Approve", CY)).code == "E23"
    said = await rig.say(f"delegate {card.entity} discord:9", CY)
    assert "decides `ship` " in said.text
    (asked,) = await told(rig.discord, 1)
    assert asked[2] == "discord:9"
    assert "**Cy** asks you to decide `ship`" in asked[1].text
    shown = await rig.slack.shows("pause", lambda shown: any("instead of Cy" in fact.value for fact in shown.facts))
    assert ("Votes", "**0 of 2**") in [(fact.label, fact.value) for fact in shown.card.facts], "one right, one vote"
    assert "You handed this decision to" in (await rig.press(card, "Approve", CY)).text
    assert (await rig.press(card, "Approve", dan, DEV)).text.startswith("Your vote is counted: 1 of 2.")
    assert (await rig.press(card, "Approve", eli)).text.startswith("Approved.")


async def test_what_was_handed_on_is_worth_as_much_as_its_giver_still_has(bot):
    """Also by way of another: who left the group since has nothing that somebody could decide instead of them."""
    rig = await bot({"approvers": ["slack:usergroup:design", "discord:7"]})
    dan, eli = Person("discord:9", "Dan", "discord"), Person("slack:U4", "Eli", "slack")
    rig.slack.groups = {"design": {"slack:U3"}}
    card = await rig.asked()
    assert "decides `ship` " in (await rig.say(f"delegate {card.entity} slack:U4", CY)).text
    assert "decides `ship` " in (await rig.say(f"delegate {card.entity} discord:9", eli)).text
    rig.slack.groups["design"].clear()
    assert (await rig.press(card, "Approve", dan, DEV)).code == "E20"
    rig.slack.groups["design"].add("slack:U3")
    limited = Unreachable("Slack limits this bot for the moment.", retry_after=30)
    rig.slack.refusal = lambda operation: limited if operation == "member" else None
    assert "I can't tell now" in (await rig.press(card, "Approve", dan, DEV)).text
    rig.slack.refusal = lambda operation: None
    assert (await rig.press(card, "Approve", dan, DEV)).text.startswith("Approved.")


async def test_a_decision_that_was_handed_on_is_taken_back_or_handed_to_another(bot):
    """Whoever has it may be away, or gone for good."""
    rig = await bot({"approvers": ["slack:U1", "discord:7"], "need": 2})
    dan = Person("discord:9", "Dan", "discord")
    card = await rig.asked()
    assert (await rig.say(f"delegate {card.entity} me")).text.startswith("That is yourself.")
    await rig.say(f"delegate {card.entity} slack:U3")
    assert (await rig.press(card, "Approve", CY)).code == "E23"
    refused = await rig.press(card, "Approve")
    assert refused.text.startswith("You handed this decision to **Cy**. Nothing changed. `/flow delegate ")
    assert (await rig.say(f"delegate {card.entity} discord:9")).text.startswith("**9** decides `ship`")
    assert (await rig.press(card, "Approve", CY)).code == "E20"
    assert (await rig.press(card, "Approve", dan, DEV)).text.startswith("Your vote is counted: 1 of 2.")
    command = refused.text.partition("`/flow ")[2].partition("`")[0]
    assert (await rig.say(command)).text.startswith("You decide `ship` ")
    assert (await rig.press(card, "Approve", dan, DEV)).code == "E20"
    assert (await rig.press(card, "Approve")).text.startswith("Your vote is counted: 1 of 2.")
    assert (await rig.press(card, "Approve", BOB, DEV)).text.startswith("Approved.")
    assert (await rig.say(command)).tone == "warning"


async def test_a_decision_handed_on_in_a_channel_is_made_anywhere(bot):
    rig = await bot({"approvers": ["anyone-in-channel"]})
    card = await rig.asked()
    dan = Person("discord:9", "Dan", "discord")
    assert (await rig.press(card, "Approve", dan, DEV)).code == "E20"
    await rig.say(f"delegate {card.entity} discord:9", CY)
    assert (await rig.press(card, "Approve", dan, DEV)).text.startswith("Approved.")


async def test_who_may_not_decide_can_have_those_asked_who_may_once(bot):
    rig = await bot({"approvers": ["slack:U3"], "four_eyes": "requester"})
    card = await rig.asked()
    refused = await rig.press(card, "Approve", BOB, DEV)
    assert [action.label for action in refused.actions] == ["Ask them"]
    for said in ("I asked them.", "You have asked them already; I asked them then."):
        click = Click(refused.actions[0].id, BOB, DEV, rig.receipt())
        assert (await rig.desk.click(click)).body.text == said
    (asked,) = await told(rig.slack, 1)
    assert asked[2] == "slack:U3"
    assert asked[1].text.startswith("**Bob** asks for an answer: `ship` ")


async def test_nobody_hands_a_decision_to_themselves_or_past_four_eyes(bot):
    rig = await bot({"approvers": ["slack:U3"], "four_eyes": "requester"})
    card = await rig.asked()
    assert "That is yourself" in (await rig.say(f"delegate {card.entity} <@U3>", CY)).text
    assert "can't decide it (four eyes)" in (await rig.say(f"delegate {card.entity} <@U1>", CY)).text
    assert "Which run, and who decides" in (await rig.say(f"delegate {card.entity} @somebody", CY)).text


# Deadlines

TIMED = """
id: timed
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT1H, behavior: RESUME}
  - {id: after, type: io.kestra.plugin.core.log.Log, message: shipped}
"""
RELEASE = """
id: timed
namespace: company.team
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Approval, timeout: PT1H, expireBehavior: CONTINUE}
"""


@pytest.mark.parametrize("flow", [TIMED, RELEASE])
@pytest.mark.parametrize(
    ("on_timeout", "state"),
    [("flow", State.SUCCESS), ("resume", State.SUCCESS), ("fail", State.FAILED), ("cancel", State.CANCELLED)],
)
async def test_what_silence_means_is_the_flows_or_the_policys_word(bot, flow, on_timeout, state):
    rig = await bot({"approvers": ["anyone"], "on_timeout": on_timeout}, flow)
    card = await rig.asked("run timed")
    run = (await rig.engine.pause_row(card.entity)).execution_id
    rig.clock.jump(timedelta(hours=2))
    assert (await rig.engine.wait(run, timeout=20)).state is state


async def test_silence_may_mean_to_wait_on(bot):
    rig = await bot({"approvers": ["anyone"], "on_timeout": "wait"}, TIMED)
    card = await rig.asked("run timed")
    assert card.deadline is None
    rig.clock.jump(timedelta(hours=2))
    await rig.again()
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"
    assert (await rig.press(card, "Approve")).tone == "success"


# The process dies


async def died(folder, step):
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bot.dying_ladder", str(folder), step,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == -signal.SIGKILL
    return out.decode().strip()


async def test_what_the_policy_says_of_silence_survives_the_death_of_the_process(tmp_path):
    pause_id = await died(tmp_path, "overruled")
    entry = rule(approvers=["anyone"], on_timeout="cancel")
    rig = await Rig(tmp_path, approvals=(entry,), clock=ShiftedClock(NOON + timedelta(hours=2))).start()
    try:
        run = (await rig.engine.pause_row(pause_id)).execution_id
        assert (await rig.engine.wait(run, timeout=20)).state is State.CANCELLED, "the flow alone would go on"
    finally:
        await rig.stop()


@pytest.mark.parametrize("step", ["before it is due", "before the transaction", "inside the transaction", "after it"])
async def test_a_reminder_survives_the_death_of_the_process_and_comes_once(tmp_path, step):
    pause_id = await died(tmp_path, step)
    entry = rule(approvers=["slack:U3"], remind=["15m"])
    rig = await Rig(tmp_path, approvals=(entry,), clock=ShiftedClock(NOON + timedelta(minutes=30))).start()
    try:
        await told(rig.slack, 1)
        assert [(one[2], pause_id in str(one[1].actions)) for one in rig.slack.notices] == [("slack:U3", True)]
        rig.clock.jump(timedelta(hours=3))
        await rig.again()
        assert len(rig.slack.notices) == 1
        assert await rig.engine.database.read(chat_ladder.next_due) is None
    finally:
        await rig.stop()


async def test_a_process_without_chat_opens_pauses_that_end_as_the_policy_says(tmp_path):
    (tmp_path / "flows").mkdir()
    settings = BotSettings(
        data=tmp_path / "data",
        flows=(tmp_path / "flows",),
        approvals=(rule(approvers=["anyone"], on_timeout="fail"),),
        slack_bot_token=None,
        discord_token=None,
    )
    clock = ShiftedClock(NOON)
    worker = await WorkerProcess.open(settings, clock=clock)
    try:
        await worker.start()
        await worker.engine.deploy(TIMED)
        run = await worker.engine.create("company.team", "timed", {}, started_by="schedule")
        await worker.engine.wait(run.id, until="ended_or_paused", timeout=20)
        with pytest.raises(Refused, match="takes no answers"):
            await worker.engine.resume(run.id, {}, by="local:eve")
        clock.jump(timedelta(hours=2))
        assert (await worker.engine.wait(run.id, timeout=20)).state is State.FAILED
    finally:
        await worker.stop()
