"""Whatever Slack refuses is tried later, posted again, or said once, and counted: a table, for the whole bot."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bot.tallies import REFUSALS
from engine.store import chat_messages
from tests.bot.rig import PLAIN, Rig
from tests.slack.test_whole_bot import connect
from tests.wire.slack import FakeSlack, Refusal

SHORT = """
id: short
namespace: company.team
tasks:
  - {id: hello, type: io.kestra.plugin.core.log.Log, message: hello}
"""
LATER = timedelta(minutes=3)  # longer than any pause Slack's refusals ask for


@pytest.fixture
async def rig(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    made.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await made.start(PLAIN, SHORT)
    yield made
    await made.slack.stop()
    await made.stop()


def counted(outcome: str) -> float:
    return REFUSALS.counts.get(("slack", outcome), 0)


async def until(condition: Callable[[], object], what: str) -> None:
    """A condition that no call to Slack tells of."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


async def passes(rig: Rig, condition: Callable[[], object], what: str) -> None:
    """Time goes on until something holds."""

    def jumped() -> object:
        rig.clock.jump(LATER)
        return condition()

    await until(jumped, what)


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (Refusal(retry_after=1), "later"),
        (Refusal("ratelimited", status=429), "later"),
        (Refusal("internal_error"), "later"),
        (Refusal("service_unavailable", status=503), "later"),
        (Refusal(drops=True), "later"),
        (Refusal(drops=True, taken=True), "later"),
        (Refusal("token_revoked"), "no token"),
        (Refusal("token_expired"), "no token"),
        (Refusal("invalid_auth"), "no token"),
        (Refusal("account_inactive"), "no token"),
    ],
)
async def test_a_new_card_that_is_refused_for_now_comes_once_later(
    slack: FakeSlack, rig: Rig, refusal: Refusal, outcome: str
) -> None:
    before = counted(outcome)
    slack.scripts["chat.postMessage"] = [refusal]
    await slack.command("/flow run short")
    await until(lambda: counted(outcome) > before, "the refusal")
    rig.desk.outbox.lanes["slack"].shut_until = 0.0  # the minute between two looks is over
    await passes(rig, lambda: any("short: done" in slack.text(one) for one in slack.messages), "the card")
    assert len([one for one in slack.messages if "short" in slack.text(one) and one.only is None]) == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("not_in_channel", "I'm not in"),
        ("channel_not_found", "I'm not in"),
        ("is_archived", "is archived. Unarchive it"),
        ("restricted_action", "settings don't let apps post"),
        ("missing_scope", "lacks the scope"),
        ("no_permission", "lacks the scope"),
        ("msg_too_long", "refused the message"),
    ],
)
async def test_a_card_that_is_not_taken_is_said_once_and_posted_when_it_was_put_right(
    slack: FakeSlack, rig: Rig, error: str, says: str
) -> None:
    before = counted("abandoned")
    slack.scripts["chat.postMessage"] = [Refusal(error)]
    await slack.command("/flow run short")
    said = await slack.until(
        lambda: next((one for one in slack.private("U1") if says in slack.text(one)), None), "the sentence"
    )
    assert counted("abandoned") == before + 1
    run = (await rig.engine.executions(flow_id="short"))[0].id
    await rig.engine.wait(run, timeout=20)
    assert not [one for one in slack.messages if one.only is None]
    await slack.press("Post again", message=said)
    await slack.until(lambda: any("short: done" in slack.text(one) for one in slack.messages), "the card")
    assert len([one for one in slack.private("U1") if says in slack.text(one)]) == 1


@pytest.mark.parametrize(
    ("refusal", "outcome", "messages"),
    [
        (Refusal(retry_after=1), "later", 2),
        (Refusal("internal_error"), "later", 2),
        (Refusal("token_revoked"), "no token", 2),
        (Refusal("message_not_found"), "reposted", 3),
        (Refusal("cant_update_message"), "reposted", 3),
        (Refusal("edit_window_closed"), "reposted", 3),
    ],
)
async def test_the_end_is_shown_although_an_edit_was_refused(
    slack: FakeSlack, rig: Rig, refusal: Refusal, outcome: str, messages: int
) -> None:
    await slack.command("/flow run ship")
    pause = await slack.said("Approval needed", channel="C1")
    await slack.said("ship: waiting", channel="C1")
    before = counted(outcome)
    slack.scripts["chat.update"] = [refusal]
    await slack.press("Approve", user="U2", message=pause)
    await until(lambda: counted(outcome) > before, "the refusal")
    rig.desk.outbox.lanes["slack"].shut_until = 0.0
    await passes(rig, lambda: any("ship: done" in slack.text(one) for one in slack.messages), "the run's end")
    await passes(rig, lambda: any("pproved by" in slack.text(one) for one in slack.messages), "the decision")
    run = (await rig.engine.executions(flow_id="ship"))[0].id

    def settled() -> object:
        rows = rig.engine.database.read_now(lambda c: chat_messages.showing(c, execution_id=run))
        return all(row.desired <= row.shown and row.state == "FINAL" for row in rows)

    await passes(rig, settled, "nothing left to do")
    assert len([one for one in slack.messages if one.only is None]) == messages


async def test_a_revoked_token_keeps_everything_until_a_new_one_is_there(
    slack: FakeSlack, rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await slack.command("/flow run ship")
    await slack.said("Approval needed", channel="C1")
    run = (await rig.engine.executions(flow_id="ship"))[0].id
    before = counted("no token")
    slack.token_error = "token_revoked"
    await rig.engine.kill(run, by="local:eve")
    await until(lambda: counted("no token") > before, "a refusal")
    said = [one for one in caplog.records if "Nothing is sent to slack" in one.getMessage()]
    assert len(said) == 1
    await rig.slack.stop()
    await rig.stop()
    slack.token_error = ""
    rig.slack = connect(slack, tmp_path)  # type: ignore[assignment]
    await rig.start()
    await slack.until(lambda: any("ship: stopped" in slack.text(one) for one in slack.messages), "the end")
    assert not [row for row in await rig.engine.database.read(lambda c: chat_messages.showing(c, execution_id=run))
                if row.state == "DEAD"]  # fmt: skip
