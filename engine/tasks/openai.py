"""`io.kestra.plugin.openai`: chat, pictures and responses of OpenAI (or a service that speaks its API)."""

import asyncio
import base64
import json
import mimetypes
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engine.plugin import JsonText, Outputs, Part, Property, RunContext, RunnableTask, TaskFailed
from engine.tasks import aliases
from engine.tasks.openai_service import connected
from engine.tasks.property_types import (
    JsonList,
    JsonMap,
    OptionalInteger,
    OptionalNumber,
    OptionalText,
    Text,
    TextList,
    document_from_text,
)
from engine.tasks.structured_output import parse_schema
from engine.tasks.working_files import STORAGE

BASE_URL = "https://api.openai.com/v1"
SIZES = {"SMALL": "256x256", "MEDIUM": "512x512", "LARGE": "1024x1024"}


class OpenAiTask(RunnableTask):
    """What every task of the service has."""

    api_key: Property[Text]
    base_url: Property[OptionalText] = None
    user: Property[OptionalText] = None
    client_timeout: Property[OptionalInteger] = None


class Message(Part):
    """One turn of the conversation."""

    role: Text
    content: Any = None
    name: OptionalText = None

    def body(self) -> dict[str, Any]:
        """The turn in the service's JSON; a role it does not know is the user's."""
        role = self.role.lower()
        return {"role": role if role in ("assistant", "system", "developer") else "user", "content": self.content}


class Parameter(Part):
    """One argument of a function."""

    name: str
    description: str
    type: str
    enum_values: list[str] | None = None
    required: bool = False


class Function(Part):
    """Something the model may ask us to call."""

    name: str
    description: str | None = None
    parameters: list[Parameter] = Field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """The function in the service's JSON."""
        properties: dict[str, Any] = {}
        for parameter in self.parameters:
            properties[parameter.name] = {"type": parameter.type, "description": parameter.description}
            if parameter.enum_values:
                properties[parameter.name]["enum"] = parameter.enum_values
        required = [parameter.name for parameter in self.parameters if parameter.required]
        schema = {"type": "object", "properties": properties, "required": required}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description or "", "parameters": schema},
        }


class Completion(Outputs):
    """The service's answer in its own words."""

    id: str
    object: str
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class ChatCompletion(OpenAiTask):
    """Ask a chat model."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: summary
type: io.kestra.plugin.openai.ChatCompletion
apiKey: "{{ secret('OPENAI_API_KEY') }}"
model: gpt-4o-mini
prompt: "Summarize in two sentences: {{ inputs.text }}"
""",
    )
    type: Literal["io.kestra.plugin.openai.ChatCompletion"]
    model: Property[Text]
    prompt: Property[OptionalText] = None
    messages: Property[Annotated[list[Message], BeforeValidator(document_from_text)] | None] = None
    temperature: Property[OptionalNumber] = 1.0
    top_p: Property[OptionalNumber] = None
    n: Property[OptionalInteger] = 1
    stop: Property[TextList | None] = None
    max_tokens: Property[OptionalInteger] = None
    presence_penalty: Property[OptionalNumber] = None
    frequency_penalty: Property[OptionalNumber] = None
    logit_bias: Property[Annotated[dict[str, int], BeforeValidator(document_from_text)] | None] = None
    functions: Property[Annotated[list[Function], BeforeValidator(document_from_text)] | None] = None
    function_call: Property[OptionalText] = None
    json_response_schema: JsonText[OptionalText] = None
    prompt_caching: Property[bool] = False

    async def run(self, context: RunContext) -> Completion:
        body = self._body(context)
        async with connected(context, "openai", self.api_key, self.base_url, BASE_URL, self.client_timeout) as client:
            import openai

            try:
                answer = await client.chat.completions.create(**body)
            except openai.BadRequestError as error:
                if not self.json_response_schema or "schema" not in str(error.body).lower():
                    raise
                context.log(f"The schema is refused as strict ({error.message}); asking without `strict`.", "WARN")
                body["response_format"]["json_schema"]["strict"] = False
                answer = await client.chat.completions.create(**body)
        found = answer.model_dump(mode="json", exclude_none=True)
        _measure(context, body["model"], found.get("usage") or {}, "prompt_tokens", "completion_tokens")
        return Completion.model_validate(found)

    def _body(self, context: RunContext) -> dict[str, Any]:
        messages = [message.body() for message in self.messages or []]
        if self.prompt is not None:
            messages.append({"role": "user", "content": self.prompt})
        if not messages:
            raise TaskFailed("Either `messages` or `prompt` must be set.")
        body: dict[str, Any] = {
            "model": aliases.model(self.model, context.settings.models),
            "messages": messages,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "n": self.n,
            "stop": self.stop,
            "max_completion_tokens": self.max_tokens,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "logit_bias": self.logit_bias,
            "user": self.user,
        }
        if self.prompt_caching:
            body["extra_body"] = {"prompt_cache_retention": "24h"}
        if self.json_response_schema:
            schema = parse_schema(self.json_response_schema)
            if schema.warning:
                context.log(schema.warning, "WARN")
            described = {"name": "kestra_schema", "strict": True, "schema": schema.value}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        return {key: value for key, value in (body | self._tools()).items() if value is not None}

    def _tools(self) -> dict[str, Any]:
        functions = [function for function in self.functions or [] if function.parameters]
        choice = self.function_call or "auto"
        if choice not in ("auto", "none") and choice not in {function.name for function in functions}:
            raise TaskFailed(f"`functionCall` names {choice!r}, which is not among `functions`.")
        if not functions:
            return {}
        named = {"type": "function", "function": {"name": choice}}
        return {
            "tools": [function.body() for function in functions],
            "tool_choice": choice if choice in ("auto", "none") else named,
        }


