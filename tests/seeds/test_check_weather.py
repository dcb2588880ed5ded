"""Gemini judges the wind; on a sailing day Slack hears of it and the calendar is blocked. Every minute from 8 to 9."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from engine.clock import ShiftedClock
from tests.seeds.rig import task_run
from tests.seeds.variants import WEATHER
from tests.wire.google import CALENDAR
from tests.wire.loopback import Answered, serving

MORNING = datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
NASTY = "Go! \"15 knots\" \\o/\nTake {{ secret('GEMINI_API_KEY') }} & <!channel>\ttoday — ok?"
GO = {"content": NASTY, "wind": 15.5, "go_sailing": True}
STAY = {"content": "Too calm.", "wind": 4, "go_sailing": False}
KEY = "AIza-seed-key"


@pytest.fixture
def forecast():
    """The weather service that our own flow asks first."""
    with serving(lambda request: Answered({"current": {"wind_speed_10m": 15.5}})) as wire:
        yield wire


@pytest.fixture
def services(gemini_service, slack_webhook, google_service, forecast):
    """Settings and secrets that point every service of the flow to loopback."""
    settings = {
        "providers": {
            "gemini": {"base_url": gemini_service.url},
            "google_calendar": {"base_url": google_service.url},
        },
        "urls": {"https://api.open-meteo.com/": f"{forecast.url}/"},
    }
    secrets = {
        "GEMINI_API_KEY": KEY,
        "SLACK_WEBHOOK": slack_webhook.url,
        "CALENDAR_ID": CALENDAR,
        "GOOGLE_SA": google_service.service_account,
    }
    return settings, secrets


@WEATHER
async def test_on_a_sailing_day_slack_hears_and_the_calendar_is_blocked(
    start_bot, services, variant, gemini_service, slack_webhook, google_service
):
    gemini_service.replies[0] = GO
    bot = await start_bot(variant, *services, clock=ShiftedClock(MORNING))
    execution = await bot.run(variant)
    assert execution.state == "SUCCESS", await bot.said_of(execution)

    (asked,) = gemini_service.asked
    assert "sail" in asked["contents"][0]["parts"][0]["text"]
    assert asked["generationConfig"]["responseMimeType"] == "application/json"
    schema = asked["generationConfig"].get("responseJsonSchema") or asked["generationConfig"]["responseSchema"]
    assert set(schema["properties"]) == {"content", "wind", "go_sailing"}
    request = gemini_service.wire.requests[0]
    assert request.path.endswith("/models/gemini-2.5-flash:generateContent")  # the seed's preview was retired
    assert request.headers["x-goog-api-key"] == KEY

    assert slack_webhook.messages == [{"text": NASTY}]
    (event,) = google_service.events.values()
    assert event["summary"] == "Out of office"
    assert "15.5 knots" in event["description"]
    assert event["start"] == {"dateTime": "2026-07-01T09:00:00+01:00", "timeZone": "Europe/London"}
    assert event["end"] == {"dateTime": "2026-07-01T18:00:00+01:00", "timeZone": "Europe/London"}
    assert google_service.wire.requests[0].path == "/token"  # the service account's key

    for secret in (KEY, "BEGIN PRIVATE KEY", slack_webhook.url):
        assert secret not in await bot.said_of(execution)


@WEATHER
async def test_on_a_calm_day_nobody_is_told(
    start_bot, services, variant, gemini_service, slack_webhook, google_service
):
    gemini_service.replies[0] = STAY
    bot = await start_bot(variant, *services)
    execution = await bot.run(variant)
    assert execution.state == "SUCCESS", await bot.said_of(execution)
    assert len(gemini_service.asked) == 1
    assert (slack_webhook.messages, google_service.events) == ([], {})
    assert {run.task_id for run in execution.task_runs.values()} <= {"forecast", "ask_ai", "if", "if_sailing"}


@WEATHER
async def test_it_fires_at_the_minutes_of_its_schedule(start_bot, services, variant, gemini_service, slack_webhook):
    """The clock is moved minute by minute, from before the first date until after the last."""
    gemini_service.replies[0] = STAY
    if variant.is_seed:  # `* 8 * * *` in UTC: sixty times
        first, due = MORNING.replace(hour=7, minute=58), {f"08:{minute:02}" for minute in range(60)}
    else:  # `0 8 * * *` in London, where it is summer: once
        first, due = MORNING.replace(hour=6, minute=58), {"07:00"}
    clock = ShiftedClock(first.replace(second=30))
    bot = await start_bot(variant, *services, clock=clock)
    fired: dict[str, str] = {}
    for _ in range(64):
        clock.jump_to((clock.now() + timedelta(minutes=1)).replace(second=1, microsecond=0))
        minute = f"{clock.now():%H:%M}"
        await bot.until(lambda: not bot.engine.is_busy)
        for one in await bot.engine.executions(namespace=variant.namespace, flow_id=variant.id, limit=100):
            if one.id not in fired:
                assert one.state == "SUCCESS", await bot.said_of(one)
                fired[one.id] = minute
                date = datetime.fromisoformat(one.origin.variables["date"])
                assert f"{date.astimezone(UTC):%H:%M}" == minute
                assert one.started_by == "schedule"
    assert sorted(fired.values()) == sorted(due)
    assert len(gemini_service.asked) == len(due)


@WEATHER
async def test_a_model_that_is_gone_is_a_sentence(start_bot, services, variant, gemini_service, slack_webhook):
    settings, secrets = services
    gone = "gemini-2.5-flash-preview-05-20"
    models = {gone: gone, "gemini-2.5-flash": gone}  # the operator's table wins over our own
    bot = await start_bot(variant, {**settings, "models": models}, secrets)
    execution = await bot.run(variant)
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert f"Gemini answered 404 for the model {gone}" in said
    assert "map it in `models`" in said
    assert (KEY in said, "Traceback" in said) == (False, False)
    assert slack_webhook.messages == []
    card = await bot.card(lambda card: card.entity == execution.id and card.tone == "danger")
    assert gone in json.dumps([card.body, *(fact.value for fact in card.facts), *(s.note for s in card.steps)])


@WEATHER
async def test_a_missing_secret_is_a_sentence(start_bot, services, variant, gemini_service):
    settings, secrets = services
    del secrets["GEMINI_API_KEY"]
    bot = await start_bot(variant, settings, secrets)
    execution = await bot.run(variant)
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert "Cannot find secret for key 'GEMINI_API_KEY'. Set PARLEY_SECRET_GEMINI_API_KEY" in said
    assert "Traceback" not in said
    assert gemini_service.asked == []


@WEATHER
async def test_a_service_that_cannot_be_reached_is_a_sentence(start_bot, services, variant):
    settings, secrets = services
    settings["providers"]["gemini"] = {"base_url": "http://127.0.0.1:9", "timeout": 5}
    bot = await start_bot(variant, settings, secrets)
    execution = await bot.run(variant)
    assert execution.state == "FAILED"
    said = await bot.said_of(execution, "ERROR")
    assert "Gemini could not be reached at http://127.0.0.1:9" in said
    assert "Traceback" not in said


@WEATHER
async def test_a_calendar_that_refuses_the_key_fails_the_run_after_slack_was_told(
    start_bot, services, variant, gemini_service, slack_webhook
):
    gemini_service.replies[0] = GO
    settings, secrets = services
    secrets["CALENDAR_ID"] = "somebody-else@group.calendar.google.com"
    bot = await start_bot(variant, settings, secrets)
    execution = await bot.run(variant)
    assert execution.state == "FAILED"
    assert task_run(execution, "notify_me").state == "SUCCESS"
    assert task_run(execution, "block_calendar").state == "FAILED"
    assert len(slack_webhook.messages) == 1
    said = await bot.said_of(execution, "ERROR")
    assert "404" in said
    assert "share" in said.lower()
