"""`io.kestra.plugin.anthropic`: Anthropic's Claude."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from engine.plugin import Outputs, Part, Property, RunContext, RunnableTask, StoredUri, TaskFailed
from engine.tasks import aliases, anthropic_service, rest_service
from engine.tasks.fetched_rows import FetchType
from engine.tasks.property_types import OptionalInteger, OptionalNumber, OptionalText, Text, document_from_text
from engine.tasks.rows import lines_of, values_of
from engine.tasks.runners import own_file


class Message(Part):
    """One turn of the conversation."""

    type: Literal["USER", "ASSISTANT", "AI", "user", "assistant"]
    content: Any


def _turns(messages: list[Message]) -> list[dict[str, Any]]:
    """The conversation in Anthropic's words."""
    return [{"role": "user" if one.type.upper() == "USER" else "assistant", "content": one.content} for one in messages]


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
        name = aliases.model(self.model, context.settings.models)
        body = {
            "model": name,
            "max_tokens": self.max_tokens or 1024,
            "messages": _turns(self.messages),
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


class BatchRequest(Part):
    """One call of a batch; `custom_id` is what its result is known by."""

    custom_id: Text = Field(min_length=1)
    model: Text = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    max_tokens: OptionalInteger = Field(default=1024, ge=1)
    system: OptionalText = None
    temperature: OptionalNumber = None
    top_p: OptionalNumber = None
    top_k: OptionalInteger = None
    prompt_caching: bool | None = None

    def written(self, context: RunContext) -> dict[str, Any]:
        """The call in Anthropic's words."""
        params = {
            "model": aliases.model(self.model, context.settings.models),
            "max_tokens": self.max_tokens or 1024,
            "messages": _turns(self.messages),
            "system": (self.system or "").strip() or None,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "cache_control": {"type": "ephemeral"} if self.prompt_caching else None,
        }
        given = {name: value for name, value in params.items() if value is not None}
        return {"custom_id": self.custom_id, "params": given}


class Batch(Outputs):
    """A batch: `status` is `in_progress`, `canceling` or `ended`; then `results` of a RETRIEVE, or a file of such
    lines, holds, in no order, for each its `customId`, `type`, `outputText`, `toolUses`, `stopReason`, tokens,
    `errorMessage` and `rawResponse`."""

    batchId: str  # noqa: N815 - appears as written
    status: str
    requestCounts: dict[str, int]  # noqa: N815
    resultsUrl: str | None = None  # noqa: N815
    results: list[dict[str, Any]] | None = None
    uri: StoredUri | None = None


COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")


class MessageBatch(RunnableTask):
    """Send many requests to Claude at once, for half the price and within a day; look how they stand, or stop them."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: capitals
type: io.kestra.plugin.anthropic.MessageBatch
apiKey: "{{ secret('ANTHROPIC_API_KEY') }}"
mode: CREATE
requests:
  - customId: japan
    model: claude-sonnet-4-5
    maxTokens: 64
    messages:
      - type: USER
        content: What is the capital of Japan?
""",
        """
id: answers
type: io.kestra.plugin.anthropic.MessageBatch
apiKey: "{{ secret('ANTHROPIC_API_KEY') }}"
mode: RETRIEVE
batchId: "{{ outputs.capitals.batchId }}"
""",
    )
    type: Literal["io.kestra.plugin.anthropic.MessageBatch"]
    api_key: Property[Text]
    base_url: Property[OptionalText] = None
    mode: Property[Literal["CREATE", "RETRIEVE", "CANCEL"]]
    requests: Property[Annotated[list[BatchRequest] | None, BeforeValidator(document_from_text)]] = Field(
        default=None, description="For CREATE."
    )
    batch_id: Property[OptionalText] = Field(default=None, description="For RETRIEVE and CANCEL.")
    fetch_type: Property[FetchType | None] = Field(
        default=None,
        description="What a RETRIEVE hands on: STORE `uri`, FETCH `results`, FETCH_ONE their first. Both unless set.",
    )

    async def run(self, context: RunContext) -> Batch:
        if self.mode == "CREATE":
            told = await self._asked(context, "POST", "", json={"requests": self._requests(context)})
        elif self.mode == "CANCEL":
            told = await self._asked(context, "POST", f"/{self._batch()}/cancel")
        else:
            told = await self._asked(context, "GET", f"/{self._batch()}")
        counts = told.get("request_counts") or {}
        found = Batch(
            batchId=str(told.get("id")),
            status=str(told.get("processing_status")),
            requestCounts={name: counts.get(name) or 0 for name in COUNTED},
            resultsUrl=told.get("results_url"),
        )
        context.log(f"The batch {found.batchId} is {found.status}.")
        if self.mode == "RETRIEVE" and found.status == "ended":
            await self._hand_on(context, found)
        return found

    async def _hand_on(self, context: RunContext, found: Batch) -> None:
        """The results as asked for. Older flows read `results`, newer ones `uri`; neither says so."""
        url = anthropic_service.address(context, self.base_url, f"messages/batches/{self._batch()}/results")
        told, filed = own_file(context, "told"), own_file(context, "results", ".jsonl")
        most = {"STORE": 0, "NONE": 0, "FETCH_ONE": 1}.get(self.fetch_type or "")
        try:
            await rest_service.downloaded(
                context, "Anthropic", url, told, headers=anthropic_service.signed(self.api_key)
            )
            if most is None and told.stat().st_size > context.settings.http.max_body:
                raise TaskFailed(
                    f"The results are more than {context.settings.http.max_body} bytes, too many to be outputs.",
                    fix="Use `fetchType: STORE`, or raise `http.max_body`.",
                )
            results, tokens = await asyncio.to_thread(_results, told, filed, most)
            for name, count in tokens.items():
                context.metric(name, count)
            if self.fetch_type in (None, "STORE"):
                found.uri = await context.files.put(filed, "results.jsonl")
            if self.fetch_type in (None, "FETCH", "FETCH_ONE"):
                found.results = results
        finally:
            told.unlink(missing_ok=True)
            filed.unlink(missing_ok=True)

    def _requests(self, context: RunContext) -> list[dict[str, Any]]:
        if not self.requests:
            raise TaskFailed("`requests` is empty.", fix="Give at least one, with `customId`, `model` and `messages`.")
        twice = [one for one, often in Counter(one.custom_id for one in self.requests).items() if often > 1]
        if twice:
            raise TaskFailed(f"Two requests have the `customId` {twice[0]!r}.", fix="Give each one of its own.")
        return [one.written(context) for one in self.requests]

    def _batch(self) -> str:
        if not (self.batch_id or "").strip():
            raise TaskFailed("It is not said which batch.", fix="Give `batchId`, an output of the CREATE.")
        return quote(str(self.batch_id).strip(), safe="")

    async def _asked(self, context: RunContext, method: str, path: str, **given: Any) -> dict[str, Any]:
        context.mask(self.api_key)
        url = anthropic_service.address(context, self.base_url, f"messages/batches{path}")
        headers = anthropic_service.signed(self.api_key)
        told = await rest_service.document(context, "Anthropic", method, url, headers=headers, **given)
        if not isinstance(told, dict) or not told.get("id"):
            raise TaskFailed("Anthropic answered without a batch.", fix="Check `baseUrl`.")
        return told


