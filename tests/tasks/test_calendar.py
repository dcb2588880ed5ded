"""Google Calendar with a service account."""

import json
import socket
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from engine.errors import TaskFailed
from engine.plugin import PollingTrigger
from engine.tasks import catalogue
from tests.wire.google import CALENDAR

KIND = "io.kestra.plugin.googleworkspace.calendar"


@pytest.fixture
def calendar(make_context, google_service):
    context = make_context({"providers": {"google_calendar": {"base_url": google_service.url}}})
    context.secrets["GOOGLE_SA"] = google_service.service_account

    async def call(kind: str, **given):
        account = {"calendarId": CALENDAR, "serviceAccount": "{{ secret('GOOGLE_SA') }}"}
        return await context.run(type=f"{KIND}.{kind}", **{**account, **given})

    call.context = context  # type: ignore[attr-defined]
    return call


WHEN = {
    "startTime": {"dateTime": "{{ now() | date(\"yyyy-MM-dd'T'09:00:00+01:00\") }}", "timeZone": "Europe/London"},
    "endTime": {"dateTime": "2026-01-02T18:00:00+01:00", "timeZone": "Europe/London"},
}


async def test_an_event_s_life(calendar, google_service):
    made = await calendar(
        "InsertEvent",
        summary="Out of office",
        description="Gone sailing: {{ 10 + 2 }} knots",
        creator={"email": "ann@example.com"},
        attendees=[{"email": "bob@example.com", "displayName": "Bob"}],
        **WHEN,
    )
    assert made.event == {"id": "event1", "status": None, "summary": None, "description": None, "location": None}
    stored = google_service.events["event1"]
    assert stored["start"] == {"dateTime": "2026-01-02T09:00:00+01:00", "timeZone": "Europe/London"}
    assert (stored["description"], stored["creator"]) == ("Gone sailing: 12 knots", {"email": "ann@example.com"})
    assert google_service.wire.last.query == {"fields": "id"}
    assert (await calendar("GetEvent", eventId="event1")).event["summary"] == "Out of office"
    changed = await calendar("UpdateEvent", eventId="event1", summary="Sailing")
    assert (changed.event["summary"], changed.event["description"]) == ("Sailing", "Gone sailing: 12 knots")
    await calendar("UpdateEvent", eventId="event1", attendees=[])
    assert google_service.events["event1"]["attendees"] == [], "nobody is left"
    listed = await calendar("ListEvents", timeMin="2026-01-01T00:00:00", timeMax="2027-01-01T00:00:00+01:00")
    assert [event["summary"] for event in listed.events] == ["Sailing"]
    asked = google_service.wire.last.query
    assert (asked["timeMin"], asked["timeMax"]) == ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00+01:00")
    assert google_service.wire.last.query["singleEvents"] == "true"
    await calendar("DeleteEvent", eventId="event1")
    assert google_service.events == {}
    assert any("PRIVATE KEY" in text for text in calendar.context.masked)


async def test_a_moment_is_in_the_zone_of_the_event_and_else_in_utc(calendar, google_service):
    start, end = "2026-01-02T09:00:00", "2026-01-02T18:00:00"
    await calendar("InsertEvent", summary="Sailing", startTime={"dateTime": start}, endTime={"dateTime": end})
    stored = google_service.events["event1"]
    assert (stored["start"], stored["end"]) == ({"dateTime": f"{start}Z"}, {"dateTime": f"{end}Z"})
    paris = [{"dateTime": moment, "timeZone": "Europe/Paris"} for moment in (start, end)]
    await calendar("InsertEvent", summary="Sailing", startTime=paris[0], endTime=paris[1])
    stored = google_service.events["event2"]
    assert [stored["start"], stored["end"]] == paris
    await calendar("UpdateEvent", eventId="event1", startTime={"timeZone": "Europe/Rome"})
    assert google_service.wire.last.json == {"start": {"timeZone": "Europe/Rome"}}


async def test_what_google_refuses_is_explained(calendar):
    with pytest.raises(TaskFailed, match=r"answered 404: Not Found.*share the calendar"):
        await calendar("InsertEvent", calendarId="other", summary="x", **WHEN)
    with pytest.raises(TaskFailed, match="answered 400: The specified time range is empty"):
        await calendar("InsertEvent", summary="x", startTime=WHEN["endTime"], endTime=WHEN["endTime"])


async def test_what_we_refuse_ourselves(calendar):
    with pytest.raises(TaskFailed, match="not a date and time as RFC 3339"):
        await calendar("InsertEvent", summary="x", startTime={"dateTime": "tomorrow"}, endTime=WHEN["endTime"])
    with pytest.raises(TaskFailed, match="`startTime` has no `dateTime`"):
        await calendar("InsertEvent", summary="x", startTime={"timeZone": "Europe/London"}, endTime=WHEN["endTime"])
    with pytest.raises(TaskFailed, match="`summary` of the event is empty"):
        await calendar("InsertEvent", summary="{{ '' }}", **WHEN)
    with pytest.raises(ValidationError, match="summary"):
        await calendar("InsertEvent", **WHEN)
    with pytest.raises(TaskFailed, match="`serviceAccount` is not JSON"):
        await calendar("GetEvent", eventId="x", serviceAccount="not a key")
    with pytest.raises(TaskFailed, match="for a step of its path"):
        await calendar("DeleteEvent", eventId="..")


async def test_a_silent_calendar_is_waited_for_as_long_as_the_task_says(make_context, google_service):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        context = make_context({"providers": {"google_calendar": {"base_url": url}}})
        given = {"calendarId": CALENDAR, "serviceAccount": google_service.service_account, "readTimeout": 1}
        with pytest.raises(TaskFailed, match="was silent for 1 s"):
            await context.run(type=f"{KIND}.ListEvents", **given)