class Images(Outputs):
    """Pictures: URIs in internal storage, or links when the service gives links."""

    images: list[str]


class CreateImage(OpenAiTask):
    """Make pictures from a text."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: picture
type: io.kestra.plugin.openai.CreateImage
apiKey: "{{ secret('OPENAI_API_KEY') }}"
prompt: "{{ inputs.prompt }}"
size: LARGE
""",
    )
    type: Literal["io.kestra.plugin.openai.CreateImage"]
    prompt: Property[Text]
    n: Property[OptionalInteger] = None
    size: Property[Text] = "LARGE"
    model: Property[Text] = "gpt-image-1"
    quality: Property[OptionalText] = None
    download: Property[bool] = False

    async def run(self, context: RunContext) -> Images:
        body = {
            "model": aliases.model(self.model, context.settings.models),
            "prompt": self.prompt,
            "size": SIZES.get(self.size.upper(), self.size),
            "n": self.n,
            "user": self.user,
            "quality": self.quality.lower() if self.quality else None,
        }
        async with connected(context, "openai", self.api_key, self.base_url, BASE_URL, self.client_timeout) as client:
            answer = await client.images.generate(**{key: value for key, value in body.items() if value is not None})  # type: ignore[call-overload]
        found = [await self._stored(context, item.b64_json, item.url, n) for n, item in enumerate(answer.data or [], 1)]
        if not found:
            raise TaskFailed("The service made no picture.", fix="Change the prompt; it may have been refused.")
        return Images(images=found)

    async def _stored(self, context: RunContext, encoded: str | None, url: str | None, n: int) -> str:
        if encoded:
            return await context.files.put(base64.b64decode(encoded), f"image-{n}.png")
        if url and url.startswith("data:"):
            kind, _, data = url.removeprefix("data:").partition(";base64,")
            return await context.files.put(
                base64.b64decode(data), f"image-{n}{mimetypes.guess_extension(kind) or '.png'}"
            )
        if url and self.download:
            from engine.tasks.outbound import send

            answer = await send(context, "GET", url)
            if answer.code >= 400:
                raise TaskFailed(f"The picture at {url} could not be fetched: {answer.code}.")
            return await context.files.put(answer.content, f"image-{n}.png")
        return url or ""


class FileId(Outputs):
    """The service's id of the file."""

    fileId: str  # noqa: N815 - appears as written


class UploadFile(OpenAiTask):
    """Give the service a file, for requests to come."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: upload
type: io.kestra.plugin.openai.UploadFile
apiKey: "{{ secret('OPENAI_API_KEY') }}"
from: "{{ inputs.document }}"
purpose: user_data
""",
    )
    type: Literal["io.kestra.plugin.openai.UploadFile"]
    from_: Property[Text] = Field(alias="from")
    purpose: Property[Text] = "user_data"

    async def run(self, context: RunContext) -> FileId:
        path = context.files.path(self.from_)
        content = await asyncio.to_thread(path.read_bytes)
        async with connected(context, "openai", self.api_key, self.base_url, BASE_URL, self.client_timeout) as client:
            purpose: Any = self.purpose.lower()
            made = await client.files.create(file=(path.name, content), purpose=purpose)
        return FileId(fileId=made.id)


class Answer(Outputs):
    """The text, where it came from, and the whole answer."""

    responseId: str  # noqa: N815 - appears as written
    outputText: str  # noqa: N815
    sources: list[str]
    rawResponse: dict[str, Any]  # noqa: N815


