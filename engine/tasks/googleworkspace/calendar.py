"""`io.kestra.plugin.googleworkspace.calendar`: events of Google Calendar."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.core.durations import Duration
from engine.plugin import Look, Outputs, Part, PollContext, PollingTrigger, Property, RunContext, TaskFailed
from engine.tasks.calendar_service import SCOPE, SERVICE, CalendarTask, Person, When, event_path, kept, with_offset
from engine.tasks.pages import Pages
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList, document_from_text
from engine.tasks.rest_service import dated, listed, mapped
from engine.tasks.trigger_fields import fields_of

LATE = timedelta(minutes=10)  # Google may show an event that long after it was made, and clocks differ
LONGEST_BACK = timedelta(days=20)  # Google refuses to tell what changed before that
MOST = 2500  # events a page
TIMES = ("dateTime", "date", "timeZone")
TOLD = (
    "id", "summary", "description", "location", "status", "htmlLink", "created", "updated", "visibility", "eventType",
)  # fmt: skip


class Event(Outputs):
    """What Google says about an event."""

    event: dict[str, Any]
    metadata: dict[str, Any] = Field(default_factory=dict)


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
            "attendees": [person.body() for person in self.attendees] if self.attendees is not None else None,
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
        for name, moment in (("startTime", self.start_time), ("endTime", self.end_time)):
            if not moment.date_time:
                raise TaskFailed(f"`{name}` has no `dateTime`.", fix="Write it as 2026-01-31T09:00:00+01:00.")
        return Event(event=kept(await self.call(context, "POST", body=self.event(), fields="id")))


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
            event_path(self.event_id),
            maxAttendees=self.max_attendees,
            alwaysIncludeEmail=self.always_include_email or None,
        )
        return Event(event=kept(found), metadata=found)


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
            timeMin=with_offset(self.time_min),
            timeMax=with_offset(self.time_max),
            q=self.q,
            singleEvents=self.single_events,
            orderBy=self.order_by,
            showDeleted=self.show_deleted,
            maxResults=self.max_results,
            pageToken=self.page_token,
        )
        items = listed(found, SERVICE, "items")
        return Events(
            events=[kept(item) for item in items], metadataList=items, nextPageToken=found.get("nextPageToken")
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
            event_path(self.event_id),
            body,
            sendUpdates=self.send_updates,
        )
        return Event(event=kept(found), metadata=found)


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
        await self.call(context, "DELETE", event_path(self.event_id), sendUpdates=self.send_updates)


class Created(Outputs):
    """Events that are new."""

    events: list[dict[str, Any]]


class NewEvents(Part):
    """Which events are waited for, and how they are found."""

    calendar_ids: Property[TextList | None] = Field(
        default=None, description="Ids of calendars that are shared with the account; `primary`, its own, unless given."
    )
    service_account: Property[OptionalText] = Field(default=None, description="The whole JSON key.")
    scopes: Property[TextList] = Field(default_factory=lambda: [SCOPE], description="What the account asks for.")
    read_timeout: Property[OptionalInteger] = Field(default=120, description="Seconds Google may be silent.")
    search_query: Property[OptionalText] = Field(default=None, description="A text that the events hold.")
    organizer_email: Property[OptionalText] = Field(default=None, description="Whose events they are.")
    event_status: Property[Literal["CONFIRMED", "TENTATIVE", "CANCELLED"] | None] = Field(
        default=None, description="The state the events are in."
    )
    max_events_per_poll: Property[int] = Field(
        default=100,
        description="Events of one calendar that one execution is given (1 to 2500); more wait for the next.",
    )

    async def changed(
        self, context: RunContext, calendar_id: str, since: datetime, now: datetime
    ) -> list[dict[str, Any]]:
        """Events that were made or changed since a moment; TaskFailed."""
        account = {name: getattr(self, name) for name in ("service_account", "scopes", "read_timeout")}
        stamp = since.astimezone(UTC).isoformat().replace("+00:00", "Z") if now - since < LONGEST_BACK else None
        asks = ListEvents(id="look", type=ListEvents.type_names()[0], calendar_id=calendar_id, **account)
        found, page, pages = list[dict[str, Any]](), "", Pages(SERVICE)
        while True:
            answer = await asks.call(
                context,
                "GET",
                q=self.search_query or None,
                updatedMin=stamp,
                orderBy="updated",
                showDeleted=self.event_status == "CANCELLED" or None,
                maxResults=MOST,
                pageToken=page or None,
            )
            found += listed(answer, SERVICE, "items", each=["id"])
            page = pages.after(answer.get("nextPageToken"))
            if not page:
                return found

    def wants(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is one of those that are asked for."""
        status = str(event.get("status") or "confirmed").upper()
        organizer = str(mapped(event, SERVICE, "organizer").get("email") or "")
        if self.organizer_email and self.organizer_email.lower() != organizer.lower():
            return False
        return status == self.event_status if self.event_status else status != "CANCELLED"


