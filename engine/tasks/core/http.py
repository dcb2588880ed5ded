"""`io.kestra.plugin.core.http`: call a URL, or download what it serves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import Field, ValidationError

from engine.errors import ExpressionFailed
from engine.expressions import jq_programs
from engine.plugin import (
    Instead,
    JsonText,
    LateProperty,
    Outputs,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    StoredUri,
    TaskFailed,
)
from engine.tasks.event_stream import Event, events
from engine.tasks.http_bodies import file_name, form_field, grouped, header, multipart
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions, Ssl
from engine.tasks.outbound import Answer, opened, send
from engine.tasks.property_types import JsonMap, OptionalInteger, OptionalText, Text, is_true, scalar_to_text

Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]


class HttpTask(RunnableTask):
    """What Request and Download share."""

    uri: Property[Text]
    method: Property[Method] = "GET"
    body: JsonText[OptionalText] = None
    form_data: Property[JsonMap | None] = None
    content_type: Property[OptionalText] = "application/json"
    headers: Property[JsonMap | None] = None
    params: Property[JsonMap | None] = None
    options: Property[HttpOptions | None] = None
    auth: Annotated[Property[Auth | None], Instead("options.auth")] = None
    allow_failed: Annotated[Property[bool | None], Instead("options.allowFailed")] = None
    ssl_options: Annotated[Property[Ssl | None], Instead("options.ssl")] = None

    def effective_options(self) -> HttpOptions:
        """`options` with what older flows say beside them."""
        changes = {"auth": self.auth, "ssl": self.ssl_options, "allow_failed": self.allow_failed}
        return (self.options or DEFAULT).model_copy(update={k: v for k, v in changes.items() if v is not None})

    def call(self, context: RunContext, stack: ExitStack) -> dict[str, Any]:
        """Headers and body as the HTTP client wants them; files stay open as long as the stack."""
        given = {name: header(value) for name, value in (self.headers or {}).items()}
        headers = httpx.Headers(given, encoding="utf-8")
        extra: dict[str, Any] = {"carries": True}
        if self.params:
            extra["params"] = {k: scalar_to_text(v) for k, v in self.params.items()}
        content_type = self.content_type or ""
        if self.form_data is not None:
            if not content_type.startswith("multipart/form-data"):
                fields = {name: form_field(value) for name, value in self.form_data.items()}
                return {"headers": headers, "data": fields, **extra}
            return {"headers": headers, **multipart(self.form_data, context, stack), **extra}
        if "content-type" not in headers and content_type:
            headers["Content-Type"] = content_type
        content = None if self.body is None else self._encoded(self.body)
        return {"headers": headers, "content": content, **extra}

    def _encoded(self, body: str) -> bytes:
        charset = self.effective_options().default_charset
        try:
            return body.encode(charset)
        except (UnicodeEncodeError, LookupError) as error:
            raise TaskFailed(
                f"The body cannot be written as {charset}.", fix="Change `options.defaultCharset`."
            ) from error

    def judge(self, code: int, text: str, options: HttpOptions, url: str) -> None:
        """TaskFailed when a status counts as failure."""
        allowed = options.allowed_response_codes
        failed = code not in allowed if allowed else code >= 400 and not options.allow_failed
        if failed:
            fix = (
                "The service says this address is gone for good: look up its successor, or add it to `urls`."
                if code == 410
                else ""
            )
            raise TaskFailed(f"{self.method} {url} answered {code}: {text[:1000].strip() or '(no body)'}", fix=fix)

    async def judge_begun(self, response: httpx.Response, options: HttpOptions) -> None:
        """The same of an answer whose body is still to be read; only what a refusal says is."""
        failed = response.status_code >= 400
        text = (await response.aread()).decode("utf-8", "replace") if failed else ""
        self.judge(response.status_code, text, options, str(response.url))

    def measure(self, context: RunContext, url: httpx.URL, code: int, sent: int, received: int) -> None:
        """Record the call's metrics."""
        tags = {
            "request.method": self.method,
            "request.scheme": url.scheme,
            "request.hostname": url.host,
            "response.code": str(code),
        }
        context.metric("request.count", 1, "counter", **tags)
        context.metric("request.bytes", sent, "counter", **tags)
        context.metric("response.count", 1, "counter", **tags)
        context.metric("response.length", received, "counter", **tags)
        context.metric("response.bytes", received, "counter", **tags)


