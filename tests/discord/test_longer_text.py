"""At the wire: a text that no window of Discord takes is written to the bot, and the form has it."""

from tests.bot.test_collecting import FLOW
from tests.discord.test_monster import answered, inputs_of, press
from tests.discord.test_real_desk import bot, words
from tests.wire.discord import BOT

__all__ = ["bot"]


async def inputs(engine):
    return [(run.inputs["who"], run.inputs["prompt"]) for run in await engine.executions(flow_id="note")]


async def filled(wire):
    """The form, sent with as much as its window takes."""
    opened = await wire.opened(await wire.slash("run", flow="note", form=True))
    sent = await wire.fill(opened["data"]["custom_id"], {"f:0": "Ann", "f:1": "x" * 4000})
    said = str(await answered(wire, sent))
    assert "its end may be missing" in said
    assert "Started" not in said


async def test_a_text_up_to_the_brim_is_asked_about_and_may_be_whole(bot):
    wire, engine = bot
    await engine.deploy(FLOW)
    await filled(wire)
    assert await inputs(engine) == []
    await wire.told(await wire.click(*press(wire, "That is all of it")), "Started")
    assert await inputs(engine) == [("Ann", "x" * 4000)]


async def test_the_rest_is_written_to_the_bot_and_the_form_has_it(bot):
    wire, engine = bot
    await engine.deploy(FLOW)
    await filled(wire)
    await wire.told(await wire.click(*press(wire, "Longer text: prompt")), "Write me the text")
    pieces = [letter * 1900 for letter in "abc"]
    for number, piece in enumerate(pieces):
        await wire.say(f"<@{BOT}> {piece}")
        size = f"{1900 * (number + 1) + number:,} characters now"
        await wire.until(
            lambda size=size: any(size in words(one) for one in wire.messages.values() if one["components"])
        )
    opened = await wire.opened(await wire.click(*press(wire, "Continue")))
    who, prompt = inputs_of(opened["data"])
    assert who["value"] == "Ann"
    assert (prompt["required"], prompt["placeholder"]) == (
        False,
        "Leave empty to keep the 5,702 characters that are set",
    )
    await answered(wire, await wire.fill(opened["data"]["custom_id"], {"f:0": "Ann", "f:1": ""}))
    assert await inputs(engine) == [("Ann", "\n".join(pieces))]
