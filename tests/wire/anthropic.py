"""Anthropic's Messages API, with answers set by the test."""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving


class AnthropicService:
    """`replies` are texts in order (the last one stays); a list holds calls of tools: (name, arguments)."""

    def __init__(self) -> None:
        self.replies: deque[Any] = deque(["Hello."])
        self.blocks: list[dict[str, Any]] = []  # before the reply, for who lets the model think
        self.wire: Loopback

    @property
    def url(self) -> str:
        return self.wire.url

    @property
    def asked(self) -> list[Any]:
        return [request.json for request in self.wire.requests]

    def answer(self, request: Received) -> Answered:
        if request.path != "/v1/messages" or not request.headers.get("anthropic-version"):
            return _error(404, "not_found_error", request.path)
        if request.headers.get("x-api-key") != "k":
            return _error(401, "authentication_error", "invalid x-api-key")
        body = request.json
        roles = [message["role"] for message in body["messages"]]
        if roles[0] != "user" or any(one == other for one, other in pairwise(roles)):
            return _error(400, "invalid_request_error", "messages: roles must alternate")
        reply = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        content = [{"type": "text", "text": reply}]
        if isinstance(reply, list):
            content = [
                {"type": "tool_use", "id": f"t{n}", "name": name, "input": given}
                for n, (name, given) in enumerate(reply)
            ]
        if "thinking" in body:
            content = [*self.blocks, *content]
        return Answered(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": content,
                "stop_reason": "tool_use" if isinstance(reply, list) else "end_turn",
                "usage": {"input_tokens": 9, "output_tokens": 4},
            }
        )


def _error(status: int, kind: str, message: str) -> Answered:
    return Answered({"type": "error", "error": {"type": kind, "message": message}}, status)


@pytest.fixture
def anthropic_service() -> Iterator[AnthropicService]:
    """The service, running."""
    service = AnthropicService()
    with serving(service.answer) as service.wire:
        yield service
