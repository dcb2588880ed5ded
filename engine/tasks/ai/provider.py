"""`io.kestra.plugin.ai.provider`: whose model answers."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from engine.plugin import Part, Property, RunContext, TaskFailed, Typed
from engine.tasks import aliases, gemini
from engine.tasks.ollama.client import models, server
from engine.tasks.openai_service import connected
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalNumber, OptionalText, Text

FINISHED = {"stop": "STOP", "length": "LENGTH", "tool_calls": "TOOL_EXECUTION", "content_filter": "CONTENT_FILTER"}


class ResponseFormat(Part):
    """What the answer must be."""

    type: Property[Literal["TEXT", "JSON"]] = "TEXT"
    json_schema: Property[JsonMap | None] = None
    json_schema_description: Property[OptionalText] = None
    strict_json: Property[bool] = False


class Configuration(Part):
    """How the model answers."""

    temperature: Property[OptionalNumber] = None
    top_k: Property[OptionalInteger] = None
    top_p: Property[OptionalNumber] = None
    seed: Property[OptionalInteger] = None
    max_token: Property[OptionalInteger] = None
    log_requests: Property[bool] = False
    log_responses: Property[bool] = False
    response_format: ResponseFormat | None = None

    @property
    def wants_json(self) -> bool:
        """Whether the answer must be JSON; TaskFailed when a schema is given for text."""
        wanted = self.response_format or ResponseFormat()
        if wanted.type == "TEXT" and (wanted.json_schema or wanted.strict_json):
            raise TaskFailed("`jsonSchema` and `strictJson` need `responseFormat.type: JSON`.")
        return wanted.type == "JSON"

    @property
    def schema_(self) -> dict[str, Any] | None:
        """The schema of the answer, if there is one."""
        return self.response_format.json_schema if self.response_format else None


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; roles are system, user and assistant."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a model answered."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0
    finished: str = "STOP"

    @property
    def usage(self) -> dict[str, int]:
        """The tokens, as outputs show them."""
        total = self.input_tokens + self.output_tokens
        return {
            "inputTokenCount": self.input_tokens,
            "outputTokenCount": self.output_tokens,
            "totalTokenCount": total,
        }


class Provider(Typed, ABC):
    """A service with models."""

    model_name: Property[Text]
    base_url: Property[OptionalText] = None

    @abstractmethod
    async def ask(self, context: RunContext, turns: Sequence[Turn], configuration: Configuration) -> Said:
        """The model's answer; TaskFailed when the service refuses."""


class OpenAiFamily(Provider):
    """Services that speak OpenAI's API."""

    service: ClassVar[str] = "openai"
    default_url: ClassVar[str] = "https://api.openai.com/v1"
    knows_schemas: ClassVar[bool] = True
    api_key: Property[Text]

    async def ask(self, context: RunContext, turns: Sequence[Turn], configuration: Configuration) -> Said:
        if configuration.top_k is not None:
            raise TaskFailed(f"The provider {self.type} has no `topK`.", fix="Leave it out.")
        messages: list[Any] = [{"role": turn.role, "content": turn.text} for turn in turns]
        body: dict[str, Any] = {
            "temperature": configuration.temperature,
            "top_p": configuration.top_p,
            "seed": configuration.seed,
            "max_tokens": configuration.max_token,
        }
        if configuration.wants_json:
            schema = configuration.schema_
            if schema is not None and self.knows_schemas:
                strict = bool(configuration.response_format and configuration.response_format.strict_json)
                described = {"name": "answer", "strict": strict, "schema": schema}
                body["response_format"] = {"type": "json_schema", "json_schema": described}
            else:
                body["response_format"] = {"type": "json_object"}
                told = f" that follows this JSON schema: {json.dumps(schema)}" if schema else ""
                messages.insert(
                    0, {"role": "system", "content": f"Answer with one JSON document{told}, and nothing else."}
                )
        given = {key: value for key, value in body.items() if value is not None}
        name = aliases.model(self.model_name, context.settings.models)
        async with connected(context, self.service, self.api_key, self.base_url, self.default_url) as client:
            answer: Any = await client.chat.completions.create(model=name, messages=messages, **given)
        if not answer.choices:
            raise TaskFailed(f"{self.service} gave no answer.")
        first, usage = answer.choices[0], answer.usage
        return Said(
            first.message.content or "",
            usage.prompt_tokens if usage else 0,
            usage.completion_tokens if usage else 0,
            FINISHED.get(first.finish_reason or "stop", "OTHER"),
        )


