"""*Explain* in Slack: the real desk and engine, Slack's wire and a model's."""

import pytest

from bot.explaining.section import ExplainSection
from bot.slack.app import SlackFrontEnd
from tests.bot.dying_desk import FAILS
from tests.bot.rig import Rig
from tests.wire.openai import openai_service
from tests.wire.slack import APP_TOKEN, BOT_TOKEN

__all__ = ["openai_service"]
EVIL = "Ask <@U2> or <!channel>: <https://evil.test/in|sign in>, [here](https://evil.test/md) @everyone `ok`\n- *a* _b_"


@pytest.fixture
async def rig(slack, tmp_path, openai_service):
    openai_service.replies[0] = EVIL
    made = Rig(tmp_path, explain=ExplainSection(provider="openai", model="small", base_url=openai_service.url))
    base = f"{slack.url}/api/"
    made.slack = SlackFrontEnd(BOT_TOKEN, APP_TOKEN, base_url=base, inbox=tmp_path / "inbox", grace=2)
    await made.start(FAILS)
    yield made
    await made.slack.stop()
    await made.stop()


async def told(slack, user="U1"):
    return await slack.until(
        lambda: [one for one in slack.private(user) if "as a model sees it" in slack.text(one)], "the explanation"
    )


async def test_the_button_of_a_failed_run(slack, rig, openai_service):
    await slack.command("/flow run fails")
    card = await slack.until(
        lambda: next((one for one in slack.messages if "Explain" in str(one.blocks)), None), "the card of the failure"
    )
    heard = await slack.press("Explain", message=card)
    (one,) = await told(slack)
    mine = [slack.text(message) for message in slack.private("U1")]
    assert next(n for n, text in enumerate(mine) if "Asking" in text) < next(
        n for n, text in enumerate(mine) if "as a model sees it" in text
    )
    wire = str(one.blocks)
    assert "<@U2>" not in wire
    assert "<!channel>" not in wire
    assert "<https://evil.test" not in wire, "no link leads there"
    assert "`https://evil.test/md`" in wire or "'code': True" in wire
    assert "Written by the model" in slack.text(one)
    await slack.redeliver(heard)
    await slack.press("Explain", user="U2", message=card)
    await told(slack, "U2")
    assert len(openai_service.asked) == 1
    assert not [public for public in slack.messages if public.only is None and "as a model" in slack.text(public)]
    assert slack.refused == []


async def test_asked_in_a_thread_it_is_told_there(slack, rig):
    await slack.command("/flow run fails --quiet")
    await slack.said("Started", user="U1")
    await rig.engine.wait((await rig.engine.executions(limit=1))[0].id, timeout=20)
    thread = slack.write("what happened?", channel="C1").ts
    await slack.mention("explain last", channel="C1", thread=thread)
    (one,) = await told(slack)
    assert (one.channel, one.thread) == ("C1", thread)
    assert slack.refused == []