USED = {
    "usage.input.tokens": "input_tokens",
    "usage.output.tokens": "output_tokens",
    "usage.cache.creation.tokens": "cache_creation_input_tokens",
    "usage.cache.read.tokens": "cache_read_input_tokens",
}


def _results(told: Path, filed: Path, most: int | None) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """What a flow sees of the results in a file, all of them written into another; the first `most` of them, and how
    many tokens all requests took. TaskFailed when they are none."""
    first: list[dict[str, Any]] = []
    tokens = dict.fromkeys(USED, 0)

    def seen() -> Iterator[dict[str, Any]]:
        for row in values_of(told):
            result = _result(row)
            used = (row["result"].get("message") or {}).get("usage") or {}
            for name, field in USED.items():
                tokens[name] += used.get(field) or 0
            if most is None or len(first) < most:
                first.append(result)
            yield result

    try:
        with filed.open("w", encoding="utf-8") as lines:
            lines.writelines(lines_of(seen()))
    except (TaskFailed, KeyError, ValueError, AttributeError, TypeError) as error:
        raise TaskFailed("Anthropic answered with results that are none.", fix="Check `baseUrl`.") from error
    return first, tokens


def _result(row: Any) -> dict[str, Any]:
    """What a flow sees of one request of a batch."""
    told = row["result"]
    kind = told["type"] if told["type"] in COUNTED else "unknown"
    found: dict[str, Any] = {"customId": row["custom_id"], "type": kind}
    if kind == "succeeded":
        message = told["message"]
        usage = message.get("usage") or {}
        calls = [block for block in message.get("content") or () if block.get("type") == "tool_use"]
        found |= {
            "rawResponse": json.dumps(message, ensure_ascii=False),
            "outputText": anthropic_service.text_of(message),
            "toolUses": [{name: call.get(name) for name in ("id", "name", "input")} for call in calls] or None,
            "stopReason": message.get("stop_reason"),
            "cacheCreationInputTokens": usage.get("cache_creation_input_tokens"),
            "cacheReadInputTokens": usage.get("cache_read_input_tokens"),
        }
    elif kind in ("errored", "unknown"):
        error = told.get("error") if kind == "errored" else told
        found["rawResponse"] = json.dumps(error, ensure_ascii=False)
        found["errorMessage"] = ((error or {}).get("error") or {}).get("message") if kind == "errored" else None
    return {name: value for name, value in found.items() if value is not None}
