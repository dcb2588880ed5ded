"""`io.kestra.plugin.gemini`: Google's Gemini models."""

import mimetypes
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from engine.plugin import JsonText, Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import aliases
from engine.tasks.gcp_service import SCOPE, Region
from engine.tasks.gemini_answers import content_of, measure, parts_of, ratings_of, reason_of, text_of
from engine.tasks.gemini_service import connected
from engine.tasks.gemini_videos import Maker, at_gemini, at_vertex, first_video
from engine.tasks.google_account import access_token
from engine.tasks.property_types import OptionalInteger, OptionalText, Text, document_from_text
from engine.tasks.rest_service import held, present, waited
from engine.tasks.structured_output import missing_keys, parse_schema
from engine.tasks.working_files import STORAGE, inside

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import GenerateContentResponse


UNTIL_MADE = timedelta(minutes=5)
EVERY = timedelta(seconds=1)


class GeminiTask(RunnableTask):
    """What every task of the service has."""

    api_key: Property[Text]
    model: Property[Text]

    def connected(self, context: RunContext) -> AbstractAsyncContextManager["Client"]:
        """A client; what it raises leaves as TaskFailed."""
        return connected(context, self.api_key, self.asked(context))

    def asked(self, context: RunContext) -> str:
        """The model that is asked for; a line of the log tells when it is another than the flow names."""
        name = self.named(context)
        if name != self.model:
            context.log(f"Asking {name} instead of {self.model}.")
        return name

    def named(self, context: RunContext) -> str:
        """The model after the operator's table."""
        return aliases.model(self.model, context.settings.models)


class Texts(Outputs):
    """The texts of the first candidate, each a JSON document."""

    predictions: list[str]


class StructuredOutputCompletion(GeminiTask):
    """Ask for JSON that follows a schema."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: weather
type: io.kestra.plugin.gemini.StructuredOutputCompletion
apiKey: "{{ secret('GEMINI_API_KEY') }}"
model: gemini-2.5-flash
prompt: "Is {{ outputs.wind.body }} knots of wind good for sailing?"
jsonResponseSchema: |
  {"type": "object", "properties": {"go": {"type": "boolean"}}, "required": ["go"]}
""",
    )
    type: Literal["io.kestra.plugin.gemini.StructuredOutputCompletion"]
    prompt: Property[Text]
    json_response_schema: JsonText[Text]

    async def run(self, context: RunContext) -> Texts:
        schema = parse_schema(self.json_response_schema)
        if schema.warning:
            context.log(schema.warning, "WARN")
        async with self.connected(context) as client:
            from google.genai import types

            config = types.GenerateContentConfig(
                response_mime_type="application/json", response_json_schema=schema.value
            )
            answer = await client.aio.models.generate_content(
                model=self.asked(context), contents=self.prompt, config=config
            )
        measure(context, self.named(context), [answer])
        predictions = [part.text for part in parts_of(answer) if part.text is not None and not part.thought]
        if not predictions:
            context.log(f"The model gave no text ({reason_of(answer)}).", "WARN")
        elif missing := missing_keys(predictions[0], schema):
            context.log(f"The answer lacks {', '.join(missing)} of the schema.", "WARN")
        return Texts(predictions=predictions)


class Prediction(Outputs):
    """One candidate."""

    safetyRatings: list[dict[str, Any]]  # noqa: N815 - appears as written
    citationMetadata: dict[str, Any] | None  # noqa: N815
    content: str


class Predictions(Outputs):
    """The candidates."""

    predictions: list[Prediction]


class TextCompletion(GeminiTask):
    """Ask for text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: idea
type: io.kestra.plugin.gemini.TextCompletion
apiKey: "{{ secret('GEMINI_API_KEY') }}"
model: gemini-2.5-flash
prompt: "A name for {{ inputs.product }}?"
""",
    )
    type: Literal["io.kestra.plugin.gemini.TextCompletion"]
    prompt: Property[Text]

    async def run(self, context: RunContext) -> Predictions:
        async with self.connected(context) as client:
            answer = await client.aio.models.generate_content(model=self.asked(context), contents=self.prompt)
        measure(context, self.named(context), [answer])
        return Predictions(predictions=_predictions(answer))