class OpenAI(OpenAiFamily):
    """OpenAI."""

    type: Literal["io.kestra.plugin.ai.provider.OpenAI"]


class DeepSeek(OpenAiFamily):
    """DeepSeek."""

    service: ClassVar[str] = "deepseek"
    default_url: ClassVar[str] = "https://api.deepseek.com/v1"
    knows_schemas: ClassVar[bool] = False
    type: Literal["io.kestra.plugin.ai.provider.DeepSeek"]


class OpenRouter(OpenAiFamily):
    """OpenRouter."""

    service: ClassVar[str] = "openrouter"
    default_url: ClassVar[str] = "https://openrouter.ai/api/v1"
    type: Literal["io.kestra.plugin.ai.provider.OpenRouter"]


class MistralAI(OpenAiFamily):
    """Mistral."""

    service: ClassVar[str] = "mistral"
    default_url: ClassVar[str] = "https://api.mistral.ai/v1"
    type: Literal["io.kestra.plugin.ai.provider.MistralAI"]


class GoogleGemini(Provider):
    """Google's Gemini."""

    type: Literal["io.kestra.plugin.ai.provider.GoogleGemini"]
    api_key: Property[Text]

    async def ask(self, context: RunContext, turns: Sequence[Turn], configuration: Configuration) -> Said:
        system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
        contents = [
            {"role": "model" if turn.role == "assistant" else "user", "parts": [{"text": turn.text}]}
            for turn in turns
            if turn.role != "system"
        ]
        name = aliases.model(self.model_name, context.settings.models)
        async with gemini.connected(context, self.api_key, name) as client:
            from google.genai import types

            config = types.GenerateContentConfig(
                system_instruction=system or None,
                temperature=configuration.temperature,
                top_k=configuration.top_k,
                top_p=configuration.top_p,
                seed=configuration.seed,
                max_output_tokens=configuration.max_token,
                response_mime_type="application/json" if configuration.wants_json else None,
                response_json_schema=configuration.schema_,
            )
            answer = await client.aio.models.generate_content(
                model=name,
                contents=contents,
                config=config,
            )
        usage = answer.usage_metadata
        finished = answer.candidates[0].finish_reason if answer.candidates else None
        return Said(
            answer.text or "",
            (usage.prompt_token_count or 0) if usage else 0,
            (usage.candidates_token_count or 0) if usage else 0,
            {"STOP": "STOP", "MAX_TOKENS": "LENGTH", "SAFETY": "CONTENT_FILTER"}.get(
                finished.value if finished else "", "OTHER"
            ),
        )


class Ollama(Provider):
    """A model on an Ollama server."""

    type: Literal["io.kestra.plugin.ai.provider.Ollama"]
    endpoint: Property[OptionalText] = None

    async def ask(self, context: RunContext, turns: Sequence[Turn], configuration: Configuration) -> Said:
        named = {
            "temperature": configuration.temperature,
            "top_k": configuration.top_k,
            "top_p": configuration.top_p,
            "seed": configuration.seed,
            "num_predict": configuration.max_token,
        }
        at = server(context, self.endpoint or self.base_url, None)
        name = aliases.model(self.model_name, context.settings.models)
        async with models(context, at) as found:
            answer = await found.chat(
                name,
                [{"role": turn.role, "content": turn.text} for turn in turns],
                (configuration.schema_ or "json") if configuration.wants_json else None,
                {key: value for key, value in named.items() if value is not None},
            )
        return Said(answer.message.content or "", answer.prompt_eval_count or 0, answer.eval_count or 0)
