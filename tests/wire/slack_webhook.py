"""Slack's incoming webhooks, with Slack's own refusals, and the Web API that tasks call."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving
from tests.wire.slack_methods import SlackMethods


class SlackWebhook:
    """`messages` are the bodies that were accepted; `waits` are the 429s to give first, in seconds."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.waits: deque[float] = deque()
        self.methods = SlackMethods()
        self.wire: Loopback

    @property
    def url(self) -> str:
        return f"{self.wire.url}/services/T1/B1/secret"

    @property
    def api_url(self) -> str:
        return f"{self.wire.url}/api"

    def answer(self, request: Received) -> Answered:
        if self.waits:
            return Answered("rate limited", 429, {"Retry-After": str(self.waits.popleft())})
        if request.path.startswith("/upload/"):
            taken = self.methods.upload(request.path.removeprefix("/upload/"), request.body)
            return Answered("OK") if taken else Answered("length", 400)
        if request.path.startswith("/api/"):
            return self._method(request, request.path.removeprefix("/api/"))
        if request.path != "/services/T1/B1/secret":
            return Answered("no_service", 404)
        try:
            body = json.loads(request.body)
        except json.JSONDecodeError:
            return Answered("invalid_payload", 400)
        if not isinstance(body, dict) or not (body.get("text") or body.get("blocks") or body.get("attachments")):
            return Answered("no_text", 400)
        self.messages.append(body)
        return Answered("ok")

    def _method(self, request: Received, method: str) -> Answered:
        if request.headers.get("authorization") != "Bearer xoxb-good":
            return Answered({"ok": False, "error": "invalid_auth"})
        if "json" in request.headers.get("content-type", ""):
            return Answered({"ok": False, "error": "invalid_form_data"})  # many methods take forms only
        self.methods.upload_url = f"{self.wire.url}/upload"
        return Answered(self.methods.answer(method, request.form))


@pytest.fixture
def slack_webhook() -> Iterator[SlackWebhook]:
    """The service, running."""
    service = SlackWebhook()
    with serving(service.answer) as service.wire:
        yield service