class Message(Part):
    """One turn of the conversation."""

    type: Literal["SYSTEM", "AI", "USER"] = "USER"
    content: Text


class ChatCompletion(GeminiTask):
    """Hold a conversation: system texts instruct, AI texts are history, the last user texts are answered."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: answer
type: io.kestra.plugin.gemini.ChatCompletion
apiKey: "{{ secret('GEMINI_API_KEY') }}"
model: gemini-2.5-flash
messages:
  - type: SYSTEM
    content: You answer in one sentence.
  - type: USER
    content: "{{ inputs.question }}"
""",
    )
    type: Literal["io.kestra.plugin.gemini.ChatCompletion"]
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)]]

    async def run(self, context: RunContext) -> Predictions:
        system = "\n\n".join(message.content for message in self.messages if message.type == "SYSTEM")
        turns = [message for message in self.messages if message.type != "SYSTEM"]
        asked = len(turns)
        while asked and turns[asked - 1].type == "USER":
            asked -= 1
        if asked == len(turns):
            raise TaskFailed("The last message must be of type USER.", fix="Add what the model is to answer.")
        history: list[Any] = [  # of the many forms that the library takes
            {"role": "model" if turn.type == "AI" else "user", "parts": [{"text": turn.content}]}
            for turn in turns[:asked]
        ]
        answers = []
        async with self.connected(context) as client:
            from google.genai import types

            config = types.GenerateContentConfig(system_instruction=system or None)
            for turn in turns[asked:]:
                history.append({"role": "user", "parts": [{"text": turn.content}]})
                answer = await client.aio.models.generate_content(
                    model=self.asked(context),
                    contents=history,
                    config=config,
                )
                answers.append(answer)
                history.append({"role": "model", "parts": [{"text": text_of(answer)}]})
        measure(context, self.named(context), answers)
        return Predictions(predictions=[found for answer in answers for found in _predictions(answer)])


class Content(Part):
    """A text, or a file in internal storage when `mimeType` is given."""

    content: Text
    mime_type: OptionalText = None
    role: Text = "user"


class Media(Outputs):
    """What the model made of it."""

    text: str | None
    images: list[dict[str, str]]
    finishReason: str | None  # noqa: N815 - appears as written
    safetyRatings: list[dict[str, Any]]  # noqa: N815
    blocked: bool


class MultimodalCompletion(GeminiTask):
    """Ask about pictures and other files."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: describe
type: io.kestra.plugin.gemini.MultimodalCompletion
apiKey: "{{ secret('GEMINI_API_KEY') }}"
model: gemini-2.5-flash
contents:
  - content: What is in this picture?
  - content: "{{ inputs.picture }}"
    mimeType: image/png
""",
    )
    type: Literal["io.kestra.plugin.gemini.MultimodalCompletion"]
    contents: Property[Annotated[list[Content], BeforeValidator(document_from_text)]] = Field(min_length=1)

    async def run(self, context: RunContext) -> Media:
        async with self.connected(context) as client:
            from google.genai import types

            contents = []
            for content in self.contents:
                if content.mime_type and content.content.startswith(STORAGE):
                    data = await context.files.read(content.content)
                    part = types.Part.from_bytes(data=data, mime_type=content.mime_type)
                else:
                    part = types.Part.from_text(text=content.content)
                contents.append(types.Content(role=content.role, parts=[part]))
            answer = await client.aio.models.generate_content(model=self.asked(context), contents=contents)
        measure(context, self.named(context), [answer])
        reason = reason_of(answer)
        blocked = reason in ("SAFETY", "RECITATION")
        images = []
        for n, part in enumerate(parts_of(answer), 1):
            if part.inline_data and part.inline_data.data:
                kind = part.inline_data.mime_type or "image/png"
                name = f"image-{n}{mimetypes.guess_extension(kind) or '.png'}"
                images.append({"mimeType": kind, "uri": await context.files.put(part.inline_data.data, name)})
        return Media(
            text=None if blocked else text_of(answer),
            images=images,
            finishReason=reason,
            safetyRatings=ratings_of(answer.candidates[0]) if answer.candidates else [],
            blocked=blocked,
        )


