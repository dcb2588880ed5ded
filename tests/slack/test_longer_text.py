"""At the wire: a text that no window of Slack takes is written to the bot, and the form has it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.rig import Rig
from tests.bot.test_collecting import FLOW
from tests.slack.test_whole_bot import connect
from tests.wire.slack import FakeSlack


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    made.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await made.start(FLOW)
    yield made
    await made.slack.stop()
    await made.stop()


async def inputs(rig: Rig) -> list[tuple[str, str]]:
    return [(run.inputs["who"], run.inputs["prompt"]) for run in await rig.engine.executions(flow_id="note")]


async def test_the_form_offers_it_and_keeps_what_is_typed(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run note --form")
    window = await slack.modal()
    window.typed[window.input("who")["block_id"]] = "Ann"
    await slack.press("Longer text: prompt")
    await slack.until(lambda: "Write me the text" in slack.text(window), "the window says what to do")
    assert window.inputs == []
    window.open = False
    whole = "A fox & a <hare>\n" + "\n".join(f"line {number}" for number in range(600))
    assert len(whole) > 3000
    await slack.direct(whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    told = await slack.said("characters now")
    await slack.mention("and the end:", thread="1.0")
    last = await slack.until(
        lambda: next(
            (one for one in reversed(slack.messages) if one is not told and "characters now" in slack.text(one)), 0
        ),
        "the answer in the channel",
    )
    await slack.press("Continue", message=last)
    again = await slack.modal()
    assert again.input("who")["element"]["initial_value"] == "Ann"
    assert again.input("prompt")["optional"], "left empty, the long text stays"
    await slack.fill(again)
    assert await inputs(rig) == [("Ann", f"{whole}\nand the end:")]
    assert slack.refused == []


async def test_a_text_up_to_the_brim_is_asked_about(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run note --form")
    window = await slack.modal()
    await slack.fill(window, {"who": "Ann", "prompt": "x" * 3000})
    asked = await slack.said("its end may be missing", user="U1")
    assert await inputs(rig) == []
    await slack.press("That is all of it", message=asked)
    await slack.said("Started")
    assert await inputs(rig) == [("Ann", "x" * 3000)]
    assert slack.refused == []
