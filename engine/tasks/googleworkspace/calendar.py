"""`io.kestra.plugin.googleworkspace.calendar`: events of Google Calendar."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.google_account import access_token
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.outbound import send
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList, document_from_text

BASE_URL = "https://www.googleapis.com/calendar/v3"
SCOPE = "https://www.googleapis.com/auth/calendar"
KEPT = ("id", "status", "summary", "description", "location")
HINTS = {
    401: "Check the service account's key.",
    403: "Share the calendar with the service account's address, with the right to change events.",
    404: "Check the calendar's id, and share the calendar with the service account's address.",
}


class Event(Outputs):
    """What Google says about an event."""

    event: dict[str, Any]
    metadata: dict[str, Any] = Field(default_factory=dict)


class Person(Part):
    """Somebody at an event."""

    display_name: OptionalText = None
    email: OptionalText = None

    def body(self) -> dict[str, Any]:
        """The person in Google's JSON."""
        return {key: value for key, value in self.model_dump(by_alias=True).items() if value}


class When(Part):
    """A moment, with its offset, and the zone it is shown in."""

    date_time: Text
    time_zone: OptionalText = None

    def body(self, name: str) -> dict[str, str]:
        """The moment in Google's JSON; TaskFailed when it is not RFC 3339."""
        try:
            moment = datetime.fromisoformat(self.date_time)
        except ValueError as error:
            raise TaskFailed(
                f"`{name}.dateTime` {self.date_time!r} is not a date and time as RFC 3339 wants it.",
                fix="Write it as 2026-01-31T09:00:00+01:00.",
            ) from error
        if moment.tzinfo is None and not self.time_zone:
            raise TaskFailed(f"`{name}` has neither an offset nor a `timeZone`.", fix="Add one of them.")
        return {"dateTime": self.date_time, **({"timeZone": self.time_zone} if self.time_zone else {})}


class CalendarTask(RunnableTask):
    """What every task of the calendar has."""

    calendar_id: Property[Text]
    service_account: Property[OptionalText] = Field(default=None, description="The whole JSON key.")
    scopes: Property[TextList] = Field(default_factory=lambda: [SCOPE])
    read_timeout: Property[OptionalInteger] = 120

    async def call(
        self, context: RunContext, method: str, path: str = "", body: Any = None, **params: Any
    ) -> dict[str, Any]:
        """One call of the calendar's events; TaskFailed when Google refuses."""
        provider = context.settings.provider("google_calendar")
        url = f"{provider.base_url or BASE_URL}/calendars/{quote(self.calendar_id, safe='')}/events{path}"
        seconds = self.read_timeout or 120
        token = await access_token(context, self.service_account, self.scopes, seconds)
        answer = await send(
            context,
            method,
            url,
            options=HttpOptions(timeout=Timeouts(read_idle_timeout=timedelta(seconds=seconds))),
            headers={"Authorization": f"Bearer {token}"},
            params={key: _param(value) for key, value in params.items() if value is not None},
            json=body,
        )
        if answer.code >= 400:
            raise TaskFailed(
                f"Google Calendar answered {answer.code}: {_reason(answer.text)}", fix=HINTS.get(answer.code, "")
            )
        return dict(json.loads(answer.content)) if answer.content.strip() else {}


class EventFields(CalendarTask):
    """What an event is made of."""

    summary: Property[OptionalText] = None
    description: Property[OptionalText] = None
    location: Property[OptionalText] = None
    start_time: Property[When | None] = None
    end_time: Property[When | None] = None
    creator: Property[Person | None] = None
    attendees: Property[Annotated[list[Person], BeforeValidator(document_from_text)] | None] = None

    def event(self) -> dict[str, Any]:
        """The event in Google's JSON, without what was not given."""
        found = {
            "summary": self.summary,
            "description": self.description,
            "location": self.location,
            "start": self.start_time.body("startTime") if self.start_time else None,
            "end": self.end_time.body("endTime") if self.end_time else None,
            "attendees": [person.body() for person in self.attendees] if self.attendees else None,
            "creator": self.creator.body() if self.creator else None,
        }
        return {key: value for key, value in found.items() if value is not None}