async def test_a_bad_key_is_explained(calendar, google_service):
    key = {**json.loads(google_service.service_account), "private_key": "nonsense"}
    with pytest.raises(TaskFailed, match="Google gave no token") as caught:
        await calendar("GetEvent", eventId="x", serviceAccount=json.dumps(key))
    assert "nonsense" not in str(caught.value)


async def test_a_key_does_not_lead_to_metadata_services(calendar, google_service):
    key = {**json.loads(google_service.service_account), "token_uri": "http://169.254.169.254/token"}
    with pytest.raises(TaskFailed, match="link-local"):
        await calendar("GetEvent", eventId="x", serviceAccount=json.dumps(key))


@pytest.fixture
def look(make_context, google_service):
    """Looks as the engine does: what was seen is remembered at the next look."""
    context = make_context({"providers": {"google_calendar": {"base_url": google_service.url}}})
    context.secrets["GOOGLE_SA"] = google_service.service_account

    async def poll(**given):
        kind = f"{KIND}.EventCreatedTrigger"
        account = {"calendarIds": [CALENDAR], "serviceAccount": "{{ secret('GOOGLE_SA') }}"}
        trigger = catalogue().resolve({"type": kind}).model_validate({"id": "t", "type": kind, **account, **given})
        assert isinstance(trigger, PollingTrigger)
        seen = await trigger.poll(context)
        context.memory = json.loads(json.dumps(seen.memory))
        return [event["summary"] for event in seen.found.events] if seen.found else None

    poll.context = context  # type: ignore[attr-defined]
    return poll


def event(service, summary, ago=0.0, **more):
    """An event that was made some minutes ago."""
    at = (datetime.now(UTC) - timedelta(minutes=ago)).isoformat().replace("+00:00", "Z")
    id_ = f"e{len(service.events) + 1}"
    service.events[id_] = {"id": id_, "status": "confirmed", "summary": summary, "created": at, "updated": at, **more}
    return service.events[id_]


async def test_new_events_start_executions_once(look, google_service):
    event(google_service, "before", ago=6)
    first = event(
        google_service, "first", ago=2, start={"dateTime": "2026-01-01T09:00:00Z"}, organizer={"email": "A@b.c"}
    )
    assert await look() == ["first"]
    assert await look() is None
    event(google_service, "shown late", ago=1)
    event(google_service, "now")
    first["updated"] = datetime.now(UTC).isoformat()  # a change is no new event
    assert await look() == ["shown late", "now"]
    assert await look() is None
    assert google_service.wire.last.query["orderBy"] == "updated"
    assert "singleEvents" not in google_service.wire.last.query  # a series counts once


async def test_what_a_new_event_tells(look, google_service):
    event(google_service, "meet", start={"dateTime": "2026-01-01T09:00:00Z"}, organizer={"email": "a@b.c"}, etag="x")
    kind = f"{KIND}.EventCreatedTrigger"
    given = {"calendarIds": [CALENDAR], "serviceAccount": google_service.service_account}
    trigger = catalogue().resolve({"type": kind}).model_validate({"id": "t", "type": kind, **given})
    (found,) = (await trigger.poll(look.context)).found.events
    assert found["start"] == {"dateTime": "2026-01-01T09:00:00Z", "date": None, "timeZone": None}
    assert found["organizer"] == {"email": "a@b.c", "displayName": None, "self": None}
    assert (found["location"], "etag" in found) == (None, False)


async def test_which_new_events(look, google_service):
    event(google_service, "interview", organizer={"email": "Ann@example.com"})
    event(google_service, "interview too", organizer={"email": "bob@example.com"})
    event(google_service, "lunch", organizer={"email": "ann@example.com"})
    event(google_service, "interview off", status="cancelled", organizer={"email": "ann@example.com"})
    asked = {"searchQuery": "interview", "organizerEmail": "ann@example.com"}
    assert await look(**asked) == ["interview"]
    look.context.memory = {}
    assert await look(**asked, eventStatus="CANCELLED") == ["interview off"]


async def test_more_than_one_execution_is_given_wait_for_the_next(look, google_service):
    google_service.page_size = 2
    for number in range(5):
        event(google_service, str(number))
    assert await look(maxEventsPerPoll=3) == ["0", "1", "2"]
    assert await look(maxEventsPerPoll=3) == ["3", "4"]
    assert await look(maxEventsPerPoll=3) is None
    with pytest.raises(TaskFailed, match="Give 1 to 2500"):
        await look(maxEventsPerPoll=0)


async def test_a_calendar_that_is_closed_does_not_stop_the_others(look, google_service):
    event(google_service, "one")
    assert await look(calendarIds=["other", CALENDAR]) == ["one"]
    assert look.context.said("calendar other could not be read", "WARN")
    with pytest.raises(TaskFailed, match="404"):
        await look(calendarIds=["other"])


async def test_without_ids_the_account_s_own_calendar_is_looked_at(look, google_service):
    kind = f"{KIND}.EventCreatedTrigger"
    given = {"id": "t", "type": kind, "serviceAccount": google_service.service_account}
    trigger = catalogue().resolve({"type": kind}).model_validate(given)
    await trigger.poll(look.context)
    assert google_service.wire.last.path.endswith("/calendars/primary/events")


async def test_after_weeks_away_nothing_is_lost(look, google_service):
    assert await look() is None
    view = look.context.memory[CALENDAR]
    view["since"] = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    event(google_service, "long ago", ago=60 * 24 * 35)
    assert await look() == ["long ago"]
