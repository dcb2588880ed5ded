"""`io.kestra.plugin.ai.completion`: ask any provider's model for text, JSON or a class."""

import json
import mimetypes
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.core.task import AnyTyped
from engine.plugin import LateProperty, Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import aliases
from engine.tasks.ai.conversation import (
    Configuration,
    Described,
    Media,
    ResponseFormat,
    Said,
    Turn,
    told,
    within_budget,
)
from engine.tasks.ai.guardrails import Guarded, Guardrails
from engine.tasks.ai.model_service import Provider, provider_of
from engine.tasks.ai.tool_use import conversation, offered
from engine.tasks.property_types import OptionalText, Text, TextList, document_from_text
from engine.tasks.structured_output import is_json, unfenced

ONLY_THE_NAME = "Answer with the name of the class and nothing else."
Role = Literal["system", "user", "assistant", "tool"]
EXTRACTION = "You are a structured JSON extraction assistant. Always respond with valid JSON."


class CompletionTask(RunnableTask):
    """What every task that asks a model has."""

    provider: AnyTyped
    configuration: Configuration = Field(default_factory=Configuration)

    @property
    def budget(self) -> int | None:
        """The tokens that a run may take."""
        return self.configuration.max_cumulative_tokens

    def model(self) -> Provider:
        """Whose model answers; TaskFailed when `provider` is something else."""
        return provider_of(self.provider)

    async def ask(
        self,
        context: RunContext,
        turns: Sequence[Turn],
        configuration: Configuration | None = None,
        tools: Sequence[Described] = (),
    ) -> Said:
        """The answer, with its tokens recorded, and in the log what the configuration wants there."""
        model, chosen = self.model(), configuration or self.configuration
        if chosen.log_requests:
            context.log(f"{model.model_name} is asked: {told(turns)}")
        context.metric("ai.provider.calls", 1, provider=model.type)
        said = await model.ask(context, turns, chosen, tools)
        if chosen.log_responses:
            context.log(f"{model.model_name} answers: {told([Turn('assistant', said.text, said.calls)])}")
        name = said.model or aliases.model(model.model_name, context.settings.models)
        context.metric("input.token.count", said.input_tokens, model=name)
        context.metric("output.token.count", said.output_tokens, model=name)
        context.metric("total.token.count", said.input_tokens + said.output_tokens, model=name)
        within_budget(said.input_tokens + said.output_tokens, chosen.max_cumulative_tokens)
        return said


class Block(Part):
    """A piece of a message: text, or a file in internal storage."""

    type: Literal["TEXT", "IMAGE", "PDF"] = "TEXT"
    text: OptionalText = None
    uri: OptionalText = None
    mime_type: OptionalText = None


Blocks = Annotated[list[Block], BeforeValidator(document_from_text)]


class Message(Part):
    """One turn of the conversation."""

    type: Literal["SYSTEM", "AI", "USER"]
    content: OptionalText = None
    content_blocks: Blocks | None = None

    async def turn(self, context: RunContext) -> Turn:
        """The turn as providers take it."""
        role: Role = "assistant" if self.type == "AI" else "system" if self.type == "SYSTEM" else "user"
        return await turn_of(context, role, self.content, self.content_blocks, "content")


async def turn_of(context: RunContext, role: Role, text: str | None, blocks: Sequence[Block] | None, name: str) -> Turn:
    """A turn of a text or of blocks; TaskFailed unless it is exactly one of the two."""
    if (text is None) == (not blocks):
        raise TaskFailed(f"A message has either `{name}` or `contentBlocks`.", fix="Give one of them.")
    if text is not None:
        return Turn(role, text)
    texts, media = [], []
    for block in blocks or []:
        if block.type == "TEXT":
            texts.append(block.text or "")
            continue
        if not block.uri:
            raise TaskFailed(f"A block of type {block.type} has no `uri`.", fix="Give a file's URI.")
        kind = "application/pdf" if block.type == "PDF" else block.mime_type or mimetypes.guess_type(block.uri)[0]
        if kind is None:
            raise TaskFailed(f"What kind of picture {block.uri} is cannot be told.", fix="Give its `mimeType`.")
        media.append(Media(kind, await context.files.read(block.uri)))
    return Turn(role, "\n".join(texts), media=tuple(media))


