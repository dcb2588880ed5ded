"""`io.kestra.plugin.perplexity`: models that search the web, by Perplexity."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from engine.plugin import JsonText, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases
from engine.tasks.openai_service import connected
from engine.tasks.property_types import OptionalInteger, OptionalNumber, OptionalText, Text, document_from_text
from engine.tasks.structured_output import parse_schema

API = "https://api.perplexity.ai"


class Message(Part):
    """One turn of the conversation."""

    type: Literal["SYSTEM", "ASSISTANT", "AI", "USER"]
    content: OptionalText = None


class Reply(Outputs):
    """The model's answer, and the whole of what the service sent, as text."""

    outputText: str  # noqa: N815 - appears as written
    rawResponse: str  # noqa: N815


class ChatCompletion(RunnableTask):
    """Ask a model that reads the web before it answers."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: news
type: io.kestra.plugin.perplexity.ChatCompletion
apiKey: "{{ secret('PERPLEXITY_API_KEY') }}"
model: sonar
messages:
  - type: USER
    content: "What happened in {{ inputs.city }} today?"
""",
    )
    type: Literal["io.kestra.plugin.perplexity.ChatCompletion"]
    api_key: Property[Text]
    model: Property[Text]
    base_url: Property[OptionalText] = None
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)]]
    temperature: Property[OptionalNumber] = 0.2
    top_p: Property[OptionalNumber] = 0.9
    top_k: Property[OptionalInteger] = 0
    stream: Any = None
    presence_penalty: Property[OptionalNumber] = 0.0
    frequency_penalty: Property[OptionalNumber] = 0.0
    max_tokens: Property[OptionalInteger] = None
    json_response_schema: JsonText[OptionalText] = None

    async def run(self, context: RunContext) -> Reply:
        if not self.messages:
            raise TaskFailed("`messages` is empty.", fix="Add what the model is to answer.")
        roles = {"SYSTEM": "system", "USER": "user"}
        turns = [{"role": roles.get(one.type, "assistant"), "content": one.content or ""} for one in self.messages]
        body: dict[str, Any] = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "max_tokens": self.max_tokens,
            "extra_body": {"top_k": self.top_k} if self.top_k else None,
        }
        if self.json_response_schema:
            schema = parse_schema(self.json_response_schema)
            if schema.warning:
                context.log(schema.warning, "WARN")
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema.value}}
        given = {name: value for name, value in body.items() if value is not None}
        name = aliases.model(self.model, context.settings.models)
        async with connected(context, "perplexity", self.api_key, self.base_url, API) as client:
            answer: Any = await client.chat.completions.create(model=name, messages=turns, **given)  # type: ignore[arg-type]
        if not answer.choices:
            raise TaskFailed("Perplexity gave no answer.", fix="Try again, or name another model.")
        if answer.usage is not None:
            context.metric("usage.prompt.tokens", answer.usage.prompt_tokens, model=name)
            context.metric("usage.completion.tokens", answer.usage.completion_tokens, model=name)
            context.metric("usage.total.tokens", answer.usage.total_tokens, model=name)
        text = answer.choices[0].message.content or ""
        return Reply(outputText=text, rawResponse=answer.model_dump_json(exclude_unset=True))
