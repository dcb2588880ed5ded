"""Google: a token endpoint for service accounts, and the events of a calendar."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.wire.loopback import Answered, Loopback, Received, serving

TOKEN = "ya29.test-token"
CALENDAR = "team@group.calendar.google.com"


@lru_cache(maxsize=1)
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class GoogleService:
    """`events` by id; `service_account` is the JSON key to give a flow."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.page_size = 2500
        self.before_listing: Callable[[], None] | None = None
        self.wire: Loopback

    @property
    def url(self) -> str:
        """Base URL of the calendar API."""
        return f"{self.wire.url}/calendar/v3"

    @property
    def service_account(self) -> str:
        pem = _private_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = {
            "type": "service_account",
            "project_id": "parley",
            "private_key_id": "k1",
            "private_key": pem.decode(),
            "client_email": "robot@parley.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.wire.url}/token",
        }
        return json.dumps(key, indent=2)

    def answer(self, request: Received) -> Answered:
        if request.path == "/token":
            return self._token(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _error(401, "Request had invalid authentication credentials.")
        found = re.fullmatch(r"/calendar/v3/calendars/([^/]+)/events(?:/([^/]+))?", request.path)
        if found is None or found[1] not in (CALENDAR, "primary"):
            return _error(404, "Not Found")
        if found[2] is None:
            return self._insert(request) if request.method == "POST" else self._list(request.query)
        if found[2] not in self.events:
            return _error(404, "Not Found")
        match request.method:
            case "PATCH":
                self.events[found[2]] |= {**request.json, "updated": _now()}
            case "PUT":
                self.events[found[2]] = {"id": found[2], "status": "confirmed", **request.json}
            case "DELETE":
                del self.events[found[2]]
                return Answered(status=204)
        return Answered(self.events[found[2]])

    def _token(self, request: Received) -> Answered:
        """Checks the signed assertion as Google does."""
        head, claims, signature = request.form["assertion"].split(".")
        _private_key().public_key().verify(
            base64.urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        said = json.loads(base64.urlsafe_b64decode(claims + "=="))
        if not re.search("calendar|spreadsheets|cloud-platform|drive", said["scope"]):
            return Answered({"error": "invalid_scope"}, 400)
        return Answered({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})

    def _insert(self, request: Received) -> Answered:
        body = request.json
        try:
            start, end = (datetime.fromisoformat(body[key]["dateTime"]) for key in ("start", "end"))
        except (KeyError, ValueError):
            return _error(400, "Missing or invalid start or end time.")
        if end <= start:
            return _error(400, "The specified time range is empty.")
        stamps = {"created": _now(), "updated": _now()}
        event = {"id": f"event{len(self.events) + 1}", "status": "confirmed", **stamps, **body}
        self.events[event["id"]] = event
        return Answered({"id": event["id"]} if request.query.get("fields") == "id" else event)

    def _list(self, asked: dict[str, str]) -> Answered:
        """A page of events, by the rules for what may be asked together."""
        if self.before_listing is not None:
            self.before_listing()
        order, since = asked.get("orderBy"), asked.get("updatedMin")
        if order not in (None, "updated", "startTime") or (
            order == "startTime" and asked.get("singleEvents") != "true"
        ):
            return _error(400, "The requested ordering is not available for the particular query.")
        if since and datetime.now(UTC) - datetime.fromisoformat(since) > timedelta(days=28):
            return _error(410, "The requested minimum modification time lies too far in the past.")
        rows = [
            event
            for event in sorted(self.events.values(), key=lambda one: str(one.get("updated")))
            if (not since or datetime.fromisoformat(event["updated"]) >= datetime.fromisoformat(since))
            and asked.get("q", "").lower() in json.dumps(event).lower()
            and (event["status"] != "cancelled" or since or asked.get("showDeleted") == "true")
        ]
        start, size = int(asked.get("pageToken") or 0), min(int(asked.get("maxResults") or 250), self.page_size)
        page = {"items": rows[start : start + size]}
        return Answered(page | ({"nextPageToken": str(start + size)} if start + size < len(rows) else {}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _error(code: int, message: str) -> Answered:
    return Answered({"error": {"code": code, "message": message, "errors": []}}, code)


@pytest.fixture
def google_service() -> Iterator[GoogleService]:
    """The service, running."""
    service = GoogleService()
    with serving(service.answer) as service.wire:
        yield service
