"""Calls to services: URL aliases, address guard, redirects one by one, bounded bodies, and errors in sentences."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import isnan
from typing import Any, Protocol

import httpx

from engine.plugin import Level, Settings, TaskFailed
from engine.tasks import aliases
from engine.tasks.address_guard import check_address, check_peer
from engine.tasks.http_options import DEFAULT, HttpOptions

TRIES = 5
MAX_REDIRECTS = 20
MAX_WAIT = 60.0  # seconds we are willing to obey a 429
ANYWHERE = frozenset(  # headers that say nothing of who asks
    {"connection", "host", "range", "transfer-encoding", "user-agent"}
    | {"accept", "accept-charset", "accept-encoding", "accept-language"}
    | {"content-encoding", "content-language", "content-length", "content-type"}
)


class Caller(Protocol):
    """What a call needs of its surroundings; the context of a task is one."""

    settings: Settings

    @property
    def http(self) -> httpx.AsyncClient:
        """The client for calls without a proxy of their own."""

    def log(self, message: str, level: Level = "INFO") -> None:
        """Tell whoever wrote the flow."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered, read to its end."""

    url: str
    code: int
    headers: httpx.Headers
    content: bytes

    @property
    def text(self) -> str:
        """The body as text, for messages."""
        return self.content.decode("utf-8", "replace")

    @property
    def charset(self) -> str | None:
        """How the service says its text is written, None when it does not say."""
        return httpx.Response(200, headers={"Content-Type": self.headers.get("content-type", "")}).charset_encoding


@asynccontextmanager
async def opened(
    context: Caller,
    method: str,
    url: str,
    *,
    options: HttpOptions = DEFAULT,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    carries: bool = False,
    **body: Any,
) -> AsyncIterator[httpx.Response]:
    """An answer whose body is still to be read; TaskFailed when there is none. When a redirect leads to another
    service, no password and no `Authorization` go there, and of the other headers only what says nothing of who asks,
    unless the call `carries` them: a flow's own headers, as Kestra's HTTP tasks do."""
    address = with_parameters(destination(context, url), body.pop("params", None))
    sent = httpx.Headers({"User-Agent": "Parley", **(headers or {})}, encoding="utf-8")
    credentials = options.credentials()
    auth = credentials if isinstance(credentials, httpx.Auth) else None
    if isinstance(credentials, str):
        sent["Authorization"] = f"Bearer {credentials}"
    async with AsyncExitStack() as stack:
        client = context.http
        if not options.is_plain or tls:
            verify = tls or not (options.ssl and options.ssl.insecure_trust_all_certificates)
            client = await stack.enter_async_context(httpx.AsyncClient(proxy=options.proxy_url(), verify=verify))
        try:
            request = client.build_request(method, address, headers=sent, timeout=options.timeouts(), **body)
            if "REQUEST_HEADERS" in options.told:
                context.log(f"{method} {address} {dict(sent)}")
            for _ in range(MAX_REDIRECTS):
                await check_address(request.url, context.settings)
                response = await client.send(
                    request, stream=True, follow_redirects=False, auth=auth or httpx.USE_CLIENT_DEFAULT
                )
                stack.push_async_callback(response.aclose)
                check_peer(response, context.settings)
                if not (options.follow_redirects and response.next_request):
                    break
                before, request = request.url, response.next_request
                if leaves(before, request.url):
                    auth = None
                    for name in set() if carries else set(request.headers) - ANYWHERE:
                        del request.headers[name]
            else:
                raise TaskFailed(
                    f"{url} redirected more than {MAX_REDIRECTS} times.",
                    fix="Check the address: it may lead back to itself.",
                )
            if "RESPONSE_HEADERS" in options.told:
                context.log(f"{response.status_code} {dict(response.headers)}")
            yield response
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:  # a certificate is refused while we read
            raise unreachable(str(address), error, options) from error
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])
            raise TaskFailed(
                f"The call to {url} holds half a character, {half}.", fix="Check the text that it sends."
            ) from error


async def send(
    context: Caller,
    method: str,
    url: str,
    *,
    options: HttpOptions = DEFAULT,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    **body: Any,
) -> Answer:
    """One call, its answer read up to the operator's limit; a refusal (4xx, 5xx) is an answer too."""
    limit = context.settings.http.max_body
    for attempt in range(1, _attempts(options) + 1):
        last = attempt == _attempts(options)
        try:
            async with opened(context, method, url, options=options, headers=headers, tls=tls, **body) as response:
                content = await read(response, limit)
        except TaskFailed as error:
            if last or not isinstance(error.__cause__, httpx.TransportError):
                raise
            context.log(f"{error.message} Trying again.", "WARN")
        else:
            if last or response.status_code not in options.retry_on_status_codes:
                return Answer(str(response.url), response.status_code, response.headers, content)
            context.log(f"{url} answered {response.status_code}. Trying again.", "WARN")
        await asyncio.sleep(_interval(options, attempt))
    raise AssertionError("the last attempt returns or raises")


def leaves(before: httpx.URL, after: httpx.URL) -> bool:
    """Whether a redirect leads to another service: another scheme, host or port, but for http that becomes https. It is
    how httpx judges whether `Authorization` goes along."""
    if before.host != after.host:
        return True
    upgraded = (before.scheme, before.port, after.scheme, after.port) == ("http", None, "https", None)
    return (before.scheme, before.port) != (after.scheme, after.port) and not upgraded


