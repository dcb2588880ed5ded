"""`io.kestra.plugin.deepseek`: DeepSeek's chat models."""

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import JsonText, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases
from engine.tasks.openai_service import connected
from engine.tasks.property_types import OptionalText, Text, document_from_text
from engine.tasks.structured_output import Schema, as_asked, is_json, missing_keys, parse_schema, unfenced

BASE_URL = "https://api.deepseek.com/v1"
ONLY_JSON = (
    "Answer with one JSON document and nothing else: no explanation, no Markdown, no code fence. "
    "The document must follow this JSON schema:\n"
)


class Message(Part):
    """One turn of the conversation."""

    type: Literal["SYSTEM", "ASSISTANT", "AI", "USER"]
    content: Text

    @property
    def role(self) -> str:
        """The turn's role in the service's words."""
        return "assistant" if self.type in ("AI", "ASSISTANT") else self.type.lower()


class Reply(Outputs):
    """The model's answer, and the whole of what the service sent."""

    response: str
    raw: str


class ChatCompletion(RunnableTask):
    """Ask a DeepSeek model; with a schema, get JSON."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fields
type: io.kestra.plugin.deepseek.ChatCompletion
apiKey: "{{ secret('DEEPSEEK_API_KEY') }}"
modelName: deepseek-chat
messages:
  - type: SYSTEM
    content: You turn notes into tasks.
  - type: USER
    content: "{{ inputs.notes }}"
jsonResponseSchema: |
  {"type": "object", "properties": {"tasks": {"type": "array", "items": {"type": "string"}}}}
""",
    )
    type: Literal["io.kestra.plugin.deepseek.ChatCompletion"]
    api_key: Property[Text]
    model_name: Property[Text]
    base_url: Property[OptionalText] = Field(default=None, description=f"Default: {BASE_URL}")
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)]]
    json_response_schema: JsonText[OptionalText] = None

    async def run(self, context: RunContext) -> Reply:
        schema = self._schema(context)
        wants_json = bool((self.json_response_schema or "").strip())
        turns = [{"role": message.role, "content": message.content} for message in self.messages]
        if wants_json:
            turns.insert(0, {"role": "system", "content": ONLY_JSON + (self.json_response_schema or "")})
        name = aliases.model(self.model_name, context.settings.models)
        async with connected(context, "deepseek", self.api_key, self.base_url, BASE_URL) as client:
            for attempt in (1, 2):
                answer = await client.chat.completions.create(
                    model=name,
                    messages=turns,
                    **({"response_format": {"type": "json_object"}} if wants_json else {}),  # type: ignore[call-overload]
                )
                if answer.usage is not None:
                    context.metric("usage.prompt.tokens", answer.usage.prompt_tokens, model=name)
                    context.metric("usage.completion.tokens", answer.usage.completion_tokens, model=name)
                text = (answer.choices[0].message.content or "") if answer.choices else ""
                raw = answer.model_dump_json(exclude_unset=True)
                if not wants_json or is_json(unfenced(text)):
                    break
                if attempt == 1:
                    context.log(f"{name} did not answer in JSON; asking once more.", "WARN")
        if wants_json and not is_json(unfenced(text)):
            raise TaskFailed(
                f"{name} answered twice with something that is not JSON: {text[:200]!r}.",
                fix=f"Say in the prompt what the JSON must hold{_keys(schema)}, or try another model.",
                outputs={"response": text, "raw": raw},
            )
        reply = as_asked(text, schema) if wants_json else text
        if schema is not None and (missing := missing_keys(reply, schema)):
            context.log(f"The answer lacks {', '.join(missing)} of the schema.", "WARN")
        return Reply(response=reply, raw=raw)

    def _schema(self, context: RunContext) -> Schema | None:
        """The schema, for what it says about the top level; the service gets its text as written."""
        if not (self.json_response_schema or "").strip():
            return None
        try:
            schema = parse_schema(self.json_response_schema or "")
        except TaskFailed as error:
            context.log(f"{error.message} The model gets it as it is.", "WARN")
            return None
        if schema.warning:
            context.log(schema.warning, "WARN")
        return schema


def _keys(schema: Schema | None) -> str:
    """What the schema's top level describes, for a sentence."""
    properties = schema.value.get("properties") if schema is not None else None
    names = ", ".join(f"`.{name}`" for name in properties) if isinstance(properties, dict) else ""
    return f" ({names})" if names else ""
