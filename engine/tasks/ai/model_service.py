"""Services with models: what every provider has, and the family that speaks OpenAI's API."""

import base64
import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from engine.plugin import Property, RunContext, TaskFailed, Typed
from engine.tasks import aliases
from engine.tasks.ai.certificates import trust
from engine.tasks.ai.conversation import Call, Configuration, Described, Said, Turn, json_demand, parsed_arguments
from engine.tasks.ai.messages import openai_function, openai_message
from engine.tasks.openai_service import connected
from engine.tasks.property_types import OptionalText, Text

if TYPE_CHECKING:
    import openai

FINISHED = {"stop": "STOP", "length": "LENGTH", "tool_calls": "TOOL_EXECUTION", "content_filter": "CONTENT_FILTER"}


class Provider(Typed, ABC):
    """A service with models."""

    noun = "a provider of models"
    stands_in = "`provider`"
    model_name: Property[Text]
    base_url: Property[OptionalText] = None
    client_pem: Property[OptionalText] = Field(default=None, description="Our certificate and its key, as PEM.")
    ca_pem: Property[OptionalText] = Field(default=None, description="Whom to trust beside the usual, as PEM.")

    def tls(self, context: RunContext) -> ssl.SSLContext | None:
        """How the connection is secured when certificates are given; TaskFailed when they are none."""
        return trust(context, self.client_pem, self.ca_pem)

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
    takes_top_k: ClassVar[bool] = False
    takes_seed: ClassVar[bool] = True  # under that name
    api_key: Property[Text]

    def limit_name(self, context: RunContext) -> str:
        """What the service calls the most tokens of an answer."""
        return "max_tokens"

    def connected(self, context: RunContext) -> AbstractAsyncContextManager["openai.AsyncOpenAI"]:
        """A client; what it raises leaves as TaskFailed."""
        return connected(context, self.service, self.api_key, self.address, self.default_url, tls=self.tls(context))

    @property
    def address(self) -> str | None:
        """Where the flow says that the service is."""
        return self.base_url

    def own_fields(self, configuration: Configuration) -> dict[str, Any]:
        """What this service alone is asked; it wins over what all are."""
        return {}

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration,
        tools: Sequence[Described] = (),
    ) -> Said:
        if configuration.top_k is not None and not self.takes_top_k:
            raise TaskFailed(f"The provider {self.type} has no `topK`.", fix="Leave it out.")
        messages: list[Any] = [openai_message(turn) for turn in turns]
        body: dict[str, Any] = {
            "temperature": configuration.temperature,
            "top_p": configuration.top_p,
            "seed": configuration.seed if self.takes_seed else None,
            self.limit_name(context): configuration.max_token,
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
        async with self.connected(context) as client:
            answer: Any = await client.chat.completions.create(
                model=name, messages=messages, extra_body=self.own_fields(configuration) or None, **given
            )
        if not answer.choices:
            raise TaskFailed(f"{self.service} gave no answer.", fix="Try again, or name another model.")
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
            thinking=getattr(first.message, "reasoning_content", None) if configuration.return_thinking else None,
        )

    async def embed(self, context: RunContext, texts: Sequence[str]) -> list[list[float]]:
        name = aliases.model(self.model_name, context.settings.models)
        async with self.connected(context) as client:
            answer = await client.embeddings.create(model=name, input=list(texts), encoding_format="float")
        return [list(one.embedding) for one in sorted(answer.data, key=lambda one: one.index)]

    async def draw(self, context: RunContext, prompt: str) -> str:
        name = aliases.model(self.model_name, context.settings.models)
        async with self.connected(context) as client:
            answer = await client.images.generate(model=name, prompt=prompt)
        first = next(iter(answer.data or []), None)
        if first is not None and first.b64_json:
            return await context.files.put(base64.b64decode(first.b64_json), "image.png")
        if first is None or not first.url:
            raise TaskFailed("The service made no picture.", fix="Change the prompt; it may have been refused.")
        return first.url


def provider_of(found: Any) -> Provider:
    """The provider that stands here; TaskFailed when it is something else."""
    if not isinstance(found, Provider):
        raise TaskFailed(
            f"{getattr(found, 'type', found)!r} is not a provider of models.",
            fix="Use one such as `io.kestra.plugin.ai.provider.OpenAI`.",
        )
    return found