async def read(response: httpx.Response, limit: int) -> bytes:
    """The body; TaskFailed when it is longer than the limit."""
    content = bytearray()
    async for block in response.aiter_bytes():
        content += block
        if len(content) > limit:
            raise TaskFailed(
                f"{response.request.url} answered with more than {limit} bytes.",
                fix="Use `io.kestra.plugin.core.http.Download`, or raise `http.max_body`.",
            )
    return bytes(content)


async def deliver(
    context: Caller,
    url: str,
    *,
    service: str,
    options: HttpOptions = DEFAULT,
    headers: Mapping[str, str] | None = None,
    tries: int = TRIES,
    **body: Any,
) -> Answer:
    """Post to a chat service; waits when told to (429), TaskFailed when it refuses."""
    answer = await patient(context, service, "POST", url, options=options, headers=headers, tries=tries, **body)
    if answer.code >= 400:
        raise TaskFailed(
            f"{service} answered {answer.code}: {answer.text[:500].strip()}",
            fix="Check the webhook's URL; it may have been revoked." if answer.code in (401, 403, 404) else "",
        )
    return answer


async def patient(
    context: Caller,
    service: str,
    method: str,
    url: str,
    *,
    options: HttpOptions = DEFAULT,
    headers: Mapping[str, str] | None = None,
    tries: int = TRIES,
    **body: Any,
) -> Answer:
    """The answer of a service, a refusal too; one that asks to wait (429) is asked again then, so many times."""
    extra = {**(headers or {}), **{str(name): str(value) for name, value in (options.headers or {}).items()}}
    while (answer := await send(context, method, url, options=options, headers=extra, **body)).code == 429:
        if not (tries := tries - 1):
            break
        await obeyed(context, service, answer)
    return answer


async def obeyed(context: Caller, service: str, answer: Answer) -> None:
    """Wait as long as a 429 asks, which is logged; TaskFailed when that is too long."""
    wait = retry_after(answer)
    context.log(f"{service} asks to wait {wait:g} s (429).", "WARN")
    await asyncio.sleep(wait)


def retry_after(answer: Answer) -> float:
    """Seconds a 429 asks for: Discord says it in the body, Slack in a header; one when that is no number."""
    try:
        seconds = float(httpx.Response(200, content=answer.content).json()["retry_after"])
    except (ValueError, KeyError, TypeError, OverflowError):
        try:
            seconds = float(answer.headers.get("retry-after", "1"))
        except ValueError:
            seconds = 1.0
    seconds = 1.0 if isnan(seconds) else seconds
    if seconds > MAX_WAIT:
        raise TaskFailed(
            f"The service asks to wait {seconds:g} s before the next message.", fix="Send fewer, or retry."
        )
    return max(seconds, 0.0)


def destination(context: Caller, url: str) -> str:
    """Where a URL really leads by the operator's aliases (and ours for services that moved); a change is logged."""
    url = url.strip().replace(" ", "%20")
    target = aliases.rewrite(url, context.settings.urls)
    if target == url and (target := aliases.rewrite(url, aliases.DEFAULT_URLS)) != url:
        context.log(f"{url} is retired; calling {target} instead.", "WARN")
    if httpx_scheme(target) not in ("http", "https"):
        raise TaskFailed(f"{target!r} is not an http or https address.", fix="Check the expression that makes it.")
    return target


def with_parameters(url: str, parameters: Any) -> str:
    """The address with more in its query; the client itself would put them in the place of what stands there."""
    if not parameters:
        return url
    address, mark, part = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{httpx.QueryParams(parameters)}{mark}{part}"


def httpx_scheme(url: str) -> str:
    """The scheme of a URL, "" when it is not one."""
    try:
        return httpx.URL(url).scheme
    except httpx.InvalidURL:
        return ""


def unreachable(url: str, error: Exception, options: HttpOptions) -> TaskFailed:
    """What went wrong with a call, for the author of the flow."""
    timeouts = options.timeouts()
    if isinstance(error, httpx.ConnectTimeout):
        return TaskFailed(f"{url} could not be reached within {timeouts.connect:g} s.", fix="Raise `connectTimeout`.")
    if isinstance(error, httpx.TimeoutException):
        return TaskFailed(f"{url} was silent for {timeouts.read:g} s.", fix="Raise `options.timeout.readIdleTimeout`.")
    if isinstance(error, httpx.ConnectError):
        return TaskFailed(f"{url} could not be reached: {error}.", fix="Check the address and the network.")
    return TaskFailed(f"The call to {url} failed: {error or type(error).__name__}.")


def _attempts(options: HttpOptions) -> int:
    if options.retry is not None:
        return options.retry.max_attempts or 3
    return 3 if options.retry_on_status_codes else 1


def _interval(options: HttpOptions, attempt: int) -> float:
    retry = options.retry
    first = retry.interval.total_seconds() if retry is not None and retry.interval else 1.0
    factor = retry.delay_factor ** (attempt - 1) if retry is not None and retry.type == "exponential" else 1.0
    longest = retry.max_interval.total_seconds() if retry is not None and retry.max_interval else MAX_WAIT
    return min(first * factor, longest)
