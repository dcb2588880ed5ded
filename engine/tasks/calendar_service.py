"""Google Calendar as tasks and triggers call it: the account, moments, people, one call."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import Field

from engine.plugin import Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks.google_account import access_token
from engine.tasks.http_options import HttpOptions, Timeouts
from engine.tasks.outbound import send
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, TextList
from engine.tasks.rest_service import mapped, parsed, refuse_climbing

BASE_URL = "https://www.googleapis.com/calendar/v3"
SERVICE = "Google Calendar"
SCOPE = "https://www.googleapis.com/auth/calendar"
KEPT = ("id", "status", "summary", "description", "location")
HINTS = {
    401: "Check the service account's key.",
    403: "Share the calendar with the service account's address, with the right to change events.",
    404: "Check the calendar's id, and share the calendar with the service account's address.",
}


class Person(Part):
    """Somebody at an event."""

    display_name: OptionalText = None
    email: OptionalText = None

    def body(self) -> dict[str, Any]:
        """The person in Google's JSON."""
        return {key: value for key, value in self.model_dump(by_alias=True).items() if value}


class When(Part):
    """A moment, and the zone it is shown in; one without an offset is of that zone, else of UTC."""

    date_time: OptionalText = None
    time_zone: OptionalText = None

    def body(self, name: str) -> dict[str, str]:
        """The moment in Google's JSON; TaskFailed when it is not RFC 3339."""
        zone = {"timeZone": self.time_zone} if self.time_zone else {}
        if not self.date_time:
            return zone
        try:
            moment = datetime.fromisoformat(self.date_time)
        except ValueError as error:
            raise TaskFailed(
                f"`{name}.dateTime` {self.date_time!r} is not a date and time as RFC 3339 wants it.",
                fix="Write it as 2026-01-31T09:00:00+01:00.",
            ) from error
        is_zoned = moment.tzinfo is not None or bool(self.time_zone)
        return {"dateTime": self.date_time if is_zoned else f"{moment.isoformat()}Z", **zone}


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
        refuse_climbing(url)
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
                f"{SERVICE} answered {answer.code}: {_reason(answer.text)}", fix=HINTS.get(answer.code, "")
            )
        return mapped(parsed(answer, SERVICE), SERVICE)


def event_path(event_id: str) -> str:
    """Where one event lies below its calendar."""
    return f"/{quote(event_id, safe='')}"


def with_offset(moment: str | None) -> str | None:
    """A moment as Google takes it: one without an offset is in UTC."""
    try:
        is_local = bool(moment) and "T" in str(moment) and datetime.fromisoformat(str(moment)).tzinfo is None
    except ValueError:
        return moment
    return f"{moment}Z" if is_local else moment


def kept(event: dict[str, Any]) -> dict[str, Any]:
    """What flows read of an event."""
    return {name: event.get(name) for name in KEPT}


def _param(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return text[:500]