class Answer(Guarded):
    """The answer as text, or as JSON when that was asked for, and what was done on the way."""

    textOutput: str | None  # noqa: N815 - appears as written
    jsonOutput: Any  # noqa: N815
    toolExecutions: list[dict[str, Any]]  # noqa: N815
    intermediateResponses: list[dict[str, Any]]  # noqa: N815
    thinking: str | None = None
    requestDuration: int  # noqa: N815
    outputFiles: dict[str, StoredUri] = Field(default_factory=dict)  # noqa: N815
    sources: list[str] = Field(default_factory=list)


class ChatAnswer(Answer):
    """The answer; `aiResponse` is an older name of its text."""

    aiResponse: str | None  # noqa: N815 - appears as written


class ChatCompletion(CompletionTask):
    """Hold a conversation with a model."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: answer
type: io.kestra.plugin.ai.completion.ChatCompletion
provider:
  type: io.kestra.plugin.ai.provider.OpenAI
  apiKey: "{{ secret('OPENAI_API_KEY') }}"
  modelName: gpt-4o-mini
messages:
  - type: SYSTEM
    content: You answer in one sentence.
  - type: USER
    content: "{{ inputs.question }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.completion.ChatCompletion", "io.kestra.plugin.langchain4j.ChatCompletion"]
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)]]
    tools: list[AnyTyped] = Field(default_factory=list)
    guardrails: Guardrails = Field(default_factory=Guardrails)

    async def run(self, context: RunContext) -> ChatAnswer:
        began = time.monotonic()
        if not self.messages or self.messages[-1].type != "USER":
            raise TaskFailed("The last message must be of type USER.", fix="Add what the model is to answer.")
        if sum(message.type == "SYSTEM" for message in self.messages) > 1:
            raise TaskFailed("There may be one message of type SYSTEM.", fix="Put them together.")
        turns = [await message.turn(context) for message in self.messages]
        if violated := await self.guardrails.of_message(context, turns[-1].text):
            return self._answer(began, Said(""), violated=violated)
        ask = partial(self.ask, context)
        async with offered(context, self.tools) as tools:
            said, done, between = await conversation(
                lambda t, d: ask(t, tools=d), context, turns, tools, budget=self.budget
            )
        if violated := await self.guardrails.of_answer(context, said):
            return self._answer(began, said, violated=violated)
        return self._answer(began, said, done, between)

    def _answer(
        self,
        began: float,
        said: Said,
        done: Sequence[dict[str, Any]] = (),
        between: Sequence[dict[str, Any]] = (),
        violated: str | None = None,
    ) -> ChatAnswer:
        as_json = self.configuration.wants_json and not violated
        text = None if as_json or violated else said.text
        return ChatAnswer(
            textOutput=text,
            jsonOutput=parsed_reply(said.text) if as_json else None,
            aiResponse=text,
            tokenUsage=said.usage,
            finishReason=said.finished,
            toolExecutions=list(done),
            intermediateResponses=list(between),
            thinking=said.thinking,
            requestDuration=round((time.monotonic() - began) * 1000),
            guardrailViolated=violated is not None,
            guardrailViolationMessage=violated,
        )


class Extracted(Guarded):
    """The document, as text."""

    schemaName: str  # noqa: N815 - appears as written
    extractedJson: str | None  # noqa: N815


class JSONStructuredExtraction(CompletionTask):
    """Let a model fill the fields of a JSON document from a text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: fields
type: io.kestra.plugin.ai.completion.JSONStructuredExtraction
provider:
  type: io.kestra.plugin.ai.provider.Ollama
  endpoint: http://127.0.0.1:11434
  modelName: gemma3:1b
