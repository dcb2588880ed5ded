"""At the wire: what people decided goes out before what merely goes on, however much of that waits."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.approvals.policy import ApprovalRule
from bot.cards.pacing import Pace, Rate
from engine.store import chat_messages
from engine.store.chat_messages import DECISION, PROGRESS
from engine.store.chat_tables import messages
from tests.bot.rig import PLAIN, NotedPace, Rig
from tests.slack.test_whole_bot import connect
from tests.wire.slack import FakeSlack

TWICE = ApprovalRule.model_validate({"match": {"flow": "company.team/twice"}, "where": ["slack:C1", "slack:C2"]})
NEVER = 1e-6  # a second: what is used up stays so as long as the test runs
SCARCE = {("slack", "edit"): Rate(NEVER, 6, 4, "workspace"), ("slack", "post"): Rate(100, 100, 1, "channel")}


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, approvals=(TWICE,), paces={"slack": Pace("slack", SCARCE)})  # type: ignore[dict-item]
    made.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await made.start(PLAIN, PLAIN.replace("id: ship", "id: twice"))
    yield made
    await made.slack.stop()
    await made.stop()


async def all_posted(rig: Rig, flow: str, count: int) -> list[str]:
    """The runs of a flow, once the card and the question of each stand there."""
    for _ in range(2000):
        runs = [run.id for run in await rig.engine.executions(flow_id=flow)]
        rows = [
            row
            for run in runs
            for row in rig.engine.database.read_now(lambda c, of=run: chat_messages.showing(c, execution_id=of))
        ]
        if len(rows) == 2 * count and all(row.message for row in rows):
            return runs
        await asyncio.sleep(0.02)
    raise AssertionError("not everything was posted")


async def test_a_decision_overtakes_the_progress_that_waits_for_the_workspaces_budget(
    slack: FakeSlack, rig: Rig
) -> None:
    await slack.command("/flow run twice")
    here = await slack.said("Approval needed", channel="C1")
    there = await slack.said("Approval needed", channel="C2")
    for _ in range(6):
        await slack.command("/flow run ship")
    runs = await all_posted(rig, "ship", 6)
    now = rig.engine.clock.now()

    def touch_all(unit):  # type: ignore[no-untyped-def]
        for run in runs:
            chat_messages.touch(unit.connection, entity=run, urgency=PROGRESS, now=now)
        unit.after_commit(rig.desk.outbox.wake)

    await rig.engine.database.transact(touch_all)
    await slack.press("Approve", user="U2", message=here)
    await slack.until(lambda: "pproved by" in slack.text(there), "the decision in the other channel", 30)
    await slack.until(lambda: "pproved by" in slack.text(here), "and where it was pressed", 30)
    rows = [
        row
        for run in runs
        for row in rig.engine.database.read_now(lambda c, of=run: chat_messages.showing(c, entity=of))
        if row.desired > row.shown
    ]
    assert rows, "the rest of the progress still waits"
    assert DECISION not in {row.urgency for row in rows}
    assert slack.refused == []


@pytest.fixture
async def usual(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[tuple[Rig, NotedPace]]:
    """A bot with Slack's own rates."""
    pace = NotedPace("slack")
    made = Rig(tmp_path, approvals=(TWICE,), paces={"slack": pace})
    made.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await made.start(PLAIN, PLAIN.replace("id: ship", "id: twice"))
    yield made, pace
    for event in slack.held.values():
        event.set()
    await made.slack.stop()
    await made.stop()


async def test_a_decision_is_planned_at_once_and_passes_what_hangs(
    slack: FakeSlack, usual: tuple[Rig, NotedPace]
) -> None:
    rig, pace = usual
    await slack.command("/flow run twice")
    here = await slack.said("Approval needed", channel="C1")
    there = await slack.said("Approval needed", channel="C2")
    for _ in range(4):
        await slack.command("/flow run ship")
    runs = await all_posted(rig, "ship", 4)
    rows = [
        row
        for run in runs
        for row in rig.engine.database.read_now(lambda c, of=run: chat_messages.showing(c, entity=of))
    ]
    slack.held |= {str(row.message["message"]): asyncio.Event() for row in rows if row.message}
    before, now = len(slack.called("chat.update")), rig.engine.clock.now()

    def progress(unit):  # type: ignore[no-untyped-def]
        for row in rows:
            unit.connection.execute(update(messages).where(messages.c.id == row.id).values(digest="another look"))
            chat_messages.touch(unit.connection, entity=row.entity, urgency=PROGRESS, now=now)
        unit.after_commit(rig.desk.outbox.wake)

    await rig.engine.database.transact(progress)
    hang = {str(row.message["message"]) for row in rows if row.message}
    await slack.until(
        lambda: {body["ts"] for body in slack.called("chat.update")[before:]} >= hang, "every send under way hangs", 20
    )
    pace.planned.clear()
    await slack.press("Approve", user="U2", message=here)
    await slack.until(lambda: "pproved by" in slack.text(here), "the pressed card")
    await slack.until(lambda: "pproved by" in slack.text(there), "the card in the other channel", 20)
    assert not any(event.is_set() for event in slack.held.values()), "what hung still does"
    pause = next(one for one in await rig.engine.pauses(state=None) if one.flow_id == "twice")
    cards = {row.id for row in await rig.engine.database.read(lambda c: chat_messages.showing(c, entity=pause.id))}
    planned = [seconds for id_, urgency, seconds in pace.planned if id_ in cards and urgency == DECISION]
    assert planned
    assert set(planned) == {0.0}, "the budget is free: nothing is put off"
    assert slack.refused == []
