"""The hash kept with a decision is of what stood before whoever decided, not of what their card would say by then."""

import asyncio

import pytest

from bot.approvals.policy import ApprovalRule
from bot.cards.pause_cards import evidence
from bot.conversation import Click, Form
from bot.frontend import Unreachable
from engine.store import chat_audit, chat_evidence, chat_messages
from tests.bot.rig import ANN, BOB, DEV, OPS, PAGE, WEB, Rig

TIDY = """
id: tidy
namespace: company.team
tasks:
  - id: wait
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: approve, type: BOOLEAN, description: Sure?}
      - {id: why, type: STRING, description: Say more}
  - {id: clean, type: io.kestra.plugin.core.namespace.DeleteFiles, namespace: company.team, files: "drafts/**"}
"""
WHERE = {"match": {"flow": "*"}, "approvers": ["anyone"], "where": ["slack:C1", "discord:900"]}


@pytest.fixture
def rules():
    return {"need": 2}


@pytest.fixture
async def rig(tmp_path, rules):
    made = await Rig(tmp_path, approvals=(ApprovalRule.model_validate({**WHERE, **rules}),)).start(TIDY)
    put(made, "drafts/a.txt")
    yield made
    await made.stop()


def put(rig, path):
    """What the flow would do changes, and with it what its card says."""
    rig.engine.files.put_namespace_file("company.team", path, b"text\n")


async def asked(rig):
    """The question as it stands in Slack and in Discord."""
    card = await rig.asked("run tidy")
    there = await rig.discord.shows("pause", lambda shown: shown.entity == card.entity)
    await written(rig, card.entity)
    return next(one for one in rig.slack.of("pause", card.entity)), there


async def written(rig, pause, platforms=("slack", "discord")):
    """Until it is noted down that the messages were sent."""
    async with asyncio.timeout(20):
        while True:
            rows = await rig.engine.database.read(lambda c: chat_messages.showing(c, entity=pause))
            if all(row.shown == row.desired for row in rows if row.platform in platforms):
                return
            await asyncio.sleep(0.01)


async def press(rig, shown, label, person, room):
    found = next(action for action in shown.versions[0].actions if action.label == label)
    return (await rig.desk.click(Click(found.id, person, room, rig.receipt(), shown.ref))).body


async def kept(rig, pause):
    """Who decided or voted, and the hash that is kept of what they saw."""
    deeds = await rig.engine.database.read(lambda connection: chat_audit.about(connection, pause))
    return [(deed.person, deed.details["shown"]) for deed in deeds]


async def test_each_vote_is_kept_with_what_its_own_card_said(rig):
    here, there = await asked(rig)
    before = evidence(here.card)
    rig.discord.refusal = lambda operation: Unreachable("busy", retry_after=900) if operation == "edit" else None
    put(rig, "drafts/b.txt")
    await press(rig, here, "Approve", ANN, OPS)
    await rig.slack.until(lambda: "drafts/b.txt" in here.card.body)
    after = evidence(here.card)
    await rig.again()
    await press(rig, there, "Approve", BOB, DEV)
    assert before != after
    assert await kept(rig, here.card.entity) == [(ANN.id, before), (BOB.id, before)]


async def test_a_card_drawn_anew_counts_as_it_stands_then(rig):
    here, _ = await asked(rig)
    put(rig, "drafts/b.txt")
    await press(rig, here, "Approve", BOB, DEV)
    await rig.slack.until(lambda: "drafts/b.txt" in here.card.body)
    await written(rig, here.card.entity)
    await press(rig, here, "Approve", ANN, OPS)
    assert (await kept(rig, here.card.entity))[1] == (ANN.id, evidence(here.versions[1]))


@pytest.mark.parametrize("rules", [{"need": 1}])
async def test_a_form_is_kept_with_the_card_it_was_opened_from(rig):
    here, _ = await asked(rig)
    before = evidence(here.card)
    form = await press(rig, here, "Reject\u2026", ANN, OPS)
    assert isinstance(form, Form)
    put(rig, "drafts/b.txt")
    now = rig.engine.clock.now()

    def touch(unit):
        chat_messages.touch(unit.connection, entity=here.card.entity, now=now)
        unit.after_commit(rig.desk.outbox.wake)

    await rig.engine.database.transact(touch)
    await rig.slack.until(lambda: "drafts/b.txt" in here.card.body)
    await rig.fill(form, why="not now")
    assert await kept(rig, here.card.entity) == [(ANN.id, before)]


@pytest.mark.parametrize("rules", [{"need": 3}])
async def test_a_command_is_kept_with_the_card_of_its_room_or_else_as_it_is_now(rig):
    here, _ = await asked(rig)
    before, pause = evidence(here.card), here.card.entity
    rig.slack.refusal = rig.discord.refusal = lambda operation: Unreachable("busy", retry_after=900)
    put(rig, "drafts/b.txt")
    await rig.say(f"approve {pause}", ANN, OPS)
    await rig.say(f"approve {pause}", WEB, PAGE)
    (now,) = await rig.desk.pause_cards((await rig.engine.pause_row(pause)).execution_id)
    assert evidence(now) != before
    assert await kept(rig, pause) == [(ANN.id, before), (WEB.id, evidence(now))]


async def test_what_is_kept_of_a_message_goes_with_it(rig):
    here, _ = await asked(rig)
    rows = await rig.engine.database.read(lambda c: chat_messages.showing(c, entity=here.card.entity))

    def forgotten(unit):
        chat_evidence.note(unit.connection, "of a message that is gone", "x")
        chat_evidence.forget(unit.connection)

    await rig.engine.database.transact(forgotten)
    query = chat_evidence.evidence.select()
    left = await rig.engine.database.read(lambda c: [row.message for row in c.execute(query)])
    assert sorted(left) == sorted(row.id for row in rows)
