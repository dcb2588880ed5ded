"""`io.kestra.plugin.gcp.vertexai`: Gemini models in a project of one's own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases, gemini
from engine.tasks.gcp_service import GcpConnected, kept
from engine.tasks.gemini_answers import content_of, measure, ratings_of, reason_of, text_of
from engine.tasks.property_types import OptionalInteger, OptionalNumber, OptionalText, Text, document_from_text
from engine.tasks.working_files import STORAGE

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponse


class Parameters(Part):
    """How the model is to choose its words; what is left out is as the model has it."""

    temperature: Property[OptionalNumber] = None
    max_output_tokens: Property[OptionalInteger] = None
    top_k: Property[OptionalInteger] = None
    top_p: Property[OptionalNumber] = None


class VertexTask(GcpConnected, RunnableTask):
    """Which model, and where it runs."""

    region: Property[Text]
    model_id: Property[Text] = "gemini-pro"
    parameters: Property[Parameters | None] = None

    @asynccontextmanager
    async def asking(self, context: RunContext) -> AsyncIterator["Asking"]:
        """A conversation with the model, measured when it is over; what Google refuses leaves as TaskFailed."""
        name = aliases.model(self.model_id, context.settings.models)
        if name != self.model_id:
            context.log(f"Asking {name} instead of {self.model_id}.")
        token = await self.token(context)
        vertex = {"project": self.project(context), "location": self.region}
        async with gemini.connected(context, token, name, vertex=vertex) as client:
            from google.genai import types

            chosen = self.parameters
            given = (
                kept(
                    temperature=chosen.temperature,
                    max_output_tokens=chosen.max_output_tokens,
                    top_k=chosen.top_k,
                    top_p=chosen.top_p,
                )
                if chosen
                else {}
            )
            asked = Asking(client, name, types.GenerateContentConfig(**given))
            yield asked
        measure(context, name, asked.answers)


class Asking:
    """One model that is asked; `answers` holds what it said so far."""

    def __init__(self, client: Any, model: str, config: Any) -> None:
        self._client, self._model, self._config = client, model, config
        self.answers: list[GenerateContentResponse] = []

    async def ask(self, contents: Any) -> "GenerateContentResponse":
        """The answer to texts, files or a conversation."""
        answer: GenerateContentResponse = await self._client.aio.models.generate_content(
            model=self._model, contents=contents, config=self._config
        )
        self.answers.append(answer)
        return answer


class Prediction(Outputs):
    """One candidate: its text, whence it quotes, and how safe it is taken to be."""

    content: str
    citationMetadata: dict[str, Any]  # noqa: N815 - appears as written
    safetyAttributes: dict[str, Any]  # noqa: N815


class Predictions(Outputs):
    """The candidates of every answer."""

    predictions: list[Prediction]


class TextCompletion(VertexTask):
    """Ask for text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: idea
type: io.kestra.plugin.gcp.vertexai.TextCompletion
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
modelId: gemini-2.5-flash
prompt: "A name for {{ inputs.product }}?"
""",
    )
    type: Literal["io.kestra.plugin.gcp.vertexai.TextCompletion"]
    prompt: Property[Text]

    async def run(self, context: RunContext) -> Predictions:
        async with self.asking(context) as model:
            return _predicted([await model.ask(self.prompt)])


class Message(Part):
    """One turn; who said it is not asked any more."""

    author: OptionalText = None
    content: Text


class Example(Part):
    """A question and its answer, which models are no longer taught by."""

    input: Text
    output: Text


Messages = Annotated[list[Message], BeforeValidator(document_from_text)]


class ChatCompletion(VertexTask):
    """Say one thing after the other; each is answered with what was said before in mind."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: classify
type: io.kestra.plugin.gcp.vertexai.ChatCompletion
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
modelId: gemini-2.5-flash
messages:
  - author: user
    content: "In one word, high or low priority: {{ trigger.data }}"
""",
    )
    type: Literal["io.kestra.plugin.gcp.vertexai.ChatCompletion"]
    messages: Property[Messages] = Field(min_length=1)
    history: Property[Messages | None] = None
    context: Property[OptionalText] = None  # said first, and its answer left out
    teaching: Property[Annotated[list[Example], BeforeValidator(document_from_text)] | None] = Field(
        default=None, alias="examples"
    )

    async def run(self, context: RunContext) -> Predictions:
        said = [_turn("user", message.content) for message in self.history or ()]
        answers = []
        async with self.asking(context) as model:
            for text in [*([self.context] if self.context else []), *(message.content for message in self.messages)]:
                said.append(_turn("user", text))
                answer = await model.ask(said)
                said.append(_turn("model", text_of(answer)))
                answers.append(answer)
        return _predicted(answers[1:] if self.context else answers)


class Content(Part):
    """A text, or a file in internal storage when `mimeType` is given."""

    content: Property[Text]
    mime_type: Property[OptionalText] = None


class Completed(Outputs):
    """What the model made of it."""

    text: str | None
    safetyRatings: list[dict[str, Any]]  # noqa: N815 - appears as written
    blocked: bool
    finishReason: str | None  # noqa: N815


class MultimodalCompletion(VertexTask):
    """Ask about texts, pictures and other files."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: describe
type: io.kestra.plugin.gcp.vertexai.MultimodalCompletion
serviceAccount: "{{ secret('GCP_KEY') }}"
region: europe-west1
modelId: gemini-2.5-flash
contents:
  - content: What is in this picture?
  - content: "{{ inputs.picture }}"
    mimeType: image/png
""",
    )
    type: Literal["io.kestra.plugin.gcp.vertexai.MultimodalCompletion"]
    contents: list[Content] = Field(min_length=1)

    async def run(self, context: RunContext) -> Completed:
        async with self.asking(context) as model:
            from google.genai import types

            parts = []
            for content in self.contents:
                if content.mime_type is None:
                    parts.append(types.Part.from_text(text=content.content))
                elif content.content.startswith(STORAGE):
                    data = await context.files.read(content.content)
                    parts.append(types.Part.from_bytes(data=data, mime_type=content.mime_type))
                else:
                    fix = "Give a file of internal storage, or leave out `mimeType`."
                    raise TaskFailed(f"There is no {content.mime_type} at {content.content!r}.", fix=fix)
            answer = await model.ask([types.Content(role="user", parts=parts)])
        reason = reason_of(answer)
        blocked = reason in ("SAFETY", "RECITATION")
        if blocked:
            context.log(f"The answer is held back ({reason}).", "WARN")
        return Completed(
            text=None if blocked else text_of(answer),
            safetyRatings=ratings_of(answer.candidates[0]) if answer.candidates else [],
            blocked=blocked,
            finishReason=reason,
        )


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def _predicted(answers: Sequence["GenerateContentResponse"]) -> Predictions:
    found = []
    for answer in answers:
        for candidate in answer.candidates or []:
            quoted = candidate.citation_metadata.citations if candidate.citation_metadata else None
            ratings = candidate.safety_ratings or []
            found.append(
                Prediction(
                    content=content_of(candidate),
                    citationMetadata={"citations": [{"citations": [one.title or ""]} for one in quoted or []]},
                    safetyAttributes={
                        "scores": [rating.severity_score or 0.0 for rating in ratings],
                        "categories": [rating.category.value if rating.category else "" for rating in ratings],
                        "blocked": any(rating.blocked for rating in ratings),
                    },
                )
            )
    return Predictions(predictions=found)
