"""`io.kestra.plugin.ai.provider`: whose model answers."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from engine.plugin import Property, RunContext, TaskFailed, Typed
from engine.tasks import aliases, anthropic_service, gemini
from engine.tasks.ai.conversation import Call, Configuration, Described, Said, Turn, json_demand, parsed_arguments
from engine.tasks.ai.messages import (
    anthropic_messages,
    gemini_content,
    gemini_function,
    ollama_message,
    openai_function,
    openai_message,
)
from engine.tasks.ollama.client import models, server
from engine.tasks.openai_service import connected
from engine.tasks.property_types import OptionalInteger, OptionalText, Text

FINISHED = {"stop": "STOP", "length": "LENGTH", "tool_calls": "TOOL_EXECUTION", "content_filter": "CONTENT_FILTER"}
STOPPED = {
    "end_turn": "STOP",
    "stop_sequence": "STOP",
    "max_tokens": "LENGTH",
    "tool_use": "TOOL_EXECUTION",
    "refusal": "CONTENT_FILTER",
}
MAX_TOKENS = 4096  # of an answer by Anthropic, which wants a number


class Provider(Typed, ABC):
    """A service with models."""

    model_name: Property[Text]
    base_url: Property[OptionalText] = None

    @abstractmethod
    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        """The model's answer, or the tools it wants to be used first; TaskFailed when the service refuses."""

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        """A vector for every text; TaskFailed when the provider makes none."""
        raise TaskFailed(f"The provider {self.type} makes no embeddings here.", fix="Use OpenAI, Gemini or Ollama.")

    async def draw(self, context: RunContext, prompt: str) -> str:
        """A picture: a URI of internal storage or a link; TaskFailed when the provider makes none."""
        raise TaskFailed(f"The provider {self.type} makes no pictures here.", fix="Use the provider OpenAI.")


class OpenAiFamily(Provider):
    """Services that speak OpenAI's API."""

    service: ClassVar[str] = "openai"
    default_url: ClassVar[str] = "https://api.openai.com/v1"
    knows_schemas: ClassVar[bool] = True
    api_key: Property[Text]

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        if configuration.top_k is not None:
            raise TaskFailed(f"The provider {self.type} has no `topK`.", fix="Leave it out.")
        messages: list[Any] = [openai_message(turn) for turn in turns]
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
                messages.insert(0, {"role": "system", "content": json_demand(schema)})
        if tools:
            body["tools"] = [{"type": "function", "function": openai_function(tool)} for tool in tools]
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
            tuple(
                Call(call.id, call.function.name, parsed_arguments(call.function.arguments))
                for call in first.message.tool_calls or ()
            ),
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        name = aliases.model(self.model_name, context.settings.models)
        async with connected(context, self.service, self.api_key, self.base_url, self.default_url) as client:
            answer = await client.embeddings.create(model=name, input=list(texts), encoding_format="float")
        return [list(one.embedding) for one in sorted(answer.data, key=lambda one: one.index)]


class OpenAI(OpenAiFamily):
    """OpenAI."""

    type: Literal["io.kestra.plugin.ai.provider.OpenAI"]

    async def draw(self, context: RunContext, prompt: str) -> str:
        name = aliases.model(self.model_name, context.settings.models)
        async with connected(context, self.service, self.api_key, self.base_url, self.default_url) as client:
            answer = await client.images.generate(model=name, prompt=prompt)
        first = next(iter(answer.data or []), None)
        if first is not None and first.b64_json:
            return await context.files.put(base64.b64decode(first.b64_json), "image.png")
        if first is None or not first.url:
            raise TaskFailed("The service made no picture.", fix="Change the prompt; it may have been refused.")
        return first.url


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


class GitHubModels(OpenAiFamily):
    """Models at GitHub."""

    service: ClassVar[str] = "github_models"
    default_url: ClassVar[str] = "https://models.github.ai/inference"
    type: Literal["io.kestra.plugin.ai.provider.GitHubModels"]
    api_key: Property[Text] = Field(validation_alias=AliasChoices("apiKey", "gitHubToken"))


class HuggingFace(OpenAiFamily):
    """Hugging Face."""

    service: ClassVar[str] = "huggingface"
    default_url: ClassVar[str] = "https://router.huggingface.co/v1"
    type: Literal["io.kestra.plugin.ai.provider.HuggingFace"]


class LocalAI(OpenAiFamily):
    """A server of one's own that speaks OpenAI's API."""

    service: ClassVar[str] = "localai"
    default_url: ClassVar[str] = "http://localhost:8080/v1"
    type: Literal["io.kestra.plugin.ai.provider.LocalAI"]
    api_key: Property[Text] = "none"