class EventCreatedTrigger(NewEvents, PollingTrigger):
    """Start an execution when there are new events in calendars; a series counts once."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: meetings
type: io.kestra.plugin.googleworkspace.calendar.EventCreatedTrigger
interval: PT5M
serviceAccount: "{{ secret('GOOGLE_SA') }}"
calendarIds: [team@example.com]
searchQuery: interview
""",
    )
    type: Literal["io.kestra.plugin.googleworkspace.calendar.EventCreatedTrigger"]
    interval: Duration = Field(
        default=timedelta(minutes=5), ge=timedelta(minutes=1), description="The wait between two looks."
    )

    async def poll(self, context: PollContext) -> Look:
        asked = await fields_of(self, NewEvents, context)
        if not 1 <= asked.max_events_per_poll <= MOST:
            raise TaskFailed(f"`maxEventsPerPoll` is {asked.max_events_per_poll}.", fix=f"Give 1 to {MOST}.")
        now = datetime.now(UTC)
        memory, found, refused = dict(context.memory), list[dict[str, Any]](), list[TaskFailed]()
        calendars = asked.calendar_ids or ["primary"]
        for calendar_id in calendars:
            view = View.of(memory.get(calendar_id), now - self.interval)
            try:
                fresh = view.new(await asked.changed(context, calendar_id, view.floor, now))
            except TaskFailed as error:
                context.log(f"The calendar {calendar_id} could not be read: {error}", "WARN")
                refused.append(error)
                continue
            taken = fresh[: asked.max_events_per_poll]
            memory[calendar_id] = view.after(taken, now if len(taken) == len(fresh) else None).document()
            found += [_told(event) for event in taken if asked.wants(event)]
        if refused and len(refused) == len(calendars):
            raise refused[0]
        return Look(Created(events=found) if found else None, memory)


@dataclass(frozen=True, slots=True)
class View:
    """Up to when a calendar was read, and which events made shortly before were counted: Google shows some late."""

    since: datetime
    counted: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: Any, first: datetime) -> "View":
        """A view as it was kept; the first one sees what was made after a moment."""
        if not kept:
            return cls(first + LATE)
        counted = {key: datetime.fromisoformat(made) for key, made in kept["counted"].items()}
        return cls(datetime.fromisoformat(kept["since"]), counted)

    def document(self) -> dict[str, Any]:
        """The view as it is kept."""
        counted = {key: made.isoformat() for key, made in self.counted.items()}
        return {"since": self.since.isoformat(), "counted": counted}

    @property
    def floor(self) -> datetime:
        """The moment before which all is counted."""
        return self.since - LATE

    def new(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events that are not counted yet, oldest first."""
        made = {str(event["id"]): event for event in events if _made(event) > self.floor}
        return sorted((made[key] for key in made.keys() - self.counted.keys()), key=lambda one: (_made(one), one["id"]))

    def after(self, taken: Sequence[dict[str, Any]], read: datetime | None) -> "View":
        """The view once some were taken: all there were at a moment, or the oldest (None)."""
        since = max(self.since, read or (_made(taken[-1]) if taken else self.since))
        counted = {**self.counted, **{str(event["id"]): _made(event) for event in taken}}
        return View(since, {key: made for key, made in counted.items() if made > since - LATE})


def _made(event: Mapping[str, Any]) -> datetime:
    known = next((name for name in ("created", "updated") if event.get(name)), None)
    return dated(event, SERVICE, known) if known else datetime.min.replace(tzinfo=UTC)


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: event.get(name) for name in TOLD}
    for name, keys in {"start": TIMES, "end": TIMES, "organizer": ("email", "displayName", "self")}.items():
        held = mapped(event, SERVICE, name)
        parts[name] = {key: held.get(key) for key in keys} if held else None
    return parts
