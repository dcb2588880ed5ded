"""`io.kestra.plugin.ai.provider`: whose model answers."""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from engine.plugin import Property, RunContext, TaskFailed
from engine.tasks import aliases, anthropic_service, gemini_service
from engine.tasks.ai.conversation import Call, Configuration, Described, Said, Turn, system_texts
from engine.tasks.ai.messages import (
    anthropic_messages,
    gemini_content,
    gemini_function,
    ollama_message,
    openai_function,
)
from engine.tasks.ai.model_service import OpenAiFamily, Provider
from engine.tasks.ollama.client import models, server
from engine.tasks.property_types import OptionalInteger, OptionalText, Text

if TYPE_CHECKING:
    from google.genai import Client

STOPPED = {
    "end_turn": "STOP",
    "stop_sequence": "STOP",
    "max_tokens": "LENGTH",
    "tool_use": "TOOL_EXECUTION",
    "refusal": "CONTENT_FILTER",
}
MAX_TOKENS = 4096  # of an answer by Anthropic, which wants a number
THINKING = 1024  # tokens, the least that Anthropic takes


class OpenAI(OpenAiFamily):
    """OpenAI."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.OpenAI
apiKey: "{{ secret('OPENAI_API_KEY') }}"
modelName: gpt-5-mini
baseUrl: https://llm.example.com/v1
caPem: "{{ secret('COMPANY_CA') }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.OpenAI"]

    def limit_name(self, context: RunContext) -> str:
        """OpenAI's own models take the newer name alone; other servers that speak its API may know the older only."""
        is_elsewhere = self.base_url or context.settings.provider(self.service).base_url
        return "max_tokens" if is_elsewhere else "max_completion_tokens"


class DeepSeek(OpenAiFamily):
    """DeepSeek."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.DeepSeek
apiKey: "{{ secret('DEEPSEEK_API_KEY') }}"
modelName: deepseek-chat
""",
    )
    service: ClassVar[str] = "deepseek"
    default_url: ClassVar[str] = "https://api.deepseek.com/v1"
    knows_schemas: ClassVar[bool] = False
    type: Literal["io.kestra.plugin.ai.provider.DeepSeek"]


class OpenRouter(OpenAiFamily):
    """OpenRouter."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.OpenRouter
apiKey: "{{ secret('OPENROUTER_API_KEY') }}"
modelName: anthropic/claude-sonnet-4
""",
    )
    service: ClassVar[str] = "openrouter"
    default_url: ClassVar[str] = "https://openrouter.ai/api/v1"
    type: Literal["io.kestra.plugin.ai.provider.OpenRouter"]


class MistralAI(OpenAiFamily):
    """Mistral."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.MistralAI
apiKey: "{{ secret('MISTRAL_API_KEY') }}"
modelName: mistral-small
""",
    )
    service: ClassVar[str] = "mistral"
    default_url: ClassVar[str] = "https://api.mistral.ai/v1"
    takes_seed: ClassVar[bool] = False
    type: Literal["io.kestra.plugin.ai.provider.MistralAI"]

    def own_fields(self, configuration: Configuration) -> dict[str, Any]:
        """Mistral has its own name for the seed, and refuses fields it does not know."""
        return {} if configuration.seed is None else {"random_seed": configuration.seed}


class GitHubModels(OpenAiFamily):
    """Models at GitHub."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.GitHubModels
gitHubToken: "{{ secret('GITHUB_TOKEN') }}"
modelName: openai/gpt-4.1-mini
""",
    )
    service: ClassVar[str] = "github_models"
    default_url: ClassVar[str] = "https://models.github.ai/inference"
    type: Literal["io.kestra.plugin.ai.provider.GitHubModels"]
    api_key: Property[Text] = Field(validation_alias=AliasChoices("apiKey", "gitHubToken"))


class HuggingFace(OpenAiFamily):
    """Hugging Face."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.HuggingFace
apiKey: "{{ secret('HUGGINGFACE_API_KEY') }}"
modelName: HuggingFaceTB/SmolLM3-3B:hf-inference
""",
    )
    service: ClassVar[str] = "huggingface"
    default_url: ClassVar[str] = "https://router.huggingface.co/v1"
    type: Literal["io.kestra.plugin.ai.provider.HuggingFace"]


class LocalAI(OpenAiFamily):
    """A server of one's own that speaks OpenAI's API."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.LocalAI
baseUrl: http://localai.example.com:8080/v1
modelName: phi-4
""",
    )
    service: ClassVar[str] = "localai"
    default_url: ClassVar[str] = "http://localhost:8080/v1"
    type: Literal["io.kestra.plugin.ai.provider.LocalAI"]
    api_key: Property[Text] = "none"


