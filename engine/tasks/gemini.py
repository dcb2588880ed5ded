"""`io.kestra.plugin.gemini`: Google's Gemini models."""

import asyncio
import mimetypes
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import JsonText, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases
from engine.tasks.address_guard import check_address
from engine.tasks.gemini_answers import content_of, measure, parts_of, ratings_of, reason_of, text_of
from engine.tasks.property_types import OptionalText, Text, document_from_text
from engine.tasks.structured_output import missing_keys, parse_schema
from engine.tasks.working_files import STORAGE

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import GenerateContentResponse

HINTS = {
    400: "Check the API key and the schema.",
    403: "Check what the API key may do.",
    404: "The model may be retired: name another, or map it in `models`.",
    429: "Too many requests, or the quota is used up: retry later or add `retry` to the task.",
}


@asynccontextmanager
async def connected(
    context: RunContext,
    api_key: str,
    model: str,
    base_url: str | None = None,
    tls: ssl.SSLContext | None = None,
    vertex: Mapping[str, str] | None = None,
) -> AsyncIterator["Client"]:
    """A client of Gemini; what it raises leaves as TaskFailed, which names the model.

    With `vertex` (`project` and `location`) the client is one of Vertex AI, and the key an access token.
    """
    genai, types, errors, http = await asyncio.to_thread(_sdk)
    provider = context.settings.provider("vertex" if vertex else "gemini")
    address = base_url or provider.base_url
    limit = context.time_limit or provider.timeout
    if address:
        await check_address(address, context.settings)
    context.mask(api_key)
    # our own: the SDK would take aiohttp where that is installed
    wire = http.AsyncClient(timeout=limit, verify=tls or True)
    options = types.HttpOptions(
        base_url=address,
        api_version="v1" if vertex else "v1beta",
        timeout=int(limit * 1000),
        httpx_async_client=wire,
    )
    if vertex:
        from google.oauth2.credentials import Credentials

        who = Credentials(api_key)  # type: ignore[no-untyped-call]
        client = genai.Client(vertexai=True, credentials=who, http_options=options, **vertex)
    else:
        client = genai.Client(api_key=api_key, http_options=options, vertexai=False)
    try:
        yield client
    except errors.APIError as error:
        raise TaskFailed(
            f"Gemini answered {error.code} for the model {model}: {error.message or error.status}",
            fix=HINTS.get(error.code, ""),
        ) from error
    except http.ReadTimeout as error:
        raise TaskFailed(
            f"Gemini did not answer within {limit:g} s for the model {model}.",
            fix="Give the task a longer `timeout`, or raise `providers.gemini.timeout`.",
        ) from error
    except (http.HTTPError, OSError) as error:
        where = address or "its public address"
        raise TaskFailed(
            f"Gemini could not be reached at {where}: {error or type(error).__name__}.", fix="Check the network."
        ) from error
    finally:
        client.close()
        await wire.aclose()


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


def _sdk() -> tuple[Any, Any, Any, Any]:
    import httpx2
    from google import genai
    from google.genai import errors, types

    return genai, types, errors, httpx2


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
