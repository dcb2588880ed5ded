"""OpenAI's API (chat, pictures, responses), with answers set by the test; DeepSeek speaks the same."""

import base64
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving
from tests.wire.vectors import vector

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class OpenAiService:
    """`replies` are the texts to answer with, in order (the last one stays); `refusals` go first: (status, message).

    A reply that is a list holds calls of functions: (name, arguments).
    """

    def __init__(self) -> None:
        self.replies: deque[Any] = deque(["Hello."])
        self.refusals: deque[tuple[int, str]] = deque()
        self.picture_url: str | None = None
        self.thinking: str | None = None  # DeepSeek's `reasoning_content`
        self.wire: Loopback

    @property
    def url(self) -> str:
        return f"{self.wire.url}/v1"

    @property
    def asked(self) -> list[Any]:
        """The JSON of every request."""
        return [request.json for request in self.wire.requests if request.method == "POST"]

    def answer(self, request: Received) -> Answered:
        if request.method == "GET" and request.path == "/picture.png":
            return Answered(PIXEL, headers={"Content-Type": "image/png"})
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return Answered({"error": {"message": "No API key.", "type": "auth"}}, 401)
        if self.refusals:
            status, message = self.refusals.popleft()
            return Answered({"error": {"message": message, "type": "refused", "code": None, "param": None}}, status)
        if request.path.endswith("/files"):
            name, content = request.parts["file"]
            purpose = request.parts["purpose"][1].decode()
            about = {"id": "file-1", "object": "file", "bytes": len(content), "created_at": 1, "filename": name}
            return Answered({**about, "purpose": purpose, "status": "processed"})
        if request.path.endswith("/embeddings"):
            rows = [
                {"object": "embedding", "index": n, "embedding": vector(t)} for n, t in enumerate(request.json["input"])
            ]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            return Answered({"object": "list", "data": rows[::-1], "model": request.json["model"], "usage": usage})
        text = self.replies.popleft() if len(self.replies) > 1 else self.replies[0]
        body = request.json
        match request.path.removeprefix("/v1"):
            case "/chat/completions":
                message: dict[str, Any] = {"role": "assistant", "content": text}
                if self.thinking:
                    message["reasoning_content"] = self.thinking
                ended = "tool_calls" if isinstance(text, list) else "stop"
                if isinstance(text, list):
                    functions = [{"name": name, "arguments": json.dumps(given)} for name, given in text]
                    calls = [{"id": f"c{n}", "type": "function", "function": f} for n, f in enumerate(functions)]
                    message |= {"content": None, "tool_calls": calls}
                return Answered(
                    {
                        "id": "chatcmpl-1",
                        "object": "chat.completion",
                        "created": 1,
                        "model": body["model"],
                        "choices": [
                            {
                                "index": 0,
                                "message": message,
                                "finish_reason": ended,
                            }
                        ],
                        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
                    }
                )
            case "/images/generations":
                one = {"url": self.picture_url} if self.picture_url else {"b64_json": base64.b64encode(PIXEL).decode()}
                return Answered({"created": 1, "data": [one] * body.get("n", 1)})
            case "/responses":
                note = {
                    "type": "url_citation",
                    "url": "https://example.com",
                    "title": "",
                    "start_index": 0,
                    "end_index": 1,
                }
                part = {"type": "output_text", "text": text, "annotations": [note]}
                item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [part]}
                return Answered(
                    {
                        "id": "resp_1",
                        "object": "response",
                        "created_at": 1,
                        "status": "completed",
                        "model": body["model"],
                        "output": [item],
                        "parallel_tool_calls": True,
                        "tool_choice": "auto",
                        "tools": [],
                        "usage": {
                            "input_tokens": 5,
                            "input_tokens_details": {"cached_tokens": 3},
                            "output_tokens": 2,
                            "total_tokens": 7,
                        },
                    }
                )
        return Answered({"error": {"message": f"No route {request.path}"}}, 404)


@pytest.fixture
def openai_service() -> Iterator[OpenAiService]:
    """The service, running."""
    service = OpenAiService()
    with serving(service.answer) as service.wire:
        yield service