class Response(Outputs):
    """What the service answered; `body` is always text: use `fromJson(...)` or `jq` to look inside."""

    uri: str
    code: int
    headers: dict[str, list[str]]
    body: str | None = None
    encryptedBody: str | None = None  # noqa: N815 - appears as written


class Request(HttpTask):
    """Send one HTTP request and hand on the answer."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: create
type: io.kestra.plugin.core.http.Request
uri: https://api.example.com/tickets
method: POST
contentType: application/json
headers:
  Authorization: "Bearer {{ secret('TICKETS_TOKEN') }}"
body: |
  {"title": "{{ inputs.title }}"}
""",
    )
    type: Literal["io.kestra.plugin.core.http.Request", "io.kestra.plugin.fs.http.Request"]
    encrypt_body: Property[bool] = Field(
        default=False, description="True: the body is `encryptedBody`, a secret in the database, logs and cards."
    )

    async def run(self, context: RunContext) -> Response:
        options = self.effective_options()
        with ExitStack() as stack:
            call = self.call(context, stack)
            if "REQUEST_BODY" in options.told:
                context.log(self.body or "")
            answer = await send(context, self.method, self.uri, options=options, **call)
        self.measure(context, httpx.URL(answer.url), answer.code, len(self.body or ""), len(answer.content))
        text = self._text(answer, options)
        if self.encrypt_body:
            context.mask(text)
        if "RESPONSE_BODY" in options.told:
            context.log(text)
        self.judge(answer.code, text, options, answer.url)
        body = {"encryptedBody" if self.encrypt_body else "body": text}
        return Response(uri=answer.url, code=answer.code, headers=grouped(answer.headers), **body)

    def _text(self, answer: Answer, options: HttpOptions) -> str:
        charset = answer.charset or options.default_charset
        try:
            return answer.content.decode(charset)
        except (UnicodeDecodeError, LookupError) as error:
            if answer.code >= 400:
                return answer.text
            raise TaskFailed(
                f"{answer.url} answered with something that is not {charset} text.",
                fix="Use `io.kestra.plugin.core.http.Download` for files.",
            ) from error


class Downloaded(Outputs):
    """Where the file lies in internal storage."""

    uri: StoredUri
    code: int
    length: int
    headers: dict[str, list[str]]


class Download(HttpTask):
    """Download a file to internal storage."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: report
type: io.kestra.plugin.core.http.Download
uri: https://example.com/reports/{{ inputs.month }}.csv
""",
    )
    type: Literal["io.kestra.plugin.core.http.Download", "io.kestra.plugin.fs.http.Download"]
    fail_on_empty_response: Property[bool] = True
    save_as: Property[OptionalText] = None

    async def run(self, context: RunContext) -> Downloaded:
        options = self.effective_options()
        target = context.working_dir / f".download-{context.task_run_id}-{context.attempt}"
        with ExitStack() as stack:
            call = self.call(context, stack)
            async with opened(context, self.method, self.uri, options=options, **call) as response:
                await self.judge_begun(response, options)
                length = 0
                with target.open("wb") as file:
                    async for block in _blocks(response):
                        length += file.write(block)
        try:
            if length == 0 and self.fail_on_empty_response and not options.allow_failed:
                raise TaskFailed(f"{self.uri} answered with an empty file.", fix="Set `failOnEmptyResponse: false`.")
            if length == 0:
                context.log(f"The file of {self.uri} is empty.", "WARN")
            name = self.save_as or file_name(response)
            uri = await context.files.put(target, name)
        finally:
            target.unlink(missing_ok=True)
        self.measure(context, response.url, response.status_code, len(self.body or ""), length)
        return Downloaded(uri=uri, code=response.status_code, length=length, headers=grouped(response.headers))


class Consumed(Outputs):
    """What came: the events, or the one text that the jq program made of them."""

    uri: StoredUri
    size: int
    events: list[Event] | None = None
    result: str | None = None