class GeminiFamily(Provider):
    """Services that speak Gemini's API."""

    @abstractmethod
    def connected(self, context: RunContext, name: str) -> AbstractAsyncContextManager["Client"]:
        """A client for a model; what it raises leaves as TaskFailed."""

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
        async with self.connected(context, name) as client:
            from google.genai import types

            thinking = gemini_thinking(configuration)
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
                thinking_config=types.ThinkingConfig(**thinking) if thinking else None,
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
            "".join(part.text for part in parts if part.text and part.thought) or None,
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        name = aliases.model(self.model_name, context.settings.models)
        contents: list[Any] = list(texts)
        async with self.connected(context, name) as client:
            answer = await client.aio.models.embed_content(model=name, contents=contents)
        return [list(one.values or []) for one in answer.embeddings or []]


class GoogleGemini(GeminiFamily):
    """Google's Gemini."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.GoogleGemini
apiKey: "{{ secret('GEMINI_API_KEY') }}"
modelName: gemini-2.5-flash
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.GoogleGemini"]
    api_key: Property[Text]

    def connected(self, context: RunContext, name: str) -> AbstractAsyncContextManager["Client"]:
        return gemini_service.connected(context, self.api_key, name, self.base_url, self.tls(context))


class Ollama(Provider):
    """A model on an Ollama server."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.Ollama
endpoint: http://127.0.0.1:11434
modelName: gemma3:1b
""",
    )
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
        async with models(context, at, self.tls(context)) as found:
            answer = await found.chat(
                name,
                [ollama_message(turn) for turn in turns],
                (configuration.schema_ or "json") if configuration.wants_json else None,
                {key: value for key, value in named.items() if value is not None},
                [{"type": "function", "function": openai_function(tool)} for tool in tools],
                configuration.thinking_enabled,
            )
        calls = tuple(
            Call(f"call-{n}", call.function.name, dict(call.function.arguments))
            for n, call in enumerate(answer.message.tool_calls or ())
        )
        finished = "LENGTH" if answer.done_reason == "length" else "STOP"
        return Said(
            answer.message.content or "",
            answer.prompt_eval_count or 0,
            answer.eval_count or 0,
            finished,
            calls,
            thinking=answer.message.thinking if configuration.return_thinking else None,
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        at = server(context, self.endpoint or self.base_url, None)
        async with models(context, at, self.tls(context)) as found:
            return await found.embed(aliases.model(self.model_name, context.settings.models), texts)


class Anthropic(Provider):
    """Anthropic's Claude."""

    examples: ClassVar[tuple[str, ...]] = (
        """
type: io.kestra.plugin.ai.provider.Anthropic
apiKey: "{{ secret('ANTHROPIC_API_KEY') }}"
modelName: claude-sonnet-4-5
""",
    )
    type: Literal["io.kestra.plugin.ai.provider.Anthropic"]
    api_key: Property[Text]
    max_tokens: Property[OptionalInteger] = None

    def signed(self) -> dict[str, str]:
        """The headers that say who asks."""
        return anthropic_service.signed(self.api_key)

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        if configuration.seed is not None:
            raise TaskFailed(f"The provider {self.type} has no `seed`.", fix="Leave it out.")
        system = system_texts(turns, configuration)
        about: Any = "\n\n".join(system) or None
        if about and configuration.prompt_caching:
            about = [{"type": "text", "text": about, "cache_control": {"type": "ephemeral"}}]
        budget = configuration.thinking_budget_tokens or THINKING
        most = configuration.max_token or self.max_tokens or MAX_TOKENS
        thinks = bool(configuration.thinking_enabled)
        body = {
            "model": aliases.model(self.model_name, context.settings.models),
            "max_tokens": max(most, budget + MAX_TOKENS) if thinks else most,
            "thinking": {"type": "enabled", "budget_tokens": budget} if thinks else None,
            "system": about,
            "messages": anthropic_messages(turns),
            "temperature": configuration.temperature,
            "top_p": configuration.top_p,
            "top_k": configuration.top_k,
            "tools": [{"name": t.name, "description": t.description, "input_schema": t.schema} for t in tools] or None,
        }
        given = {key: value for key, value in body.items() if value is not None}
        answer = await anthropic_service.ask(
            context, self.api_key, self.base_url, given, self.tls(context), headers=self.signed()
        )
        blocks, usage = answer.get("content") or [], answer.get("usage") or {}
        return Said(
            anthropic_service.text_of(answer),
            usage.get("input_tokens", 0),
            usage.get("output_tokens", 0),
            STOPPED.get(str(answer.get("stop_reason")), "OTHER"),
            tuple(Call(b["id"], b["name"], b.get("input") or {}) for b in blocks if b.get("type") == "tool_use"),
            blocks if thinks else None,
            "".join(b.get("thinking", "") for b in blocks) or None if configuration.return_thinking else None,
        )


def gemini_thinking(configuration: Configuration) -> dict[str, Any]:
    """How much Gemini may think; what is not said is left to the model, since some cannot do without."""
    enabled, budget = configuration.thinking_enabled, configuration.thinking_budget_tokens
    given = {
        "thinking_budget": 0 if enabled is False else budget,
        "include_thoughts": configuration.return_thinking,
    }
    return {name: value for name, value in given.items() if value is not None}
