"""What it takes and costs to approve, as Slack shows it: told on the card, and as data."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.approvals.policy import ApprovalRule
from engine.store import chat_audit
from tests.bot.rig import Rig
from tests.bot.test_estimate import PRICES, SHIP
from tests.slack.test_whole_bot import connect
from tests.wire.slack import FakeSlack

COST = "{{ outputs.plan.values.monthly }} EUR <!channel> *a month* <@U2>"


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, approvals=(ApprovalRule(approvers=("anyone",), cost=COST),), prices=PRICES)
    made.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await made.start(SHIP)
    yield made
    await made.slack.stop()
    await made.stop()


async def test_the_card_in_slack_says_what_it_costs(slack: FakeSlack, rig: Rig) -> None:
    await slack.command("/flow run ship")
    first = await slack.said("Approval needed", channel="C1")
    assert "nobody went on from here before" in slack.text(first)
    assert "36 EUR &lt;!channel&gt;" in slack.text(first), "what the policy states is data"
    await slack.press("Approve", user="U2", message=first)
    run = (await rig.engine.executions(flow_id="ship"))[0]
    await rig.engine.wait(run.id, timeout=20)
    await slack.until(lambda: "Approved by" in slack.text(first), "the decided card")
    assert "EUR" not in slack.text(first)
    await slack.command("/flow run ship n=1")
    second = await slack.said("Approval needed", channel="C1")
    said = slack.text(second)
    assert "less than 2 s to the end of the run (as the one time before)" in said
    assert "12 EUR" in said
    assert "about 0.0023 EUR (3,000 tokens read and 500 written by `gpt-mini`)" in said
    await slack.press("Approve", user="U2", message=second)
    await slack.until(lambda: "Approved by" in slack.text(second), "the decided card")
    pauses = await rig.engine.pauses(state=None)
    ids = [pause.id for pause in pauses]
    deeds = await rig.engine.database.read(lambda c: [deed for one in ids for deed in chat_audit.about(c, one)])
    assert len({deed.details["shown"] for deed in deeds}) == 2
    assert slack.refused == []
