"""Ollama's API: tags, show, version, generate, chat, pull with progress, as NDJSON. Text comes from a function."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.wire.loopback import Answered, Loopback, Received, serving
from tests.wire.vectors import vector


class OllamaService:
    """`speak(prompt)` gives the text of an answer; models have to be pulled before they answer."""

    def __init__(self, speak: Callable[[str], Any] = lambda prompt: f"You said {len(prompt)} characters.") -> None:
        self.speak = speak
        self.models: set[str] = set()
        self.prompts: list[str] = []
        self.thinking: str | None = None
        self.wire: Loopback

    @property
    def url(self) -> str:
        return self.wire.url

    def answer(self, request: Received) -> Answered:
        match request.method, request.path:
            case "GET", "/api/version":
                return Answered({"version": "0.12.0"})
            case "GET", "/api/tags" | "/api/ps":
                return Answered({"models": [{"model": name, "name": name, "size": 1} for name in sorted(self.models)]})
            case "POST", "/api/pull":
                return self._pull(request.json)
            case "POST", "/api/generate":
                return self._speak(request.json, request.json.get("prompt", ""), "response")
            case "POST", "/api/chat":
                said = "\n".join(message.get("content", "") for message in request.json["messages"])
                return self._speak(request.json, said, "message")
            case "POST", "/api/embed" if request.json["model"] in self.models:
                vectors = [vector(text) for text in request.json["input"]]
                return Answered({"model": request.json["model"], "embeddings": vectors})
            case "POST", "/api/show" if request.json["model"] in self.models:
                return Answered(
                    {
                        "modelfile": "",
                        "template": "",
                        "details": {"format": "gguf", "family": "llama"},
                        "model_info": {},
                    }
                )
            case "DELETE", "/api/delete" if request.json["model"] in self.models:
                self.models.discard(request.json["model"])
                return Answered({})
        return Answered({"error": "not found"}, 404)

    def _pull(self, body: dict[str, Any]) -> Answered:
        if body["model"].startswith("missing"):
            return Answered({"error": "pull model manifest: file does not exist"}, 500)
        self.models.add(body["model"])
        steps = [{"status": "pulling manifest"}]
        steps += [
            {"status": "pulling 1a2b", "digest": "sha256:1a2b", "total": 100, "completed": n} for n in (0, 42, 100)
        ]
        return _lines([*steps, {"status": "success"}]) if body.get("stream", True) else Answered({"status": "success"})

    def _speak(self, body: dict[str, Any], prompt: str, key: str) -> Answered:
        if body["model"] not in self.models:
            return Answered({"error": f"model '{body['model']}' not found"}, 404)
        self.prompts.append(prompt)
        text = self.speak(prompt)
        if isinstance(text, list):  # calls of functions: (name, arguments)
            calls = [{"function": {"name": name, "arguments": given}} for name, given in text]
            message = {"role": "assistant", "content": "", "tool_calls": calls}
            made = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z", "message": message}
            return Answered({**made, "done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2})

        def part(piece: str, **more: Any) -> dict[str, Any]:
            said: Any = piece if key == "response" else {"role": "assistant", "content": piece}
            if self.thinking and body.get("think") and key == "message":
                said["thinking"] = self.thinking
            return {"model": body["model"], "created_at": "2026-01-01T00:00:00Z", key: said, "done": False, **more}

        end = {"done": True, "done_reason": "stop", "prompt_eval_count": len(prompt) // 4, "eval_count": len(text) // 4}
        if not body.get("stream", True):
            return Answered(part(text, **end))
        middle = len(text) // 2
        return _lines([part(text[:middle]), part(text[middle:]), part("", **end)])


def _lines(values: list[dict[str, Any]]) -> Answered:
    return Answered(
        headers={"Content-Type": "application/x-ndjson"},
        chunks=(json.dumps(value).encode() + b"\n" for value in values),
    )


@pytest.fixture
def ollama_service() -> Iterator[OllamaService]:
    """The service, running."""
    service = OllamaService()
    with serving(service.answer) as service.wire:
        yield service