class InsertEvent(EventFields):
    """Add an event to a calendar."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: block
type: io.kestra.plugin.googleworkspace.calendar.InsertEvent
calendarId: "{{ secret('CALENDAR_ID') }}"
serviceAccount: "{{ secret('GOOGLE_SA') }}"
summary: Out of office
startTime:
  dateTime: '{{ now() | date("yyyy-MM-dd") }}T09:00:00+00:00'
  timeZone: Europe/London
endTime:
  dateTime: '{{ now() | date("yyyy-MM-dd") }}T18:00:00+00:00'
  timeZone: Europe/London
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.calendar.InsertEvent"]
    summary: Property[Text]
    start_time: Property[When]
    end_time: Property[When]

    async def run(self, context: RunContext) -> Event:
        if not self.summary:
            raise TaskFailed("`summary` of the event is empty.", fix="Check the expression that makes it.")
        return Event(event=_kept(await self.call(context, "POST", body=self.event(), fields="id")))


class GetEvent(CalendarTask):
    """Read one event."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: read
type: io.kestra.plugin.googleworkspace.calendar.GetEvent
calendarId: primary
eventId: "{{ outputs.block.event.id }}"
serviceAccount: "{{ secret('GOOGLE_SA') }}"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.calendar.GetEvent"]
    event_id: Property[Text]
    max_attendees: Property[OptionalInteger] = None
    always_include_email: Property[bool] = False

    async def run(self, context: RunContext) -> Event:
        found = await self.call(
            context,
            "GET",
            _event_path(self.event_id),
            maxAttendees=self.max_attendees,
            alwaysIncludeEmail=self.always_include_email or None,
        )
        return Event(event=_kept(found), metadata=found)


class Events(Outputs):
    """A page of events."""

    events: list[dict[str, Any]]
    metadataList: list[dict[str, Any]]  # noqa: N815 - appears as written
    nextPageToken: str | None = None  # noqa: N815


class ListEvents(CalendarTask):
    """List the events of a time."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: today
type: io.kestra.plugin.googleworkspace.calendar.ListEvents
calendarId: primary
serviceAccount: "{{ secret('GOOGLE_SA') }}"
timeMin: "{{ now() }}"
orderBy: startTime
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.calendar.ListEvents"]
    time_min: Property[OptionalText] = None
    time_max: Property[OptionalText] = None
    q: Property[OptionalText] = None
    single_events: Property[bool] = True
    order_by: Property[OptionalText] = None
    show_deleted: Property[bool] = False
    max_results: Property[OptionalInteger] = None
    page_token: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Events:
        found = await self.call(
            context,
            "GET",
            timeMin=self.time_min,
            timeMax=self.time_max,
            q=self.q,
            singleEvents=self.single_events,
            orderBy=self.order_by,
            showDeleted=self.show_deleted,
            maxResults=self.max_results,
            pageToken=self.page_token,
        )
        items = found.get("items", [])
        return Events(
            events=[_kept(item) for item in items], metadataList=items, nextPageToken=found.get("nextPageToken")
        )


class UpdateEvent(EventFields):
    """Change an event: only what is given, or all of it with `patch: false`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: move
type: io.kestra.plugin.googleworkspace.calendar.UpdateEvent
calendarId: primary
eventId: "{{ outputs.block.event.id }}"
serviceAccount: "{{ secret('GOOGLE_SA') }}"
summary: Gone sailing
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.calendar.UpdateEvent"]
    event_id: Property[Text]
    patch: Property[bool] = True
    send_updates: Property[Text] = "none"
    status: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Event:
        body = self.event() | ({"status": self.status} if self.status else {})
        found = await self.call(
            context,
            "PATCH" if self.patch else "PUT",
            _event_path(self.event_id),
            body,
            sendUpdates=self.send_updates,
        )
        return Event(event=_kept(found), metadata=found)


class DeleteEvent(CalendarTask):
    """Delete an event."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: free
type: io.kestra.plugin.googleworkspace.calendar.DeleteEvent
calendarId: primary
eventId: "{{ outputs.block.event.id }}"
serviceAccount: "{{ secret('GOOGLE_SA') }}"
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.calendar.DeleteEvent"]
    event_id: Property[Text]
    send_updates: Property[Text] = "none"

    async def run(self, context: RunContext) -> None:
        await self.call(context, "DELETE", _event_path(self.event_id), sendUpdates=self.send_updates)


def _event_path(event_id: str) -> str:
    return f"/{quote(event_id, safe='')}"


def _kept(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event.get(name) for name in KEPT}


def _param(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return text[:500]