class DashScope(OpenAiFamily):
    """Alibaba's DashScope (Qwen)."""

    service: ClassVar[str] = "dashscope"
    default_url: ClassVar[str] = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    type: Literal["io.kestra.plugin.ai.provider.DashScope"]


class ZhiPuAI(OpenAiFamily):
    """ZhiPu (GLM)."""

    service: ClassVar[str] = "zhipu"
    default_url: ClassVar[str] = "https://open.bigmodel.cn/api/paas/v4"
    type: Literal["io.kestra.plugin.ai.provider.ZhiPuAI"]


class GoogleGemini(Provider):
    """Google's Gemini."""

    type: Literal["io.kestra.plugin.ai.provider.GoogleGemini"]
    api_key: Property[Text]

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
        contents = [gemini_content(turn) for turn in turns if turn.role != "system"]
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
                tools=[types.Tool(function_declarations=[gemini_function(tool) for tool in tools])] if tools else None,
                automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            )
            answer = await client.aio.models.generate_content(
                model=name,
                contents=contents,
                config=config,
            )
        usage = answer.usage_metadata
        first = answer.candidates[0] if answer.candidates else None
        finished = first.finish_reason if first else None
        parts = (first.content.parts if first and first.content else None) or []
        calls = tuple(
            Call(part.function_call.id or f"call-{n}", part.function_call.name or "", part.function_call.args or {})
            for n, part in enumerate(parts)
            if part.function_call
        )
        return Said(
            "".join(part.text for part in parts if part.text and not part.thought),
            (usage.prompt_token_count or 0) if usage else 0,
            (usage.candidates_token_count or 0) if usage else 0,
            {"STOP": "STOP", "MAX_TOKENS": "LENGTH", "SAFETY": "CONTENT_FILTER"}.get(
                finished.value if finished else "", "OTHER"
            ),
            calls,
            first.content if first else None,
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        name = aliases.model(self.model_name, context.settings.models)
        async with gemini.connected(context, self.api_key, name) as client:
            answer = await client.aio.models.embed_content(model=name, contents=list(texts))
        return [list(one.values or []) for one in answer.embeddings or []]


class Ollama(Provider):
    """A model on an Ollama server."""

    type: Literal["io.kestra.plugin.ai.provider.Ollama"]
    endpoint: Property[OptionalText] = None

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
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
                [ollama_message(turn) for turn in turns],
                (configuration.schema_ or "json") if configuration.wants_json else None,
                {key: value for key, value in named.items() if value is not None},
                [{"type": "function", "function": openai_function(tool)} for tool in tools],
            )
        calls = tuple(
            Call(f"call-{n}", call.function.name, dict(call.function.arguments))
            for n, call in enumerate(answer.message.tool_calls or ())
        )
        finished = "LENGTH" if answer.done_reason == "length" else "STOP"
        return Said(
            answer.message.content or "", answer.prompt_eval_count or 0, answer.eval_count or 0, finished, calls
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        at = server(context, self.endpoint or self.base_url, None)
        async with models(context, at) as found:
            return await found.embed(aliases.model(self.model_name, context.settings.models), texts)


class Anthropic(Provider):
    """Anthropic's Claude."""

    type: Literal["io.kestra.plugin.ai.provider.Anthropic"]
    api_key: Property[Text]
    max_tokens: Property[OptionalInteger] = None

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        if configuration.seed is not None:
            raise TaskFailed(f"The provider {self.type} has no `seed`.", fix="Leave it out.")
        system = [turn.text for turn in turns if turn.role == "system"]
        if configuration.wants_json:
            system.append(json_demand(configuration.schema_))
        body = {
            "model": aliases.model(self.model_name, context.settings.models),
            "max_tokens": configuration.max_token or self.max_tokens or MAX_TOKENS,
            "system": "\n\n".join(system) or None,
            "messages": anthropic_messages(turns),
            "temperature": configuration.temperature,
            "top_p": configuration.top_p,
            "top_k": configuration.top_k,
            "tools": [{"name": t.name, "description": t.description, "input_schema": t.schema} for t in tools] or None,
        }
        given = {key: value for key, value in body.items() if value is not None}
        answer = await anthropic_service.ask(context, self.api_key, self.base_url, given)
        blocks, usage = answer.get("content") or [], answer.get("usage") or {}
        return Said(
            anthropic_service.text_of(answer),
            usage.get("input_tokens", 0),
            usage.get("output_tokens", 0),
            STOPPED.get(str(answer.get("stop_reason")), "OTHER"),
            tuple(Call(b["id"], b["name"], b.get("input") or {}) for b in blocks if b.get("type") == "tool_use"),
        )
