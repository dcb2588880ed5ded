"""Requests as Slack sends them to an app: signed, as JSON or as a form."""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def signed(body: str, media: str, *, secret: str = SIGNING_SECRET, age: float = 0.0) -> dict[str, str]:
    """The headers of a request."""
    stamp = str(int(time.time() - age))
    made = hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {"content-type": media, "x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={made}"}


def event(event_id: str, **event: Any) -> str:
    """An event of the Events API."""
    about = {"token": "old-token", "team_id": "T1", "api_app_id": "A1", "event_id": event_id, "event_time": 1700000000}
    return json.dumps({**about, "type": "event_callback", "event": {"user": "U1", "channel": "C1", **event}})


def slash(**fields: str) -> str:
    """A slash command."""
    about = {"token": "old-token", "team_id": "T1", "user_id": "U1", "channel_id": "C1", "trigger_id": "13345224609.1"}
    return urlencode({**about, **fields})


def pressed(**payload: Any) -> str:
    """A button that was pressed."""
    about = {"type": "block_actions", "token": "old-token", "user": {"id": "U1"}, "trigger_id": "13345224609.2"}
    return urlencode({"payload": json.dumps({**about, **payload})})