class Video(Outputs):
    """Where the service keeps the video, and where it is stored; no `uri` where Vertex AI keeps it in a bucket."""

    videoUri: str  # noqa: N815 - appears as written
    mimeType: str | None  # noqa: N815
    metadata: dict[str, Any]
    uri: StoredUri | None = None


class VideoGeneration(GeminiTask):
    """Make a video from a text, with Veo; at Vertex AI it goes into a bucket of Cloud Storage."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: video
type: io.kestra.plugin.gemini.VideoGeneration
apiKey: "{{ secret('GEMINI_API_KEY') }}"
model: veo-3.0-generate-preview
prompt: "{{ inputs.scene }}"
downloadFilePath: scene.mp4
""",
    )
    type: Literal["io.kestra.plugin.gemini.VideoGeneration"]
    api_key: Property[Text] = ""
    prompt: Property[Text]
    negative_prompt: Property[OptionalText] = None
    duration_in_seconds: Property[Annotated[int, Field(ge=1, le=60)]] = Field(
        default=10, validation_alias=AliasChoices("durationInSeconds", "duration"), description="At Vertex AI only."
    )
    include_audio: Property[bool] = Field(default=False, description="At Vertex AI only.")
    seed: Property[OptionalInteger] = None
    number_of_videos: Property[int] = Field(default=1, description="The first is handed on.")
    vertex_ai: Property[bool] = Field(default=False, alias="vertexAI")
    output_gcs_uri: Property[OptionalText] = None
    project: Property[OptionalText] = None
    location: Property[Region | None] = None
    download_file_path: Property[OptionalText] = Field(default=None, description="In the working directory.")

    async def run(self, context: RunContext) -> Video:
        maker = await self._maker(context)
        parameters = present(
            sampleCount=self.number_of_videos, negativePrompt=self.negative_prompt or None, seed=self.seed
        )
        if self.vertex_ai:
            parameters |= {"durationSeconds": self.duration_in_seconds, "generateAudio": self.include_audio}
            parameters["storageUri"] = self.output_gcs_uri
        begun = await maker.begin(context, self.prompt, parameters)
        limit = timedelta(seconds=context.time_limit) if context.time_limit else UNTIL_MADE
        look = partial(maker.look, context, str(held(begun, maker.service, "name")))
        ended = await waited(context, look, every=EVERY, most=limit, what="The video", fix="Raise `timeout`.")
        url, kind = first_video(ended)
        stored = None
        if not self.vertex_ai:
            path = inside(context.working_dir, self.download_file_path or "video.mp4")
            path.parent.mkdir(parents=True, exist_ok=True)
            await maker.fetch(context, url, path)
            stored = await context.files.put(path, path.name)
        return Video(videoUri=url, mimeType=kind, metadata=dict(begun.get("metadata") or {}), uri=stored)

    async def _maker(self, context: RunContext) -> Maker:
        if not self.vertex_ai:
            if not self.api_key:
                raise TaskFailed("`apiKey` is missing.", fix="Give it, or set `vertexAI: true`.")
            return at_gemini(context, self.api_key, self.asked(context))
        if not (self.output_gcs_uri and self.project and self.location):
            raise TaskFailed("`vertexAI` needs `outputGcsUri`, `project` and `location`.", fix="Give all three.")
        token = await access_token(context, None, [SCOPE])
        return at_vertex(context, token, self.project, self.location, self.asked(context))


def _predictions(answer: "GenerateContentResponse") -> list[Prediction]:
    found = []
    for candidate in answer.candidates or []:
        citation = candidate.citation_metadata
        found.append(
            Prediction(
                content=content_of(candidate),
                citationMetadata=citation.model_dump(mode="json", by_alias=True, exclude_none=True)
                if citation
                else None,
                safetyRatings=ratings_of(candidate),
            )
        )
    return found
