"""`io.kestra.plugin.core.http`: call a URL, or download what it serves."""

import json
import mimetypes
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal
from urllib.parse import quote, unquote

import httpx
from pydantic import Field, ValidationError

from engine.plugin import (
    JsonText,
    LateProperty,
    Outputs,
    PollingTrigger,
    Property,
    RunContext,
    RunnableTask,
    TaskFailed,
)
from engine.tasks.http_options import DEFAULT, Auth, HttpOptions, Ssl
from engine.tasks.outbound import Answer, opened, send
from engine.tasks.property_types import JsonMap, OptionalText, Text, is_true, scalar_to_text
from engine.tasks.working_files import STORAGE

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
    auth: Property[Auth | None] = None
    allow_failed: Property[bool | None] = None
    ssl_options: Property[Ssl | None] = None

    def effective_options(self) -> HttpOptions:
        """`options` with what older flows say beside them."""
        changes = {"auth": self.auth, "ssl": self.ssl_options, "allow_failed": self.allow_failed}
        return (self.options or DEFAULT).model_copy(update={k: v for k, v in changes.items() if v is not None})

    def call(self, context: RunContext, stack: ExitStack) -> dict[str, Any]:
        """Headers and body as the HTTP client wants them; files stay open as long as the stack."""
        headers = httpx.Headers({name: _header(value) for name, value in (self.headers or {}).items()})
        extra: dict[str, Any] = (
            {"params": {k: scalar_to_text(v) for k, v in self.params.items()}} if self.params else {}
        )
        content_type = self.content_type or ""
        if self.form_data is not None:
            if not content_type.startswith("multipart/form-data"):
                fields = {name: _field(value) for name, value in self.form_data.items()}
                return {"headers": headers, "data": fields, **extra}
            return {"headers": headers, **_multipart(self.form_data, context, stack), **extra}
        if "content-type" not in headers and content_type:
            headers["Content-Type"] = content_type
        return {"headers": headers, "content": (self.body or "").encode() if self.body is not None else None, **extra}

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
    encrypt_body: Property[bool] = False

    async def run(self, context: RunContext) -> Response:
        if self.encrypt_body:
            raise TaskFailed(
                "`encryptBody` is not supported here.", fix="Drop it; secrets are masked in logs and cards."
            )
        options = self.effective_options()
        with ExitStack() as stack:
            call = self.call(context, stack)
            if "REQUEST_BODY" in options.logs:
                context.log(self.body or "")
            answer = await send(context, self.method, self.uri, options=options, **call)
        self.measure(context, httpx.URL(answer.url), answer.code, len(self.body or ""), len(answer.content))
        text = self._text(answer, options)
        if "RESPONSE_BODY" in options.logs:
            context.log(text)
        self.judge(answer.code, text, options, answer.url)
        return Response(uri=answer.url, code=answer.code, headers=_grouped(answer.headers), body=text)

    def _text(self, answer: Answer, options: HttpOptions) -> str:
        charset = (
            answer.headers.encoding if "charset" in answer.headers.get("content-type", "") else options.default_charset
        )
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

    uri: str
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
                if response.status_code >= 400 or options.allowed_response_codes:
                    failed = response.status_code >= 400
                    text = (await response.aread()).decode("utf-8", "replace") if failed else ""
                    self.judge(response.status_code, text, options, str(response.url))
                length = 0
                with target.open("wb") as file:
                    async for block in _blocks(response):
                        length += file.write(block)
        try:
            if length == 0 and self.fail_on_empty_response:
                raise TaskFailed(f"{self.uri} answered with an empty file.", fix="Set `failOnEmptyResponse: false`.")
            name = self.save_as or file_name(response)
            uri = await context.files.put(target, name)
        finally:
            target.unlink(missing_ok=True)
        self.measure(context, response.url, response.status_code, len(self.body or ""), length)
        return Downloaded(uri=uri, code=response.status_code, length=length, headers=_grouped(response.headers))


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
    ssl_options: Property[Ssl | None] = None
    encrypt_body: Property[bool] = False
    response_condition: LateProperty[Text] = Field(
        default="{{ response.statusCode < 400 }}",
        description="Sees `response.statusCode`, `response.body` and `response.headers`.",
    )

    async def poll(self, context: RunContext) -> Response | None:
        asked = {name for name in self.model_fields_set if name in Request.model_fields and name not in OF_TRIGGERS}
        given = self.model_dump(include=asked, by_alias=True, exclude_unset=True, warnings=False)
        body = await context.render(given.pop("body", None), guard="json")
        call = {**await context.render(given), "body": body, "id": self.id, "type": Request.type_names()[0]}
        try:
            request = Request.model_validate({**call, "allowFailed": True}, context={"rendered": True})
        except ValidationError as error:
            raise TaskFailed(f"The request can't be made: {error.errors()[0]['msg']}.") from error
        answer = await request.run(context)
        seen = {"statusCode": answer.code, "body": answer.body, "headers": answer.headers}
        return answer if is_true(await context.render(self.response_condition, response=seen)) else None


OF_TRIGGERS = frozenset({"id", "type", "description", "disabled", "log_level", "log_to_file", "worker_group", "assets"})


async def _blocks(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:
        yield response.content
        return
    async for block in response.aiter_bytes():
        yield block


def file_name(response: httpx.Response) -> str:
    """What to call a download: as the service names it, else by its address and type; never a path."""
    disposition = response.headers.get("content-disposition", "")
    encoded = re.search(r"filename\*=(?:UTF-8'')?([^;]+)", disposition, re.IGNORECASE)
    plain = re.search(r'filename="?([^";]+)"?', disposition, re.IGNORECASE)
    name = unquote(encoded[1]) if encoded else plain[1] if plain else PurePosixPath(response.url.path).name
    name = PurePosixPath(name.replace("\\", "/")).name.strip() or "download"
    if not PurePosixPath(name).suffix:
        name += mimetypes.guess_extension(response.headers.get("content-type", "").split(";")[0].strip()) or ""
    return quote(name, safe=" ._-()+@")[:200]


def _grouped(headers: httpx.Headers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for raw_name, raw_value in headers.raw:
        grouped.setdefault(raw_name.decode("latin-1"), []).append(raw_value.decode("latin-1"))
    return grouped


def _header(value: Any) -> str:
    text = scalar_to_text(value)
    text = text if isinstance(text, str) else json.dumps(text)
    if "\n" in text.strip() or "\r" in text.strip():
        raise TaskFailed("A header's value holds a line break.", fix="Check the expression that makes it.")
    return text.strip()


def _field(value: Any) -> str:
    text = scalar_to_text(value)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)


def _multipart(form: Mapping[str, Any], context: RunContext, stack: ExitStack) -> dict[str, Any]:
    parts: list[tuple[str, Any]] = []
    for name, value in form.items():
        content, file = value, None
        if isinstance(value, Mapping) and {"name", "content"} <= value.keys():
            content, file = value["content"], str(value["name"])
        if isinstance(content, str) and content.startswith(STORAGE):
            path = context.files.path(content)
            handle = stack.enter_context(path.open("rb"))
            parts.append((name, (file or path.name, handle, mimetypes.guess_type(file or path.name)[0])))
        elif file is not None:
            parts.append((name, (file, _field(content).encode(), mimetypes.guess_type(file)[0])))
        else:
            parts.append((name, (None, _field(value).encode())))
    return {"files": parts}
