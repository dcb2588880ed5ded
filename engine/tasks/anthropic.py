"""`io.kestra.plugin.anthropic`: Anthropic's Claude."""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases, anthropic_service
from engine.tasks.property_types import OptionalInteger, OptionalNumber, OptionalText, Text, document_from_text


class Message(Part):
    """One turn of the conversation."""

    type: Literal["USER", "ASSISTANT", "AI", "user", "assistant"]
    content: Any


class Reply(Outputs):
    """The model's answer, and the whole of what the service sent, as text."""

    outputText: str  # noqa: N815 - appears as written
    rawResponse: str  # noqa: N815


class ChatCompletion(RunnableTask):
    """Ask Claude."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: digest
type: io.kestra.plugin.anthropic.ChatCompletion
apiKey: "{{ secret('ANTHROPIC_API_KEY') }}"
model: claude-sonnet-4-5
maxTokens: 1024
system: You answer in one sentence.
messages:
  - type: USER
    content: "{{ inputs.question }}"
""",
    )
    type: Literal["io.kestra.plugin.anthropic.ChatCompletion"]
    api_key: Property[Text]
    model: Property[Text]
    base_url: Property[OptionalText] = None
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)]]
    system: Property[OptionalText] = None
    max_tokens: Property[OptionalInteger] = 1024
    temperature: Property[OptionalNumber] = None
    top_p: Property[OptionalNumber] = None
    top_k: Property[OptionalInteger] = None

    async def run(self, context: RunContext) -> Reply:
        if not self.messages:
            raise TaskFailed("`messages` is empty.", fix="Add what the model is to answer.")
        turns = [
            {"role": "user" if one.type.upper() == "USER" else "assistant", "content": one.content}
            for one in self.messages
        ]
        name = aliases.model(self.model, context.settings.models)
        body = {
            "model": name,
            "max_tokens": self.max_tokens or 1024,
            "messages": turns,
            "system": self.system,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
        }
        given = {name: value for name, value in body.items() if value is not None}
        answer = await anthropic_service.ask(context, self.api_key, self.base_url, given)
        usage = answer.get("usage") or {}
        context.metric("usage.input.tokens", usage.get("input_tokens", 0), model=name)
        context.metric("usage.output.tokens", usage.get("output_tokens", 0), model=name)
        return Reply(outputText=anthropic_service.text_of(answer), rawResponse=json.dumps(answer, ensure_ascii=False))
