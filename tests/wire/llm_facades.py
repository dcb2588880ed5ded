"""The local language model behind the APIs of Ollama and Gemini."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.llm import LanguageModel
from tests.wire.loopback import Answered, Loopback, Received, serving
from tests.wire.ollama import OllamaService


@pytest.fixture
def real_ollama(language_model: LanguageModel) -> Iterator[OllamaService]:
    """Ollama's API with the model's own words; any model name is fetched first, with progress."""
    service = OllamaService(language_model.say)
    with serving(service.answer) as service.wire:
        yield service


class RealGemini:
    """Gemini's `generateContent`; the schema of the request is the grammar of the answer."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.wire: Loopback

    @property
    def url(self) -> str:
        return self.wire.url

    def answer(self, request: Received) -> Answered:
        body = request.json
        prompt = "".join(piece.get("text", "") for turn in body["contents"] for piece in turn["parts"])
        asked: dict[str, Any] = {"model": "local", "messages": [{"role": "user", "content": prompt[-1500:]}]}
        if schema := body.get("generationConfig", {}).get("responseJsonSchema"):
            complete = {**schema, "required": list(schema.get("properties", {}))}
            grammar = {"name": "answer", "strict": True, "schema": complete}
            asked["response_format"] = {"type": "json_schema", "json_schema": grammar}
        status, said = self.model.chat(asked)
        if status != 200:
            return Answered({"error": {"code": status, "message": str(said), "status": "INTERNAL"}}, status)
        content = {"role": "model", "parts": [{"text": said["choices"][0]["message"]["content"]}]}
        usage = said["usage"]
        return Answered(
            {
                "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {
                    "promptTokenCount": usage["prompt_tokens"],
                    "candidatesTokenCount": usage["completion_tokens"],
                    "totalTokenCount": usage["total_tokens"],
                },
            }
        )


@pytest.fixture
def real_gemini(language_model: LanguageModel) -> Iterator[RealGemini]:
    """The service, running."""
    service = RealGemini(language_model)
    with serving(service.answer) as service.wire:
        yield service
