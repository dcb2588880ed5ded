"""The card and forms of Kestra's Approval task: its own words on the buttons, remarks that must be given."""

import pytest

from bot.conversation import FieldErrors, Form
from engine.core.state import State
from tests.bot.rig import Rig

RELEASE = """
id: release
namespace: company.team
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Approval
    commentRequired: {required}
    decisions: {{approve: Ship it, deny: Hold back}}
    denyBehavior: CONTINUE
    onApprove: [{{id: ship, type: io.kestra.plugin.core.log.Log, message: shipped}}]
outputs:
  - {{id: said, type: STRING, value: "{{{{ outputs.ask.decision }}}} {{{{ outputs.ask.comment ?? '-' }}}}"}}
"""


@pytest.fixture
async def bot(tmp_path):
    made = []

    async def start(required):
        rig = await Rig(tmp_path).start(RELEASE.format(required=required))
        made.append(rig)
        return rig

    yield start
    for rig in made:
        await rig.stop()


async def ended(rig, card):
    done = await rig.engine.wait((await rig.engine.pause_row(card.entity)).execution_id, timeout=20)
    assert done.state is State.SUCCESS
    return done.outputs["said"]


def labels(card):
    return [action.label for action in card.actions if not action.url]


async def test_the_buttons_say_what_the_author_wrote(bot):
    rig = await bot("NEVER")
    card = await rig.asked("run release")
    assert labels(card)[:2] == ["Ship it", "Hold back…"]
    assert (await rig.press(card, "Ship it")).text.startswith("Approved.")
    assert (await ended(rig, card)).startswith("APPROVED")


async def test_the_words_may_be_templates(bot):
    rig = await bot("NEVER")
    text = RELEASE.format(required='"{{ inputs.how }}"').replace("Ship it", '"Ship to {{ inputs.place }}"')
    inputs = "inputs: [{id: how, type: STRING, defaults: ON_DENY}, {id: place, type: STRING, defaults: Oslo}]"
    await rig.engine.deploy(f"{text}{inputs}\n")
    card = await rig.asked("run release")
    assert labels(card)[:2] == ["Ship to Oslo", "Hold back…"]
    form = await rig.press(card, "Hold back…")
    assert "comment" in (await rig.fill(form, comment="")).errors
    assert (await rig.press(card, "Ship to Oslo")).text.startswith("Approved.")
    assert (await ended(rig, card)).startswith("APPROVED")


async def test_a_remark_may_be_needed_for_a_no_alone(bot):
    rig = await bot("ON_DENY")
    card = await rig.asked("run release")
    form = await rig.press(card, "Hold back…")
    assert isinstance(form, Form)
    assert [field.id for field in form.fields] == ["comment"]
    refused = await rig.fill(form, comment="")
    assert isinstance(refused, FieldErrors)
    assert "comment" in refused.errors
    assert (await rig.fill(form, comment="not on a Friday")).body.text.startswith("Rejected.")
    assert await ended(rig, card) == "DENIED not on a Friday"
    again = await rig.asked("run release")
    assert (await rig.press(again, "Ship it")).text.startswith("Approved.")
    assert (await ended(rig, again)).startswith("APPROVED")


@pytest.mark.parametrize("required", ["ALWAYS", "ON_APPROVE"])
async def test_a_remark_may_be_needed_for_a_yes(bot, required):
    rig = await bot(required)
    card = await rig.asked("run release")
    form = await rig.press(card, "Ship it")
    assert isinstance(form, Form)
    assert [field.id for field in form.fields] == ["comment"]
    assert isinstance(await rig.fill(form, comment=""), FieldErrors)
    assert (await rig.engine.pause_row(card.entity)).state == "WAITING"
    assert (await rig.fill(form, comment="tested")).body.text.startswith("Approved.")
    assert await ended(rig, card) == "APPROVED tested"


async def test_words_after_the_command_are_the_remark(bot):
    rig = await bot("ALWAYS")
    card = await rig.asked("run release")
    assert (await rig.say(f"approve {card.entity} looks fine")).text.startswith("Approved.")
    assert await ended(rig, card) == "APPROVED looks fine"