class SseRequest(HttpTask):
    """Read a stream of server-sent events to its end, or as many events as are wanted."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: answer
type: io.kestra.plugin.core.http.SseRequest
uri: https://example.com/stream
concatJqExpression: .data.message
""",
    )
    type: Literal["io.kestra.plugin.core.http.SseRequest"]
    max_events: Property[OptionalInteger] = Field(default=None, description="Stop after this many.")
    concat_jq_expression: Property[OptionalText] = Field(
        default=None, description="A jq program on each event (`.data`, `.id`, `.name`); what it gives is joined."
    )
    failed_on_missing_jq: Property[bool] = Field(
        default=True, description="False: events for which the program gives nothing are left out."
    )

    async def run(self, context: RunContext) -> Consumed:
        options = self.effective_options()
        limit, size, found = context.settings.http.max_body, 0, list[Event]()
        with ExitStack() as stack:
            call = self.call(context, stack)
            call["headers"].setdefault("Accept", "text/event-stream")
            async with opened(context, self.method, self.uri, options=options, **call) as response:
                await self.judge_begun(response, options)
                async for event in events(_lines(response)):
                    found.append(event)
                    size += len(str(event["data"]))
                    if size > limit:
                        raise TaskFailed(f"{self.uri} sent more than {limit} bytes.", fix="Set `maxEvents`.")
                    if self.max_events and len(found) >= self.max_events:
                        break
        context.metric("size", len(found))
        parts = [part for event in found if (part := await self._part(event, context)) is not None]
        told = {"result": "".join(parts)} if parts else {"events": found}
        return Consumed.model_validate({"uri": str(response.url), "size": len(found), **told})

    async def _part(self, event: Event, context: RunContext) -> str | None:
        """What the jq program makes of an event, None without program; TaskFailed when it gives no text."""
        program = self.concat_jq_expression
        if not program:
            return None
        program = program.strip().replace("$.", ".", 1) if program.strip().startswith("$.") else program
        try:
            given = (await asyncio.to_thread(jq_programs.outputs, event, program))[-1:]
            reason = "it gives no text"
        except ExpressionFailed as error:
            given, reason = [], error.message
        if given and isinstance(given[0], str | int | float):
            return str(scalar_to_text(given[0]))
        message = f"The jq program {program!r} failed on the event {str(event['data'])[:200]!r}: {reason}."
        if self.failed_on_missing_jq:
            raise TaskFailed(message.replace("..", "."), fix="Set `failedOnMissingJq: false` to leave such events out.")
        context.log(f"{message} It is left out.", "DEBUG")
        return None


class Trigger(PollingTrigger):
    """Call a URL again and again, and start an execution when the answer is what is waited for."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: shop_is_back
type: io.kestra.plugin.core.http.Trigger
uri: https://shop.example.com/health
interval: PT5M
responseCondition: "{{ response.statusCode == 200 }}"
stopAfter: [SUCCESS]
""",
    )
    type: Literal["io.kestra.plugin.core.http.Trigger", "io.kestra.plugin.fs.http.Trigger"]
    uri: Property[Text]
    method: Property[Method] = "GET"
    body: JsonText[OptionalText] = None
    form_data: Property[JsonMap | None] = None
    content_type: Property[OptionalText] = "application/json"
    headers: Property[JsonMap | None] = None
    params: Property[JsonMap | None] = None
    options: Property[HttpOptions | None] = None
    ssl_options: Annotated[Property[Ssl | None], Instead("options.ssl")] = None
    encrypt_body: Property[bool] = False
    response_condition: LateProperty[Text] = Field(
        default="{{ response.statusCode < 400 }}",
        description="Sees `response.statusCode`, `response.body` and `response.headers`.",
    )

    async def poll(self, context: RunContext) -> Response | None:
        asked = (self.model_fields_set & set(Request.model_fields)) - set(PollingTrigger.model_fields)
        given = self.model_dump(include=asked, by_alias=True, exclude_unset=True, warnings=False)
        body = await context.render(given.pop("body", None), guard="json")
        call = {**await context.render(given), "body": body, "id": self.id, "type": Request.type_names()[0]}
        try:
            request = Request.model_validate({**call, "allowFailed": True}, context={"rendered": True})
        except ValidationError as error:
            raise TaskFailed(f"The request can't be made: {error.errors()[0]['msg']}.") from error
        answer = await request.run(context)
        text = answer.encryptedBody if request.encrypt_body else answer.body
        seen = {"statusCode": answer.code, "body": text, "headers": answer.headers}
        return answer if is_true(await context.render(self.response_condition, response=seen)) else None


async def _blocks(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:
        yield response.content
        return
    async for block in response.aiter_bytes():
        yield block


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    if response.is_stream_consumed:
        for line in response.text.splitlines():
            yield line
        return
    async for line in response.aiter_lines():
        yield line
