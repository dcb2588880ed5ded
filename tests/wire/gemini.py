"""Gemini's `generateContent`, in both API versions, with answers set by the test."""

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving
from tests.wire.vectors import vector

RETIRED = frozenset({"gemini-2.5-flash-preview-05-20"})


class GeminiService:
    """`replies` are texts (a map is sent as JSON text); an unknown or retired model is refused as Google does."""

    def __init__(self) -> None:
        self.replies: deque[Any] = deque(["Hello."])
        self.wire: Loopback

    @property
    def url(self) -> str:
        return self.wire.url

    @property
    def asked(self) -> list[Any]:
        return [request.json for request in self.wire.requests]

    def answer(self, request: Received) -> Answered:
        found = re.fullmatch(r"/v1(?:beta)?/models/([^:]+):generateContent", request.path)
        if not request.headers.get("x-goog-api-key"):
            return _error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        if request.path.endswith(":batchEmbedContents"):
            texts = ["".join(part["text"] for part in one["content"]["parts"]) for one in request.json["requests"]]
            return Answered({"embeddings": [{"values": vector(text)} for text in texts]})
        if found is None or found[1] in RETIRED:
            name = found[1] if found else request.path
            return _error(404, "NOT_FOUND", f"models/{name} is not found for API version v1beta.")
        reply = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        usage = {"promptTokenCount": 4, "candidatesTokenCount": 6, "totalTokenCount": 10}
        if reply is None:  # blocked
            return Answered({"candidates": [{"finishReason": "SAFETY", "index": 0}], "usageMetadata": usage})
        text = reply if isinstance(reply, str) else json.dumps(reply)
        content: dict[str, Any] = {"role": "model", "parts": [{"text": text}]}
        if isinstance(reply, list):  # calls of functions: (name, arguments)
            calls = [{"functionCall": {"name": name, "args": given}} for name, given in reply]
            content["parts"] = [{**call, "thoughtSignature": "c2lnbmVk"} for call in calls]
        return Answered(
            {
                "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
                "usageMetadata": usage,
                "modelVersion": found[1],
            }
        )


def _error(code: int, status: str, message: str) -> Answered:
    return Answered({"error": {"code": code, "message": message, "status": status}}, code)


@pytest.fixture
def gemini_service() -> Iterator[GeminiService]:
    """The service, running."""
    service = GeminiService()
    with serving(service.answer) as service.wire:
        yield service
