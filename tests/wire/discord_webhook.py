"""Discord's webhooks: JSON or multipart, limits and 429 as Discord has them."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving


class DiscordWebhook:
    """`messages` are the bodies that were accepted, `files` what came with each; `waits` are 429s to give first."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.files: list[dict[str, bytes]] = []
        self.waits: deque[float] = deque()
        self.wire: Loopback

    @property
    def url(self) -> str:
        return f"{self.wire.url}/api/webhooks/1/secret"

    def answer(self, request: Received) -> Answered:
        if self.waits:
            wait = self.waits.popleft()
            return Answered({"message": "You are being rate limited.", "retry_after": wait, "global": False}, 429)
        if request.path != "/api/webhooks/1/secret":
            return Answered({"message": "Unknown Webhook", "code": 10015}, 404)
        files: dict[str, bytes] = {}
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            parts = request.parts
            body = json.loads(parts.pop("payload_json")[1])
            files = {str(name): content for name, content in parts.values()}
            if len(body.get("attachments", [])) != len(files):
                return Answered({"message": "Invalid Form Body", "code": 50035}, 400)
        else:
            body = json.loads(request.body)
        content, embeds = body.get("content") or "", body.get("embeds") or []
        if not content and not embeds and not files:
            return Answered({"message": "Cannot send an empty message", "code": 50006}, 400)
        too_long = len(content) > 2000 or any(len(embed.get("description") or "") > 4096 for embed in embeds)
        if too_long or len(embeds) > 10:
            return Answered({"message": "Invalid Form Body", "code": 50035}, 400)
        self.messages.append(body)
        self.files.append(files)
        return Answered(status=204)


@pytest.fixture
def discord_webhook() -> Iterator[DiscordWebhook]:
    """The service, running."""
    service = DiscordWebhook()
    with serving(service.answer) as service.wire:
        yield service
