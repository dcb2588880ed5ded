"""Several connections to Slack: each event over one of them, one that is lost keeps nobody waiting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.slack import sockets
from bot.slack.app import SlackFrontEnd
from tests.slack.desk import ScriptedDesk
from tests.wire.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, Refusal


@pytest.fixture
async def end(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[SlackFrontEnd]:
    """A front end that wants three connections."""
    base = f"{slack.url}/api/"
    made = SlackFrontEnd(
        BOT_TOKEN, APP_TOKEN, base_url=base, inbox=tmp_path / "in", ping_interval=0.2, grace=2, connections=3
    )
    yield made
    await made.stop()


def living(slack: FakeSlack) -> int:
    return len([one for one in slack._sockets if not one.closed])


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


async def test_events_are_heard_over_any_of_them_and_once(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    await end.start(desk)
    await until(lambda: living(slack) == 3, "three connections")
    for number in range(3):
        slack._sockets.append(slack._sockets.pop(0))  # the next event goes over another one
        await slack.command(f"/flow list {number}")
        await slack.said(f"heard list {number}", user="U1")
    assert len(desk.heard) == 3


async def test_while_one_is_lost_the_others_hear_and_it_comes_back(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk
) -> None:
    await end.start(desk)
    await until(lambda: living(slack) == 3, "three connections")
    slack.scripts["apps.connections.open"] = [Refusal("internal_error")] * 2
    await slack._sockets[0].close()
    slack._sockets.pop(0)
    await slack.command("/flow list")
    await slack.said("heard list", user="U1")
    assert slack.connections_opened == 3, "heard before the lost one was back"
    slack.scripts.clear()


async def test_a_second_connection_that_slack_refuses_holds_nothing_up(
    slack: FakeSlack, end: SlackFrontEnd, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_AGAIN", 0.01)
    start = slack.scripts.setdefault("apps.connections.open", [])
    start += [Refusal(), Refusal(retry_after=0), Refusal(drops=True)]
    await end.start(desk)
    await slack.command("/flow list")
    await slack.said("heard list", user="U1")


async def test_an_app_token_that_is_revoked_is_said_once_and_looked_after(
    slack: FakeSlack,
    end: SlackFrontEnd,
    desk: ScriptedDesk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await end.start(desk)
    await until(lambda: living(slack) == 3, "three connections")
    slack.scripts["apps.connections.open"] = [Refusal("token_revoked")] * 9
    monkeypatch.setattr(sockets, "_pause", lambda seconds: asyncio.sleep(0.01))
    await slack.drop_sockets()
    await until(lambda: living(slack) == 3, "all of them are back")
    said = [one.getMessage() for one in caplog.records]
    assert len([one for one in said if "no longer accepts the app token" in one]) == 1
    assert len([one for one in said if "accepts the app token again" in one]) == 1