schemaName: Ticket
jsonFields: [customer, problem]
prompt: "{{ inputs.mail }}"
""",
    )
    type: Literal[
        "io.kestra.plugin.ai.completion.JSONStructuredExtraction",
        "io.kestra.plugin.langchain4j.JSONStructuredExtraction",
    ]
    prompt: Property[OptionalText] = None
    content_blocks: Property[Blocks | None] = None
    guardrails: Guardrails = Field(default_factory=Guardrails)
    schema_name: Property[Text]
    json_fields: Property[TextList]
    system_message: Property[Text] = EXTRACTION

    async def run(self, context: RunContext) -> Extracted:
        schema = {
            "type": "object",
            "properties": {field: {"type": "string"} for field in self.json_fields},
            "required": list(self.json_fields),
            "additionalProperties": False,
        }
        wanted = ResponseFormat(type="JSON", json_schema=schema)
        configuration = self.configuration.model_copy(update={"response_format": wanted})
        asked = await turn_of(context, "user", self.prompt, self.content_blocks, "prompt")
        violated = await self.guardrails.of_message(context, asked.text)
        said = Said("")
        if not violated:
            said = await self.ask(context, [Turn("system", self.system_message), asked], configuration)
            violated = await self.guardrails.of_answer(context, said)
        return Extracted(
            schemaName=self.schema_name,
            extractedJson=None if violated else json.dumps(parsed_reply(said.text), ensure_ascii=False),
            tokenUsage=said.usage,
            finishReason=said.finished,
            guardrailViolated=violated is not None,
            guardrailViolationMessage=violated,
        )


class Classified(Guarded):
    """The class the text belongs to."""

    classification: str | None


class Classification(CompletionTask):
    """Let a model put a text into one of several classes."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: mood
type: io.kestra.plugin.ai.completion.Classification
provider:
  type: io.kestra.plugin.ai.provider.GoogleGemini
  apiKey: "{{ secret('GEMINI_API_KEY') }}"
  modelName: gemini-2.5-flash
classes: [positive, neutral, negative]
prompt: "{{ inputs.feedback }}"
""",
    )
    sees: ClassVar[frozenset[str] | None] = frozenset({"classes"})
    type: Literal["io.kestra.plugin.ai.completion.Classification", "io.kestra.plugin.langchain4j.Classification"]
    prompt: Property[OptionalText] = None
    content_blocks: Property[Blocks | None] = None
    guardrails: Guardrails = Field(default_factory=Guardrails)
    classes: Property[TextList]
    system_message: LateProperty[OptionalText] = Field(default=None, description="Sees `classes`.")

    async def run(self, context: RunContext) -> Classified:
        system = f"Put the text into exactly one of these classes: {', '.join(self.classes)}. {ONLY_THE_NAME}"
        if self.system_message:
            system = await context.render(self.system_message, classes=self.classes)
        asked = await turn_of(context, "user", self.prompt, self.content_blocks, "prompt")
        violated = await self.guardrails.of_message(context, asked.text)
        said = Said("")
        if not violated:
            said = await self.ask(context, [Turn("system", system), asked])
            violated = await self.guardrails.of_answer(context, said)
        answer = said.text.strip().strip(".\"'")
        known = {name.lower(): name for name in self.classes}
        if not violated and answer.lower() not in known:
            context.log(f"The model answered {answer[:200]!r}, which is none of the classes.", "WARN")
        return Classified(
            classification=None if violated else known.get(answer.lower(), answer),
            tokenUsage=said.usage,
            finishReason=said.finished,
            guardrailViolated=violated is not None,
            guardrailViolationMessage=violated,
        )


class Drawn(Outputs):
    """The picture: a URI of internal storage, or a link."""

    imageUrl: str  # noqa: N815 - appears as written
    tokenUsage: dict[str, int]  # noqa: N815
    finishReason: str  # noqa: N815


class ImageGeneration(RunnableTask):
    """Let a model make a picture from a text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: picture
type: io.kestra.plugin.ai.completion.ImageGeneration
provider:
  type: io.kestra.plugin.ai.provider.OpenAI
  apiKey: "{{ secret('OPENAI_API_KEY') }}"
  modelName: gpt-image-1
prompt: "{{ inputs.prompt }}"
""",
    )
    type: Literal["io.kestra.plugin.ai.completion.ImageGeneration", "io.kestra.plugin.langchain4j.ImageGeneration"]
    provider: AnyTyped
    prompt: Property[Text]

    async def run(self, context: RunContext) -> Drawn:
        provider = provider_of(self.provider)
        context.metric("ai.provider.calls", 1, provider=provider.type)
        url = await provider.draw(context, self.prompt)
        return Drawn(imageUrl=url, tokenUsage=Said("").usage, finishReason="STOP")


def parsed_reply(text: str) -> Any:
    """The JSON a model answered with; TaskFailed when it is none."""
    reply = unfenced(text)
    if not is_json(reply):
        raise TaskFailed(
            f"The model answered with something that is not JSON: {text[:200]!r}.",
            fix="Say in the prompt that the answer is to be JSON only, or take another model.",
            outputs={"textOutput": text},
        )
    return json.loads(reply)
