"""The card of every shape of a question, pressed and filled in Discord."""

import pytest

from tests.bot import shapes
from tests.discord.test_monster import inputs_of, press
from tests.discord.test_real_desk import bot, shown
from tests.wire.discord import DiscordWire
from tests.wire.discord_rules import walk

__all__ = ["bot"]
EXTRA = {"Snooze", "Open"}


async def pressed(wire: DiscordWire, engine, flow: str, label: str):
    """Start the flow and press; the card's buttons, and the answer to the press."""
    await engine.deploy(flow)
    await wire.responses(await wire.slash("run", flow="gate"))
    card = await wire.until(lambda: shown(wire, "Approval needed"))
    names = [each["label"] for part in card["components"] for each in walk(part) if each.get("type") == 2]
    said = await wire.responses(await wire.click(*press(wire, label)))
    if press(wire, "Yes") is None and '"sure|' in str(said).replace("'", '"'):
        raise AssertionError(said)
    return [name for name in names if name not in EXTRA], said


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.name)
async def test_every_shape_of_a_question(bot, shape) -> None:
    wire, engine = bot
    names, said = await pressed(wire, engine, shapes.flow(shape), shape.button)
    assert names == shape.buttons
    if shape.wanted is None:  # what ends a run asks back first
        sure = next(label for label in ("Reject", "Cancel run") if press(wire, label))
        await wire.responses(await wire.click(*press(wire, sure)))
    if shape.filled:
        assert said[0]["type"] == 9
        parts = []
        for component, value in zip(inputs_of(said[0]["data"]), shape.filled.values(), strict=True):
            told = ("true" if value else "false") if isinstance(value, bool) else value
            kind = {"values": [told]} if component["type"] == 3 else {"value": told}
            name = component["custom_id"]
            parts.append(
                {"type": 18, "id": 1, "component": {"type": component["type"], "id": 2, "custom_id": name, **kind}}
            )
        data = {"custom_id": said[0]["data"]["custom_id"], "components": parts}
        (answer, *_) = await wire.responses(await wire.interact(5, data))
        assert "Please check" not in str(answer)
    (run,) = await engine.executions(flow_id="gate")
    shapes.check(shape, await engine.wait(run.id, timeout=20))


async def test_an_approval_task(bot) -> None:
    wire, engine = bot
    names, (opened, *_) = await pressed(wire, engine, shapes.APPROVAL, "Hold…")
    assert names == ["Ship", "Hold…", "Answer in form"]
    (remark,) = inputs_of(opened["data"])
    assert remark["required"]
    await wire.responses(await wire.fill(opened["data"]["custom_id"], {remark["custom_id"]: "not on a Friday"}))
    (run,) = await engine.executions(flow_id="gate")
    ended = await engine.wait(run.id, timeout=20)
    (waited,) = [one for one in ended.task_runs.values() if one.task_id == "wait"]
    assert (waited.outputs["decision"], waited.outputs["comment"]) == ("DENIED", "not on a Friday")
