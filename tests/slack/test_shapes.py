"""The card of every shape of a question, pressed and filled in Slack."""

import pytest

from tests.bot import shapes
from tests.bot.rig import Rig
from tests.slack.test_monster import rig
from tests.wire.slack import FakeSlack
from tests.wire.slack_people import buttons

__all__ = ["rig"]
EXTRA = {"Snooze", "Open"}


async def pressed(slack: FakeSlack, flow: str, rig: Rig, label: str) -> list[str]:
    """Start the flow and press; the card's buttons."""
    await rig.engine.deploy(flow)
    await slack.command("/flow run gate")
    card = await slack.said("Approval needed", channel="C1")
    shown = [button["text"]["text"] for _, button in buttons(card.blocks)]
    await slack.press(label, message=card)
    return [name for name in shown if name not in EXTRA]


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.name)
async def test_every_shape_of_a_question(slack: FakeSlack, rig: Rig, shape: shapes.Shape) -> None:
    assert await pressed(slack, shapes.flow(shape), rig, shape.button) == shape.buttons
    if shape.filled:
        window = await slack.modal()
        named = {True: "Yes", False: "No"}
        await slack.fill(
            window,
            {
                name: named.get(value, value) if isinstance(value, bool) else value
                for name, value in shape.filled.items()
            },
        )
        assert not window.errors
    (run,) = await rig.engine.executions(flow_id="gate")
    shapes.check(shape, await rig.engine.wait(run.id, timeout=20))
    assert slack.refused == []


async def test_an_approval_task(slack: FakeSlack, rig: Rig) -> None:
    assert await pressed(slack, shapes.APPROVAL, rig, "Hold…") == ["Ship", "Hold…", "Answer in form"]
    window = await slack.modal()
    (block,) = window.inputs
    assert not block["optional"], "a no needs a remark"
    await slack.fill(window, {block["block_id"]: "not on a Friday"})
    (run,) = await rig.engine.executions(flow_id="gate")
    ended = await rig.engine.wait(run.id, timeout=20)
    (waited,) = [one for one in ended.task_runs.values() if one.task_id == "wait"]
    assert (waited.outputs["decision"], waited.outputs["comment"]) == ("DENIED", "not on a Friday")
    assert slack.refused == []