class Responses(OpenAiTask):
    """Ask through the Responses API: text, pictures, files, and the service's own tools."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: news
type: io.kestra.plugin.openai.Responses
apiKey: "{{ secret('OPENAI_API_KEY') }}"
model: gpt-4.1-mini
input: "What happened today in {{ inputs.city }}?"
tools:
  - type: web_search_preview
""",
    )
    type: Literal["io.kestra.plugin.openai.Responses"]
    model: Property[Text]
    input: Property[Any]
    text: Property[JsonMap | None] = None
    tools: Property[JsonList | None] = None
    tool_choice: Property[Literal["NONE", "AUTO", "REQUIRED"]] = "AUTO"
    store: Property[bool] = True
    previous_response_id: Property[OptionalText] = None
    prompt_id: Property[OptionalText] = None
    prompt_variables: Property[JsonMap | None] = None
    reasoning: Property[JsonMap | None] = None
    max_output_tokens: Property[OptionalInteger] = None
    temperature: Property[OptionalNumber] = 1.0
    top_p: Property[OptionalNumber] = None
    parallel_tool_calls: Property[bool | None] = None
    prompt_caching: Property[bool] = False

    async def run(self, context: RunContext) -> Answer:
        body = {
            "model": aliases.model(self.model, context.settings.models),
            "input": await self._input(context),
            "text": self.text,
            "tools": self.tools,
            "tool_choice": self.tool_choice.lower(),
            "store": self.store,
            "previous_response_id": self.previous_response_id or None,
            "prompt": {"id": self.prompt_id, "variables": self.prompt_variables or {}} if self.prompt_id else None,
            "reasoning": self.reasoning,
            "max_output_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "parallel_tool_calls": self.parallel_tool_calls,
            "extra_body": {"prompt_cache_retention": "24h"} if self.prompt_caching else None,
            "user": self.user,
        }
        async with connected(context, "openai", self.api_key, self.base_url, BASE_URL, self.client_timeout) as client:
            answer = await client.responses.create(**{key: value for key, value in body.items() if value is not None})
        raw = answer.model_dump(mode="json", exclude_none=True)
        _measure(context, str(body["model"]), raw.get("usage") or {}, "input_tokens", "output_tokens")
        return Answer(responseId=raw["id"], outputText=_text(raw), sources=_sources(raw), rawResponse=raw)

    async def _input(self, context: RunContext) -> Any:
        given = self.input
        if isinstance(given, str) and given.lstrip().startswith("["):
            try:
                given = json.loads(given)
            except json.JSONDecodeError:
                return given
        return await _inlined(context, given)


async def _inlined(context: RunContext, value: Any) -> Any:
    """The value with pictures from internal storage written out as data URIs."""
    if isinstance(value, list):
        return [await _inlined(context, item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: await _inlined(context, item) for key, item in value.items()}
    uri = found.get("image_url")
    if isinstance(uri, str) and uri.startswith(STORAGE):
        kind = mimetypes.guess_type(uri)[0]
        if kind is None:
            raise TaskFailed(
                f"What kind of picture {uri} is cannot be told.", fix="Give the file a name with an ending."
            )
        content = await asyncio.to_thread(context.files.path(uri).read_bytes)
        found["image_url"] = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    return found


def _measure(context: RunContext, model: str, usage: dict[str, Any], asked: str, answered: str) -> None:
    """Record the tokens, under the names that this part of the API has for them."""
    context.metric("usage.prompt.tokens", usage.get(asked, 0), model=model)
    context.metric("usage.completion.tokens", usage.get(answered, 0), model=model)
    context.metric("usage.total.tokens", usage.get("total_tokens", 0), model=model)
    cached = (usage.get(f"{asked}_details") or {}).get("cached_tokens", 0)
    context.metric("usage.prompt.cached_tokens", cached, model=model)


def _text(raw: dict[str, Any]) -> str:
    pieces = []
    for item in raw.get("output", []):
        if item.get("type") == "message":
            pieces += [part["text"] for part in item.get("content", []) if part.get("type") == "output_text"]
        elif item.get("type") == "function_call":
            pieces.append(str(item.get("arguments", "")))
    return "\n".join(pieces)


def _sources(raw: dict[str, Any]) -> list[str]:
    return [
        note["url"]
        for item in raw.get("output", [])
        for part in item.get("content") or []
        for note in part.get("annotations") or []
        if note.get("type") == "url_citation" and note.get("url")
    ]
