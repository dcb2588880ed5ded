"""`http()` in expressions: one call to a service, made in the thread that renders, its answer read by what it is."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx
from pydantic import ValidationError

from engine.errors import ExpressionFailed, TaskFailed
from engine.expressions.allowance import current
from engine.expressions.json_reading import only_value
from engine.expressions.limits import MAX_WAIT
from engine.expressions.printing import measure, to_json
from engine.expressions.yaml_documents import from_yaml, yaml_of
from engine.plugin import Level
from engine.settings import Settings
from engine.tasks.http_bodies import form_field, header
from engine.tasks.http_options import DEFAULT, HttpOptions
from engine.tasks.outbound import Answer, send

YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class OneCall:
    """The surroundings of one call, with a client of its own."""

    settings: Settings
    warn: Callable[[str], None]
    http: httpx.AsyncClient = field(default_factory=httpx.AsyncClient)

    def log(self, message: str, level: Level = "INFO") -> None:
        """Keep what whoever wrote the flow should know."""
        if level in ("WARN", "ERROR"):
            self.warn(message)


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """Calls services for expressions: address guard, redirects, size and status as for `http.Request`.

    It keeps its thread waiting, for no longer than what the render may still wait; ExpressionFailed in the event loop.
    """

    settings: Settings
    warn: Callable[[str], None]
    mask: Callable[[str], str] = str

    def __call__(self, uri: str, **given: Any) -> Any:
        """The body of the answer: a value for JSON and YAML, else text; ExpressionFailed, without a secret in it."""
        try:
            return self._called(uri, **given)
        except ExpressionFailed as error:
            raise ExpressionFailed(self.mask(error.message), fix=error.fix) from None

    def _called(
        self,
        uri: str,
        *,
        method: str,
        query: Any,
        body: Any,
        content_type: Any,
        headers: Any,
        options: Any,
        accept: Any,
    ) -> Any:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            _fail("http() is not available here.", "Use it in a property of a task.")
        kind = str(content_type or "application/json")
        sent = {**_map(headers, "headers"), "Accept": str(accept or "application/json")}
        try:
            sent = {name: ", ".join(map(header, _many(value))) for name, value in sent.items()}
        except TaskFailed as error:
            _fail(f"http(): {error.message}", error.fix)
        if body is not None:
            sent = {name: value for name, value in sent.items() if name.lower() != "content-type"}
            sent["Content-Type"] = kind
        parameters = [(name, form_field(one)) for name, value in _map(query, "query").items() for one in _many(value)]
        call = {"headers": sent, "content": _written(body, kind), **({"params": parameters} if parameters else {})}
        chosen = _options(options)
        answer = self._answer(method, uri, chosen, call)
        allowed = chosen.allowed_response_codes
        if answer.code not in allowed if allowed else not (200 <= answer.code < 300 or chosen.allow_failed):
            said = self.mask(answer.text)[:300].strip() or "(no body)"
            _fail(f"http(): {method} {answer.url} answered {answer.code}: {said}", "`options` may allow this status.")
        return _read(answer, chosen)

    def _answer(self, method: str, uri: str, options: HttpOptions, call: Mapping[str, Any]) -> Answer:
        allowance = current()
        began, left = time.monotonic(), allowance.wait
        loop = asyncio.new_event_loop()  # not asyncio.run: that waits for a resolver which doesn't answer
        try:
            return loop.run_until_complete(asyncio.wait_for(self._sent(method, uri, options, call), left))
        except TimeoutError:
            _fail(f"http(): {uri} keeps the template waiting for more than {MAX_WAIT:g} s.", _TASK)
        except TaskFailed as error:
            _fail(f"http(): {error.message}", error.fix)
        finally:
            loop.close()
            allowance.wait = max(0.0, left - (time.monotonic() - began))

    async def _sent(self, method: str, uri: str, options: HttpOptions, call: Mapping[str, Any]) -> Answer:
        caller = OneCall(self.settings, self.warn)
        async with caller.http:
            return await send(caller, method, uri, options=options, **call)


_TASK = "Call it in a task: `io.kestra.plugin.core.http.Request`."


def _fail(message: str, fix: str) -> NoReturn:
    raise ExpressionFailed(message, fix=fix)


def _map(value: Any, argument: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _fail(f"http() takes a map for {argument!r}.", f"`http(uri='…', {argument}={{'name': 'value'}})`")
    return {str(name): one for name, one in value.items()}


def _many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _options(value: Any) -> HttpOptions:
    if value is None:
        return DEFAULT
    try:
        return HttpOptions.model_validate(_map(value, "options"), context={"rendered": True})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("options", *first["loc"])))
        _fail(f"http(): `{place}`: {first['msg']}.", "The options are those of `io.kestra.plugin.core.http.Request`.")


def _written(body: Any, kind: str) -> bytes | None:
    """A body as its content type wants it; text goes as it is."""
    if body is None:
        return None
    if isinstance(body, str):
        return str(body).encode()
    plain = kind.partition(";")[0].strip().lower()
    if plain == FORM and isinstance(body, Mapping):
        return urlencode([(name, form_field(one)) for name, value in body.items() for one in _many(value)]).encode()
    if plain in YAML_TYPES:
        return str(yaml_of(body)).encode()
    if plain.endswith(("/json", "+json")) or not isinstance(body, Mapping | list | tuple):
        return to_json(body).encode()
    _fail(f"http() can't write this body as {kind!r}.", "Give a text, or JSON, YAML or a form as `contentType`.")


def _read(answer: Answer, options: HttpOptions) -> Any:
    """The body as its content type says: JSON and YAML as values, nothing as null, all else as text."""
    if not answer.content:
        return None
    plain = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    charset = answer.charset or options.default_charset
    try:
        text = answer.content.decode(charset)
    except (UnicodeDecodeError, LookupError):
        _fail(f"http(): {answer.url} answered with something that is not {charset} text.", "Use `http.Download`.")
    if plain in YAML_TYPES:
        try:
            return from_yaml(text)
        except ExpressionFailed as error:
            _fail(f"http(): {answer.url} says it answers with YAML. {error.message}", error.fix)
    if not plain.endswith(("/json", "+json")):
        return text
    try:
        found = only_value(text)
    except (ValueError, RecursionError) as error:
        _fail(f"http(): {answer.url} says it answers with JSON, but does not: {error}.", _TASK)
    measure(found)
    return found
